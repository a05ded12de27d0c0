"""All settings: their names on the command line, in the environment and in dlt's configuration.

`--help`, the README's table and the lookup of settings are made from this list.

Usage: python -m tower_etl.config.catalog PAGE

Replaces the table of settings of a page (`make docs`).
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PREFIX = "TOWER_ETL_"
_SIMILARITY = 0.75  # at 0.6, `STATE` resembles `RATE`
_HEAD = (
    "| setting | flag | environment | `.dlt/config.toml` or `secrets.toml`, "
    "`[sources.tower_etl.tower]` | default |\n|---|---|---|---|---|\n"
)
_TABLE = re.compile(re.escape(_HEAD) + r"(?:\|.*\n)*")


@dataclass(frozen=True)
class Setting:
    """Setting of a sync or of a query.

    Attributes:
        name: Name in dlt's configuration.
        meaning: Meaning, as Markdown.
        flag: Flag with the form of its value; empty without a flag.
        variable: Environment variable; by default `TOWER_ETL_` and the name.
        default: Value without a configured one, as Markdown.
        is_configurable: Whether dlt's configuration may have it. dlt reads it from the current
            folder, which must not decide which program is run or which password is sent.
    """

    name: str
    meaning: str
    flag: str = ""
    variable: str = ""
    default: str = ""
    is_configurable: bool = True

    @property
    def env_name(self) -> str:
        """Name of the environment variable."""
        return self.variable or _PREFIX + self.name.upper()

    @property
    def hint(self) -> str:
        """Variable and default for `--help`, in square brackets."""
        default = f"; default: {self.default.replace('`', '')}" if self.default else ""
        return f"[{self.env_name}{default}]"

    @property
    def row(self) -> str:
        """Row of the table of settings."""
        key = f"`{self.name}`" if self.is_configurable else ""
        cells = (self.meaning, self.flag, f"`{self.env_name}`", key, self.default)
        return "".join(f"| {cell} " if cell else "| " for cell in cells) + "|\n"


SETTINGS = {
    setting.name: setting
    for setting in (
        Setting("access_token", "access token", "none, on purpose", "TOWER_ACCESS_TOKEN"),
        Setting(
            "token_command",
            "command that prints the token",
            "`--token-command CMD`",
            is_configurable=False,
        ),
        Setting("keyring", "keyring service of the token", is_configurable=False),
        Setting(
            "endpoint",
            "API endpoint",
            "`--endpoint URL`",
            "TOWER_API_ENDPOINT",
            "`https://api.cloud.seqera.io`",
        ),
        Setting(
            "ca_bundle",
            "trusted certificates (also `CURL_CA_BUNDLE`, `SSL_CERT_FILE`)",
            "`--ca-bundle FILE`",
            "REQUESTS_CA_BUNDLE",
            "those of `certifi`",
            is_configurable=False,
        ),
        Setting(
            "insecure_http",
            "unencrypted HTTP to another machine (`1`)",
            "`--insecure-http`",
            default="refused",
            is_configurable=False,
        ),
        Setting("destination", "destination type", "`--destination`", default="`duckdb`"),
        Setting("path", "file, folder or URL of the tables", "`--path`", default="`runs.duckdb`"),
        Setting(
            "postgres", "address of PostgreSQL, with its password ([how](docs/destinations.md))"
        ),
        Setting("workspace_id", "a single workspace", variable="TOWER_WORKSPACE_ID"),
        Setting(
            "workspaces",
            "workspaces, a list",
            "`--workspace`, repeated",
            default="all that the token can see",
        ),
        Setting(
            "tables",
            "tables, a list",
            "`--tables A,B*,!C`",
            default="all except on-demand tables",
        ),
        Setting("rate", "calls per second, or `none`", "`--rate N`", default="20"),
        Setting(
            "budget_share",
            "fraction of the rate limit for all syncs together",
            "`--budget-share 0.5`",
            default="1",
        ),
        Setting(
            "budget",
            "scope of the shared rate limit: `machine`, `process`, `redis://...`",
            default="`machine`",
        ),
        Setting("package_rows", "rows of a load package", default="40,000"),
        Setting("package_seconds", "seconds of a load package", default="15"),
        Setting("give_up_days", "maximum age of open runs in days", default="30"),
        Setting("reconcile_hours", "hours between two reconciliations", default="24"),
        Setting("api_version", "requested API version", default="1"),
        Setting(
            "redact",
            "redaction of secrets in text: `true`, `false`, `emails`",
            "`--redact`, `--no-redact`",
            default="`true`",
        ),
        Setting("exclude", "columns left empty, a list", "`--exclude COLUMN`, repeated"),
        Setting("hash", "columns replaced by digests, a list", "`--hash COLUMN`, repeated"),
        Setting("hash_salt", "key of the digests"),
        Setting("promote", "undocumented fields with a column, a list"),
        Setting("server_moved", "the host of the target's server has changed (`1`)"),
        Setting(
            "seeds",
            "folder with your [machine types](docs/questions.md#machine-types) and "
            "[energy tables](docs/energy.md)",
            default="those of the package",
            is_configurable=False,
        ),
        Setting(
            "prices",
            "[price list](docs/price-lists.md) for tasks that the platform does not price",
        ),
        Setting(
            "log_level",
            "log level",
            "`--log-level`, before the command",
            default="`warning`",
            is_configurable=False,
        ),
        Setting("debug", "traceback of an internal error (`1`)", is_configurable=False),
    )
}


def is_enabled(value: str | None) -> bool:
    """Return whether the value of an on-off setting is on: `1`, `true`, `yes` or `on`."""
    return (value or "").strip().lower() in {"1", "true", "yes", "on"}


def list_misspelt(environ: Mapping[str, str]) -> list[str]:
    """Return a message for each environment variable that resembles a setting and is none.

    A misspelt setting must not pass unnoticed: it may exclude or redact personal data.
    """
    variables = {name.upper(): setting.env_name for name, setting in SETTINGS.items()}
    unknown = sorted(name for name in environ if name not in variables.values())
    similar = {
        name: _find_similar(name.removeprefix(_PREFIX), variables)
        for name in unknown
        if name.startswith(_PREFIX)
    }
    return [
        f"{name} is not a setting and is ignored. Did you mean {variables[setting]}?"
        for name, setting in similar.items()
        if setting
    ]


def _find_similar(name: str, settings: Iterable[str]) -> str | None:
    """Return the setting that a name misspells or extends by words, such as `RATE_LIMIT`."""
    close = get_close_matches(name, settings, n=1, cutoff=_SIMILARITY)
    extended = [setting for setting in settings if name.startswith(f"{setting}_")]
    return next(iter([*close, *extended]), None)


def render_table() -> str:
    """Return the table of settings as Markdown."""
    return _HEAD + "".join(setting.row for setting in SETTINGS.values())


def update_page(page: str) -> str:
    """Return a page with its table of settings replaced."""
    return _TABLE.sub(lambda _: render_table(), page)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(update_page(target.read_text(encoding="utf-8")), encoding="utf-8")
