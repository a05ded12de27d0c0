"""A process that calls as fast as its budget lets it, from several threads.

Usage: callers.py ENDPOINT CALLS THREADS, with the settings of a sync in the environment.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from tower_etl.configuration import Sources, read_pacing, read_token
from tower_etl.http import open_transport
from tower_etl.settings import Settings


def main(endpoint: str, calls: int, threads: int) -> None:
    """Make so many calls."""
    sources = Sources()
    pacing = replace(read_pacing(None, None, sources), workers=threads)
    settings = Settings(endpoint, read_token(sources), pacing=pacing)
    transport = open_transport(settings, "tower-etl-tests/1")
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _: transport.get("/service-info"), range(calls)))
    transport.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
