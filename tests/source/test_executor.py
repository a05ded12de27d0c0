"""Concurrent work whose results are returned in order."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tower_etl.extract.executor import map_ordered

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_results_are_returned_in_the_order_of_the_inputs() -> None:
    """The second result is ready before the first."""
    later = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert later.wait(10)
        else:
            later.set()
        return number

    with ThreadPoolExecutor(2) as pool:
        assert list(map_ordered(pool, work, range(6), ahead=2)) == [0, 1, 2, 3, 4, 5]


def test_inputs_are_read_ahead_up_to_the_limit_only() -> None:
    """A long history must not be read into memory at once."""
    taken: list[int] = []

    def ask() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    with ThreadPoolExecutor(2) as pool:
        results = map_ordered(pool, str, ask(), ahead=3)
        assert (next(results), len(taken)) == ("0", 3)
        assert (next(results), len(taken)) == ("1", 4)
        results.close()  # type: ignore[attr-defined] # a generator


def test_an_error_is_raised_after_the_results_before_it() -> None:
    with ThreadPoolExecutor(2) as pool:
        results = map_ordered(pool, lambda number: 1 // (2 - number), range(5), ahead=4)
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(ZeroDivisionError):
            next(results)


def test_no_inputs_give_no_results() -> None:
    with ThreadPoolExecutor(1) as pool:
        assert list(map_ordered(pool, str, (), ahead=4)) == []
