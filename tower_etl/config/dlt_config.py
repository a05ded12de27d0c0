"""Lookup of settings in dlt's configuration."""

from __future__ import annotations

import dlt
from dlt.common.configuration.providers.toml import TomlProviderReadException

from tower_etl.errors import ConfigurationError

_SECTIONS = ("sources.tower_etl.tower", "sources.tower")


def dlt_config_value(name: str) -> str | None:
    """Return a setting from `.dlt/config.toml`, `.dlt/secrets.toml` or dlt's environment variables.

    Raises:
        ConfigurationError: One of the files is not valid TOML.
    """
    try:
        return _find(name)
    except TomlProviderReadException as error:
        msg = f"Cannot read dlt's configuration: {' '.join(str(error).split())[:300]}"
        raise ConfigurationError(msg) from None


def _find(name: str) -> str | None:
    for section in _SECTIONS:
        for accessor in (dlt.config, dlt.secrets):
            value: str | None = accessor.get(f"{section}.{name}", str)
            if value:
                return value
    return None
