"""Run `tower-etl`, and kill the process with SIGKILL at a point of its code.

Usage: kill_at.py WHEN:MODULE:NAME:TIMES ARGUMENTS, where WHEN is `before` or `after`, MODULE and
NAME identify a function or method, and TIMES is the number of the call that ends the process.
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
import sys
from typing import Any


def arm(point: str) -> None:
    """Replace the function by a wrapper that kills the process."""
    when, module_name, name, times = point.split(":")
    owner: Any = importlib.import_module(module_name)
    *path, attribute = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    original = getattr(owner, attribute)
    left = [int(times)]

    @functools.wraps(original)
    def kill_when_reached(*args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if when == "before" and left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **kwargs)
        if when == "after" and left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, attribute, kill_when_reached)


if __name__ == "__main__":
    arm(sys.argv.pop(1))
    from tower_etl.cli import main

    main()
