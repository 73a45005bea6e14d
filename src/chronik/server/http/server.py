"""The HTTP listener: bound at once, served from the first connection on.

The HTTP libraries take 15 MB and 150 ms of imports, which a broker without monitoring does not pay, and which
must not delay the first Kafka clients. So the socket only listens at first; the kernel keeps connections
waiting while the imports run in a thread.
"""

import asyncio
import logging
import socket
from importlib import import_module
from typing import TYPE_CHECKING

from chronik.server.binding import ListenerAddress, bind_all, listen
from chronik.server.http.view import NodeView

if TYPE_CHECKING:
    from chronik.server.http.uvicorn_server import UvicornServer

_log = logging.getLogger(__name__)

_BACKLOG = 64


class HttpServer:
    """Made by the node; lives in its event loop. `stop` may be called at any time after `start`."""

    def __init__(self, host: str, port: int, node: NodeView) -> None:
        self._address = ListenerAddress(name="HTTP", host=host, port=port)
        self._node = node
        # One for each address that the host stands for.
        self._sockets: list[socket.socket] = []
        self._opening: asyncio.Task[None] | None = None
        self._server: UvicornServer | None = None

    async def start(self) -> int:
        """Starts to listen; returns the port, which is the configured one unless that is 0.

        Raises OSError naming the address.
        """
        self._sockets = bind_all(self._address)
        loop = asyncio.get_running_loop()
        try:
            for bound in self._sockets:
                listen(bound, _BACKLOG)
        except OSError:
            self._close_sockets()
            raise
        for bound in self._sockets:
            loop.add_reader(bound, self._on_first_connection)
        port: int = self._sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Close the port and all connections."""
        self._stop_watching()
        if self._opening is not None:
            await asyncio.wait([self._opening])
        if self._server is not None:
            self._server.close()
        self._close_sockets()

    def _on_first_connection(self) -> None:
        self._stop_watching()
        self._opening = asyncio.get_running_loop().create_task(self._open())

    def _stop_watching(self) -> None:
        if self._opening is None:
            for bound in self._sockets:
                asyncio.get_running_loop().remove_reader(bound)

    def _close_sockets(self) -> None:
        for bound in self._sockets:
            bound.close()
        self._sockets = []

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            module = await loop.run_in_executor(None, import_module, "chronik.server.http.uvicorn_server")
            self._server = module.UvicornServer(self._node)
            await self._server.serve(self._sockets)
        except (ImportError, OSError) as error:
            _log.error("could not serve HTTP; clients of Kafka are served", extra={"error": str(error)})
