"""Identity of a destination's source: one server, and one user for the personal workspace."""

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
    """Server and user that a sync reads from.

    Attributes:
        host: Host of the server, None on loopback, where a tunnel may lead to any server.
        user_id: Id of the token's user.
    """

    host: str | None
    user_id: int | None

    @classmethod
    def of(cls, endpoint: str, user_id: int | None) -> SourceIdentity:
        """Return the identity of an endpoint and a user."""
        host = (urlsplit(endpoint).hostname or "").lower()
        return cls(None if is_loopback(host) else _HOST_ALIASES.get(host, host), user_id)


def verify_source_identity(
    stored: Mapping[str, Any] | None, current: SourceIdentity, *, moved: bool
) -> dict[str, Any]:
    """Return the identity to store, after checking that the destination belongs to this server.

    Runs of two servers must not be mixed: the sync of each would mark those of the other as
    missing.

    Raises:
        ConfigurationError: The destination contains the history of another server.
    """
    known = SourceIdentity(**stored) if stored else current
    if not moved and known.host and current.host and known.host != current.host:
        msg = (
            f"The destination contains the history of {known.host}, not of {current.host}. Choose "
            "another --path. If the server was renamed, set TOWER_ETL_SERVER_MOVED=1 once."
        )
        raise ConfigurationError(msg)
    return asdict(SourceIdentity(current.host or known.host, known.user_id or current.user_id))
