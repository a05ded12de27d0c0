"""Rate limit stores that several processes or machines share."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.config.settings import HttpSettings, Settings, Token
from tower_etl.errors import ApiConnectionError, ConfigurationError
from tower_etl.http import RequestMetrics
from tower_etl.http.client import open_rate_limiter
from tower_etl.http.rate_limit.policy import RequestWindow, extend_pause, record_send
from tower_etl.http.rate_limit.stores import (
    FileStore,
    MemoryStore,
    decode_window,
    encode_window,
    open_store,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import FakeClock
    from tower_etl.http.rate_limit.stores import RateLimitStore

PATIENCE_S = 20
SECONDS = st.floats(0, 4e9)
LEDGERS = st.builds(
    lambda calls, *moments: RequestWindow(
        tuple(departed for departed, _ in calls), tuple(arrived for _, arrived in calls), *moments
    ),
    st.lists(st.tuples(SECONDS, SECONDS), max_size=130),
    SECONDS,
    SECONDS,
    st.floats(1, 4),
)


def note_call(window: RequestWindow, now: float) -> tuple[RequestWindow, int]:
    """Record a call, and return the number of earlier calls."""
    return record_send(window, now), len(window.sent_at)


def hold(window: RequestWindow, now: float) -> tuple[RequestWindow, float]:
    """Pause for one minute, and return the end of the pause."""
    return extend_pause(window, now + 60), now + 60


def look(window: RequestWindow, _now: float) -> tuple[RequestWindow, RequestWindow]:
    """Return the window without a change."""
    return window, window


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a Redis server on loopback and return its URL; skip if redis-server is missing."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server: install the package of that name to test a shared budget")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("redis")
    quiet = ("--save", "", "--appendonly", "no", "--logfile", str(folder / "redis.log"))
    options = ("--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), *quiet)
    process = subprocess.Popen([program, *options])
    try:
        wait_for_port(port)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def wait_for_port(port: int) -> None:
    """Wait until a server listens on a port."""
    ends = time.monotonic() + PATIENCE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            assert time.monotonic() < ends
            time.sleep(0.02)
        else:
            return


@pytest.fixture(params=["file", "redis"])
def open_shared(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], RateLimitStore]:
    """Return a function that opens a shared store by name, in a folder or in Redis."""
    place = tmp_path if request.param == "file" else request.getfixturevalue("redis_url")
    return lambda name: open_store(place, f"{tmp_path.name}-{name}", SYSTEM_CLOCK)


def test_two_clients_of_a_store_share_calls_and_pauses(
    open_shared: Callable[[str], RateLimitStore],
) -> None:
    """A store with another name is independent."""
    one, other = open_shared("a"), open_shared("a")

    assert [one.update(note_call), other.update(note_call)] == [0, 1]
    assert one.update(hold) == other.update(look).paused_until
    assert open_shared("b").update(note_call) == 0


def test_no_concurrent_update_is_lost(open_shared: Callable[[str], RateLimitStore]) -> None:
    def call(_: int) -> None:
        store = open_shared("a")
        for _ in range(25):
            store.update(note_call)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(call, range(4)))

    assert len(open_shared("a").update(look).sent_at) == 100


def test_an_unreachable_redis_raises_an_error_without_the_password() -> None:
    """The message names the host and the setting to change."""
    store = open_store("redis://:pass-word@127.0.0.1:1/0", "a", SYSTEM_CLOCK)

    with pytest.raises(ApiConnectionError, match=r"on 127.0.0.1 .*TOWER_ETL_BUDGET") as caught:
        store.update(look)

    assert "pass-word" not in repr(caught.value)


def test_the_keys_of_a_window_are_those_of_earlier_versions() -> None:
    """Processes with different versions of tower-etl may share a store."""
    written = {
        "departures": [1.0, 2.0],
        "arrivals": [1.5, 2.5],
        "paused_until": 3.0,
        "refused_at": 4.0,
        "slowness": 2.0,
    }
    window = RequestWindow((1.0, 2.0), (1.5, 2.5), 3.0, 4.0, 2.0)

    assert json.loads(encode_window(window)) == written
    assert decode_window(json.dumps(written)) == window


@given(window=LEDGERS)
def test_an_encoded_window_decodes_to_the_same_window(window: RequestWindow) -> None:
    """Times are kept to the last bit, because a call is identified by its send time."""
    assert decode_window(encode_window(window)) == window


@given(written=st.binary() | st.sampled_from([b"[]", b"{}", b"null", b'{"departures": 1}']))
def test_invalid_content_decodes_to_an_empty_window(written: bytes) -> None:
    """A damaged file must not stop all later syncs."""
    assert decode_window(written) == RequestWindow()


@given(window=LEDGERS, cut=st.integers(0, 400))
def test_a_truncated_window_decodes_to_an_empty_window(window: RequestWindow, cut: int) -> None:
    """If the cut is beyond the end, the window is unchanged."""
    written = encode_window(window)

    assert decode_window(written[:cut]) in {RequestWindow(), window}


def test_store_files_are_private_and_do_not_contain_the_token(tmp_path: Path) -> None:
    settings = Settings(
        "http://127.0.0.1:9/api",
        Token("s3cret"),
        http=HttpSettings(rate_limit_store=tmp_path / "a" / "b"),
    )

    open_rate_limiter(settings, SYSTEM_CLOCK, RequestMetrics()).acquire()

    (folder,) = (tmp_path / "a" / "b").iterdir()
    files = list(folder.iterdir())
    assert {0o600} == {stat.S_IMODE(file.stat().st_mode) for file in files}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not any("s3cret" in str(file) or b"s3cret" in file.read_bytes() for file in files)


def test_each_token_and_server_has_a_separate_rate_limit(tmp_path: Path) -> None:
    """The limit is per access token (API fact 10); the path of the endpoint does not matter."""

    def open_file(endpoint: str, token: str) -> set[str]:
        settings = Settings(endpoint, Token(token), http=HttpSettings(rate_limit_store=tmp_path))
        open_rate_limiter(settings, SYSTEM_CLOCK, RequestMetrics())
        return {folder.name for folder in tmp_path.iterdir()}

    assert len(open_file("http://127.0.0.1:9/api", "a")) == 1
    assert len(open_file("http://127.0.0.1:9", "a")) == 1
    assert len(open_file("http://127.0.0.1:9", "b")) == 2
    assert len(open_file("http://127.0.0.1:10", "b")) == 3


def test_an_unusable_folder_is_replaced_by_a_store_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A warning says that the rate limit is not shared."""
    (tmp_path / "file").write_text("in the way")

    store = open_store(tmp_path / "file", "a", SYSTEM_CLOCK)

    assert isinstance(store, MemoryStore)
    assert "not shared with other syncs" in caplog.text


def test_a_folder_that_fails_later_raises_a_connection_error(tmp_path: Path) -> None:
    """The error is retryable, and the message names the folder."""
    store = FileStore(tmp_path / "gone" / "a")
    shutil.rmtree(tmp_path / "gone")
    (tmp_path / "gone").write_text("in the way")

    with pytest.raises(ApiConnectionError, match="gone"):
        store.update(look)


def test_an_update_by_a_suspended_process_is_redone_on_the_latest_window(tmp_path: Path) -> None:
    """Up to 200 other updates are stored between the read and the write of the process."""
    store, other = FileStore(tmp_path / "a"), FileStore(tmp_path / "a")

    for others in (1, 63, 64, 65, 200):
        away = [others]

        def fall_asleep(
            window: RequestWindow, now: float, away: list[int] = away
        ) -> tuple[RequestWindow, int]:
            """Record a call after the other store made its updates."""
            for _ in range(away.pop() if away else 0):
                other.update(note_call)
            return note_call(window, now)

        before = len(other.update(look).sent_at)
        assert min(before + others, 128) == store.update(fall_asleep)
        assert min(before + others + 1, 128) == len(other.update(look).sent_at)


def test_stale_temporary_files_and_old_versions_are_removed(tmp_path: Path) -> None:
    """Killed processes leave temporary files behind."""
    store = FileStore(tmp_path / "a")
    left = tmp_path / "a" / "draft-1-1"
    left.write_text("half")
    os.utime(left, (1.0, 1.0))

    FileStore(tmp_path / "a")
    for _ in range(200):
        store.update(note_call)

    assert not left.exists()
    assert len(list((tmp_path / "a").iterdir())) <= 66


def test_a_store_drops_future_calls_when_the_clock_was_set_back(
    tmp_path: Path, fake_clock: FakeClock
) -> None:
    FileStore(tmp_path / "a", SYSTEM_CLOCK).update(note_call)  # later than the fake clock's time

    assert FileStore(tmp_path / "a", fake_clock.clock).update(note_call) == 0


@pytest.mark.parametrize("address", ["redis://host:port", "redis://127.0.0.1:x/0"])
def test_an_invalid_redis_url_is_refused_before_the_first_call(address: str) -> None:
    with pytest.raises(ConfigurationError, match="redis://host:6379/0"):
        open_store(address, "a", SYSTEM_CLOCK)


def test_a_missing_redis_package_is_reported_with_its_install_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The package redis is an optional dependency."""
    monkeypatch.setitem(__import__("sys").modules, "redis", None)

    with pytest.raises(ConfigurationError, match=r"pip install \S+\[redis\]"):
        open_store("redis://127.0.0.1/0", "a", SYSTEM_CLOCK)
