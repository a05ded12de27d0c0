"""Where a run is shown, whatever the names."""

from __future__ import annotations

import pytest

from tests.report.conftest import PLATFORM
from tower_etl.errors import ConfigurationError
from tower_etl.report.data import Run
from tower_etl.report.render import WebLinks


def run_in(workspace: str, run_id: str = "4a") -> Run:
    """A run of a workspace."""
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
def test_pages_belong_to_an_endpoint(host: str | None, web: str | None) -> None:
    """`api.` is left out; what was on loopback is not known."""
    assert web == WebLinks.of_endpoint(host).web


@pytest.mark.parametrize(
    ("workspace", "path"),
    [
        ("acme/lab", "/orgs/acme/workspaces/lab/watch/4a"),
        ("personal", "/user/ada%20l/watch/4a"),
        ("a b/c?d", "/orgs/a%20b/workspaces/c%3Fd/watch/4a"),
    ],
)
def test_a_run_has_a_page(workspace: str, path: str) -> None:
    """In its workspace, or with its user."""
    assert PLATFORM.link_run(run_in(workspace)) == f"https://tower.example.org{path}"


def test_a_workspace_without_a_name_has_no_link() -> None:
    """An id is no address; nor is there one where the pages are not known."""
    assert PLATFORM.link_run(run_in("1234567")) is None
    assert WebLinks(None).link_run(run_in("acme/lab")) is None


def test_an_address_may_be_given() -> None:
    """With a path, without its last slash."""
    assert WebLinks.at("https://tower.example.org/web/").web == "https://tower.example.org/web"


@pytest.mark.parametrize("web", ["tower.example.org", "javascript:alert(1)", "https://", ""])
def test_no_address_is_refused(web: str) -> None:
    """What is no page of a server would be a link to somewhere else."""
    with pytest.raises(ConfigurationError, match="Invalid --web"):
        WebLinks.at(web)
