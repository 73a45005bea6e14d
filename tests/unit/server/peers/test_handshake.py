"""Admission of peers, refusals, and what both sides learn of them."""

import asyncio
import logging
import struct
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from chronik.node.peer_timings import PeerTimings
from chronik.raft.transport import FrameKind
from chronik.server.peers.framing import HANDSHAKE_FRAME_BYTES_MAX, HEAD, LinkKind
from chronik.server.peers.hello import (
    Hello,
    Refusal,
    Refused,
    decode_hello,
    encode_hello,
    encode_refused,
)
from chronik.server.peers.transport import HANDSHAKES_MAX
from chronik.vocab.ids import NodeId
from tests.unit.server.peers.raw_peer import HELLO, RawPeer, hello_of
from tests.unit.server.peers.tcp_stage import ONE, PATIENT, THREE, TWO, TcpStage

Test = Callable[[TcpStage], Coroutine[Any, Any, None]]


@pytest.fixture
def run() -> Callable[[Test], None]:
    async def stage(test: Test) -> None:
        async with TcpStage() as made:
            await test(made)

    return lambda test: asyncio.run(stage(test))


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_another_cluster_is_told_to_both(
    run: Callable[[Test], None], caplog: pytest.LogCaptureFixture
) -> None:
    async def test(stage: TcpStage) -> None:
        one, told_one = await stage.start(ONE, cluster_id="here")
        _, told_two = await stage.start(TWO, cluster_id="there")
        _, told_three = await stage.start(THREE, cluster_id="here")
        await told_one.until_connected(THREE)
        await until(lambda: len(errors(caplog)) >= 4)
        assert not one.send(TWO, FrameKind.RAFT, [b"x"])
        assert not told_two.events
        assert TWO not in told_three.connected

    run(test)
    lines = errors(caplog)
    # Two pairs, each side once.
    assert len(lines) == 4
    assert sum("this node refuses" in line for line in lines) == 2
    for line in lines:
        assert "cluster here" in line
        assert "cluster there" in line
        assert "correct controller.quorum.voters or cluster.id" in line


async def until(condition: Callable[[], bool]) -> None:
    """For what no listener is told of."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    ("hello", "refusal", "words"),
    [
        (HELLO._replace(cluster_id="other"), Refusal.OTHER_CLUSTER, "node 2 to cluster other"),
        (hello_of(1), Refusal.SAME_NODE, "two nodes have node.id 1"),
        (HELLO._replace(target=THREE), Refusal.OTHER_NODE, "node 1 answers at the address of node 3"),
        (hello_of(7), Refusal.UNKNOWN_NODE, "does not expect node 7"),
    ],
)
def test_who_does_not_belong_here_is_told_why(
    run: Callable[[Test], None],
    caplog: pytest.LogCaptureFixture,
    hello: Hello,
    refusal: Refusal,
    words: str,
) -> None:
    async def test(stage: TcpStage) -> None:
        transport, told = await stage.start(ONE)
        for _ in range(5):
            peer = await RawPeer.connect(stage.addresses[ONE])
            peer.say_hello(hello)
            refused = await peer.refusal()
            assert refused.refusal is refusal
            assert words in refused.reason
            peer.close()
        assert not told.events
        assert not transport.peers()

    run(test)
    (line,) = errors(caplog)
    assert words in line


def test_a_lower_node_does_not_dial(run: Callable[[Test], None]) -> None:
    async def test(stage: TcpStage) -> None:
        await stage.start(TWO)
        peer = await RawPeer.connect(stage.addresses[TWO])
        peer.say_hello(hello_of(1, target=TWO))
        assert (await peer.refusal()).refusal is Refusal.UNKNOWN_NODE
        peer.close()

    run(test)


def test_another_version_is_refused_whatever_it_says(run: Callable[[Test], None]) -> None:
    async def test(stage: TcpStage) -> None:
        await stage.start(ONE)
        peer = await RawPeer.connect(stage.addresses[ONE])
        peer.say(LinkKind.HELLO, encode_hello(HELLO)[:8] + b"\x00\x09" + b"what that version says")
        refused = await peer.refusal()
        assert refused.refusal is Refusal.OTHER_VERSION
        assert "version 2" in refused.reason
        assert "other one 9: upgrade" in refused.reason
        peer.close()

    run(test)


def test_an_id_in_use_is_refused_until_it_is_free(run: Callable[[Test], None]) -> None:
    other = hello_of(2, directory_id="a copy, or a mistake")

    async def test(stage: TcpStage) -> None:
        _, told = await stage.start(ONE)
        first = await RawPeer.join(stage.addresses[ONE])
        await told.until_connected(TWO)
        second = await RawPeer.connect(stage.addresses[ONE])
        second.say_hello(other)
        refused = await second.refusal()
        assert refused.refusal is Refusal.ID_IN_USE
        assert "stop one of the two" in refused.reason
        second.close()
        assert told.connected == {TWO}
        first.close()
        await told.until_connected()
        third = await RawPeer.join(stage.addresses[ONE], other)
        await told.until_connected(TWO)
        assert told.ups[-1].directory_id == "a copy, or a mistake"
        third.close()

    run(test)


def test_of_two_that_knock_at_once_the_second_to_be_ready_is_refused(run: Callable[[Test], None]) -> None:
    async def test(stage: TcpStage) -> None:
        _, told = await stage.start(ONE)
        first, second = [await RawPeer.connect(stage.addresses[ONE]) for _ in range(2)]
        first.say_hello(HELLO)
        second.say_hello(hello_of(2, directory_id="another"))
        assert [(await peer.hear())[0] for peer in (first, second)] == [LinkKind.HELLO] * 2
        first.say(LinkKind.READY)
        await told.until_connected(TWO)
        second.say(LinkKind.READY)
        assert (await second.refusal()).refusal is Refusal.ID_IN_USE
        assert told.connected == {TWO}
        first.close()
        second.close()

    run(test)


def test_a_node_that_comes_again_takes_the_place_of_its_old_connection(run: Callable[[Test], None]) -> None:
    """Its end of the old one is gone, which this node has not noticed: a half-open connection."""

    async def test(stage: TcpStage) -> None:
        transport, told = await stage.start(ONE)
        old = await RawPeer.join(stage.addresses[ONE])
        await told.until_connected(TWO)
        new = await RawPeer.join(stage.addresses[ONE], hello_of(2, incarnation=2, extra=b"new"))
        await told.until(lambda told: len(told.ups) == 2)
        assert told.events == ["up 2", "down 2", "up 2"]
        assert await old.is_closed()
        assert transport.send(TWO, FrameKind.RAFT, [b"to the new"])
        kind, payload = await new.hear()
        assert kind == FrameKind.RAFT
        assert bytes(payload) == b"to the new"
        assert transport.extra_of(TWO) == b"new"
        assert told.connected == {TWO}
        new.close()

    run(test)


def test_a_frame_right_behind_the_handshake_is_taken(run: Callable[[Test], None]) -> None:
    async def test(stage: TcpStage) -> None:
        _, told = await stage.start(ONE)
        peer = await RawPeer.connect(stage.addresses[ONE])
        peer.say_hello(HELLO)
        await peer.hear()
        large = bytes(HANDSHAKE_FRAME_BYTES_MAX + 1)
        both = HEAD.pack(0, LinkKind.READY) + HEAD.pack(len(large), FrameKind.RAFT) + large
        peer.writer.write(both)
        await told.until(lambda told: told.payloads == [large])
        peer.close()

    run(test)


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        # ApiVersions of a Kafka client that took the wrong port.
        b"\x00\x00\x00\x11\x00\x12\x00\x03\x00\x00\x00\x01\x00\x07librdkafka\x00",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        HEAD.pack(4, LinkKind.HELLO) + b"spam",
        HEAD.pack(100, LinkKind.HELLO) + b"CHRONIK\x00\x00\x02" + b"\xff" * 90,
        HEAD.pack(HANDSHAKE_FRAME_BYTES_MAX + 1, LinkKind.HELLO),
        HEAD.pack(0, LinkKind.READY),
        HEAD.pack(0, LinkKind.REFUSED),
        HEAD.pack(0, LinkKind.HEARTBEAT),
        HEAD.pack(1, FrameKind.RAFT) + b"\x01",
    ],
)
def test_garbage_closes_its_connection_and_nothing_else(
    run: Callable[[Test], None], caplog: pytest.LogCaptureFixture, garbage: bytes
) -> None:
    async def test(stage: TcpStage) -> None:
        transport, told = await stage.start(ONE)
        friend = await RawPeer.join(stage.addresses[ONE])
        await told.until_connected(TWO)
        for _ in range(5):
            peer = await RawPeer.connect(stage.addresses[ONE])
            peer.writer.write(garbage)
            assert await peer.is_closed()
        await until(lambda: transport.statistics().strangers == 5)
        friend.say(FrameKind.RAFT, b"still here")
        await told.until(lambda told: told.payloads == [b"still here"])
        assert told.connected == {TWO}
        friend.close()

    run(test)
    assert len(errors(caplog)) == 1


def test_frames_of_a_node_before_its_handshake_is_over_are_garbage(run: Callable[[Test], None]) -> None:
    async def test(stage: TcpStage) -> None:
        _, told = await stage.start(ONE)
        peer = await RawPeer.connect(stage.addresses[ONE])
        peer.say_hello(HELLO)
        await peer.hear()
        peer.say(FrameKind.RAFT, b"\x01")
        assert await peer.is_closed()
        assert not told.events

    run(test)


@pytest.mark.parametrize(
    "words", [(), (HEAD.pack(50, LinkKind.HELLO) + b"CHRONIK",), (HEAD.pack(3, LinkKind.HELLO)[:3],)]
)
def test_a_handshake_that_does_not_end_is_ended(words: tuple[bytes, ...]) -> None:
    timings = PeerTimings(silence_ms=10_000, heartbeat_ms=20, handshake_ms=30)

    async def test() -> None:
        async with TcpStage(timings) as stage:
            _, told = await stage.start(ONE)
            peer = await RawPeer.connect(stage.addresses[ONE])
            for word in words:
                peer.writer.write(word)
            assert await peer.is_closed()
            shaken = await RawPeer.connect(stage.addresses[ONE])
            shaken.say_hello(HELLO)
            assert await shaken.is_closed(), "never ready"
            assert not told.events

    asyncio.run(test())


def test_so_many_may_knock_at_once(run: Callable[[Test], None]) -> None:
    async def test(stage: TcpStage) -> None:
        _, told = await stage.start(ONE)
        idle = [await RawPeer.connect(stage.addresses[ONE]) for _ in range(HANDSHAKES_MAX + 3)]
        assert all([await peer.is_closed() for peer in idle[:3]]), "the oldest made room"
        node = await RawPeer.join(stage.addresses[ONE])
        await told.until_connected(TWO)
        for peer in [*idle[3:], node]:
            peer.close()

    run(test)


class Impostor:
    """Listens where node 1 should, and answers every connection with the same frame."""

    def __init__(self, kind: int, payload: bytes) -> None:
        self._answer = HEAD.pack(len(payload), kind) + payload
        self.heard: list[Hello] = []
        self.said_after: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length, _ = HEAD.unpack(await reader.readexactly(HEAD.size))
        hello = decode_hello(memoryview(await reader.readexactly(length)))
        assert isinstance(hello, Hello)
        self.heard.append(hello)
        writer.write(self._answer)
        self.said_after.append(await reader.read())
        writer.close()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (hello_of(3, target=TWO), "node 3 answers at the address of node 1"),
        (hello_of(2, target=TWO), "two nodes have node.id 2"),
        (hello_of(1, target=TWO, cluster_id="x"), "node 1 to cluster x"),
    ],
)
def test_who_dialled_refuses_too(caplog: pytest.LogCaptureFixture, answer: Hello, words: str) -> None:
    async def test() -> None:
        impostor = Impostor(LinkKind.HELLO, encode_hello(answer))
        async with await asyncio.start_server(impostor.serve, "127.0.0.1", 0) as server:
            others = {ONE: server.sockets[0].getsockname()}
            async with TcpStage() as stage:
                _, told = await stage.start(TWO, others={**others, THREE: ("127.0.0.1", 9)})
                await until(lambda: bool(impostor.said_after))
                assert not told.events
                assert impostor.heard[0].target == ONE
                assert impostor.said_after[0][4] == LinkKind.REFUSED
                assert words.encode() in impostor.said_after[0]

    asyncio.run(test())
    assert [words in line for line in errors(caplog)] == [True]


def test_who_is_refused_says_so_once_and_dials_less_often(caplog: pytest.LogCaptureFixture) -> None:
    refused = Refused(Refusal.OTHER_CLUSTER, "go away\x1b[31m and do this")

    async def test() -> None:
        impostor = Impostor(LinkKind.REFUSED, encode_refused(refused))
        async with await asyncio.start_server(impostor.serve, "127.0.0.1", 0) as server:
            others = {ONE: server.sockets[0].getsockname()}
            async with TcpStage() as stage:
                await stage.start(TWO, others=others)
                began = asyncio.get_running_loop().time()
                await until(lambda: len(impostor.heard) == 3)
                passed = asyncio.get_running_loop().time() - began
                assert passed > 2 * 10 * 0.75 * PATIENT.redial_ms / 1000

    asyncio.run(test())
    assert errors(caplog) == ["peer connection refused: the other node refuses: go away [31m and do this"]


def test_a_peer_that_is_away_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    dials = 0

    class Nobody:
        """A network without nodes."""

        async def serve(self, factory: object, address: object) -> asyncio.Server:
            return await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)

        async def connect(self, factory: object, host: str, port: int) -> None:
            nonlocal dials
            dials += 1
            raise ConnectionRefusedError("nobody listens")

    async def test() -> None:
        async with TcpStage() as stage:
            transport, _ = await stage.start(
                TWO, network=Nobody(), address=("here", 5002), others={ONE: ("there", 5001)}
            )
            await until(lambda: dials >= 5)
            assert not transport.peers()

    asyncio.run(test())
    lines = [record for record in caplog.records if record.name.startswith("chronik")]
    assert [record.getMessage() for record in lines] == ["could not reach node 1; it is tried again"]
    assert vars(lines[0])["address"] == "there:5001"
    assert vars(lines[0])["reason"] == "nobody listens"


def test_strange_node_ids_are_no_reason_to_fail(run: Callable[[Test], None]) -> None:
    async def test(stage: TcpStage) -> None:
        await stage.start(ONE)
        for node in (-1, -(1 << 31), (1 << 31) - 1):
            peer = await RawPeer.connect(stage.addresses[ONE])
            hello = encode_hello(HELLO._replace(peer=HELLO.peer._replace(node=NodeId(0))))
            at = hello.index(struct.pack(">ii", 0, ONE))
            peer.say(LinkKind.HELLO, hello[:at] + struct.pack(">i", node) + hello[at + 4 :])
            assert (await peer.refusal()).refusal is Refusal.UNKNOWN_NODE
            peer.close()

    run(test)
