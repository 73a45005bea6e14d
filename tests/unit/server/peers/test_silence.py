"""Who is silent is down; who is not heard because this process did not listen is not."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

from chronik.node.peer_timings import PeerTimings
from chronik.raft.transport import FrameKind
from chronik.server.peers.framing import LinkKind
from chronik.server.peers.transport import PeerTransport
from tests.unit.server.peers.manual_loop import ManualLoop
from tests.unit.server.peers.raw_peer import RawPeer
from tests.unit.server.peers.recorder import Recorder
from tests.unit.server.peers.tcp_stage import ONE, TWO, TcpStage

TIMINGS = PeerTimings(silence_ms=300, heartbeat_ms=100)
TICK = TIMINGS.tick_seconds
SILENT_TICKS = TIMINGS.silent_ticks_max

Test = Callable[["Play"], Coroutine[Any, Any, None]]


class Play:
    """Node 1, and a node 2 that only says what it is told to say."""

    def __init__(self, stage: TcpStage, transport: PeerTransport, told: Recorder, peer: RawPeer) -> None:
        self.stage = stage
        self.transport = transport
        self.told = told
        self.peer = peer
        loop = asyncio.get_running_loop()
        assert isinstance(loop, ManualLoop)
        self.loop = loop

    async def ticks(self, count: int) -> None:
        for _ in range(count):
            await self.loop.advance(TICK)

    def beat(self) -> None:
        """On loopback it has arrived when this returns."""
        self.peer.say(LinkKind.HEARTBEAT)


def play(test: Test) -> Callable[[], None]:
    async def stage() -> None:
        async with TcpStage(TIMINGS) as made:
            transport, told = await made.start(ONE)
            peer = await RawPeer.join(made.addresses[ONE])
            await told.until_connected(TWO)
            # So that ticks are counted from here.
            peer.say(LinkKind.HEARTBEAT)
            await asyncio.get_running_loop().advance(TICK)  # type: ignore[attr-defined]
            await test(Play(made, transport, told, peer))
            peer.close()

    @wraps(test)
    def run() -> None:
        with asyncio.Runner(loop_factory=ManualLoop) as runner:
            runner.run(stage())

    # Not the parameters of `test`, which are no fixtures.
    del run.__wrapped__
    return run


@play
async def test_silence_takes_a_peer_down_and_closes_its_connection(it: Play) -> None:
    await it.ticks(SILENT_TICKS - 1)
    assert it.told.connected == {TWO}
    await it.ticks(1)
    assert it.told.downs == [TWO]
    assert await it.peer.is_closed()


@play
async def test_a_peer_that_misses_heartbeats_is_unheard_until_it_speaks(it: Play) -> None:
    await it.ticks(TIMINGS.unheard_ticks - 1)
    assert it.told.events == ["up 2"]
    await it.ticks(1)
    assert it.told.events == ["up 2", "unheard 2"]
    it.beat()
    await it.ticks(1)
    assert it.told.events == ["up 2", "unheard 2", "heard 2"]
    await it.ticks(SILENT_TICKS)
    assert it.told.events == ["up 2", "unheard 2", "heard 2", "unheard 2", "down 2"]


@play
async def test_a_frame_that_takes_longer_than_an_election_is_not_silence(it: Play) -> None:
    it.peer.writer.write(b"\x00\x00\x00\x08" + bytes([FrameKind.RAFT]))
    for byte in b"patience":
        await it.ticks(SILENT_TICKS - 1)
        it.peer.writer.write(bytes([byte]))
    await it.told.until(lambda told: told.payloads == [b"patience"])
    assert it.told.connected == {TWO}


@play
async def test_a_pause_of_this_process_is_nobodys_silence(it: Play) -> None:
    for _ in range(SILENT_TICKS - 1):
        await it.loop.advance(3600)
    assert it.told.connected == {TWO}
    await it.loop.advance(3600)
    assert it.told.downs == [TWO], "one tick for each pause"


@play
async def test_what_came_during_a_pause_is_read_before_anything_is_concluded(it: Play) -> None:
    for _ in range(5):
        await it.ticks(SILENT_TICKS - 1)
        it.beat()
        await it.loop.advance(3600)
    assert it.told.connected == {TWO}


@play
async def test_a_peer_that_is_told_nothing_gets_heartbeats(it: Play) -> None:
    for _ in range(10):
        it.beat()
        await it.ticks(2)
        kind, payload = await it.peer.hear()
        assert kind == LinkKind.HEARTBEAT
        assert not payload


@play
async def test_who_is_told_something_needs_no_heartbeat(it: Play) -> None:
    it.beat()
    await it.ticks(2)
    await it.peer.hear()
    for _ in range(10):
        it.beat()
        assert it.transport.send(TWO, FrameKind.RAFT, [b"words"])
        await it.ticks(1)
    heard = [await it.peer.hear() for _ in range(10)]
    assert {kind for kind, _ in heard} == {FrameKind.RAFT}


@play
async def test_a_node_that_was_taken_down_is_welcome_again(it: Play) -> None:
    await it.ticks(SILENT_TICKS)
    assert it.told.downs == [TWO]
    again = await RawPeer.join(it.stage.addresses[ONE])
    await it.told.until_connected(TWO)
    again.close()
