"""What any `Transport` does: the one over TCP, on both event loops, and the simulated one.

A test that passes on the simulated network is worth something only if the real one behaves the same.
"""

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from types import TracebackType
from typing import Any, Protocol, Self

import pytest
import uvloop

from chronik.raft.transport import Buffer, FrameKind, MalformedFrame, Transport
from chronik.sim.network import SimNetwork, SimTransport
from chronik.sim.virtual_time import VirtualLoop
from chronik.vocab.ids import NodeId
from tests.unit.server.peers.recorder import Recorder
from tests.unit.server.peers.tcp_stage import ONE, THREE, TWO, TcpStage

MIB = 1024 * 1024


class SimStage:
    """As `TcpStage`."""

    def __init__(self) -> None:
        self._network = SimNetwork(Random(7))

    async def start(
        self, node: NodeId, *, directory_id: str | None = None, extra: Callable[[], bytes] = bytes
    ) -> tuple[SimTransport, Recorder]:
        transport, recorder = self._network.join(node, directory_id, extra), Recorder()
        await transport.start(recorder)
        return transport, recorder

    async def end(self, transport: SimTransport) -> None:
        await transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass


class Stage(Protocol):
    """Nodes that can be started and ended."""

    async def start(
        self, node: NodeId, *, directory_id: str | None = None, extra: Callable[[], bytes] = bytes
    ) -> tuple[Any, Recorder]: ...

    async def end(self, transport: Any) -> None: ...


Play = Callable[[Stage], Coroutine[Any, Any, None]]
Run = Callable[[Play], None]


@pytest.fixture(params=["simulated", "asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a play on a stage of each kind."""
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
        "simulated": VirtualLoop,
        "asyncio": asyncio.new_event_loop,
        "uvloop": uvloop.new_event_loop,
    }

    async def stage(play: Play) -> None:
        async with SimStage() if request.param == "simulated" else TcpStage() as made:
            await play(made)

    def run(play: Play) -> None:
        with asyncio.Runner(loop_factory=loops[request.param]) as runner:
            runner.run(stage(play))

    return run


async def pair(stage: Stage) -> tuple[Any, Recorder, Any, Recorder]:
    """Nodes 1 and 2, connected."""
    one, told_one = await stage.start(ONE)
    two, told_two = await stage.start(TWO)
    await told_one.until_connected(TWO)
    await told_two.until_connected(ONE)
    return one, told_one, two, told_two


def test_nodes_find_each_other_and_learn_who_they_are(run: Run) -> None:
    async def play(stage: Stage) -> None:
        one, told_one = await stage.start(ONE, directory_id="a", extra=lambda: b"new")
        two, told_two = await stage.start(TWO, directory_id="b", extra=lambda: b"founded")
        await told_one.until_connected(TWO)
        await told_two.until_connected(ONE)
        assert [peer[:2] for peer in told_one.ups] == [(TWO, "b")]
        assert [peer[:2] for peer in told_two.ups] == [(ONE, "a")]
        assert list(one.peers()) == told_one.ups
        assert one.extra_of(TWO) == b"founded"
        assert two.extra_of(ONE) == b"new"
        assert one.extra_of(THREE) == b""

    run(play)


def test_three_nodes_are_all_connected(run: Run) -> None:
    async def play(stage: Stage) -> None:
        told = [(await stage.start(node))[1] for node in (THREE, ONE, TWO)]
        for recorder, others in zip(told, ((ONE, TWO), (TWO, THREE), (ONE, THREE)), strict=True):
            await recorder.until_connected(*others)

    run(play)


def test_frames_arrive_whole_in_order_and_joined(run: Run) -> None:
    sent: list[tuple[FrameKind, list[Buffer]]] = [
        (FrameKind.CALL, [b"one ", memoryview(b"call")]),
        (FrameKind.RAFT, [b"head", bytearray(3 * MIB), b"tail"]),
        (FrameKind.GOSSIP, []),
        (FrameKind.ANSWER, [b"", b"answer"]),
        *[(FrameKind.RAFT, list[Buffer]([b"%d" % number])) for number in range(500)],
        (FrameKind.RAFT, [bytes(MIB)] * 5),
    ]

    async def play(stage: Stage) -> None:
        one, _, _, told_two = await pair(stage)
        for kind, buffers in sent:
            assert one.send(TWO, kind, buffers)
        assert not told_two.frames, "told from inside of send"
        await told_two.until(lambda told: len(told.frames) == len(sent))
        assert [(node, kind) for node, kind, _ in told_two.frames] == [(ONE, kind) for kind, _ in sent]
        assert told_two.payloads == [b"".join(buffers) for _, buffers in sent]

    run(play)


def test_both_sides_speak_at_once(run: Run) -> None:
    async def play(stage: Stage) -> None:
        one, told_one, two, told_two = await pair(stage)
        for number in range(20):
            assert one.send(TWO, FrameKind.RAFT, [b"%d" % number, bytes(200_000)])
            assert two.send(ONE, FrameKind.RAFT, [b"%d" % number, bytes(200_000)])
        for told in (told_one, told_two):
            await told.until(lambda told: len(told.frames) == 20)
            assert told.payloads == [b"%d" % number + bytes(200_000) for number in range(20)]

    run(play)


def test_what_was_received_is_not_overwritten(run: Run) -> None:
    async def play(stage: Stage) -> None:
        one, _, _, told = await pair(stage)
        for number in range(30):
            assert one.send(TWO, FrameKind.RAFT, [bytes([number]) * 50_000])
            await told.until(lambda told, count=number + 1: len(told.frames) == count)  # type: ignore[misc]
        assert told.payloads == [bytes([number]) * 50_000 for number in range(30)]

    run(play)


def test_a_turn_ends_after_its_frames(run: Run) -> None:
    async def play(stage: Stage) -> None:
        one, _, _, told = await pair(stage)
        for _ in range(10):
            one.send(TWO, FrameKind.RAFT, [b"x"])
        await told.until(lambda told: len(told.frames) == 10 and told.events[-1] == "turn")
        turns = told.events.count("turn")
        assert 1 <= turns <= 10
        # Not one turn ends without a frame.
        text = " ".join(event.split()[0] for event in told.events)
        assert "turn turn" not in text
        assert "up turn" not in text

    run(play)


def test_answers_given_at_the_end_of_a_turn_arrive(run: Run) -> None:
    async def play(stage: Stage) -> None:
        one, told_one, two, told_two = await pair(stage)
        told_two.taking = lambda node, kind, payload: assert_sent(two, node, payload)
        one.send(TWO, FrameKind.RAFT, [b"ping"])
        await told_one.until(lambda told: told.payloads == [b"ping"])

    run(play)


def assert_sent(transport: Transport, node: NodeId, payload: memoryview) -> None:
    assert transport.send(node, FrameKind.ANSWER, [payload])


def test_nothing_is_sent_to_who_is_not_there(run: Run) -> None:
    async def play(stage: Stage) -> None:
        one, _, two, _ = await pair(stage)
        assert not one.send(THREE, FrameKind.RAFT, [b"x"])
        assert not one.send(ONE, FrameKind.RAFT, [b"to myself"])
        assert not two.send(NodeId(99), FrameKind.RAFT, [b"x"])

    run(play)


def test_a_node_that_ends_is_down_and_may_come_again(run: Run) -> None:
    async def play(stage: Stage) -> None:
        one, told_one, two, told_two = await pair(stage)
        await stage.end(two)
        await told_one.until_connected()
        assert told_one.downs == [TWO]
        assert list(one.peers()) == []
        assert not one.send(TWO, FrameKind.RAFT, [b"x"])
        _, told_again = await stage.start(TWO, extra=lambda: b"again")
        await told_one.until_connected(TWO)
        await told_again.until_connected(ONE)
        assert told_one.ups[0].incarnation != told_one.ups[1].incarnation
        assert one.extra_of(TWO) == b"again"
        assert told_two.downs == [], "told after its end"

    run(play)


def test_the_node_that_is_dialled_may_come_again_too(run: Run) -> None:
    async def play(stage: Stage) -> None:
        one, _, two, told_two = await pair(stage)
        await stage.end(one)
        await told_two.until_connected()
        _, told_again = await stage.start(ONE)
        await told_again.until_connected(TWO)
        await told_two.until_connected(ONE)
        assert two.send(ONE, FrameKind.RAFT, [b"welcome"])
        await told_again.until(lambda told: told.payloads == [b"welcome"])

    run(play)


def test_the_last_words_of_a_node_are_heard(run: Run) -> None:
    """A leader that ends hands its leaderships over before."""

    async def play(stage: Stage) -> None:
        _, told_one, two, _ = await pair(stage)
        two.send(ONE, FrameKind.RAFT, [bytes(MIB)])
        two.send(ONE, FrameKind.RAFT, [b"farewell"])
        await two_ends(stage, two)
        await told_one.until_connected()
        assert told_one.payloads[-1:] == [b"farewell"]

    async def two_ends(stage: Stage, two: Any) -> None:
        if isinstance(two, SimTransport):
            # Its close is a crash, which may lose what is on the way.
            await asyncio.sleep(0.01)
        await stage.end(two)

    run(play)


@pytest.mark.parametrize("error", [MalformedFrame("nonsense"), RuntimeError("a bug")])
def test_a_frame_that_is_not_taken_ends_the_connection(run: Run, error: Exception) -> None:
    def refuse(node: NodeId, kind: FrameKind, payload: memoryview) -> None:
        if bytes(payload) == b"nonsense":
            raise error

    async def play(stage: Stage) -> None:
        one, told_one, _, told_two = await pair(stage)
        told_two.taking = refuse
        for words in (b"sense", b"nonsense", b"more"):
            assert one.send(TWO, FrameKind.RAFT, [words])
        await told_two.until(lambda told: told.downs == [ONE])
        await told_one.until(lambda told: told.downs == [TWO])
        assert told_two.payloads == [b"sense", b"nonsense"]
        await told_one.until_connected(TWO)
        await told_two.until_connected(ONE)

    run(play)


def test_what_waits_for_a_peer_is_bounded(run: Run) -> None:
    async def play(stage: Stage) -> None:
        one, _, _, told_two = await pair(stage)
        taken = 0
        while one.send(TWO, FrameKind.RAFT, [bytes(MIB)]):
            taken += 1
        assert 48 <= taken <= 64
        assert not one.send(TWO, FrameKind.RAFT, [bytes(MIB)])
        await told_two.until(lambda told: len(told.frames) == taken)
        assert one.send(TWO, FrameKind.RAFT, [b"again"])
        await told_two.until(lambda told: told.payloads[-1] == b"again")

    run(play)
