"""uvicorn's protocol on a socket that listens already.

Without `uvicorn.Server`: that takes over signals, wakes up ten times a second, and needs 200 ms to stop.
"""

import asyncio
import logging
import socket
from collections.abc import Sequence

import uvicorn
from uvicorn.server import ServerState

from chronik.server.http.app import make_app
from chronik.server.http.connections import HttpConnection, HttpConnections
from chronik.server.http.view import NodeView

_KEEP_ALIVE_SECONDS = 30

# Where uvicorn warns of each malformed request, which `HttpConnections` does within bounds.
_uvicorn_log = logging.getLogger("uvicorn.error")


class UvicornServer:
    """Made at the first connection."""

    def __init__(self, node: NodeView) -> None:
        self._config = uvicorn.Config(
            make_app(node),
            http=HttpConnection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            # `HttpConnections` bounds them, and never answers 503 to a check of health for it.
            limit_concurrency=None,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        )
        self._config.load()
        _uvicorn_log.setLevel(logging.ERROR)
        self._connections = HttpConnections()
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
        self._connections.close()
        for connection in self._connections:
            connection.shutdown()

    def _make_protocol(self) -> asyncio.BaseProtocol:
        return HttpConnection(self._connections, config=self._config, server_state=self._state, app_state={})
