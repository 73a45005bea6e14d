"""The network between nodes that can be isolated: a link for each pair and direction of dialling, all in one
thread.

A link has two ways, from the dialler and back. A blocked way passes nothing on, and its connections stay
open: as a network that loses everything, seen from both ends. A delayed way passes everything on later, in
order.
"""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Coroutine, Hashable
from typing import Any, TypeVar

T = TypeVar("T")

_CHUNK_BYTES = 256 * 1024
# Chunks that a delayed way holds of a connection before it stops reading: enough for a second at the speed of
# a busy disk.
_CHUNKS_HELD_MAX = 256
_CLOSE_SECONDS = 10.0

Pair = tuple[int, int]


class Forwarders:
    """Made with the cluster, closed with it. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        # By sender and receiver, whichever of them dials.
        self._ways: defaultdict[Pair, _Way] = defaultdict(_Way)
        self._links: list[_Link] = []
        self._thread = threading.Thread(target=self._loop.run_forever, name="chronik-forwarders", daemon=True)
        self._thread.start()

    def add(self, dialler: int, target: int, target_port: int) -> int:
        """The port at which `dialler` finds the peer port of `target`. Raises OSError."""

        async def open_link() -> int:
            there, back = self._ways[dialler, target], self._ways[target, dialler]
            link = _Link(target_port, there, back)
            self._links.append(link)
            return await link.listen()

        return self._run(open_link())

    def isolate(self, node: int) -> None:
        """Let nothing pass between `node` and the others."""
        self._run(self._isolate(node))

    def heal(self, node: int) -> None:
        """Lets everything pass again that no other node's isolation stops, and no cut."""
        self._run(self._heal(node))

    def heal_all(self) -> None:
        """Lets everything pass at once: no isolation, no cut and no delay is left."""
        self._run(self._heal_all())

    def cut(self, sender: int, receiver: int) -> None:
        """Lets nothing pass from `sender` to `receiver`; the other direction still passes.

        No new connection succeeds until `mend`: that takes both ways.
        """
        self._run(self._cut(sender, receiver))

    def mend(self, sender: int, receiver: int) -> None:
        """Lets everything pass again that no isolation stops."""
        self._run(self._mend(sender, receiver))

    def delay(self, sender: int, receiver: int, seconds: float) -> None:
        """Delays everything that `sender` sends from now on; 0 ends it."""
        self._run(self._delay(sender, receiver, seconds))

    def close(self) -> None:
        async def close_links() -> None:
            await asyncio.gather(*(link.close() for link in self._links))

        self._run(close_links())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CLOSE_SECONDS)
        self._loop.close()

    def _of(self, node: int) -> list["_Way"]:
        return [way for pair, way in self._ways.items() if node in pair]

    async def _isolate(self, node: int) -> None:
        for way in self._of(node):
            way.block(node)

    async def _heal(self, node: int) -> None:
        for way in self._of(node):
            way.unblock(node)

    async def _heal_all(self) -> None:
        for way in self._ways.values():
            way.clear()

    async def _cut(self, sender: int, receiver: int) -> None:
        self._ways[sender, receiver].block("cut")

    async def _mend(self, sender: int, receiver: int) -> None:
        self._ways[sender, receiver].unblock("cut")

    async def _delay(self, sender: int, receiver: int, seconds: float) -> None:
        self._ways[sender, receiver].delay_seconds = seconds

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_CLOSE_SECONDS)


class _Way:
    """The way from one node to another, over all their connections."""

    def __init__(self) -> None:
        self.delay_seconds = 0.0
        self._blocked_by: set[Hashable] = set()
        self._is_open = asyncio.Event()
        self._is_open.set()

    @property
    def is_open(self) -> bool:
        return self._is_open.is_set()

    async def wait_open(self) -> None:
        await self._is_open.wait()

    def block(self, reason: Hashable) -> None:
        self._blocked_by.add(reason)
        self._is_open.clear()

    def unblock(self, reason: Hashable) -> None:
        self._blocked_by.discard(reason)
        if not self._blocked_by:
            self._is_open.set()

    def clear(self) -> None:
        self._blocked_by.clear()
        self._is_open.set()
        self.delay_seconds = 0.0


class _Link:
    """The connections that one node dials to another."""

    def __init__(self, target_port: int, there: _Way, back: _Way) -> None:
        self._target_port = target_port
        self._there = there
        self._back = back
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server

    async def listen(self) -> int:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_CHUNK_BYTES)
        return int(self._server.sockets[0].getsockname()[1])

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
        if not (self._there.is_open and self._back.is_open):
            # A real network would not have carried the attempt: when it is there again there is nothing to
            # go on with.
            await self._there.wait_open()
            await self._back.wait_open()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._target_port, limit=_CHUNK_BYTES)
        try:
            pumps = [
                asyncio.ensure_future(_pump(reader, back, self._there)),
                asyncio.ensure_future(_pump(there, writer, self._back)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        finally:
            # Data passed on before the end is delivered before the close.
            await _close(back)
            await _close(writer)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: _Way) -> None:
    """Passes data on until it ends; nothing, not even the end, while the way is blocked."""
    held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_CHUNKS_HELD_MAX)
    passing_on = asyncio.ensure_future(_pass_on(held, writer, way))
    try:
        while not passing_on.done():
            data = await reader.read(_CHUNK_BYTES)
            # Before it is held: a sender behind a blocked way fills its own buffers, not these.
            await way.wait_open()
            await held.put((asyncio.get_running_loop().time() + way.delay_seconds, data))
            if not data:
                break
        await passing_on
    finally:
        passing_on.cancel()
        await asyncio.gather(passing_on, return_exceptions=True)


async def _pass_on(
    held: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter, way: _Way
) -> None:
    """Each chunk when it is due and the way is open, until the empty one, which is the end."""
    while True:
        due, data = await held.get()
        if (left := due - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(left)
        await way.wait_open()
        if not data:
            return
        writer.write(data)
        await writer.drain()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        await asyncio.wait_for(writer.wait_closed(), 1.0)
    except (OSError, TimeoutError):
        writer.transport.abort()
