"""Whose history a target holds: that of one server, and for the personal workspace of one user."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tower_etl.config.settings import is_loopback
from tower_etl.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_HOST_ALIASES = {
    "api.tower.nf": "api.cloud.seqera.io",
    "tower.nf": "api.cloud.seqera.io",
}  # API fact 12


@dataclass(frozen=True)
class SourceIdentity:
    """Where a sync reads from.

    Attributes:
        host: The server, None on loopback, where a tunnel may lead anywhere.
        user_id: The user that the token belongs to.
    """

    host: str | None
    user_id: int | None

    @classmethod
    def of(cls, endpoint: str, user_id: int | None) -> SourceIdentity:
        """The origin that an endpoint and a token stand for."""
        host = (urlsplit(endpoint).hostname or "").lower()
        return cls(None if is_loopback(host) else _HOST_ALIASES.get(host, host), user_id)


def verify_source_identity(
    stored: Mapping[str, Any] | None, here: SourceIdentity, *, moved: bool
) -> dict[str, Any]:
    """What to remember of the origin, if the target may take rows from it.

    Runs of two servers must not meet in one target: each would find those of the other missing.

    Raises:
        ConfigurationError: The target holds the history of another server.
    """
    known = SourceIdentity(**stored) if stored else here
    if not moved and known.host and here.host and known.host != here.host:
        msg = (
            f"The target holds the history of {known.host}, not of {here.host}: give another "
            "--path. If the server has only changed its name, set TOWER_ETL_SERVER_MOVED=1 once."
        )
        raise ConfigurationError(msg)
    return asdict(SourceIdentity(here.host or known.host, known.user_id or here.user_id))
