"""The other end of a connection, byte by byte: a node that does what no node does."""

import asyncio
from contextlib import suppress
from typing import Self

from chronik.raft.transport import PeerInfo
from chronik.server.peers.framing import HEAD, LinkKind, frame
from chronik.server.peers.hello import Hello, Refused, decode_hello, decode_refused, encode_hello
from chronik.vocab.ids import NodeId
from tests.unit.server.peers.tcp_stage import ONE, TWO

HELLO = Hello("cluster", PeerInfo(TWO, "directory-2", 1), ONE, b"")


class RawPeer:
    """Dials; by default it is node 2 and dials node 1."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, address: tuple[str, int]) -> Self:
        return cls(*await asyncio.open_connection(*address))

    @classmethod
    async def join(cls, address: tuple[str, int], hello: Hello = HELLO) -> Self:
        """Connect and go through the handshake."""
        peer = await cls.connect(address)
        peer.say_hello(hello)
        kind, payload = await peer.hear()
        assert kind == LinkKind.HELLO, bytes(payload)
        assert isinstance(decode_hello(payload), Hello)
        peer.say(LinkKind.READY)
        return peer

    def say(self, kind: int, payload: bytes = b"") -> None:
        self.writer.write(frame(kind, payload))

    def say_hello(self, hello: Hello) -> None:
        self.say(LinkKind.HELLO, encode_hello(hello))

    async def hear(self) -> tuple[int, memoryview]:
        """The next frame. Raises asyncio.IncompleteReadError when there is none any more."""
        length, kind = HEAD.unpack(await self.reader.readexactly(HEAD.size))
        return kind, memoryview(await self.reader.readexactly(length))

    async def refusal(self) -> Refused:
        """What it is refused with; the connection is closed then."""
        kind, payload = await self.hear()
        assert kind == LinkKind.REFUSED
        assert await self.reader.read() == b""
        return decode_refused(payload)

    async def is_closed(self) -> bool:
        """Waits for it; everything that still comes is dropped."""
        with suppress(ConnectionResetError):
            await self.reader.read()
        self.close()
        return True

    def close(self) -> None:
        self.writer.close()


def hello_of(node: int, **changes: object) -> Hello:
    """As node 2's, with another id, and fields of Hello or PeerInfo replaced."""
    peer = {key: changes.pop(key) for key in list(changes) if key in PeerInfo._fields}
    return HELLO._replace(peer=HELLO.peer._replace(node=NodeId(node), **peer), **changes)  # type: ignore[arg-type]
