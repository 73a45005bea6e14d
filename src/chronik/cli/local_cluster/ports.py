"""Ports on this machine."""

import random
import socket
from collections.abc import Collection, Iterable
from pathlib import Path

_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
# Default where the system does not report it: the beginning of IANA's range, which macOS uses.
_EPHEMERAL_LOW = 49152
# Below are the services that people know by number, and beginnings that many of them choose.
_FREE_LOW = 15000
_TRIES_MAX = 10_000


def free_ports(count: int, taken: Collection[int] = ()) -> list[int]:
    """Returns free ports on 127.0.0.1 outside of the range that the system assigns by itself.

    From the ephemeral range any connection may take the port of a node while it is restarted; even a client's
    own attempt to reach it, which then connects to itself. Raises OSError when there are not enough.
    """
    high = _ephemeral_low()
    low = _FREE_LOW if high - _FREE_LOW > count * 10 else 1024
    chosen: set[int] = set()
    for _ in range(_TRIES_MAX):
        if len(chosen) == count:
            return sorted(chosen)
        port = random.SystemRandom().randrange(low, high)
        if port not in taken and port not in chosen and is_free(port):
            chosen.add(port)
    raise OSError(f"there are no {count} free ports between {low} and {high}")


def busy(ports: Iterable[int]) -> list[int]:
    """Returns the ports on which a process listens."""
    return [port for port in ports if not is_free(port)]


def is_free(port: int) -> bool:
    """True if a listener could have it; connections that have just ended do not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _ephemeral_low() -> int:
    try:
        return int(_EPHEMERAL_RANGE.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return _EPHEMERAL_LOW
