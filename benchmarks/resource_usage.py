"""Resource usage of a command: wall time, CPU time, memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_STOPWATCH = Path(__file__).with_name("stopwatch.py")
_KEPT = ("PATH", "LANG", "PYTHONPATH")


@dataclass(frozen=True)
class Usage:
    """Resource usage of a command and its child processes.

    Attributes:
        exit_code: Exit code; if negative, the signal that ended the command.
        wall_s: Seconds from start to end.
        cpu_s: CPU seconds, user and system.
        peak_mb: Largest resident memory of one process, in units of 1,000,000 bytes.
    """

    exit_code: int
    wall_s: float
    cpu_s: float
    peak_mb: float


def measure(command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> Usage:
    """Run a command in a folder with a minimal environment.

    Its output is appended to `log.txt` in the folder.
    """
    result = folder / "usage.json"
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    with (folder / "log.txt").open("ab") as log:
        subprocess.run(
            [sys.executable, "-I", "-S", str(_STOPWATCH), str(result), *command],
            cwd=folder,
            env={**kept, "HOME": str(folder), "NO_PROXY": "*", **environ},
            stdout=log,
            stderr=log,
            check=True,
        )
    return Usage(**json.loads(result.read_text(encoding="utf-8")))
