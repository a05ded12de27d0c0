"""The steps of the Containerfile; `python -m tests.supply.container` runs the build stage.

They run in a temporary folder instead of a container, for `make container-check`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONTAINERFILE = ROOT / "Containerfile"
_PLACES = ("/src", "/opt/tower-etl")


@dataclass(frozen=True)
class Step:
    """One instruction of the Containerfile.

    Attributes:
        stage: Number of the stage, from 0; each FROM begins a stage.
        name: The instruction in capitals, such as `RUN`.
        text: Its arguments, on one line.
    """

    stage: int
    name: str
    text: str


def read_steps(text: str) -> list[Step]:
    """Return the instructions of a Containerfile, without comments."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    whole = re.sub(r"\\\n\s*", "", "\n".join(lines))
    found: list[Step] = []
    for line in filter(None, whole.splitlines()):
        name, _, rest = line.partition(" ")
        stage = (found[-1].stage if found else -1) + (name == "FROM")
        found.append(Step(stage, name, rest.strip()))
    return found


def try_out(folder: Path) -> str:
    """Run the steps of the first stage and return the version that the command prints."""
    environ = {**os.environ}
    for step in (step for step in read_steps(CONTAINERFILE.read_text()) if step.stage == 0):
        if step.name == "ARG":
            name, _, value = step.text.partition("=")
            environ[name] = value
        if step.name == "COPY":
            *sources, target = step.text.split()
            for source in sources:
                _copy(ROOT / source, folder / "src" / target / Path(source).name)
        if step.name == "RUN":
            _run(_move(step.text, folder), environ)
    return _run(_move("/opt/tower-etl/bin/tower-etl --version", folder), environ).strip()


def _copy(source: Path, target: Path) -> None:
    target = target.parent if target.parent.name == target.name else target
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copyfile(source, target)


def _move(command: str, folder: Path) -> str:
    for place in _PLACES:
        command = command.replace(place, f"{folder}{place}")
    return command


def _run(command: str, environ: dict[str, str]) -> str:
    done = subprocess.run(
        ["/bin/sh", "-ec", command], env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{command} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        sys.stdout.write(try_out(Path(name)) + "\n")
