"""What lies between nodes that can be isolated: a link for each pair and direction of dialling, all in one
thread.

A blocked link passes nothing on, and its connections stay open: as a network that loses everything, seen from
both ends.
"""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_CHUNK_BYTES = 256 * 1024
_CLOSE_SECONDS = 10.0

Pair = tuple[int, int]


class Forwarders:
    """Made with the cluster, closed with it. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._links: dict[Pair, _Link] = {}
        self._thread = threading.Thread(target=self._loop.run_forever, name="chronik-forwarders", daemon=True)
        self._thread.start()

    def add(self, dialler: int, target: int, target_port: int) -> int:
        """The port at which `dialler` finds the peer port of `target`. Raises OSError."""

        async def open_link() -> int:
            link = _Link(target_port)
            self._links[dialler, target] = link
            return await link.listen()

        return self._run(open_link())

    def isolate(self, node: int) -> None:
        """Let nothing pass between `node` and the others."""
        self._run(self._isolate(node))

    def heal(self, node: int) -> None:
        """Let everything pass again that no other node's isolation stops."""
        self._run(self._heal(node))

    def close(self) -> None:
        async def close_links() -> None:
            await asyncio.gather(*(link.close() for link in self._links.values()))

        self._run(close_links())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CLOSE_SECONDS)
        self._loop.close()

    def _of(self, node: int) -> list["_Link"]:
        return [link for pair, link in self._links.items() if node in pair]

    async def _isolate(self, node: int) -> None:
        for link in self._of(node):
            link.block(node)

    async def _heal(self, node: int) -> None:
        for link in self._of(node):
            link.unblock(node)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_CLOSE_SECONDS)


class _Link:
    """The connections that one node dials to another."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._isolated: set[int] = set()
        self._is_open = asyncio.Event()
        self._is_open.set()
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server

    async def listen(self) -> int:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_CHUNK_BYTES)
        return int(self._server.sockets[0].getsockname()[1])

    def block(self, node: int) -> None:
        self._isolated.add(node)
        self._is_open.clear()

    def unblock(self, node: int) -> None:
        self._isolated.discard(node)
        if not self._isolated:
            self._is_open.set()

    async def close(self) -> None:
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.CancelledError):
            # One end is gone, or the forwarder is closed: for the other end it is the same.
            pass
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._is_open.is_set():
            # A real network would not have carried the attempt: when it is there again there is nothing to
            # go on with.
            await self._is_open.wait()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._target_port, limit=_CHUNK_BYTES)
        try:
            pumps = [
                asyncio.ensure_future(self._pump(reader, back)),
                asyncio.ensure_future(self._pump(there, writer)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        finally:
            # What was passed on before the end is passed on before the close.
            await _close(back)
            await _close(writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what comes until it ends; nothing, not even the end, while the link is blocked."""
        while data := await reader.read(_CHUNK_BYTES):
            await self._is_open.wait()
            writer.write(data)
            await writer.drain()
        await self._is_open.wait()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        await asyncio.wait_for(writer.wait_closed(), 1.0)
    except (OSError, TimeoutError):
        writer.transport.abort()
