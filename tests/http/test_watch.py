"""What is due is done, and what is taken back is not, whatever else is watched."""

from __future__ import annotations

import threading
import time

from tower_etl.http.deadline import DeadlineScheduler

LONG = 3600.0


def test_what_is_due_is_done_in_the_order_of_time() -> None:
    """Also where the one that comes first was added last."""
    watch, done, all_done = DeadlineScheduler(), list[str](), threading.Event()
    watch.schedule(LONG, lambda: done.append("never"))
    watch.schedule(0.3, all_done.set)
    watch.schedule(0.2, lambda: done.append("second"))
    watch.schedule(0.05, lambda: done.append("first"))
    assert all_done.wait(10)
    assert done == ["first", "second"]


def test_what_is_taken_back_is_not_done() -> None:
    """Nor is it when the next deadline passes."""
    watch, done, passed = DeadlineScheduler(), list[str](), threading.Event()
    key = watch.schedule(0.05, lambda: done.append("taken back"))
    watch.cancel(key)
    watch.schedule(0.1, passed.set)
    assert passed.wait(10)
    assert done == []


def test_it_goes_on_after_a_rest() -> None:
    """With nothing to look after, the thread waits."""
    watch = DeadlineScheduler()
    for _ in range(3):
        passed = threading.Event()
        watch.schedule(0.01, passed.set)
        assert passed.wait(10)


def test_one_thread_serves_all() -> None:
    """Thousands of calls start no thousands of threads."""
    watch, before = DeadlineScheduler(), threading.active_count()
    for _ in range(1000):
        watch.cancel(watch.schedule(LONG, lambda: None))
    assert threading.active_count() == before + 1


def test_after_it_is_taken_back_nothing_is_under_way() -> None:
    """A connection that goes back to its pool is not cut by a deadline that just passed."""
    watch, under_way, ended = DeadlineScheduler(), threading.Event(), threading.Event()

    def act() -> None:
        under_way.set()
        time.sleep(0.1)  # long enough for `remove` to be called meanwhile
        ended.set()

    key = watch.schedule(0.0, act)
    assert under_way.wait(10)
    watch.cancel(key)
    assert ended.is_set()
