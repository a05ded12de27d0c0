"""Refuse every connection that leaves this machine; Python imports this module when it starts."""

import os
import socket
import sys
from pathlib import Path

LOOPBACK = {None, "", "localhost", "127.0.0.1", "::1", "0.0.0.0", socket.gethostname()}  # noqa: S104 - compared only


def refuse_other_hosts(event: str, arguments: tuple[object, ...]) -> None:
    """Record the host of a connection or look-up that is not on loopback.

    Raises:
        ConnectionRefusedError: The host is another machine.
    """
    if event == "socket.connect":
        address = arguments[1]
        host = (
            address[0] if isinstance(address, tuple) else None
        )  # otherwise the path of a Unix socket
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    name = host.decode() if isinstance(host, bytes) else host
    if name not in LOOPBACK:
        with Path(os.environ["REFUSED_HOSTS"]).open("a") as refused:
            refused.write(f"{name}\n")
        raise ConnectionRefusedError(name)


sys.addaudithook(refuse_other_hosts)
