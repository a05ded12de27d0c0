"""The source identity: the server and user whose history a target holds."""

from __future__ import annotations

import json

import pytest

from tower_etl.errors import ConfigurationError
from tower_etl.extract.source_state import SourceIdentity, verify_source_identity

CLOUD = "https://api.cloud.seqera.io"
OURS, OTHER = "https://tower.example.org/api", "https://tower.example.com/api"
LOOPBACK = ("http://localhost:8080/api", "http://127.0.0.1/api", "http://127.3.2.1", "http://[::1]")


def remember(endpoint: str, user_id: int | None = 7) -> dict[str, object]:
    """Return the source identity that a first sync stores, after a round trip through JSON."""
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
def test_a_source_identity_is_the_canonical_host_of_the_endpoint(
    endpoint: str, host: str | None
) -> None:
    """Case, port and path are ignored, and the cloud's old host name is mapped to its new one."""
    assert SourceIdentity.of(endpoint, 7) == SourceIdentity(host, 7)


@pytest.mark.parametrize("stored", [None, {}])
def test_a_new_target_accepts_any_server_and_stores_its_identity(
    stored: dict[str, object] | None,
) -> None:
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
def test_the_same_server_is_accepted_under_another_address(first: str, then: str) -> None:
    known = remember(first)

    assert verify_source_identity(known, SourceIdentity.of(then, 7), moved=False) == known


@pytest.mark.parametrize("endpoint", LOOPBACK)
def test_a_loopback_endpoint_is_accepted_and_changes_nothing(endpoint: str) -> None:
    """A tunnel on a loopback address may lead to any server."""
    known = remember(OURS)

    assert verify_source_identity(known, SourceIdentity.of(endpoint, 7), moved=False) == known


def test_a_target_synced_through_a_tunnel_adopts_the_first_named_server() -> None:
    """Afterwards it accepts this server only."""
    tunnel = remember(LOOPBACK[0])
    known = verify_source_identity(tunnel, SourceIdentity.of(OURS, 7), moved=False)

    assert (tunnel["host"], known["host"]) == (None, "tower.example.org")
    with pytest.raises(ConfigurationError):
        verify_source_identity(known, SourceIdentity.of(OTHER, 7), moved=False)


@pytest.mark.parametrize("endpoint", [OTHER, CLOUD, "https://example.org/api"])
def test_another_server_is_refused(endpoint: str) -> None:
    """The message names both servers and the options.

    A sync from another server would find all runs of the first one missing.
    """
    here = SourceIdentity.of(endpoint, 7)

    with pytest.raises(ConfigurationError) as caught:
        verify_source_identity(remember(OURS), here, moved=False)

    assert f"history of tower.example.org, not of {here.host}" in str(caught.value)
    assert "--path" in str(caught.value)
    assert "TOWER_ETL_SERVER_MOVED=1" in str(caught.value)


def test_a_new_host_is_stored_if_the_user_declares_a_move() -> None:
    """The next sync accepts the new host without the declaration and refuses the old one."""
    known = verify_source_identity(remember(OURS), SourceIdentity.of(OTHER, 7), moved=True)

    assert known == {"host": "tower.example.com", "user_id": 7}
    assert verify_source_identity(known, SourceIdentity.of(OTHER, 7), moved=False) == known
    with pytest.raises(ConfigurationError, match=r"history of tower\.example\.com"):
        verify_source_identity(known, SourceIdentity.of(OURS, 7), moved=False)


def test_a_declared_move_to_a_loopback_endpoint_keeps_the_stored_host() -> None:
    """A loopback endpoint does not tell the server's host name."""
    known = remember(OURS)

    assert verify_source_identity(known, SourceIdentity.of(LOOPBACK[0], 7), moved=True) == known


@pytest.mark.parametrize(("first", "then", "kept"), [(7, 8, 7), (None, 8, 8), (7, None, 7)])
def test_the_first_known_user_id_is_stored(
    first: int | None, then: int | None, kept: int | None
) -> None:
    """Later users may read the same workspaces."""
    known = verify_source_identity(
        remember(OURS, first), SourceIdentity.of(OURS, then), moved=False
    )

    assert known["user_id"] == kept
