"""Whose history a target holds."""

from __future__ import annotations

import json

import pytest

from tower_etl.errors import ConfigurationError
from tower_etl.extract.source_identity import SourceIdentity, verify_source_identity

CLOUD = "https://api.cloud.seqera.io"
OURS, OTHER = "https://tower.example.org/api", "https://tower.example.com/api"
LOOPBACK = ("http://localhost:8080/api", "http://127.0.0.1/api", "http://127.3.2.1", "http://[::1]")


def remember(endpoint: str, user_id: int | None = 7) -> dict[str, object]:
    """What a first sync from there remembers, as it comes back from JSON."""
    known = verify_source_identity(None, SourceIdentity.of(endpoint, user_id), moved=False)
    return dict(json.loads(json.dumps(known)))


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        (OURS, "tower.example.org"),
        ("https://Tower.Example.ORG:8443/other/api", "tower.example.org"),
        (CLOUD, "api.cloud.seqera.io"),
        ("https://api.tower.nf", "api.cloud.seqera.io"),
        ("https://API.tower.nf/", "api.cloud.seqera.io"),
        ("https://tower.nf/api", "api.cloud.seqera.io"),
        ("http://10.0.0.1/api", "10.0.0.1"),
        ("https://localhost.example.org/api", "localhost.example.org"),
        *((endpoint, None) for endpoint in LOOPBACK),
    ],
)
def test_an_origin_is_the_name_of_a_server(endpoint: str, host: str | None) -> None:
    """In any case, at any port and path; the old name of the cloud is its new one."""
    assert SourceIdentity.of(endpoint, 7) == SourceIdentity(host, 7)


@pytest.mark.parametrize("stored", [None, {}])
def test_a_new_target_takes_any_server(stored: dict[str, object] | None) -> None:
    """And remembers it."""
    known = verify_source_identity(stored, SourceIdentity.of(OURS, 7), moved=False)

    assert known == {"host": "tower.example.org", "user_id": 7}


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (OURS, "http://tower.example.org:8080/api"),
        ("https://api.tower.nf", CLOUD),
        (CLOUD, "https://api.tower.nf"),
    ],
)
def test_the_same_server_goes_on(first: str, then: str) -> None:
    """By whichever of its names."""
    known = remember(first)

    assert verify_source_identity(known, SourceIdentity.of(then, 7), moved=False) == known


@pytest.mark.parametrize("endpoint", LOOPBACK)
def test_loopback_matches_anything(endpoint: str) -> None:
    """A tunnel may lead anywhere: it neither is refused nor changes what is known."""
    known = remember(OURS)

    assert verify_source_identity(known, SourceIdentity.of(endpoint, 7), moved=False) == known


def test_a_target_of_a_tunnel_takes_the_first_server_with_a_name() -> None:
    """From then on it is that of this server."""
    tunnel = remember(LOOPBACK[0])
    known = verify_source_identity(tunnel, SourceIdentity.of(OURS, 7), moved=False)

    assert (tunnel["host"], known["host"]) == (None, "tower.example.org")
    with pytest.raises(ConfigurationError):
        verify_source_identity(known, SourceIdentity.of(OTHER, 7), moved=False)


@pytest.mark.parametrize("endpoint", [OTHER, CLOUD, "https://example.org/api"])
def test_another_server_is_refused(endpoint: str) -> None:
    """With both names and what to do: each would find the runs of the other missing."""
    here = SourceIdentity.of(endpoint, 7)

    with pytest.raises(ConfigurationError) as caught:
        verify_source_identity(remember(OURS), here, moved=False)

    assert f"history of tower.example.org, not of {here.host}" in str(caught.value)
    assert "--path" in str(caught.value)
    assert "TOWER_ETL_SERVER_MOVED=1" in str(caught.value)


def test_a_server_that_moved_is_let_pass_once() -> None:
    """Its new name is remembered: the next time the old one is refused."""
    known = verify_source_identity(remember(OURS), SourceIdentity.of(OTHER, 7), moved=True)

    assert known == {"host": "tower.example.com", "user_id": 7}
    assert verify_source_identity(known, SourceIdentity.of(OTHER, 7), moved=False) == known
    with pytest.raises(ConfigurationError, match=r"history of tower\.example\.com"):
        verify_source_identity(known, SourceIdentity.of(OURS, 7), moved=False)


def test_a_tunnel_to_a_server_that_moved_keeps_its_name() -> None:
    """It has none of its own."""
    known = remember(OURS)

    assert verify_source_identity(known, SourceIdentity.of(LOOPBACK[0], 7), moved=True) == known


@pytest.mark.parametrize(("first", "then", "kept"), [(7, 8, 7), (None, 8, 8), (7, None, 7)])
def test_the_first_user_is_remembered(
    first: int | None, then: int | None, kept: int | None
) -> None:
    """Later ones may read the same workspaces."""
    known = verify_source_identity(
        remember(OURS, first), SourceIdentity.of(OURS, then), moved=False
    )

    assert known["user_id"] == kept
