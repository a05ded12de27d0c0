"""Deadline scheduler: callbacks run when they are due, unless they were cancelled."""

from __future__ import annotations

import threading
import time

from tower_etl.http.deadline import DeadlineScheduler

LONG = 3600.0


def test_callbacks_run_in_the_order_of_their_deadlines() -> None:
    """The earliest deadline is scheduled last."""
    watch, done, all_done = DeadlineScheduler(), list[str](), threading.Event()
    watch.schedule(LONG, lambda: done.append("never"))
    watch.schedule(0.3, all_done.set)
    watch.schedule(0.2, lambda: done.append("second"))
    watch.schedule(0.05, lambda: done.append("first"))
    assert all_done.wait(10)
    assert done == ["first", "second"]


def test_a_cancelled_callback_does_not_run() -> None:
    watch, done, passed = DeadlineScheduler(), list[str](), threading.Event()
    key = watch.schedule(0.05, lambda: done.append("taken back"))
    watch.cancel(key)
    watch.schedule(0.1, passed.set)
    assert passed.wait(10)
    assert done == []


def test_the_scheduler_resumes_after_an_idle_time() -> None:
    """Its thread waits while nothing is scheduled."""
    watch = DeadlineScheduler()
    for _ in range(3):
        passed = threading.Event()
        watch.schedule(0.01, passed.set)
        assert passed.wait(10)


def test_one_thread_serves_all_deadlines() -> None:
    watch, before = DeadlineScheduler(), threading.active_count()
    for _ in range(1000):
        watch.cancel(watch.schedule(LONG, lambda: None))
    assert threading.active_count() == before + 1


def test_cancel_waits_for_a_running_callback() -> None:
    """Otherwise a deadline that just passed could cut a connection that is back in the pool."""
    watch, under_way, ended = DeadlineScheduler(), threading.Event(), threading.Event()

    def act() -> None:
        under_way.set()
        time.sleep(0.1)  # long enough for `cancel` to be called meanwhile
        ended.set()

    key = watch.schedule(0.0, act)
    assert under_way.wait(10)
    watch.cancel(key)
    assert ended.is_set()
