"""A node's end of the simulated network as one life of its process has it.

Frames that the process sends travel on without it; arriving frames run in its context, or not at all when it
is dead.
"""

from collections.abc import Mapping, Sequence

from chronik.raft.transport import Buffer, FrameKind, PeerInfo, TransportListener
from chronik.sim.network import SimTransport
from chronik.sim.process import SimProcess, outside
from chronik.vocab.ids import NodeId


class ProcessTransport:
    """Implements `node.cluster_runtime.RunningTransport`."""

    def __init__(self, transport: SimTransport, process: SimProcess) -> None:
        self.own = transport.own
        self._transport = transport
        self._process = process

    async def start(self, listener: TransportListener) -> None:
        with outside():
            await self._transport.start(_Inside(listener, self._process))

    async def close(self) -> None:
        with outside():
            await self._transport.close()

    def send(self, node: NodeId, kind: FrameKind, buffers: Sequence[Buffer]) -> bool:
        if self._process.is_dead:
            return False
        with outside():
            return self._transport.send(node, kind, buffers)

    def peers(self) -> Sequence[PeerInfo]:
        return self._transport.peers()

    def extra_of(self, node: NodeId) -> bytes:
        return self._transport.extra_of(node)

    def refusals(self) -> Mapping[NodeId, str]:
        return self._transport.refusals()


class _Inside:
    """A listener whose code runs in its process's context."""

    def __init__(self, listener: TransportListener, process: SimProcess) -> None:
        self._listener = listener
        self._process = process

    def on_peer_up(self, peer: PeerInfo) -> None:
        if not self._process.is_dead:
            with self._process.inside():
                self._listener.on_peer_up(peer)

    def on_peer_down(self, node: NodeId) -> None:
        if not self._process.is_dead:
            with self._process.inside():
                self._listener.on_peer_down(node)

    def on_peer_unheard(self, node: NodeId) -> None:
        if not self._process.is_dead:
            with self._process.inside():
                self._listener.on_peer_unheard(node)

    def on_peer_heard(self, node: NodeId) -> None:
        if not self._process.is_dead:
            with self._process.inside():
                self._listener.on_peer_heard(node)

    def on_frame(self, node: NodeId, kind: FrameKind, payload: memoryview) -> None:
        if not self._process.is_dead:
            with self._process.inside():
                self._listener.on_frame(node, kind, payload)

    def on_turn_end(self) -> None:
        if not self._process.is_dead:
            with self._process.inside():
                self._listener.on_turn_end()
