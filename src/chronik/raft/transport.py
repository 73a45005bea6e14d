"""The seam to the other nodes: frames to a peer, frames from a peer, and the connected peers.

There is one connection per pair of nodes. It keeps order and loses nothing while it lives; frames in flight
when it breaks are lost. `server.peers` implements it over TCP, the simulator in memory. A peer is up between
`on_peer_up` and `on_peer_down`; silence for an election timeout takes it down as a closed connection does.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple, Protocol

from chronik.vocab.ids import NodeId

Buffer = bytes | bytearray | memoryview


class FrameKind(IntEnum):
    """The receiving service of a frame."""

    # `raft.host`: messages of many groups.
    RAFT = 1
    # `cluster.gossip`: leaderships, lagging replicas, how far `__meta` is applied.
    GOSSIP = 2
    # `cluster.peers`: calls and their answers.
    CALL = 3
    ANSWER = 4


class PeerInfo(NamedTuple):
    """A peer's handshake."""

    node: NodeId
    # Names its data directory: another one is another replica.
    directory_id: str
    # Drawn again at each start of the process: what an earlier one had only in memory may be gone.
    incarnation: int


class Transport(Protocol):
    """One per node, for the node's life."""

    def send(self, node: NodeId, kind: FrameKind, buffers: Sequence[Buffer]) -> bool:
        """Queues one frame, whose payload is `buffers` joined. They must not change any more.

        Returns False, and queues nothing, when the peer is not up, or when its queue is at its bound: calls
        and gossip then fail or are sent again at the next `on_peer_up`, Raft repeats itself.
        """
        ...

    def peers(self) -> Sequence[PeerInfo]:
        """Returns the peers that are up now."""
        ...


class TransportListener(Protocol):
    """Called on the event loop, never from inside `Transport.send`."""

    def on_peer_up(self, peer: PeerInfo) -> None: ...

    def on_peer_down(self, node: NodeId) -> None: ...

    def on_peer_unheard(self, node: NodeId) -> None:
        """A peer that is up has missed two heartbeats: either a message arrives, or it goes down."""
        ...

    def on_peer_heard(self, node: NodeId) -> None:
        """A message of the silent peer arrived. Not called when it goes down."""
        ...

    def on_frame(self, node: NodeId, kind: FrameKind, payload: memoryview) -> None:
        """A whole frame of a peer that is up. `payload` may be kept: its buffer is not used again.

        Raises `MalformedFrame` for what makes no sense; the connection is then closed.
        """
        ...

    def on_turn_end(self) -> None:
        """All frames received in this turn of the loop were given to `on_frame`."""
        ...


class MalformedFrame(ValueError):
    """A peer sent a frame that no release sends. Its connection is closed."""
