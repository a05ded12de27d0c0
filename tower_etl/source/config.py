"""dlt's configuration as one more place where a setting may come from."""

from __future__ import annotations

import dlt

_SECTIONS = ("sources.tower_etl.tower", "sources.tower")


def find_dlt_value(name: str) -> str | None:
    """A value of `.dlt/config.toml`, `.dlt/secrets.toml` or dlt's environment names."""
    for section in _SECTIONS:
        for accessor in (dlt.config, dlt.secrets):
            value: str | None = accessor.get(f"{section}.{name}", str)
            if value:
                return value
    return None
