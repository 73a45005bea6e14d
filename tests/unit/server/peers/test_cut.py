"""Two real nodes whose network stops carrying anything, without closing a connection."""

import asyncio
from contextlib import suppress

from chronik.node.peer_timings import PeerTimings
from chronik.raft.transport import FrameKind
from tests.unit.server.peers.tcp_stage import ONE, TWO, TcpStage

# Short, so that the test is; both nodes are in one loop, so that a busy machine cannot part them.
TIMINGS = PeerTimings(silence_ms=60, heartbeat_ms=20, redial_ms=10)


class Wire:
    """Carries bytes between node 2 and node 1 while it is whole."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self.is_whole = asyncio.Event()
        self.is_whole.set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        for source, target in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._carry(source, target))
            self._tasks.add(task)

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                await self.is_whole.wait()
                target.write(data)
        await self.is_whole.wait()
        target.close()

    async def end(self) -> None:
        self.is_whole.set()
        await asyncio.gather(*self._tasks)


def test_a_cut_is_silence_to_both_and_is_mended_by_itself() -> None:
    async def test() -> None:
        async with TcpStage(TIMINGS) as stage:
            wire = Wire(stage.addresses[ONE])
            async with await asyncio.start_server(wire.carry, "127.0.0.1", 0) as server:
                one, told_one = await stage.start(ONE)
                two, told_two = await stage.start(TWO, others={ONE: server.sockets[0].getsockname()})
                await told_one.until_connected(TWO)
                await told_two.until_connected(ONE)
                wire.is_whole.clear()
                assert one.send(TWO, FrameKind.RAFT, [b"into the void"])
                await told_one.until_connected()
                await told_two.until_connected()
                assert not two.send(ONE, FrameKind.RAFT, [b"x"])
                wire.is_whole.set()
                await told_one.until_connected(TWO)
                await told_two.until_connected(ONE)
                assert one.send(TWO, FrameKind.RAFT, [b"after"])
                await told_two.until(lambda told: told.payloads[-1:] == [b"after"])
                assert told_two.payloads == [b"after"], "of the connection that was cut"
                await stage.end(one)
                await stage.end(two)
                await wire.end()

    asyncio.run(test())
