"""Gossip between nodes: the partitions they lead, their lagging replicas, and how far they have applied
`__meta`.

Each node sends its own state only, to all connected peers: everything when a connection comes up, then
changes, all changes of a turn of the loop in one frame. After a frame that could not be queued everything is
sent again.
"""

import asyncio
from collections.abc import Iterator, Mapping, Set

from chronik.cluster.gossip_codec import (
    NOT_SERVING,
    Flags,
    GossipFrame,
    LaggingReplicas,
    Leadership,
    decode_gossip,
    encode_gossip,
)
from chronik.cluster.leadership import Lagging, Leader, LeadershipTable, PartitionKey
from chronik.cluster.offset_waiters import OffsetWaiters
from chronik.raft.transport import FrameKind, Transport
from chronik.vocab.ids import NO_NODE, LeaderEpoch, NodeId, Offset, TopicId

# 200 KB of leaderships, which the loop takes in in some milliseconds.
LEADERSHIPS_PER_FRAME_MAX = 8_000

# After a frame that could not be queued, for a peer that is slow or about to be lost.
RETRY_SECONDS = 0.1

_NO_ONE: frozenset[NodeId] = frozenset()
_END_OF_ALL = Offset(2**63 - 1)


class Gossip:
    """One per node, for the node's life. Its transport's listener passes frames and connections to it."""

    def __init__(self, transport: Transport, leadership: LeadershipTable, node: NodeId) -> None:
        self._transport = transport
        self._leadership = leadership
        self._node = node
        # The partitions that this node leads and their lagging replicas, as its partitions reported them.
        self._own: dict[PartitionKey, LeaderEpoch] = {}
        self._own_lagging: dict[PartitionKey, frozenset[NodeId]] = {}
        self._own_applied = NOT_SERVING
        # Not sent yet to the connected peers.
        self._leaderships: dict[PartitionKey, Leadership] = {}
        self._lagging: dict[PartitionKey, LaggingReplicas] = {}
        self._is_flush_due = False
        # Connected peers; of them those that must receive everything, and those that took no frame.
        self._up: set[NodeId] = set()
        self._behind: set[NodeId] = set()
        self._refusing: set[NodeId] = set()
        # Of peers that serve, or served at their last frame.
        self._applied: dict[NodeId, Offset] = {}
        self._waiters = OffsetWaiters()
        # What peers have named so far of all that they lead.
        self._named: dict[NodeId, set[PartitionKey]] = {}
        leadership.subscribe(self._on_leader)
        leadership.subscribe_lagging(self._on_lagging_known)
        leadership.subscribe_forgotten(self._on_forgotten)

    # This node's state.

    def on_lagging(self, topic_id: TopicId, partition: int, nodes: Set[NodeId]) -> None:
        """The replicas that are not in sync in a partition that this node leads, or is about to."""
        key = PartitionKey(topic_id, partition)
        if nodes:
            self._own_lagging[key] = frozenset(nodes)
        else:
            self._own_lagging.pop(key, None)
        self._announce_lagging(key)

    def on_applied(self, offset: Offset) -> None:
        """This node serves, and has applied all of `__meta` below `offset`."""
        if offset != self._own_applied:
            self._own_applied = offset
            self._flush_soon()

    def on_stalled(self) -> None:
        """This node cannot follow `__meta` for now: other nodes must not wait for it, until it reports an
        offset again.
        """
        self.on_applied(NOT_SERVING)

    def _on_leader(self, key: PartitionKey, leader: Leader) -> None:
        """The table changed, by a partition of this node or by gossip."""
        if leader.node == self._node:
            self._own[key] = leader.epoch
            self._leaderships[key] = Leadership(key, leader.epoch, is_led=True)
            self._announce_lagging(key)
            self._flush_soon()
        elif key in self._own:
            self._own_lagging.pop(key, None)
            if self._own.pop(key) == leader.epoch:
                self._leaderships[key] = Leadership(key, leader.epoch, is_led=False)
                self._flush_soon()

    def _announce_lagging(self, key: PartitionKey) -> None:
        epoch = self._own.get(key)
        if epoch is not None:
            nodes = self._own_lagging.get(key, _NO_ONE)
            self._leadership.announce_lagging(*key, Leader(self._node, epoch), nodes)

    def _on_lagging_known(self, key: PartitionKey, leader: Leader, lagging: Lagging) -> None:
        if leader.node == self._node:
            self._lagging[key] = LaggingReplicas(key, lagging.epoch, lagging.nodes)
            self._flush_soon()

    def _on_forgotten(self, topic_id: TopicId) -> None:
        for key in [key for key in self._own if key.topic_id == topic_id]:
            del self._own[key]
        for key in [key for key in self._own_lagging if key.topic_id == topic_id]:
            del self._own_lagging[key]

    # Sending.

    def _flush_soon(self) -> None:
        if not self._up:
            # A peer that comes up receives everything.
            self._leaderships.clear()
            self._lagging.clear()
        elif not self._is_flush_due:
            self._is_flush_due = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flush_due = False
        current = self._up - self._behind - self._refusing
        news = list(self._frames(Flags.NONE, self._leaderships, self._lagging)) if current else []
        self._leaderships, self._lagging = {}, {}
        for node in current:
            self._say(node, news)
        if self._behind:
            everything, behind = list(self._everything()), self._behind
            self._behind = set()
            for node in behind:
                self._say(node, everything)

    def _say(self, node: NodeId, frames: list[bytes]) -> None:
        if all(self._transport.send(node, FrameKind.GOSSIP, [frame]) for frame in frames):
            return
        self._refusing.add(node)
        asyncio.get_running_loop().call_later(RETRY_SECONDS, self._try_again, node)

    def _try_again(self, node: NodeId) -> None:
        if node in self._refusing:
            self._refusing.discard(node)
            self._behind.add(node)
            self._flush_soon()

    def _everything(self) -> Iterator[bytes]:
        leaderships = {key: Leadership(key, epoch, is_led=True) for key, epoch in self._own.items()}
        lagging = {
            key: LaggingReplicas(key, self._own[key], nodes)
            for key, nodes in self._own_lagging.items()
            if key in self._own
        }
        return self._frames(Flags.WHOLE | Flags.BEGIN, leaderships, lagging)

    def _frames(
        self,
        flags: Flags,
        leaderships: Mapping[PartitionKey, Leadership],
        lagging: Mapping[PartitionKey, LaggingReplicas],
    ) -> Iterator[bytes]:
        """Yields one frame, or several if it would be large: lagging replicas are in the last, after all
        leaderships.
        """
        led = list(leaderships.values())
        while len(led) > LEADERSHIPS_PER_FRAME_MAX:
            first, led = led[:LEADERSHIPS_PER_FRAME_MAX], led[LEADERSHIPS_PER_FRAME_MAX:]
            yield encode_gossip(GossipFrame(flags, self._own_applied, first, ()))
            flags &= ~Flags.BEGIN
        if flags & Flags.WHOLE:
            flags |= Flags.END
        yield encode_gossip(GossipFrame(flags, self._own_applied, led, list(lagging.values())))

    # Receiving.

    def on_peer_up(self, node: NodeId) -> None:
        self._up.add(node)
        self._behind.add(node)
        self._named.pop(node, None)
        self._flush_soon()

    def on_peer_down(self, node: NodeId) -> None:
        """Its leaderships are hidden until it is up again and has sent them; waits for it end."""
        self._up.discard(node)
        self._behind.discard(node)
        self._refusing.discard(node)
        self._leadership.on_node_lost(node)
        self._on_progress()

    def on_frame(self, node: NodeId, payload: memoryview) -> None:
        """Raises MalformedFrame."""
        frame = decode_gossip(payload)
        for key, epoch, is_led in frame.leaderships:
            self._leadership.announce(*key, Leader(node if is_led else NO_NODE, epoch))
        for key, epoch, nodes in frame.lagging:
            self._leadership.announce_lagging(*key, Leader(node, epoch), nodes)
        if frame.flags & Flags.WHOLE:
            self._on_whole(node, frame)
        if frame.applied == NOT_SERVING:
            self._applied.pop(node, None)
        else:
            self._applied[node] = frame.applied
        self._on_progress()

    def _on_whole(self, node: NodeId, frame: GossipFrame) -> None:
        """A part of all that a peer leads. After the last part, a partition it did not name is not led by
        it.
        """
        if frame.flags & Flags.BEGIN:
            self._named[node] = set()
        named = self._named.setdefault(node, set())
        named.update(leadership.key for leadership in frame.leaderships)
        if not frame.flags & Flags.END:
            return
        del self._named[node]
        lagging = {lagging.key for lagging in frame.lagging}
        for key, epoch in self._leadership.led_by(node).items():
            if key not in named:
                self._leadership.announce(*key, Leader(NO_NODE, epoch))
            elif key not in lagging:
                self._leadership.announce_lagging(*key, Leader(node, epoch), _NO_ONE)
        self._leadership.on_node_found(node)

    # How far they are.

    @property
    def applied(self) -> Mapping[NodeId, Offset]:
        """How far the connected, serving peers have applied `__meta`, by their last frames."""
        return {node: offset for node, offset in self._applied.items() if node in self._up}

    async def wait_applied(self, offset: Offset, deadline: float) -> bool:
        """True if every connected, serving peer has applied all below `offset` before `deadline`.

        `deadline` is on the loop's clock, in seconds. A peer that is lost in the meantime ends the wait for
        it. Returns without yielding when there is nothing to wait for.
        """
        return self._reached() >= offset or await self._waiters.wait(offset, deadline)

    def _on_progress(self) -> None:
        self._waiters.on_reached(self._reached())

    def _reached(self) -> Offset:
        return min(self.applied.values(), default=_END_OF_ALL)
