"""What users want to keep out of the tables, as they wrote it down."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tower_etl.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Find = Callable[[str, str], str | None]

_REDACT = {"true": (True, False), "false": (False, False), "emails": (True, True)}


@dataclass(frozen=True)
class PrivacySettings:
    """Wishes about columns; each names one as `table.column`, or as `column` in every table.

    Attributes:
        redact: Whether secrets are taken out of text.
        emails: Whether e-mail addresses are taken out with them.
        excluded: Columns that are left empty.
        hashed: Columns whose values are replaced by digests.
        promoted: Undocumented fields that get a column: `table.field` or `table.field:type`.
        salt: Key of the digests; without it, anyone can find out what a guessed value becomes.
    """

    redact: bool = True
    emails: bool = False
    excluded: tuple[str, ...] = ()
    hashed: tuple[str, ...] = ()
    promoted: tuple[str, ...] = ()
    salt: str = field(default="", repr=False)


def resolve_privacy(
    find: Find,
    *,
    redact: bool | None = None,
    excluded: Iterable[str] = (),
    hashed: Iterable[str] = (),
) -> PrivacySettings:
    """Wishes from arguments, else from the environment or the configuration.

    Args:
        find: A setting by its names there, as `Sources.find` gives it.
        redact: None where the configuration is to say.
        excluded: Columns; where there are none, those of the configuration.
        hashed: Likewise.

    Raises:
        UsageError: `redact` is none of true, false and emails.
    """
    chosen, emails = _read_redact(find)
    return PrivacySettings(
        redact=chosen if redact is None else redact,
        emails=emails,
        excluded=tuple(excluded) or _read_names(find, "exclude"),
        hashed=tuple(hashed) or _read_names(find, "hash"),
        promoted=_read_names(find, "promote"),
        salt=find("TOWER_ETL_HASH_SALT", "hash_salt") or "",
    )


def _read_redact(find: Find) -> tuple[bool, bool]:
    value = find("TOWER_ETL_REDACT", "redact") or "true"
    if value.lower() not in _REDACT:
        msg = f"redact {value!r} is none of {', '.join(_REDACT)}."
        raise ConfigurationError(msg)
    return _REDACT[value.lower()]


def _read_names(find: Find, name: str) -> tuple[str, ...]:
    """Names between commas; a list of TOML arrives with its brackets and quotes."""
    value = find(f"TOWER_ETL_{name.upper()}", name) or ""
    names = (part.strip(" \t\n[]\"'") for part in value.split(","))
    return tuple(part for part in names if part)
