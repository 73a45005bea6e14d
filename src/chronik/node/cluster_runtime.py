"""This node's place in the cluster: transport, consensus, calls and gossip, wired together.

Created by `node.local_broker` for a node that has peers; a node alone has none of it. Every frame of a peer
arrives here and is passed to the part it is for.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from chronik.cluster.gossip import Gossip
from chronik.cluster.image import ClusterImage
from chronik.cluster.leadership import LeadershipTable
from chronik.cluster.liveness import Liveness
from chronik.cluster.metadata.topics import TopicPartitionImage
from chronik.cluster.peer_calls import PeerCalls
from chronik.log.reading import ColdRead, LogSlice
from chronik.node.bootstrap import QuorumBootstrap, knows_founders
from chronik.node.data_directory import Identity
from chronik.node.log_end_recorder import LogEndRecorder
from chronik.node.metadata_partition import METADATA_GROUP
from chronik.node.raft_ticks import RaftTicks
from chronik.node.replication import Replication
from chronik.raft.core.options import RaftOptions
from chronik.raft.core.types import Membership
from chronik.raft.group import GroupId
from chronik.raft.group_setting import GroupSetting
from chronik.raft.host import RaftHost
from chronik.raft.latency import Latency, Timer
from chronik.raft.replicated import ReplicatedGroup
from chronik.raft.state_store import StateStore
from chronik.raft.syncer import Syncer
from chronik.raft.transport import FrameKind, PeerInfo, Transport, TransportListener
from chronik.vocab.errors import KafkaError
from chronik.vocab.ids import NodeId
from chronik.vocab.seams import Clock, Randomness

_log = logging.getLogger(__name__)

# Carries the directories with which the cluster began.
_FOUNDED = "cluster.founded"
# It is answered in one turn of the loop. A peer that is lost receives it in its next handshake.
_FOUNDED_SECONDS_MAX = 10.0


class RunningTransport(Transport, Protocol):
    """A transport with a life."""

    async def start(self, listener: TransportListener) -> None:
        """Listen for the others, and look for them. Raises OSError."""
        ...

    async def close(self) -> None: ...

    def extra_of(self, node: NodeId) -> bytes:
        """Returns the part of the peer's handshake after its identity."""
        ...

    def refusals(self) -> Mapping[NodeId, str]:
        """Returns why nodes are not connected that refused this one, or that it refused."""
        ...


# Takes this node's identity, its cluster, and a function for the content of its handshakes.
MakeTransport = Callable[[PeerInfo, str, Callable[[], bytes]], RunningTransport]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterMember:
    """Cluster membership of this node: voters, state store, transport factory, timings."""

    # All nodes, this one included.
    voters: frozenset[NodeId]
    store: StateStore
    # Nothing on this node's disk shows that it took part in a cluster before.
    is_new: bool
    make_transport: MakeTransport
    ticks: RaftTicks


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRuntimeContext:
    """Dependencies of a cluster runtime."""

    identity: Identity
    syncer: Syncer
    clock: Clock
    randomness: Randomness
    leadership: LeadershipTable
    load_cold: Callable[[ColdRead], Awaitable[LogSlice]]
    lag_ms: Callable[[], int]
    timer: Timer | None


class ClusterRuntime:
    """One per node of a cluster, for its life. Implements `raft.transport.TransportListener`."""

    has_peers = True

    def __init__(self, member: ClusterMember, context: ClusterRuntimeContext) -> None:
        identity, node = context.identity, context.identity.node_id
        self.member = member
        self.bootstrap = QuorumBootstrap(node, identity.directory_id, member.voters, is_new=member.is_new)
        own = PeerInfo(node, identity.directory_id, context.randomness.randrange(1, 1 << 62))
        self.transport = member.make_transport(own, identity.cluster_id, self.bootstrap.said)
        self.host = RaftHost(
            node,
            self.transport,
            tick_ms=member.ticks.tick_ms,
            load_cold=context.load_cold,
            on_lag=self._on_lag,
            metered=METADATA_GROUP,
        )
        self.commits, self.metadata_commits = Latency(context.timer), Latency(context.timer)
        self.calls = PeerCalls(node, self.transport)
        self.gossip = Gossip(self.transport, context.leadership, node)
        self.replication = Replication(self.host, self._group_setting(context))
        self._recorder = LogEndRecorder(self.host, member.store)
        self._node = node
        self._leadership = context.leadership
        # Peers that did not know how the cluster began when they connected; the decision is being sent to
        # them.
        self._newcomers: set[NodeId] = set()
        self._telling: set[asyncio.Task[None]] = set()
        self.calls.serve(_FOUNDED, self._on_founded)
        # True from `shorten_election` until there is a leader.
        self._is_election_shortened = False
        # Notified of peers as well, once the node serves.
        self.liveness: Liveness | None = None

    def _group_setting(self, context: ClusterRuntimeContext) -> GroupSetting:
        ticks = self.member.ticks
        return GroupSetting(
            node=context.identity.node_id,
            directory_id=context.identity.directory_id,
            options=RaftOptions(
                election_ticks=ticks.election, heartbeat_ticks=ticks.heartbeat, is_quiescence_used=True
            ),
            randomness=context.randomness,
            clock=context.clock,
            store=self.member.store,
            syncer=context.syncer,
            host=self.host,
            lag_ms=context.lag_ms,
            commits=self.commits,
            metadata_commits=self.metadata_commits,
        )

    @property
    def peers(self) -> PeerCalls:
        return self.calls

    @property
    def propagation(self) -> Gossip:
        return self.gossip

    def open(self) -> None:
        """The store is open: this node's identity depends on it."""

    def check(self, image: ClusterImage) -> None:
        """The metadata is what a majority has, which the store knows the members of."""

    async def join(self) -> Membership:
        """Connects to the other nodes, and finds the founders of the metadata; waits for them in a new
        cluster.

        Raises OSError when the peers' port cannot be bound.
        """
        known = self.member.store.get(METADATA_GROUP)
        if known is not None:
            self.bootstrap.know(known.markers.base.membership)
        for node in self.member.voters - {self._node}:
            # No node counts as live before it came up.
            self._leadership.on_node_lost(node)
        self.host.start()
        self._recorder.start()
        await self.transport.start(self)
        return await self.bootstrap.membership()

    def shorten_election(self) -> None:
        """The first of the voters campaigns in `__meta` at once, rather than after an election timeout;
        and again whenever another one connects, until there is a leader.
        """
        group = self.host.group(METADATA_GROUP)
        if group is not None and self._node == min(self.member.voters):
            self._is_election_shortened = group.known_leader is None
            group.campaign_soon()

    def forget_unknown(self, partitions: Iterable[TopicPartitionImage]) -> None:
        """Drop terms and markers of the replicas that were deleted while this node was away: `partitions` are
        those of which it has one.
        """
        known = {GroupId(created.topic.topic_id, created.partition) for created in partitions}
        self.replication.forget_others({*known, METADATA_GROUP})

    async def close(self) -> bool:
        """The others see this node go; partitions are closed already. Whether all terms and votes are
        durable.
        """
        self._recorder.stop()
        await self.host.close()
        self.calls.close()
        await self.transport.close()
        try:
            self.member.store.close_cleanly()
        except OSError as error:
            _log.error(
                "could not close raft-state cleanly; the next start recovers it", extra={"error": str(error)}
            )
            return False
        return True

    # The transport's side.

    def on_peer_up(self, peer: PeerInfo) -> None:
        said = self.transport.extra_of(peer.node)
        self.bootstrap.on_peer(peer.node, peer.directory_id, said)
        if not knows_founders(said):
            self._newcomers.add(peer.node)
        self._tell_founders()
        self.gossip.on_peer_up(peer.node)
        self.host.on_peer_up(peer)
        if self._is_election_shortened:
            self.shorten_election()
        if self.liveness is not None:
            self.liveness.on_peer_up(peer.node)

    def on_peer_down(self, node: NodeId) -> None:
        self._newcomers.discard(node)
        self.calls.on_peer_down(node)
        self.gossip.on_peer_down(node)
        self.host.on_peer_down(node)
        if self.liveness is not None:
            self.liveness.on_peer_down(node)

    def on_peer_unheard(self, node: NodeId) -> None:
        self._leadership.on_node_unheard(node)

    def on_peer_heard(self, node: NodeId) -> None:
        self._leadership.on_node_heard(node)

    def on_frame(self, node: NodeId, kind: FrameKind, payload: memoryview) -> None:
        match kind:
            case FrameKind.RAFT:
                self.host.on_frame(node, payload)
            case FrameKind.GOSSIP:
                self.gossip.on_frame(node, payload)
            case FrameKind.CALL | FrameKind.ANSWER:
                self.calls.on_frame(node, kind, payload)

    def on_turn_end(self) -> None:
        self.host.on_turn_end()

    def _tell_founders(self) -> None:
        """To peers that could not know: a handshake may be older than the decision."""
        if not self.bootstrap.is_decided:
            return
        newcomers, self._newcomers = self._newcomers, set()
        for node in sorted(newcomers):
            telling = asyncio.get_running_loop().create_task(self._tell_founders_to(node))
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)

    async def _tell_founders_to(self, node: NodeId) -> None:
        deadline = asyncio.get_running_loop().time() + _FOUNDED_SECONDS_MAX
        try:
            await self.calls.call(node, _FOUNDED, self.bootstrap.said(), deadline)
        except KafkaError as error:
            _log.info(
                "could not send the founding voters to a new node; its next handshake brings them",
                extra={"peer": node, "error": str(error)},
            )

    async def _on_founded(self, node: NodeId, said: bytes) -> bytes:
        self.bootstrap.hear(said)
        self._tell_founders()
        return b""

    def _on_lag(self, group: ReplicatedGroup) -> None:
        self.gossip.on_lagging(group.id.topic_id, group.id.partition, group.lagging())
