"""Nextflow configuration with recommended memory requests, ready to paste.

The memory request grows only after exit codes that can mean a lack of memory. The usual
`N.GB * task.attempt` also grows after the loss of a spot machine, where the request was large
enough, and increases the cost. On a retry, `task.exitStatus` is the exit code of the previous
attempt.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tower_etl.report.task_data import MemoryRequest

OUT_OF_MEMORY = (134, 137, 139, 140, 247)  # as `out_of_memory` in sql/staging/stg_tasks.sql
# nf-core's base configuration retries on 104 and 130 to 145. The others are 247 (killed) and the
# codes of a lost spot machine: 50001 on Google Batch, 2147483647 (no exit code) on AWS Batch.
_RETRIED = "(130..145) + [104, 247, 50001, 2147483647]"
_MOST_RETRIES = 3

_NAME = re.compile(
    r"[\w:]+", re.ASCII
)  # process names in Nextflow; other text is read as a pattern


def memory_config_snippet(requests: Sequence[MemoryRequest]) -> str:
    """Return a `process` block with memory requests and error strategies, empty without changes.

    `GB` is 2^30 bytes in Nextflow. A process with rows for several cost sources appears once, and
    only if each of its rows has a memory to request.

    Args:
        requests: Rows of `memory_requests`.
    """
    unchanged = {request.process for request in requests if choose_memory(request) is None}
    first_rows = {request.process: request for request in reversed(requests)}
    blocks = [
        line
        for request in requests
        if request is first_rows[request.process] and request.process not in unchanged
        for line in _iter_lines(request)
    ]
    return "\n".join(("process {", *blocks, "}")) if blocks else ""


def choose_memory(request: MemoryRequest) -> int | None:
    """Return the memory to request first in whole GiB, None to leave the process unchanged.

    The value must not raise the request of any task. A process is left unchanged if it recovered
    with a larger request from something other than a lack of memory or a lost machine, because it
    may need the growth. If no smaller request is recommended but spot losses grew the request, the
    current request is kept and only its growth is restricted.
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
