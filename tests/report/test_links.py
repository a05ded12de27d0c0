"""Links from the report to the platform's pages of runs."""

from __future__ import annotations

import pytest

from tests.report.conftest import PLATFORM
from tower_etl.errors import ConfigurationError
from tower_etl.report.data import Run
from tower_etl.report.render import check_web, derive_web, link_run


def run_in(workspace: str, run_id: str = "4a") -> Run:
    """Return a run of a workspace."""
    return Run(run_id, "x", "p", "1", "ada l", workspace, "FAILED", None, None, 1, 1, None, None)


@pytest.mark.parametrize(
    ("host", "web"),
    [
        ("api.cloud.seqera.io", "https://cloud.seqera.io"),
        ("api.tower.nf", "https://tower.nf"),
        ("tower.example.org", "https://tower.example.org"),
        ("tower.example.org:8443", "https://tower.example.org:8443"),
        ("127.0.0.1:8765", None),
        ("localhost", None),
        ("[::1]:80", None),
        (None, None),
    ],
)
def test_the_web_address_is_derived_from_the_endpoint(host: str | None, web: str | None) -> None:
    """The prefix `api.` is removed. An endpoint on loopback has no known web address."""
    assert web == derive_web(host)


@pytest.mark.parametrize(
    ("workspace", "path"),
    [
        ("acme/lab", "/orgs/acme/workspaces/lab/watch/4a"),
        ("personal", "/user/ada%20l/watch/4a"),
        ("a b/c?d", "/orgs/a%20b/workspaces/c%3Fd/watch/4a"),
    ],
)
def test_a_run_links_to_its_page_in_the_workspace_or_of_the_user(workspace: str, path: str) -> None:
    assert link_run(PLATFORM, run_in(workspace)) == f"https://tower.example.org{path}"


def test_a_run_has_no_link_without_workspace_name_or_web_address() -> None:
    """The pages of the platform are found by the name of the workspace, not by its id."""
    assert link_run(PLATFORM, run_in("1234567")) is None
    assert link_run(None, run_in("acme/lab")) is None


def test_a_given_web_address_keeps_its_path_without_trailing_slash() -> None:
    assert check_web("https://tower.example.org/web/") == "https://tower.example.org/web"


@pytest.mark.parametrize("web", ["tower.example.org", "javascript:alert(1)", "https://", ""])
def test_an_invalid_web_address_is_refused(web: str) -> None:
    with pytest.raises(ConfigurationError, match="Invalid --web"):
        check_web(web)
