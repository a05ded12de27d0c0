"""Print the licences of all dependencies: `python -m tests.supply.licences`."""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.supply.floors import USER_EXTRAS

ROOT = "tower-etl"
_TROVE = "License :: OSI Approved :: "
_LONGEST = 60  # some packages put the full text in the field for the name


def list_installed(extras: tuple[str, ...] = USER_EXTRAS) -> dict[str, str]:
    """Return the licence of each direct and indirect dependency by its name."""
    found: dict[str, str] = {}
    waiting = [(ROOT, extra) for extra in ("", *extras)]
    done = set()
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in done:
            continue
        done.add((name, extra))
        try:
            package = distribution(name)
        except PackageNotFoundError:  # required on another platform only
            continue
        if name != ROOT:
            found[name] = read_licence(name)
        for line in package.requires or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                waiting += [(canonicalize_name(needed.name), e) for e in ("", *needed.extras)]
    return dict(sorted(found.items()))


def read_licence(name: str) -> str:
    """Return the licence of a package from its expression, its classifiers or its text field."""
    metadata = distribution(name).metadata
    if "License-Expression" in metadata:
        return str(metadata["License-Expression"])
    kinds = metadata.get_all("Classifier") or []
    trove = [kind.removeprefix(_TROVE) for kind in kinds if kind.startswith(_TROVE)]
    if trove:
        return ", ".join(trove)
    first = (metadata.get_all("License") or ["unknown"])[0].strip().splitlines()[0]
    return str(first[:_LONGEST])


def is_copyleft(licence: str) -> bool:
    """Return whether a licence demands the same licence of works that use the package.

    The Lesser GPL does not, if the package is only imported.
    """
    lesser = re.sub(r"(?i)LGPL[\w.+-]*|(GNU )?lesser general public licen[cs]e[^,]*", "", licence)
    return (
        re.search(r"(?i)\bA?GPL|affero|general public|\bSSPL|\bBUSL|proprietary", lesser)
        is not None
    )


if __name__ == "__main__":
    rows = [f"{name:<28}{licence}" for name, licence in list_installed().items()]
    sys.stdout.write("\n".join(rows) + "\n")
