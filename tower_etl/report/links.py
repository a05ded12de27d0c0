"""Where the platform shows a run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from tower_etl.errors import ConfigurationError

if TYPE_CHECKING:
    from tower_etl.report.facts import Regression, Run

_LEGACY = {"api.tower.nf": "tower.nf"}
_LOOPBACK = re.compile(r"(localhost|127\.[\d.]+|\[::1\])(:\d+)?", re.IGNORECASE)
_WEB = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")


@dataclass(frozen=True)
class WebLinks:
    """The pages of a platform.

    Attributes:
        web: Their address without a slash at the end; None where it is not known.
    """

    web: str | None

    @classmethod
    def of_endpoint(cls, host: str | None) -> WebLinks:
        """The pages that belong to the host of an API (API fact 12).

        On loopback there is none: a tunnel or a simulator may have been there.
        """
        if not host or _LOOPBACK.fullmatch(host):
            return cls(None)
        return cls(f"https://{_LEGACY.get(host, host.removeprefix('api.'))}")

    @classmethod
    def at(cls, web: str) -> WebLinks:
        """The pages at an address that somebody gave.

        Raises:
            UsageError: It is no http or https address.
        """
        if not _WEB.fullmatch(web.strip()):
            msg = f"Not an address of pages: {web!r}. Give one like https://cloud.seqera.io."
            raise ConfigurationError(msg)
        return cls(web.strip().rstrip("/"))

    def link_run(self, run: Run | Regression) -> str | None:
        """The address of a run's page; None where its workspace has no name."""
        if self.web is None:
            return None
        if run.workspace == "personal":
            return f"{self.web}/user/{_part(run.user_name)}/watch/{_part(run.run_id)}"
        org, slash, name = run.workspace.partition("/")
        if not slash:
            return None
        return f"{self.web}/orgs/{_part(org)}/workspaces/{_part(name)}/watch/{_part(run.run_id)}"


def _part(text: str) -> str:
    return quote(text, safe="")
