"""How the way to the server is protected: by TLS, and by which certificates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tower_etl.errors import ConfigurationError

if TYPE_CHECKING:
    from tower_etl.configuration import SettingSources


def resolve_allow_http(sources: SettingSources) -> bool:
    """Whether the token may go over plain HTTP: `TOWER_ETL_INSECURE_HTTP=1`.

    Not from dlt's configuration, which lies in the folder in which a command is run.
    """
    return sources.environ.get("TOWER_ETL_INSECURE_HTTP", "").lower() in {"1", "true", "yes"}


def resolve_ca_bundle(flag: str | None, sources: SettingSources) -> Path | None:
    """Certificates to trust: `--ca-bundle`, or the variables that other programs know.

    Raises:
        UsageError: There is no such file or folder.
    """
    variables = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
    values = (flag, *(sources.environ.get(name) for name in variables))
    found = next((value for value in values if value), None)
    if found is not None and not Path(found).exists():
        msg = f"No CA bundle at {found}: look at --ca-bundle, or at {', '.join(variables)}."
        raise ConfigurationError(msg)
    return None if found is None else Path(found)
