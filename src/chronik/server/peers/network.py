"""The seam where TLS will go: how connections between nodes come to be."""

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol

from chronik.server.binding import listen

ProtocolFactory = Callable[[], asyncio.BaseProtocol]

# The other nodes come one at a time; what else knocks may wait or go away.
_BACKLOG = 128


class Network(Protocol):
    """The network under `PeerTransport`."""

    async def serve(
        self, factory: ProtocolFactory, address: tuple[str, int] | socket.socket
    ) -> asyncio.Server:
        """Accept on an address, or on a socket that is bound already. Raises OSError."""
        ...

    async def connect(self, factory: ProtocolFactory, host: str, port: int) -> None:
        """Returns when the connection is made. Raises OSError."""
        ...


class PlainTcp:
    """Connections without a layer around the bytes."""

    async def serve(
        self, factory: ProtocolFactory, address: tuple[str, int] | socket.socket
    ) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        if isinstance(address, socket.socket):
            listen(address, _BACKLOG)
            return await loop.create_server(factory, sock=address, backlog=_BACKLOG)
        host, port = address
        return await loop.create_server(factory, host, port, backlog=_BACKLOG)

    async def connect(self, factory: ProtocolFactory, host: str, port: int) -> None:
        await asyncio.get_running_loop().create_connection(factory, host, port)


def tune(transport: asyncio.Transport) -> None:
    """A frame is sent when it is written; the kernel notices dead hosts where nothing else does."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
