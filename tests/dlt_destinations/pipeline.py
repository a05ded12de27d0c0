"""Run a pipeline that kills itself: `pipeline.py POINT KIND ENDPOINT PLACE PACKAGES TABLE ...`."""

from __future__ import annotations

import json
import sys

from tests.dlt_destinations.harness import open_harness
from tests.processes.kill_at import arm

if __name__ == "__main__":
    point, kind, endpoint, place, packages, *tables = sys.argv[1:]
    arm(point)
    open_harness(kind, endpoint, **json.loads(place)).run(tables=tables, packages=int(packages))
