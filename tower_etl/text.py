"""Texts for SQL and for messages: quoting, plurals, similar names, the installation of an extra."""

from __future__ import annotations

import json
import shlex
import sys
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def quote_name(name: str) -> str:
    """Return a name as a quoted identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """Return a text as a string literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def pluralize(count: int, noun: str, plural: str = "") -> str:
    """Return a count with its noun: `1 run`, `2 runs`, `3 processes`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def suggest(wanted: str, names: Iterable[str]) -> str:
    """Return ` Did you mean ...?` with the names that resemble a mistyped one, else nothing."""
    by_lower_case = {name.lower(): name for name in names}
    close = get_close_matches(wanted.strip().lower(), by_lower_case, n=2)
    return f" Did you mean {' or '.join(by_lower_case[name] for name in close)}?" if close else ""


def enumerate_names(names: Sequence[str], most: int) -> str:
    """Return the first names for a message, and the number of the others: `a, b and 3 more`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}" or "none"


def install_command(extra: str) -> str:
    """Return the command that adds an extra to this installation.

    The package is not on a package index, so that the command names the folder or archive that it
    was installed from, for uv tool, pipx or pip.
    """
    requirement = f"{_find_origin()}[{extra}]"
    prefix = Path(sys.prefix)
    if (prefix / "uv-receipt.toml").exists():
        return f"uv tool install --force {shlex.quote(requirement)}"
    if (prefix / "pipx_metadata.json").exists():
        return f"pipx install --force {shlex.quote(requirement)}"
    return f"{shlex.quote(sys.executable)} -m pip install {shlex.quote(requirement)}"


def _find_origin() -> str:
    """Return the folder, archive or URL of the installation, else the name of the package."""
    try:
        text = distribution("tower-etl").read_text("direct_url.json")
    except PackageNotFoundError:
        return "tower-etl"
    if not text:
        return "tower-etl"
    origin = json.loads(text)
    url = str(origin["url"])
    if "vcs_info" in origin:
        return f"tower-etl @ {origin['vcs_info']['vcs']}+{url}"
    return unquote(urlsplit(url).path) if url.startswith("file:") else url
