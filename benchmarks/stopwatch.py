"""A command, measured from outside: `python -I -S stopwatch.py RESULT COMMAND...`.

This is a separate process, because Linux includes the memory of the parent process in the peak of a
command. The stopwatch needs almost no memory.
"""

import json
import os
import sys
import time

began_s = time.monotonic()
child = os.spawnvp(os.P_NOWAIT, sys.argv[2], sys.argv[2:])  # noqa: S606 - a command of the benchmarks
_, status, usage = os.wait4(child, 0)
measured = {
    "exit_code": os.waitstatus_to_exitcode(status),
    "wall_s": time.monotonic() - began_s,
    "cpu_s": usage.ru_utime + usage.ru_stime,
    "peak_mb": usage.ru_maxrss * 1024 / 1e6,
}
with open(sys.argv[1], "w", encoding="utf-8") as result:  # noqa: PTH123 - importing pathlib takes memory
    json.dump(measured, result)
