"""An S3 server on loopback, in a process.

In a thread, the server (Python) and its client (Rust) would wait for each other.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import requests

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST_SECONDS = 60
_BUCKET = "history"


@dataclass(frozen=True)
class Store:
    """A running server with a bucket.

    Attributes:
        url: Address of the server.
    """

    url: str

    @property
    def environ(self) -> dict[str, str]:
        """Return the environment variables with which programs find the server and its keys."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "key-of-the-tests",
            "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests",
            "AWS_REGION": "us-east-1",
            "NO_PROXY": "*",
        }

    def make_folder(self) -> str:
        """Return the address of a new, empty folder."""
        return f"s3://{_BUCKET}/{uuid.uuid4().hex[:8]}/tower"


@contextmanager
def start_store() -> Iterator[Store]:
    """Start a server with an empty bucket."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_for(server, port)
            url = f"http://127.0.0.1:{port}"
            with requests.Session() as session:
                session.trust_env = False  # a developer's proxy must not intercept requests
                session.put(f"{url}/{_BUCKET}", timeout=_LONGEST_SECONDS).raise_for_status()
            yield Store(url)
        finally:
            server.kill()


def _wait_for(server: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + _LONGEST_SECONDS
    while time.monotonic() < until and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)  # the server gives no sign when it is ready
    message = "the S3 of the tests did not start"
    raise AssertionError(message)
