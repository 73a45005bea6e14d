"""One connection to another node: its handshake, then frames in and out.

Created by `PeerTransport` when it dials or accepts, called by the event loop, gone when the socket is. It
knows nothing of other connections; its owner decides which peers to accept and which are up.
"""

import asyncio
import logging
import sys
from collections.abc import Iterator, Sequence
from typing import Protocol, cast

from chronik.node.peer_liveness import Liveness
from chronik.node.peer_timings import PeerTimings
from chronik.raft.transport import Buffer, FrameKind, MalformedFrame, PeerInfo
from chronik.server.peers.framing import (
    FRAME_BYTES_MAX,
    HEAD,
    FrameReceiver,
    LinkKind,
    frame,
)
from chronik.server.peers.hello import (
    Hello,
    OtherVersion,
    Refused,
    decode_hello,
    decode_refused,
    encode_hello,
    encode_refused,
)
from chronik.server.peers.network import tune
from chronik.server.peers.secret import SharedSecret, Side
from chronik.vocab.address import host_and_port
from chronik.vocab.ids import NodeId

_log = logging.getLogger(__name__)

# Bytes that one peer has not read. A peer that is this far behind is slower than the producers; Raft sends
# again what it lacks, from the log.
UNSENT_BYTES_MAX = 64 * 1024 * 1024

_BEFORE_HELLO = frozenset({LinkKind.HELLO, LinkKind.REFUSED})
_BEFORE_PROOF = frozenset({LinkKind.PROOF, LinkKind.REFUSED})
_BEFORE_READY = frozenset({LinkKind.READY, LinkKind.REFUSED})
_UP = frozenset({LinkKind.HEARTBEAT, *FrameKind})
_FRAME_KINDS = {int(kind): kind for kind in FrameKind}

_HEARTBEAT = frame(LinkKind.HEARTBEAT)

# Buffers above this are worth a system call of their own rather than a copy.
_COPIED_BYTES_MAX = 32 * 1024


class LinkOwner(Protocol):
    """`PeerTransport`, as its connections see it."""

    def on_made(self, link: "PeerConnection") -> None: ...

    def hello_for(self, target: NodeId) -> Hello: ...

    def judge(self, hello: Hello | OtherVersion, dialled: NodeId | None) -> Refused | None: ...

    @property
    def secret(self) -> SharedSecret | None:
        """The secret that both sides must know."""
        ...

    def wrong_secret(self, link: "PeerConnection") -> Refused:
        """Returns the refusal for a peer that did not prove that it knows the secret."""
        ...

    def on_ready(self, link: "PeerConnection") -> None:
        """The handshake is complete on both sides."""
        ...

    def on_refused(self, link: "PeerConnection", refused: Refused, *, by_peer: bool) -> None: ...

    def on_frame(self, link: "PeerConnection", kind: FrameKind, payload: memoryview) -> None: ...

    def on_broken(self, link: "PeerConnection", reason: str) -> None:
        """The peer sent bytes that are no frame. The connection must be aborted."""
        ...

    def on_lost(self, link: "PeerConnection") -> None: ...


class PeerConnection(asyncio.BufferedProtocol):
    """See the module."""

    def __init__(
        self, owner: LinkOwner, *, dialled: NodeId | None, scratch: memoryview, timings: PeerTimings
    ) -> None:
        self.dialled = dialled
        # The peer's HELLO; set before `on_ready`. Not to be trusted before the connection is up.
        self.hello: Hello | None = None
        # Both HELLOs as they were sent: this node's and the other's.
        self._own_hello = b""
        self._peer_hello = b""
        self.remote_address = "?"
        self.liveness = Liveness(timings.unheard_ticks, timings.silent_ticks_max)
        self.is_up = False
        # Nothing more is taken from it, and nothing given to it.
        self.is_closed = False
        self.close_reason = "the other side closed it"
        # By either side, with a reason.
        self.is_refused = False
        self.bytes_received = 0
        # Done when the socket is gone.
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._owner = owner
        self._receiver = FrameReceiver(scratch, _BEFORE_HELLO)
        self._transport: asyncio.Transport | None = None
        # Collected until `flush`.
        self._out: list[Buffer] = []
        self._out_bytes = 0

    @property
    def peer(self) -> PeerInfo:
        assert self.hello is not None
        return self.hello.peer

    # The event loop's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not inherit from asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        tune(self._transport)
        address = transport.get_extra_info("peername")
        if isinstance(address, tuple):
            self.remote_address = host_and_port(address[0], address[1])
        self._owner.on_made(self)
        if self.dialled is not None and not self.is_closed:
            self._say_hello(self.dialled)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._receiver.space()

    def buffer_updated(self, nbytes: int) -> None:
        self.liveness.has_heard = True
        self.bytes_received += nbytes
        try:
            for kind, payload in self._receiver.received(nbytes):
                if self.is_closed:
                    return
                self._take(kind, payload)
        except MalformedFrame as error:
            self._owner.on_broken(self, str(error))

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None and not self.is_closed:
            self.close_reason = str(exc)
        self.is_closed = True
        self._out.clear()
        if not self.lost.done():
            self.lost.set_result(None)
        self._owner.on_lost(self)

    # The owner's side.

    @property
    def unsent_bytes(self) -> int:
        if self._transport is None or self.is_closed:
            return 0
        return self._out_bytes + self._transport.get_write_buffer_size()

    def queue(self, kind: FrameKind, buffers: Sequence[Buffer], size: int) -> bool:
        """Collect a frame of `size` bytes until `flush`; false when too much waits already.

        A frame is taken when nothing waits, however large it is.
        """
        if size > FRAME_BYTES_MAX:
            # The peer would close the connection for it.
            _log.error(
                "frame to a peer dropped: it exceeds the limit", extra={"peer": self.peer.node, "bytes": size}
            )
            return False
        unsent_bytes = self.unsent_bytes
        if unsent_bytes and unsent_bytes + size > UNSENT_BYTES_MAX:
            return False
        self._out.append(HEAD.pack(size, kind))
        self._out += buffers
        self._out_bytes += HEAD.size + size
        return True

    def heartbeat(self) -> None:
        """Sends a heartbeat, unless other frames wait to be sent, which serve as one."""
        if not self.unsent_bytes:
            self._out.append(_HEARTBEAT)
            self._out_bytes += len(_HEARTBEAT)
            self.flush()

    def flush(self) -> None:
        """Writes the collected frames."""
        out, self._out = self._out, []
        self._out_bytes = 0
        if not out or self.is_closed or self._transport is None:
            return
        self.liveness.has_spoken = True
        if isinstance(self._transport, asyncio.Transport) and sys.version_info < (3, 12):
            for piece in _pieces(out):
                self._transport.write(piece)
        else:
            self._transport.writelines(out)

    def close(self, reason: str) -> None:
        """Takes nothing more from the peer; closes when written data is sent."""
        if not self.is_closed and self._transport is not None:
            self.flush()
            self.is_closed = True
            self.close_reason = reason
            self._transport.close()

    def abort(self, reason: str) -> None:
        """Close at once."""
        if not self.is_closed:
            self.is_closed = True
            self.close_reason = reason
        if self._transport is not None:
            self._transport.abort()

    # Frames in.

    def _take(self, kind: int, payload: memoryview) -> None:
        if self.is_up:
            known = _FRAME_KINDS.get(kind)
            if known is not None:
                self._owner.on_frame(self, known, payload)
        elif kind == LinkKind.HELLO:
            self._peer_hello = bytes(payload)
            self._on_hello(decode_hello(payload))
        elif kind == LinkKind.PROOF:
            if self._is_proved(bytes(payload)):
                self._say_ready()
        elif kind == LinkKind.READY:
            if self._is_proved(bytes(payload)):
                self._be_ready()
        else:
            refused = decode_refused(payload)
            self.is_refused = True
            self._owner.on_refused(self, refused, by_peer=True)
            self.abort("refused by the other side")

    def _on_hello(self, hello: Hello | OtherVersion) -> None:
        refused = self._owner.judge(hello, self.dialled)
        if isinstance(hello, Hello):
            self.hello = hello
        if refused is not None:
            self._owner.on_refused(self, refused, by_peer=False)
            self.refuse(refused)
        elif self.dialled is None:
            assert isinstance(hello, Hello)
            self._say_hello(hello.peer.node)
            if self._owner.secret is not None:
                self._write(frame(LinkKind.PROOF, self._proof(self._owner.secret)))
            self._receiver.kinds = _BEFORE_READY
        elif self._owner.secret is None:
            self._say_ready()
        else:
            self._receiver.kinds = _BEFORE_PROOF

    def _say_ready(self) -> None:
        secret = self._owner.secret
        self._write(frame(LinkKind.READY, b"" if secret is None else self._proof(secret)))
        self._be_ready()

    def _proof(self, secret: SharedSecret) -> bytes:
        side = Side.LISTENER if self.dialled is None else Side.DIALLER
        return secret.prove(side, *self._hellos)

    def _is_proved(self, proof: bytes) -> bool:
        """True if the other side knows the secret, if there is one; else it is refused."""
        secret = self._owner.secret
        side = Side.DIALLER if self.dialled is None else Side.LISTENER
        if secret is None or secret.is_proof(proof, side, *self._hellos):
            return True
        refused = self._owner.wrong_secret(self)
        self._owner.on_refused(self, refused, by_peer=False)
        self.refuse(refused)
        return False

    @property
    def _hellos(self) -> tuple[bytes, bytes]:
        """The dialler's, and the one that answered it."""
        own_first = self.dialled is not None
        return (self._own_hello, self._peer_hello) if own_first else (self._peer_hello, self._own_hello)

    def refuse(self, refused: Refused) -> None:
        """Sends the refusal, and closes."""
        self.is_refused = True
        self._write(frame(LinkKind.REFUSED, encode_refused(refused)))
        self.close(refused.reason)

    def _say_hello(self, target: NodeId) -> None:
        self._own_hello = encode_hello(self._owner.hello_for(target))
        self._write(frame(LinkKind.HELLO, self._own_hello))

    def _be_ready(self) -> None:
        self._receiver.kinds = _UP
        self._receiver.frame_bytes_max = FRAME_BYTES_MAX
        self.is_up = True
        self._owner.on_ready(self)

    def _write(self, data: bytes) -> None:
        assert self._transport is not None
        if not self.is_closed:
            self.liveness.has_spoken = True
            self._transport.write(data)


def _pieces(buffers: Sequence[Buffer]) -> Iterator[Buffer]:
    """Small buffers joined, large ones as they are: before 3.12 asyncio's own `writelines` joins all."""
    small: list[Buffer] = []
    for buffer in buffers:
        if len(buffer) <= _COPIED_BYTES_MAX:
            small.append(buffer)
            continue
        if small:
            yield b"".join(small)
            small = []
        yield buffer
    if small:
        yield b"".join(small)
