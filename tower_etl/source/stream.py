"""Many things under way at once, handed out in the order in which they were asked for."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Executor, Future

RequestT = TypeVar("RequestT")
ResultT = TypeVar("ResultT")


def map_ordered(
    pool: Executor, work: Callable[[RequestT], ResultT], asked: Iterable[RequestT], ahead: int
) -> Iterator[ResultT]:
    """Results in the order of `asked`, at most `ahead` of them fetched before they are taken.

    Work goes on between two results, so that fetching goes on while the rows of earlier ones are
    loaded. What `work` raises is raised at its place in the order.
    """
    under_way: deque[Future[ResultT]] = deque()
    source = iter(asked)
    try:
        while True:
            for item in source:
                under_way.append(pool.submit(work, item))
                if len(under_way) >= ahead:
                    break
            if not under_way:
                return
            yield under_way.popleft().result()
    finally:
        for future in under_way:
            future.cancel()
