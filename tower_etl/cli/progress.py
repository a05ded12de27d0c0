"""Running a sync in a thread, while the main one shows progress and minds signals."""

from __future__ import annotations

import shutil
import signal
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from tower_etl.cli.output import write_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from tower_etl.extract.session import SyncSession
    from tower_etl.pipeline import SyncReport, SyncRunner

_REFRESH_SECONDS = 0.25
_LINE_SECONDS = 30.0  # where nobody watches: a line in the log of a scheduler


class SyncThread:
    """Runs a sync and keeps what came of it.

    Attributes:
        session: The session, once it has started.
        report: How it ended, None while it runs or when it failed.
        error: Why it failed.
        signal: The first signal that asked it to stop, 0 for none.
    """

    def __init__(self, sync: SyncRunner) -> None:
        self.session: SyncSession | None = None
        self.report: SyncReport | None = None
        self.error: BaseException | None = None
        self.signal = 0
        self._sync = replace(sync, on_start=self._started)

    def run(self) -> None:
        """Run the sync; for a thread."""
        try:
            self.report = self._sync.run()
        except BaseException as error:  # noqa: BLE001 raised again in the main thread
            self.error = error

    def ask_to_stop(self, number: int, _frame: FrameType | None) -> None:
        """The first signal asks for a clean end, a second one ends at once."""
        if self.signal:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.signal = number
        if self.session:
            self.session.stop()

    def _started(self, session: SyncSession) -> None:
        self.session = session
        if self.signal:
            session.stop()


def run_with_progress(sync: SyncRunner) -> tuple[SyncReport, int]:
    """The report of a sync, and the exit code by the contract.

    Raises:
        TowerEtlError: What the sync failed with.
    """
    watch = SyncThread(sync)
    thread = threading.Thread(target=watch.run, name="sync", daemon=True)
    with _handle_signals(watch), _show_progress(watch):
        thread.start()
        while thread.is_alive():
            thread.join(_REFRESH_SECONDS)
    if watch.error:
        raise watch.error
    assert watch.report is not None  # noqa: S101 there is a report where there is no error
    code = watch.report.result.exit_code
    return watch.report, 128 + watch.signal if watch.signal else code


@contextmanager
def _handle_signals(watch: SyncThread) -> Iterator[None]:
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(kind, watch.ask_to_stop) for kind in kinds]
    try:
        yield
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)


@contextmanager
def _show_progress(watch: SyncThread) -> Iterator[None]:
    """Show one line that is rewritten on a terminal; elsewhere write a line every 30 seconds."""
    is_terminal = sys.stderr.isatty()
    done = threading.Event()
    show = _render if is_terminal else _write_lines
    painter = threading.Thread(target=show, args=(watch, done), daemon=True)
    painter.start()
    try:
        yield
    finally:
        done.set()
        painter.join()
        if is_terminal:
            write_error("\r\033[K")


def _render(watch: SyncThread, done: threading.Event) -> None:
    while not done.wait(_REFRESH_SECONDS):
        width = shutil.get_terminal_size().columns - 1
        write_error(f"\r\033[K{_describe(watch)[:width]}")


def _write_lines(watch: SyncThread, done: threading.Event) -> None:
    while not done.wait(_LINE_SECONDS):
        write_error(f"{_describe(watch)}\n")


def _describe(watch: SyncThread) -> str:
    return describe_progress(watch.session) if watch.session else "Connecting to the platform ..."


def describe_progress(session: SyncSession) -> str:
    """Calls used, runs and tasks done, and the time left, on one line."""
    sync_result, stats = session.sync_result, session.request_stats
    if sync_result.stopped:
        return "Stopping when the runs under way are in; once more ends at once."
    if not sync_result.planned:
        return f"Listing: {stats.calls:,} calls"
    left = sync_result.planned - sync_result.fetched
    eta = session.seconds / sync_result.fetched * left if sync_result.fetched else None
    waited = f", throttled {stats.throttled_seconds:.0f} s" if stats.throttled_seconds else ""
    return (
        f"{sync_result.fetched:,} of {sync_result.planned:,} runs, {sync_result.tasks:,} tasks, "
        f"{stats.calls:,} calls{waited}" + (f", {_span(eta)} left" if eta is not None else "")
    )


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
