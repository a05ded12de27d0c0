"""Ledgers that several processes, or machines, share."""

from __future__ import annotations

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
from tower_etl.errors import UnreachableError, UsageError
from tower_etl.http import Meter
from tower_etl.http.budget import open_budget
from tower_etl.http.ledger import (
    FileLedger,
    MemoryLedger,
    decode_ledger,
    encode_ledger,
    open_ledger,
)
from tower_etl.http.rate import Ledger, depart, pause
from tower_etl.settings import Pacing, Settings, Token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import FakeClock
    from tower_etl.http.ledger import LedgerStore

PATIENCE_S = 20
SECONDS = st.floats(0, 4e9)
LEDGERS = st.builds(
    lambda calls, *moments: Ledger(
        tuple(departed for departed, _ in calls), tuple(arrived for _, arrived in calls), *moments
    ),
    st.lists(st.tuples(SECONDS, SECONDS), max_size=130),
    SECONDS,
    SECONDS,
    st.floats(1, 4),
)


def note_call(ledger: Ledger, now: float) -> tuple[Ledger, int]:
    """Let a call out; how many there were before."""
    return depart(ledger, now), len(ledger.departures)


def hold(ledger: Ledger, now: float) -> tuple[Ledger, float]:
    """Pause for a minute; until when."""
    return pause(ledger, now + 60), now + 60


def look(ledger: Ledger, _now: float) -> tuple[Ledger, Ledger]:
    """Change nothing."""
    return ledger, ledger


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis of our own on loopback; skips where Debian's redis-server is not installed."""
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
    """Wait until somebody listens there."""
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
def open_shared(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], LedgerStore]:
    """Open a ledger by its name, in the one place or the other."""
    place = tmp_path if request.param == "file" else request.getfixturevalue("redis_url")
    return lambda name: open_ledger(place, f"{tmp_path.name}-{name}", SYSTEM_CLOCK)


def test_two_who_open_it_see_the_same(open_shared: Callable[[str], LedgerStore]) -> None:
    """A call of the one, a pause of the other; another name is another ledger."""
    one, other = open_shared("a"), open_shared("a")

    assert [one.change(note_call), other.change(note_call)] == [0, 1]
    assert one.change(hold) == other.change(look).paused_until
    assert open_shared("b").change(note_call) == 0


def test_nobody_s_change_is_lost(open_shared: Callable[[str], LedgerStore]) -> None:
    """Four who change it at the same time leave all their calls in it."""

    def call(_: int) -> None:
        store = open_shared("a")
        for _ in range(25):
            store.change(note_call)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(call, range(4)))

    assert len(open_shared("a").change(look).departures) == 100


def test_a_redis_that_is_gone_is_an_error_without_the_password() -> None:
    """It says which host, and what to do."""
    store = open_ledger("redis://:pass-word@127.0.0.1:1/0", "a", SYSTEM_CLOCK)

    with pytest.raises(UnreachableError, match=r"on 127.0.0.1 .*TOWER_ETL_BUDGET") as caught:
        store.change(look)

    assert "pass-word" not in repr(caught.value)


@given(ledger=LEDGERS)
def test_a_ledger_is_read_as_it_was_written(ledger: Ledger) -> None:
    """Bit by bit: a call is known by its departure."""
    assert decode_ledger(encode_ledger(ledger)) == ledger


@given(written=st.binary() | st.sampled_from([b"[]", b"{}", b"null", b'{"departures": 1}']))
def test_what_is_no_ledger_counts_as_an_empty_one(written: bytes) -> None:
    """A torn file must not stop every sync for good."""
    assert decode_ledger(written) == Ledger()


@given(ledger=LEDGERS, cut=st.integers(0, 400))
def test_half_a_ledger_counts_as_an_empty_one(ledger: Ledger, cut: int) -> None:
    """Or as a whole one, where nothing was cut."""
    written = encode_ledger(ledger)

    assert decode_ledger(written[:cut]) in {Ledger(), ledger}


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    """And so is its folder; no name gives no token away."""
    settings = Settings(
        "http://127.0.0.1:9/api", Token("s3cret"), pacing=Pacing(ledger=tmp_path / "a" / "b")
    )

    open_budget(settings, SYSTEM_CLOCK, Meter()).acquire()

    (folder,) = (tmp_path / "a" / "b").iterdir()
    files = list(folder.iterdir())
    assert {0o600} == {stat.S_IMODE(file.stat().st_mode) for file in files}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not any("s3cret" in str(file) or b"s3cret" in file.read_bytes() for file in files)


def test_another_token_or_server_has_another_budget(tmp_path: Path) -> None:
    """The limit is per access token (API fact 10); the path of the endpoint does not matter."""

    def open_file(endpoint: str, token: str) -> set[str]:
        settings = Settings(endpoint, Token(token), pacing=Pacing(ledger=tmp_path))
        open_budget(settings, SYSTEM_CLOCK, Meter())
        return {folder.name for folder in tmp_path.iterdir()}

    assert len(open_file("http://127.0.0.1:9/api", "a")) == 1
    assert len(open_file("http://127.0.0.1:9", "a")) == 1
    assert len(open_file("http://127.0.0.1:9", "b")) == 2
    assert len(open_file("http://127.0.0.1:10", "b")) == 3


def test_where_there_is_no_place_the_sync_has_a_budget_of_its_own(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And a warning says so."""
    (tmp_path / "file").write_text("in the way")

    store = open_ledger(tmp_path / "file", "a", SYSTEM_CLOCK)

    assert isinstance(store, MemoryLedger)
    assert "not shared with other syncs" in caplog.text


def test_a_disk_that_fails_later_is_an_error_that_can_be_tried_again(tmp_path: Path) -> None:
    """The message names the file."""
    store = FileLedger(tmp_path / "gone" / "a")
    shutil.rmtree(tmp_path / "gone")
    (tmp_path / "gone").write_text("in the way")

    with pytest.raises(UnreachableError, match="gone"):
        store.change(look)


def test_one_who_was_away_for_long_changes_nothing(tmp_path: Path) -> None:
    """Its change is tried again on the ledger as it is now, however many were made meanwhile."""
    store, other = FileLedger(tmp_path / "a"), FileLedger(tmp_path / "a")

    for others in (1, 63, 64, 65, 200):
        away = [others]

        def fall_asleep(ledger: Ledger, now: float, away: list[int] = away) -> tuple[Ledger, int]:
            """A change in the middle of which the others go on."""
            for _ in range(away.pop() if away else 0):
                other.change(note_call)
            return note_call(ledger, now)

        before = len(other.change(look).departures)
        assert min(before + others, 128) == store.change(fall_asleep)
        assert min(before + others + 1, 128) == len(other.change(look).departures)


def test_what_the_killed_have_left_is_swept_up(tmp_path: Path) -> None:
    """And the ledger takes no more room than so many changes."""
    store = FileLedger(tmp_path / "a")
    left = tmp_path / "a" / "draft-1-1"
    left.write_text("half")
    os.utime(left, (1.0, 1.0))

    FileLedger(tmp_path / "a")
    for _ in range(200):
        store.change(note_call)

    assert not left.exists()
    assert len(list((tmp_path / "a").iterdir())) <= 66


def test_a_machine_whose_clock_was_set_back_calls_on(tmp_path: Path, fake_clock: FakeClock) -> None:
    """What lies in the future is forgotten."""
    FileLedger(tmp_path / "a", SYSTEM_CLOCK).change(note_call)  # later than the fake clock's time

    assert FileLedger(tmp_path / "a", fake_clock.clock).change(note_call) == 0


@pytest.mark.parametrize("address", ["redis://host:port", "redis://127.0.0.1:x/0"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    """Before the first call."""
    with pytest.raises(UsageError, match="redis://host:6379/0"):
        open_ledger(address, "a", SYSTEM_CLOCK)


def test_without_the_client_for_redis_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is an extra."""
    monkeypatch.setitem(__import__("sys").modules, "redis", None)

    with pytest.raises(UsageError, match=r"tower-etl\[redis\]"):
        open_ledger("redis://127.0.0.1/0", "a", SYSTEM_CLOCK)
