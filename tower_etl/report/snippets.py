"""Nextflow configuration that can be pasted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tower_etl.report.facts import MemoryRequest

_NAME = re.compile(r"[\w:]+", re.ASCII)  # what Nextflow allows; anything else would be a pattern


def write_memory_config(requests: Sequence[MemoryRequest]) -> str:
    """Memory for each process: what is recommended, and as much again at each retry.

    `GB` is 2^30 bytes in Nextflow. Empty where there is nothing to change.
    """
    lines = [
        f"  withName: '{request.process}' {{ memory = {{ {request.recommended_gib}.GB * "
        "task.attempt } }"
        for request in requests
        if _NAME.fullmatch(request.process)
    ]
    return "\n".join(("process {", *lines, "}")) if lines else ""
