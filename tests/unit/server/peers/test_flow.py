"""What waits for whom: peers that do not read, and what is counted."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from chronik.raft.transport import FrameKind, PeerInfo
from chronik.server.peers.connection import UNSENT_BYTES_MAX
from chronik.server.peers.framing import FRAME_BYTES_MAX, LinkKind
from chronik.server.peers.statistics import PeerStatistics
from chronik.server.peers.transport import PeerTransport
from tests.unit.server.peers.raw_peer import RawPeer
from tests.unit.server.peers.recorder import Recorder
from tests.unit.server.peers.tcp_stage import ONE, PATIENT, THREE, TWO, TcpStage

MIB = 1024 * 1024

Test = Callable[[TcpStage], Coroutine[Any, Any, None]]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Test], None]:
    async def stage(test: Test) -> None:
        async with TcpStage() as made:
            await test(made)

    def run(test: Test) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(stage(test))

    return run


def test_a_peer_that_does_not_read_holds_only_so_much(run: Callable[[Test], None]) -> None:
    async def test(stage: TcpStage) -> None:
        transport, told = await stage.start(ONE)
        peer = await RawPeer.join(stage.addresses[ONE])
        await told.until_connected(TWO)
        sent = 0
        while transport.send(TWO, FrameKind.RAFT, [b"%04d" % sent, bytes(MIB)]):
            sent += 1
            # What the kernel takes, and the reader of this test, is not counted.
            await asyncio.sleep(0)
        counted = transport.statistics().peers[TWO]
        assert UNSENT_BYTES_MAX - 2 * MIB < counted.unsent_bytes <= UNSENT_BYTES_MAX
        assert counted.frames_sent == sent
        assert counted.frames_refused == 1
        assert told.connected == {TWO}
        # Then it reads on, and nothing is missing.
        for number in range(sent):
            kind, payload = await peer.hear()
            assert kind == FrameKind.RAFT
            assert bytes(payload[:4]) == b"%04d" % number
            assert len(payload) == 4 + MIB
        assert transport.send(TWO, FrameKind.RAFT, [b"again"])
        while (await peer.hear())[0] == LinkKind.HEARTBEAT:
            pass
        peer.close()

    run(test)


def test_other_peers_do_not_wait_for_one_that_does_not_read(run: Callable[[Test], None]) -> None:
    async def test(stage: TcpStage) -> None:
        transport, told = await stage.start(ONE)
        peer = await RawPeer.join(stage.addresses[ONE])
        _, told_three = await stage.start(THREE)
        await told.until_connected(TWO, THREE)
        while transport.send(TWO, FrameKind.RAFT, [bytes(MIB)]):
            pass
        assert transport.send(THREE, FrameKind.RAFT, [b"x"])
        await told_three.until(lambda told: told.payloads == [b"x"])
        peer.close()

    run(test)


def test_one_frame_is_taken_however_large_but_none_that_is_too_large(
    run: Callable[[Test], None], caplog: pytest.LogCaptureFixture
) -> None:
    block = bytes(MIB)

    async def test(stage: TcpStage) -> None:
        transport, told = await stage.start(ONE)
        peer = await RawPeer.join(stage.addresses[ONE])
        await told.until_connected(TWO)
        assert not transport.send(TWO, FrameKind.RAFT, [block] * (FRAME_BYTES_MAX // MIB) + [b"x"])
        assert transport.send(TWO, FrameKind.RAFT, [block] * (UNSENT_BYTES_MAX // MIB + 1))
        assert not transport.send(TWO, FrameKind.RAFT, [b"x"])
        while True:
            kind, payload = await peer.hear()
            if kind == FrameKind.RAFT:
                break
        assert len(payload) == UNSENT_BYTES_MAX + MIB
        peer.close()

    run(test)
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert vars(record)["bytes"] == FRAME_BYTES_MAX + 1


def test_what_passes_is_counted(run: Callable[[Test], None]) -> None:
    async def test(stage: TcpStage) -> None:
        one, told_one = await stage.start(ONE)
        two, told_two = await stage.start(TWO)
        await told_one.until_connected(TWO)
        await told_two.until_connected(ONE)
        one.send(TWO, FrameKind.RAFT, [b"hello", b" there"])
        await told_two.until(lambda told: bool(told.frames))
        two.send(ONE, FrameKind.RAFT, [b"you"])
        await told_one.until(lambda told: bool(told.frames))
        counted = one.statistics().peers
        assert counted[TWO].is_up
        assert counted[TWO].connects == 1
        assert (counted[TWO].frames_sent, counted[TWO].frames_received) == (1, 1)
        assert counted[TWO].bytes_sent == 11
        assert counted[TWO].bytes_received > 3
        assert counted[TWO].unsent_bytes == 0
        assert counted[THREE] == PeerStatistics()
        await stage.end(two)
        await told_one.until_connected()
        after = one.statistics().peers[TWO]
        assert not after.is_up
        assert after.bytes_received >= counted[TWO].bytes_received

    run(test)


def test_all_that_is_said_in_one_turn_goes_out_in_one_write(run: Callable[[Test], None]) -> None:
    async def test(stage: TcpStage) -> None:
        one, told_one = await stage.start(ONE)
        _, told_two = await stage.start(TWO)
        await told_one.until_connected(TWO)
        await told_two.until_connected(ONE)
        for number in range(100):
            one.send(TWO, FrameKind.RAFT, [b"%d" % number])
        await told_two.until(lambda told: len(told.frames) == 100)
        assert told_two.events.count("turn") <= 2

    run(test)


def test_a_port_that_is_taken_is_said(run: Callable[[Test], None]) -> None:
    async def test(stage: TcpStage) -> None:
        await stage.start(ONE)
        taken = PeerTransport(
            own=PeerInfo(TWO, "d", 1),
            cluster_id="cluster",
            address=stage.addresses[ONE],
            others=stage.addresses,
            timings=PATIENT,
        )
        with pytest.raises(OSError, match=r"[Aa]ddress already in use"):
            await taken.start(Recorder())
        await taken.close()

    run(test)


def test_a_host_and_port_will_do_as_well_as_a_socket(run: Callable[[Test], None]) -> None:
    async def test(stage: TcpStage) -> None:
        transport, told = await stage.start(ONE, address=("127.0.0.1", 0))
        peer = await RawPeer.join(("127.0.0.1", transport.port))
        await told.until_connected(TWO)
        peer.close()

    run(test)
