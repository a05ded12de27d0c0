"""Threads of the command sync: one runs the sync, others show and record its progress.

The main thread waits for signals: Python runs their handlers in it only, so that the sync must not
occupy it.
"""

from __future__ import annotations

import shutil
import signal
import sys
import threading
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from tower_etl.cli.output import write_error
from tower_etl.destinations.progress import clear_progress, write_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import FrameType

    from tower_etl.extract.session import SyncSession
    from tower_etl.pipeline import SyncReport, SyncRunner

_REFRESH_SECONDS = 0.25
_LINE_SECONDS = 30.0  # without a terminal: for the log of a scheduler
_RECORD_SECONDS = 2.0  # for `tower-etl status`


class SyncThread:
    """Body of the sync thread, with its result.

    Attributes:
        session: Session of the sync, None before its start.
        report: Report of the sync, None while it runs or if it failed.
        error: Exception that ended the sync, None if there was none.
        signal: Number of the first signal that requested a stop, 0 for none.
    """

    def __init__(self, sync: SyncRunner) -> None:
        self.session: SyncSession | None = None
        self.report: SyncReport | None = None
        self.error: BaseException | None = None
        self.signal = 0
        self._sync = replace(sync, on_start=self._started)

    def run(self) -> None:
        """Run the sync and keep its report or its exception."""
        try:
            self.report = self._sync.run()
        except BaseException as error:  # noqa: BLE001 raised again in the main thread
            self.error = error

    def handle_signal(self, number: int, _frame: FrameType | None) -> None:
        """Stop the sync cleanly on the first signal, and the process immediately on the second."""
        if self.signal:
            write_error("\nStopped. Committed data is safe. Run the same command to resume.\n")
            # The default action ends the process with the exit status of the signal.
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.signal = number
        if self.session:
            self.session.stop()

    def _started(self, session: SyncSession) -> None:
        self.session = session
        if self.signal:
            session.stop()


def run_with_progress(
    sync: SyncRunner, folder: Path | None = None, *, quiet: bool = False
) -> tuple[SyncReport, int]:
    """Run a sync and return its report and the exit code of the process.

    Args:
        sync: Sync to run.
        folder: Folder on this machine to record the progress in, once it exists; None for none.
        quiet: Whether to show no progress.

    Raises:
        TowerEtlError: The sync failed.
    """
    sync_thread = SyncThread(sync)
    thread = threading.Thread(target=sync_thread.run, name="sync", daemon=True)
    shown = nullcontext() if quiet else _show_progress(sync_thread)
    with _handle_signals(sync_thread), shown, _record_progress(sync_thread, folder):
        thread.start()
        while thread.is_alive():
            thread.join(_REFRESH_SECONDS)
    if sync_thread.error:
        raise sync_thread.error
    assert sync_thread.report is not None  # noqa: S101 set unless error is set
    code = sync_thread.report.result.exit_code
    return sync_thread.report, 128 + sync_thread.signal if sync_thread.signal else code


@contextmanager
def _handle_signals(sync_thread: SyncThread) -> Iterator[None]:
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(kind, sync_thread.handle_signal) for kind in kinds]
    try:
        yield
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)


@contextmanager
def _show_progress(sync_thread: SyncThread) -> Iterator[None]:
    """Rewrite one line on a terminal; write a line every 30 seconds elsewhere."""
    if not sys.stderr.isatty():
        with _repeated(lambda: write_error(f"{_describe_sync(sync_thread)}\n"), _LINE_SECONDS):
            yield
        return
    try:
        with _repeated(lambda: _rewrite_line(_describe_sync(sync_thread)), _REFRESH_SECONDS):
            yield
    finally:
        _rewrite_line("")


@contextmanager
def _record_progress(sync_thread: SyncThread, folder: Path | None) -> Iterator[None]:
    """Record the progress of a session, which holds the lock of the folder."""
    if folder is None:
        yield
        return

    def record() -> None:
        if sync_thread.session:
            write_progress(folder, describe_progress(sync_thread.session))

    try:
        with _repeated(record, _RECORD_SECONDS):
            yield
    finally:
        if sync_thread.session:
            clear_progress(folder)


@contextmanager
def _repeated(action: Callable[[], None], seconds: float) -> Iterator[None]:
    """Call a function every few seconds in a thread, until the end of the context."""
    done = threading.Event()

    def repeat() -> None:
        while not done.wait(seconds):
            action()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _rewrite_line(text: str) -> None:
    width = shutil.get_terminal_size().columns - 1
    write_error(f"\r\033[K{text[:width]}")


def _describe_sync(sync_thread: SyncThread) -> str:
    session = sync_thread.session
    return describe_progress(session) if session else "Connecting to the platform ..."


def describe_progress(session: SyncSession) -> str:
    """Return a line with the calls, runs and tasks so far, and the estimated time left."""
    sync_result, stats = session.sync_result, session.request_stats
    if sync_result.stopped:
        return "Stopping after the requests in progress finish; press Ctrl-C again to stop now."
    if not sync_result.planned:
        return f"Listing: {stats.calls:,} calls"
    remaining_runs = sync_result.planned - sync_result.fetched
    eta = session.seconds / sync_result.fetched * remaining_runs if sync_result.fetched else None
    remaining = f", {format_duration(eta)} left" if eta is not None else ""
    if not remaining_runs:
        remaining = ", loading the tables"
    waited = f", throttled {stats.throttled_seconds:.0f} s" if stats.throttled_seconds else ""
    return (
        f"{sync_result.fetched:,} of {sync_result.planned:,} runs, {sync_result.tasks:,} tasks, "
        f"{stats.calls:,} calls{waited}{remaining}"
    )


def format_duration(seconds: float) -> str:
    """Return a duration in hours and minutes, or minutes and seconds."""
    minutes, remaining_seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {remaining_seconds} s" if minutes else f"{remaining_seconds} s"
