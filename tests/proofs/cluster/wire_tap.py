"""Listens in between clients and nodes: every request and answer, with times.

What a client does not show, such as an error that it quietly tries again after, is seen here. All in one
thread; it costs each message a fraction of a millisecond.
"""

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from chronik.sim.frames import cut_frames
from tests.proofs.cluster.exchange import Exchange

T = TypeVar("T")

_CHUNK_BYTES = 256 * 1024
_SECONDS_MAX = 10.0
_CORRELATION_ID = slice(4, 8)


class WireTap:
    """Made before the cluster, whose nodes advertise its ports; closed after it."""

    def __init__(self) -> None:
        self._exchanges: list[Exchange] = []
        self._ports: dict[int, int] = {}
        self._servers: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()
        self._ids = itertools.count()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wire-tap", daemon=True)
        self._thread.start()

    def add(self, node: int) -> int:
        """A port of 127.0.0.1 under which clients reach `node` once it is connected."""

        async def listen() -> int:
            server = await asyncio.start_server(lambda *ends: self._accept(node, *ends), "127.0.0.1", 0)
            self._servers.append(server)
            return int(server.sockets[0].getsockname()[1])

        return self._run(listen())

    def connect(self, node: int, port: int) -> None:
        """The node's own port."""
        self._ports[node] = port

    def take(self) -> list[Exchange]:
        """What was answered since the last call."""
        taken, self._exchanges = self._exchanges, []
        return taken

    def close(self) -> None:
        async def close_all() -> None:
            for server in self._servers:
                server.close()
            for task in self._connections:
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

        self._run(close_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_SECONDS_MAX)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_SECONDS_MAX)

    async def _accept(self, node: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._serve(node, reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def _serve(self, node: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._ports[node])
        dialogue = _Dialogue(node, next(self._ids), lambda exchange: self._exchanges.append(exchange))
        pumps = [
            asyncio.ensure_future(_pump(reader, back, dialogue.on_request)),
            asyncio.ensure_future(_pump(there, writer, dialogue.on_response)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            back.transport.abort()


class _Dialogue:
    """One connection: which answer belongs to which request."""

    def __init__(self, node: int, connection: int, on_exchange: Callable[[Exchange], None]) -> None:
        self._node = node
        self._connection = connection
        self._on_exchange = on_exchange
        self._open: dict[bytes, tuple[float, bytes]] = {}

    def on_request(self, frame: bytes) -> None:
        self._open[frame[_CORRELATION_ID]] = (time.monotonic(), frame)

    def on_response(self, frame: bytes) -> None:
        asked_at, request = self._open.pop(frame[:4])
        self._on_exchange(
            Exchange(
                node=self._node,
                connection=self._connection,
                asked_at=asked_at,
                answered_at=time.monotonic(),
                request=request,
                response=frame,
            )
        )


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, on_frame: Callable[[bytes], None]
) -> None:
    """Pass on what comes, and show each frame before its last byte is passed on."""
    left = b""
    while data := await reader.read(_CHUNK_BYTES):
        left += data
        for frame in cut_frames(left):
            on_frame(frame)
            left = left[4 + len(frame) :]
        writer.write(data)
        await writer.drain()
