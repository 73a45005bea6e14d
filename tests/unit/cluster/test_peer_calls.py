"""Calls between nodes on a simulated network, and on a transport by hand where its order matters."""

import asyncio
import logging
import struct
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronik.cluster.peer_calls import CALLS_IN_MAX, CALLS_OUT_MAX, PeerCalls
from chronik.cluster.peers import NotAsked
from chronik.raft.transport import Buffer, FrameKind, MalformedFrame, PeerInfo
from chronik.sim.network import SimNetwork
from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NodeId

ONE, TWO, THREE = NodeId(1), NodeId(2), NodeId(3)
LATER = 1e9


class Router:
    """The part of a node that hears its transport."""

    def __init__(self) -> None:
        self.calls: PeerCalls

    def on_peer_up(self, peer: PeerInfo) -> None:
        pass

    def on_peer_down(self, node: NodeId) -> None:
        self.calls.on_peer_down(node)

    def on_peer_unheard(self, node: NodeId) -> None:
        pass

    def on_peer_heard(self, node: NodeId) -> None:
        pass

    def on_frame(self, node: NodeId, kind: FrameKind, payload: memoryview) -> None:
        self.calls.on_frame(node, kind, payload)

    def on_turn_end(self) -> None:
        pass


async def node(network: SimNetwork, node: NodeId) -> PeerCalls:
    transport, router = network.join(node), Router()
    router.calls = PeerCalls(node, transport)
    await transport.start(router)
    return router.calls


async def pair() -> tuple[SimNetwork, PeerCalls, PeerCalls]:
    """Nodes 1 and 2, connected."""
    network = SimNetwork(Random(3))
    one, two = await node(network, ONE), await node(network, TWO)
    await asyncio.sleep(1)
    assert one.live() == two.live() == {ONE, TWO}
    return network, one, two


async def echo(source: NodeId, request: bytes) -> bytes:
    return b"%d said " % source + request


async def never(source: NodeId, request: bytes) -> bytes:
    await asyncio.get_running_loop().create_future()
    raise AssertionError


async def code_of(asked: Any) -> ErrorCode:
    """Of the KafkaError that `asked` raises."""
    with pytest.raises(KafkaError) as raised:
        await asked
    return raised.value.code


@virtual
async def test_a_question_is_answered() -> None:
    _, one, two = await pair()
    two.serve("echo", echo)
    assert await one.call(TWO, "echo", b"hello", LATER) == b"1 said hello"
    assert await one.call(TWO, "echo", b"", LATER) == b"1 said "


@virtual
async def test_many_questions_get_their_own_answers_in_any_order() -> None:
    async def slowly(source: NodeId, request: bytes) -> bytes:
        await asyncio.sleep(1 / (1 + int(request)))
        return request

    _, one, two = await pair()
    two.serve("slowly", slowly)
    asked = [one.call(TWO, "slowly", b"%d" % number, LATER) for number in range(50)]
    assert await asyncio.gather(*asked) == [b"%d" % number for number in range(50)]


@virtual
async def test_this_node_answers_itself() -> None:
    one = await node(SimNetwork(Random(1)), ONE)
    one.serve("echo", echo)
    one.serve("never", never)
    assert one.node == ONE
    assert await one.call(ONE, "echo", b"x", LATER) == b"1 said x"
    assert await code_of(one.call(ONE, "unknown", b"", LATER)) is ErrorCode.UNSUPPORTED_VERSION
    deadline = asyncio.get_running_loop().time() + 1
    assert await code_of(one.call(ONE, "never", b"", deadline)) is ErrorCode.REQUEST_TIMED_OUT


@pytest.mark.parametrize("message", [None, "", "not like this: é"])
def test_the_error_of_the_handler_reaches_the_caller(message: str | None) -> None:
    async def refuse(source: NodeId, request: bytes) -> bytes:
        raise KafkaError(ErrorCode.INVALID_PARTITIONS, message)

    @virtual
    async def test() -> None:
        _, one, two = await pair()
        two.serve("refuse", refuse)
        with pytest.raises(KafkaError) as raised:
            await one.call(TWO, "refuse", b"", LATER)
        assert raised.value.code is ErrorCode.INVALID_PARTITIONS
        assert raised.value.message == message

    test()


def test_a_bug_of_the_handler_is_logged_there_and_hidden_here(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(source: NodeId, request: bytes) -> bytes:
        raise ZeroDivisionError("secret")

    @virtual
    async def test() -> None:
        _, one, two = await pair()
        two.serve("fail", fail)
        with pytest.raises(KafkaError) as raised:
            await one.call(TWO, "fail", b"", LATER)
        assert raised.value.code is ErrorCode.UNKNOWN_SERVER_ERROR
        assert raised.value.message == "fail failed on node 2"
        for _ in range(3):
            assert await code_of(one.call(TWO, "unknown", b"", LATER)) is ErrorCode.UNSUPPORTED_VERSION

    test()
    failed, unknown = (record for record in caplog.records if record.levelno >= logging.WARNING)
    assert failed.exc_info is not None
    assert isinstance(failed.exc_info[1], ZeroDivisionError)
    assert (unknown.levelno, vars(unknown)["method"]) == (logging.WARNING, "unknown")


@virtual
async def test_who_is_not_connected_cannot_be_asked() -> None:
    _, one, _ = await pair()
    assert await code_of(one.call(THREE, "echo", b"", LATER)) is ErrorCode.NETWORK_EXCEPTION


@virtual
async def test_a_lost_node_answers_nothing() -> None:
    network, one, two = await pair()
    two.serve("never", never)
    asked = [asyncio.ensure_future(one.call(TWO, "never", b"", LATER)) for _ in range(3)]
    await asyncio.sleep(1)
    network.crash(TWO)
    for call in asked:
        assert await code_of(call) is ErrorCode.NETWORK_EXCEPTION
    two.close()


@virtual
async def test_the_deadline_is_the_loops_time() -> None:
    _, one, two = await pair()
    two.serve("never", never)
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await code_of(one.call(TWO, "never", b"", began + 1.5)) is ErrorCode.REQUEST_TIMED_OUT
    assert loop.time() - began == pytest.approx(1.5)
    two.close()


@virtual
async def test_an_answer_that_comes_too_late_is_dropped() -> None:
    async def late(source: NodeId, request: bytes) -> bytes:
        await asyncio.sleep(2)
        return b"late"

    _, one, two = await pair()
    two.serve("late", late)
    two.serve("echo", echo)
    deadline = asyncio.get_running_loop().time() + 1
    assert await code_of(one.call(TWO, "late", b"", deadline)) is ErrorCode.REQUEST_TIMED_OUT
    await asyncio.sleep(2)
    assert await one.call(TWO, "echo", b"x", LATER) == b"1 said x"


@virtual
async def test_a_caller_that_is_cancelled_waits_no_more() -> None:
    _, one, two = await pair()
    two.serve("never", never)
    for _ in range(CALLS_OUT_MAX + 1):
        call = asyncio.ensure_future(one.call(TWO, "never", b"", LATER))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    two.close()
    await wait_until_idle()


@virtual
async def test_calls_to_one_peer_are_bounded() -> None:
    network, one, two = await pair()
    three = await node(network, THREE)
    two.serve("never", never)
    three.serve("echo", echo)
    await asyncio.sleep(1)
    asked = [asyncio.ensure_future(one.call(TWO, "never", b"", LATER)) for _ in range(CALLS_OUT_MAX)]
    await wait_until_idle()
    with pytest.raises(NotAsked):
        await one.call(TWO, "never", b"", LATER)
    assert await one.call(THREE, "echo", b"x", LATER) == b"1 said x"
    one.close()
    await asyncio.gather(*asked, return_exceptions=True)
    two.close()
    await wait_until_idle()


class HandTransport:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[NodeId, FrameKind, bytes]] = []

    def send(self, node: NodeId, kind: FrameKind, buffers: Sequence[Buffer]) -> bool:
        self.sent.append((node, kind, b"".join(buffers)))
        return True

    def peers(self) -> Sequence[PeerInfo]:
        return []


def call_frame(call_id: int, method: bytes, request: bytes = b"") -> memoryview:
    return memoryview(struct.pack(">QB", call_id, len(method)) + method + request)


@virtual
async def test_an_answer_is_not_sent_over_a_later_connection() -> None:
    ends = asyncio.Event()

    async def wait(source: NodeId, request: bytes) -> bytes:
        await ends.wait()
        return b"done"

    transport = HandTransport()
    calls = PeerCalls(ONE, transport)
    calls.serve("wait", wait)
    calls.on_frame(TWO, FrameKind.CALL, call_frame(1, b"wait"))
    # Before its handler has begun.
    calls.on_peer_down(TWO)
    calls.on_frame(TWO, FrameKind.CALL, call_frame(1, b"wait"))
    await wait_until_idle()
    ends.set()
    await wait_until_idle()
    assert len(transport.sent) == 1


@virtual
async def test_calls_of_one_peer_are_bounded_over_its_connections() -> None:
    transport = HandTransport()
    calls = PeerCalls(ONE, transport)
    calls.serve("never", never)
    for number in range(CALLS_IN_MAX):
        calls.on_frame(TWO, FrameKind.CALL, call_frame(number, b"never"))
    calls.on_peer_down(TWO)
    calls.on_frame(TWO, FrameKind.CALL, call_frame(5000, b"never"))
    await wait_until_idle()
    ((target, kind, answer),) = transport.sent
    assert (target, kind) == (TWO, FrameKind.ANSWER)
    assert answer[:10] == struct.pack(">Qh", 5000, ErrorCode.THROTTLING_QUOTA_EXCEEDED)
    calls.on_frame(THREE, FrameKind.CALL, call_frame(1, b"unknown"))
    await wait_until_idle()
    assert transport.sent[-1][0] == THREE
    calls.close()
    await wait_until_idle()
    calls.on_frame(TWO, FrameKind.CALL, call_frame(6000, b"unknown"))
    await wait_until_idle()
    assert transport.sent[-1][0] == TWO


@virtual
async def test_only_who_was_asked_can_answer() -> None:
    transport = HandTransport()
    calls = PeerCalls(ONE, transport)
    asked = asyncio.ensure_future(calls.call(TWO, "x", b"", LATER))
    await wait_until_idle()
    answer = memoryview(struct.pack(">Qh?", 1, 0, False) + b"mine")
    calls.on_frame(THREE, FrameKind.ANSWER, memoryview(struct.pack(">Qh?", 1, 0, False) + b"not mine"))
    calls.on_frame(TWO, FrameKind.ANSWER, answer)
    calls.on_frame(TWO, FrameKind.ANSWER, answer)
    assert await asked == b"mine"


@virtual
async def test_an_error_code_of_a_later_release_is_an_unknown_error() -> None:
    calls = PeerCalls(ONE, HandTransport())
    asked = asyncio.ensure_future(calls.call(TWO, "x", b"", LATER))
    await wait_until_idle()
    calls.on_frame(TWO, FrameKind.ANSWER, memoryview(struct.pack(">Qh?", 1, 9999, False)))
    assert await code_of(asked) is ErrorCode.UNKNOWN_SERVER_ERROR


@given(st.sampled_from([FrameKind.CALL, FrameKind.ANSWER]), st.binary(max_size=40))
def test_hostile_frames_raise_nothing_else(kind: FrameKind, payload: bytes) -> None:
    @virtual
    async def test() -> None:
        calls = PeerCalls(ONE, HandTransport())
        asked = asyncio.ensure_future(calls.call(TWO, "x", b"", LATER))
        await wait_until_idle()
        for prefix in (b"", bytes(7) + b"\x01"):
            with suppress(MalformedFrame):
                calls.on_frame(TWO, kind, memoryview(prefix + payload))
        await wait_until_idle()
        calls.close()
        await asyncio.gather(asked, return_exceptions=True)

    test()
