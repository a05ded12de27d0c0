"""Print the lowest allowed versions: `python -m tests.supply.floors` (`make lowest`)."""

from __future__ import annotations

import sys
import tomllib
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement

USER_EXTRAS = ("keyring", "redis", "simulator")
PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def list_direct() -> list[Requirement]:
    """Return the direct dependencies, including those of the extras for users."""
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    extras = [project["optional-dependencies"][name] for name in USER_EXTRAS]
    return [Requirement(line) for line in (*project["dependencies"], *chain(*extras))]


def find_floor(requirement: Requirement) -> str | None:
    """Return the version after `>=`, None without one."""
    floors = [spec.version for spec in requirement.specifier if spec.operator == ">="]
    return floors[0] if floors else None


if __name__ == "__main__":
    pins = sorted({f"{direct.name}=={find_floor(direct)}" for direct in list_direct()})
    sys.stdout.write("\n".join(pins) + "\n")
