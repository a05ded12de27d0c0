"""A process that sends calls as fast as its rate limit allows, from several threads.

Usage: concurrent_clients.py ENDPOINT CALLS THREADS, with the settings of a sync in the environment.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from tower_etl.config.credentials import resolve_token
from tower_etl.config.resolver import SettingSources, resolve_http
from tower_etl.config.settings import Settings
from tower_etl.http import open_http_client


def main(endpoint: str, calls: int, threads: int) -> None:
    """Send the given number of calls."""
    sources = SettingSources()
    http_settings = replace(resolve_http(None, None, sources), workers=threads)
    settings = Settings(endpoint, resolve_token(sources), http=http_settings)
    http_client = open_http_client(settings, "tower-etl-tests/1")
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _: http_client.get("/service-info"), range(calls)))
    http_client.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
