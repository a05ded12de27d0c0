"""Nextflow configuration that can be pasted: what to request first, and what may grow on a retry.

Memory grows only after exit codes that can mean a lack of memory. The usual `N.GB * task.attempt`
also grows after the loss of a spot machine, when nothing was too small, and the larger request is
paid for. On a retry, `task.exitStatus` is the exit code of the attempt before.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tower_etl.report.task_data import MemoryRequest

OUT_OF_MEMORY = (134, 137, 139, 140, 247)  # as `out_of_memory` in sql/staging/stg_tasks.sql
# nf-core's base configuration retries on 104 and 130 to 145. The others are 247 (killed), and a
# lost spot machine on Google Batch (50001) and on AWS Batch (2147483647, no exit code).
_RETRIED = "(130..145) + [104, 247, 50001, 2147483647]"
_MOST_RETRIES = 3

_NAME = re.compile(r"[\w:]+", re.ASCII)  # what Nextflow allows; anything else would be a pattern


def memory_config_snippet(requests: Sequence[MemoryRequest]) -> str:
    """Return requests by process, and an error strategy that goes with them.

    `GB` is 2^30 bytes in Nextflow. Empty where there is nothing to change. A process with a row for
    each of several sources of cost is named once, and left alone if any of its rows says so.

    Args:
        requests: Rows of `memory_requests`.
    """
    alone = {request.process for request in requests if choose_memory(request) is None}
    named = {request.process: request for request in reversed(requests)}  # the first row of each
    blocks = [
        line
        for request in requests
        if request is named[request.process] and request.process not in alone
        for line in _iter_lines(request)
    ]
    return "\n".join(("process {", *blocks, "}")) if blocks else ""


def choose_memory(request: MemoryRequest) -> int | None:
    """Return the whole GiB to request first; None where the process is better left alone.

    One value must not raise the request of any task, and a process that recovered with a larger
    request from something else than a lack of memory or a lost machine may need the growth. Where
    nothing smaller is recommended, but spot losses grew the request, it stays what it is now.
    """
    lowest, highest = request.lowest_requested_gib, request.requested_gib
    grew_otherwise = request.grown_tasks > request.spot_grown_tasks and not request.killed_tasks
    if lowest is None or highest is None or grew_otherwise:
        return None
    if request.recommended_gib is not None and request.recommended_gib < lowest:
        return request.recommended_gib
    if not request.spot_grown_tasks or lowest != highest or not highest.is_integer():
        return None
    needed = request.recommended_gib if request.killed_tasks else None
    return max(int(highest), needed or 0)


def _iter_lines(request: MemoryRequest) -> Iterator[str]:
    memory = choose_memory(request)
    if memory is None or not _NAME.fullmatch(request.process):
        return
    if request.weak:
        yield f"  // measured on {request.tasks} tasks only: watch the first runs"
    yield f"  withName: '{request.process}' {{"
    if request.spot_grown_tasks and request.requested_cpus == request.lowest_requested_cpus:
        yield f"    cpus = {request.requested_cpus}"
    codes = ", ".join(map(str, OUT_OF_MEMORY))
    yield f"    memory = {{ {memory}.GB * (task.exitStatus in [{codes}] ? task.attempt : 1) }}"
    yield f"    errorStrategy = {{ task.exitStatus in ({_RETRIED}) ? 'retry' : 'finish' }}"
    yield f"    maxRetries = {_MOST_RETRIES}"
    yield "  }"
