"""Sockets bound to a listener's address. They listen later, when everything behind them is ready.

Two sockets may be bound to one address while neither listens (SO_REUSEADDR, without which a restart would
wait for old connections to be forgotten): the address belongs to the first that listens. So `listen` is
called here and not left to the event loop: uvloop drops its error, and a server that no client reaches would
take itself for started.
"""

import errno
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple

from chronik.vocab.address import host_and_port

# Hosts that stand for one address of each family. A client of `localhost` may try either first.
_BOTH_FAMILIES = {"": ("0.0.0.0", "::"), "localhost": ("127.0.0.1", "::1")}

# The errors of a machine that lacks an address or a whole family.
_ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT)

# A free port of one family may be taken in the other; then another one is tried, this many times.
_FREE_PORT_TRIES = 16


class ListenerAddress(NamedTuple):
    """The address of a listener. Port 0 takes a free one.

    Buffer sizes are the kernel's for each connection; -1 leaves them to its own tuning.
    """

    name: str
    host: str
    port: int
    send_buffer_bytes: int = -1
    receive_buffer_bytes: int = -1


def bind_all(address: ListenerAddress) -> list[socket.socket]:
    """A socket for each address that the host stands for, all on one port.

    That is more than one for `localhost` and for every interface (""), where the machine has both families.
    Raises OSError, naming the address.
    """
    hosts = _BOTH_FAMILIES.get(address.host)
    if hosts is None:
        return [bind(address)]
    for _ in range(_FREE_PORT_TRIES - 1):
        try:
            return _bind_hosts(address, hosts)
        except OSError as error:
            if address.port or error.errno != errno.EADDRINUSE:
                raise
    return _bind_hosts(address, hosts)


def _bind_hosts(address: ListenerAddress, hosts: Sequence[str]) -> list[socket.socket]:
    """Binds those of `hosts` that the machine has; at least one."""
    bound: list[socket.socket] = []
    absent: OSError | None = None
    port = address.port
    with ExitStack() as undo:
        for host in hosts:
            try:
                one = _bind(address, host, port)
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
                absent = error
                continue
            undo.callback(one.close)
            bound.append(one)
            port = one.getsockname()[1]
        if absent is not None and not bound:
            raise absent
        undo.pop_all()
    return bound


def bind(address: ListenerAddress) -> socket.socket:
    """The first address that the host stands for, IPv4 before IPv6. Raises OSError, naming the address."""
    return _bind(address, address.host, address.port)


def listen(bound: socket.socket, backlog: int) -> None:
    """Take the address. Raises OSError, naming it, when another socket was faster."""
    try:
        bound.listen(backlog)
    except OSError as error:
        host, port, *_ = bound.getsockname()
        raise _naming(ListenerAddress(name="", host=host, port=port), error) from error


def _bind(address: ListenerAddress, host: str, port: int) -> socket.socket:
    try:
        family, place = _resolve(host, port)
        # With its protocol named: asyncio sets TCP_NODELAY only on connections that it knows to be TCP's.
        bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise _naming(address, error) from error
    try:
        _set_options(bound, address, is_only_ipv6=family == socket.AF_INET6 and host != address.host)
        bound.bind(place)
    except OSError as error:
        bound.close()
        raise _naming(address, error) from error
    return bound


def _resolve(host: str, port: int) -> tuple[int, tuple[object, ...]]:
    wanted = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, place = next((info for info in found if info[0] == wanted), found[0])
    return family, place


def _set_options(bound: socket.socket, address: ListenerAddress, *, is_only_ipv6: bool) -> None:
    bound.setblocking(False)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if is_only_ipv6:
        # Else "::" would take the IPv4 port as well, which has its own socket.
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    # Connections inherit them; the window is agreed on when they are made, so later is too late.
    if address.send_buffer_bytes > 0:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, address.send_buffer_bytes)
    if address.receive_buffer_bytes > 0:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, address.receive_buffer_bytes)


def _naming(address: ListenerAddress, error: OSError) -> OSError:
    reason = error.strerror or str(error)
    return OSError(error.errno, f"cannot listen on {host_and_port(address.host, address.port)}: {reason}")
