"""Lookup of settings in dlt's configuration."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from tower_etl.errors import ConfigurationError

_SECTIONS = ("sources.tower_etl.tower", "sources.tower")
_VARIABLES = ("SOURCES__", "PROVIDERS__")  # of settings, and of vaults that hold them
_SECRETS = Path("/run/secrets")  # files of containers, which dlt reads


def dlt_config_value(name: str) -> str | None:
    """Return a setting from `.dlt/config.toml`, `.dlt/secrets.toml` or dlt's environment variables.

    Raises:
        ConfigurationError: One of the files is not valid TOML.
    """
    if not _is_configured():
        return None
    from dlt.common.configuration.providers.toml import TomlProviderReadException  # noqa: PLC0415 half a second

    try:
        return _find(name)
    except TomlProviderReadException as error:
        msg = f"Cannot read dlt's configuration: {' '.join(str(error).split())[:300]}"
        raise ConfigurationError(msg) from None


def _is_configured() -> bool:
    """Return whether dlt may have a setting; importing dlt takes half a second.

    dlt reads TOML files in the folder of the project and in one of several global folders.
    """
    if "dlt" in sys.modules or _SECRETS.is_dir():
        return True
    if any(name.startswith(_VARIABLES) for name in os.environ):
        return True
    home = os.path.expanduser("~")  # noqa: PTH111 Path.expanduser fails for a user without a home
    project = os.environ.get("DLT_PROJECT_DIR", ".")
    data = os.environ.get("XDG_DATA_HOME", home)
    folders = (f"{project}/.dlt", f"{home}/.dlt", f"{data}/dlt", "/var/dlt")
    return any(
        any(Path(folder).glob("*.toml")) for folder in (*folders, f"{tempfile.gettempdir()}/dlt")
    )


def _find(name: str) -> str | None:
    import dlt  # noqa: PLC0415 as above

    for section in _SECTIONS:
        for accessor in (dlt.config, dlt.secrets):
            value: str | None = accessor.get(f"{section}.{name}", str)
            if value:
                return value
    return None
