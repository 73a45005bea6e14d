"""uvicorn's protocol on a socket that listens already.

Without `uvicorn.Server`: that takes over signals, wakes up ten times a second, and needs 200 ms to stop.
"""

import asyncio
import socket
from collections.abc import Sequence

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from chronik.server.http.app import make_app
from chronik.server.http.view import NodeView

# A monitoring system, a load balancer and a person, each with some connections.
CONNECTIONS_MAX = 64

_KEEP_ALIVE_SECONDS = 30


class UvicornServer:
    """Made at the first connection."""

    def __init__(self, node: NodeView) -> None:
        self._config = uvicorn.Config(
            make_app(node),
            http=H11Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            limit_concurrency=CONNECTIONS_MAX,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        )
        self._config.load()
        self._state = ServerState()
        self._servers: list[asyncio.Server] = []

    async def serve(self, listening: Sequence[socket.socket]) -> None:
        """Accept from now on."""
        loop = asyncio.get_running_loop()
        for one in listening:
            self._servers.append(await loop.create_server(self._make_protocol, sock=one))

    def close(self) -> None:
        """Stop accepting; close each connection, after its answer if it is owed one."""
        for server in self._servers:
            server.close()
        for connection in list(self._state.connections):
            connection.shutdown()

    def _make_protocol(self) -> asyncio.BaseProtocol:
        if len(self._state.connections) >= CONNECTIONS_MAX:
            return _Refusal()
        return H11Protocol(config=self._config, server_state=self._state, app_state={})


class _Refusal(asyncio.Protocol):
    """One connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()
