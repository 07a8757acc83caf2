"""Ports for the servers that tests start: one that nobody takes while its server is down for a restart."""

from __future__ import annotations

import secrets
import socket
from typing import Final

_RANGE: Final = range(10_100, 20_000)
"""Below where kernels take the ports of outgoing connections from (Linux: 32768): a port of there may be some client's
by the time that its server binds it again. A Cluster's second port, 10,000 above, is below that too."""
_given: Final[set[int]] = set()


def free_port() -> int:
    """Return a port of the loopback that nobody listens on, and that this process has not been given before.

    Drawn at random, so that test processes side by side do not draw the same.
    """
    while True:
        port = secrets.choice(_RANGE)
        if port not in _given and _is_free(port) and _is_free(port + 10_000):
            _given.add(port)
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
