"""Storage of the measured figures in a file beside this module; sizes can run separately."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("figures.json")
_LIBRARIES = ("tower-etl", "dlt", "duckdb", "pyarrow", "pandas", "requests")

Figures = dict[str, Any]


def read_figures(path: Path = PATH) -> Figures:
    """Return the figures by size or probe; empty if nothing was measured."""
    if not path.exists():
        return {}
    found: Figures = json.loads(path.read_text(encoding="utf-8"))
    return found


def add_figures(name: str, measured: Figures, path: Path = PATH) -> None:
    """Store figures, and replace older figures of the same name."""
    figures = read_figures(path) | {name: measured}
    path.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def describe_machine() -> dict[str, str]:
    """Describe the machine; call this before measuring, because `load` is the current load."""
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    return {
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "load": f"{os.getloadavg()[0]:.1f}",
        "python": platform.python_version(),
        "libraries": libraries,
    }
