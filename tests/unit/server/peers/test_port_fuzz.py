"""The port for nodes, given bytes no node sends: its connection closes, and nothing else happens.

No sockets: connections are made by hand, through the seam of the network, on transports that keep what is
written.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronik.node.peer_timings import PeerTimings
from chronik.raft.transport import FrameKind, MalformedFrame, PeerInfo
from chronik.server.peers.framing import LinkKind, frame
from chronik.server.peers.hello import Refusal, Refused, encode_hello, encode_refused
from chronik.server.peers.network import ProtocolFactory
from chronik.server.peers.transport import PeerTransport
from chronik.vocab.ids import NodeId
from tests.unit.server.peers.raw_peer import HELLO
from tests.unit.server.peers.recorder import Recorder
from tests.unit.server.peers.tcp_stage import ONE, THREE, TWO

HELLO_FRAME = frame(LinkKind.HELLO, encode_hello(HELLO))
READY_FRAME = frame(LinkKind.READY)

well_formed = st.sampled_from(
    [
        HELLO_FRAME,
        READY_FRAME,
        HELLO_FRAME + READY_FRAME,
        frame(LinkKind.HEARTBEAT),
        frame(LinkKind.REFUSED, encode_refused(Refused(Refusal.OTHER_CLUSTER, "why"))),
        frame(FrameKind.RAFT, b"\x01"),
        frame(FrameKind.CALL, bytes(40)),
    ]
)
spoiled = st.builds(
    lambda data, at, value: data[: at % len(data)] + bytes([value]) + data[at % len(data) + 1 :],
    well_formed,
    st.integers(0, 200),
    st.integers(0, 255),
)
chunks = st.lists(st.one_of(well_formed, spoiled, st.binary(min_size=1, max_size=60)), max_size=8)


class FakeTransport:
    """Keeps what is written; reads what it is fed."""

    def __init__(self, protocol: asyncio.BufferedProtocol) -> None:
        self.written = b""
        self.is_closed = False
        self._protocol = protocol
        protocol.connection_made(cast(asyncio.Transport, self))

    def feed(self, data: bytes) -> None:
        while data and not self.is_closed:
            space = cast(memoryview, self._protocol.get_buffer(-1))
            size = min(len(space), len(data))
            space[:size] = data[:size]
            data = data[size:]
            self._protocol.buffer_updated(size)

    def write(self, data: bytes) -> None:
        self.written += data

    def writelines(self, data: list[bytes]) -> None:
        self.write(b"".join(data))

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str) -> Any:
        return ("192.0.2.1", 4000) if name == "peername" else None

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    abort = close


class NoServer:
    """An asyncio.Server as far as it is used."""

    def close(self) -> None:
        pass


class ByHand:
    """A network whose connections a test makes."""

    def __init__(self) -> None:
        self.factory: ProtocolFactory

    async def serve(self, factory: ProtocolFactory, address: object) -> asyncio.Server:
        self.factory = factory
        return cast(asyncio.Server, NoServer())

    async def connect(self, factory: ProtocolFactory, host: str, port: int) -> None:
        raise ConnectionRefusedError

    def knock(self) -> FakeTransport:
        return FakeTransport(cast(asyncio.BufferedProtocol, self.factory()))


class Port:
    """Node 1 with node 3 connected, and the loop's problems."""

    def __init__(self) -> None:
        self.network = ByHand()
        self.told = Recorder()
        self.problems: list[str] = []

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: self.problems.append(str(context)))
        self.transport = PeerTransport(
            own=PeerInfo(ONE, "directory-1", 1),
            cluster_id="cluster",
            address=("", 0),
            others={TWO: ("", 0), THREE: ("", 0)},
            timings=PeerTimings(silence_ms=10_000, heartbeat_ms=100),
            network=self.network,
        )
        self.told.taking = self._take
        await self.transport.start(self.told)
        self.friend = self.network.knock()
        three = HELLO._replace(peer=HELLO.peer._replace(node=THREE, directory_id="directory-3"))
        self.friend.feed(frame(LinkKind.HELLO, encode_hello(three)) + READY_FRAME)

    def _take(self, node: NodeId, kind: FrameKind, payload: memoryview) -> None:
        if kind is FrameKind.RAFT and bytes(payload[:1]) != b"\x01":
            raise MalformedFrame("not messages")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """A line for each of thousands of refusals is not what is looked at here."""
    logging.getLogger("chronik.server.peers").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("chronik.server.peers").setLevel(logging.NOTSET)


def played(play: Callable[[Port], None]) -> Port:
    """After everything that happens of itself has happened."""

    async def run() -> Port:
        port = Port()
        await port.start()
        play(port)
        for _ in range(5):
            await asyncio.sleep(0)
        await port.transport.close()
        return port

    return asyncio.run(run())


@settings(deadline=None)
@given(st.lists(chunks, min_size=1, max_size=4))
def test_whatever_knocks_the_friend_stays(knocks: list[list[bytes]]) -> None:
    def play(port: Port) -> None:
        for parts in knocks:
            stranger = port.network.knock()
            for part in parts:
                stranger.feed(part)
        port.friend.feed(frame(FrameKind.GOSSIP, b"still here"))
        assert THREE in port.told.connected

    port = played(play)
    assert not port.problems
    assert (THREE, FrameKind.GOSSIP, b"still here") in [
        (node, kind, bytes(payload)) for node, kind, payload in port.told.frames
    ]


@settings(deadline=None)
@given(st.binary(min_size=5, max_size=200).filter(lambda data: data[4] not in (16, 17)))
def test_what_begins_otherwise_is_closed_at_once(data: bytes) -> None:
    def play(port: Port) -> None:
        stranger = port.network.knock()
        stranger.feed(data)
        assert stranger.is_closed
        assert not stranger.written
        assert port.told.connected == {THREE}

    assert not played(play).problems


@settings(deadline=None)
@given(chunks)
def test_a_node_that_goes_mad_loses_its_own_connection_at_most(parts: list[bytes]) -> None:
    def play(port: Port) -> None:
        mad = port.network.knock()
        mad.feed(HELLO_FRAME + READY_FRAME)
        assert port.told.connected == {TWO, THREE}
        for part in parts:
            mad.feed(part)
        assert (TWO in port.told.connected) is not mad.is_closed

    assert not played(play).problems
