"""The interface between HTTP and the node.

Named tuples, because the node imports this at its start, and a dataclass takes ten times as long to create.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from chronik.broker.traffic import TopicTraffic
from chronik.raft.latency import LatencyFigures
from chronik.raft.syncer import SyncerStatistics


class RequestTotals(NamedTuple):
    """Totals of one API since start. Seconds are between a request's arrival and its answer, waiting
    included.
    """

    requests: int
    errors: int
    seconds: float


class ConnectionTotals(NamedTuple):
    """Client connections: open now, and totals since start."""

    open: int
    accepted: int
    refused: int
    closed_idle: int
    # Open now, by listener.
    by_listener: Mapping[str, int]


class PartitionFigures(NamedTuple):
    """One replica on this node."""

    topic: str
    partition: int
    is_leader: bool
    start_offset: int
    end_offset: int
    high_watermark: int
    bytes: int
    # Whether who leads comes first in the assignment.
    is_preferred: bool = True
    # Only of those that this node leads: replicas, in-sync ones, the minimum of in-sync ones for acks=all,
    # and the records that the connected replica furthest behind lacks.
    replicas: int = 1
    in_sync: int = 1
    in_sync_min: int = 1
    lag: int = 0
    # Others hold data, or vote, than those that shall.
    is_reassigning: bool = False

    @property
    def is_under_replicated(self) -> bool:
        return self.in_sync < self.replicas

    @property
    def is_under_min_isr(self) -> bool:
        """acks=all is refused."""
        return self.in_sync < self.in_sync_min

    @property
    def is_at_min_isr(self) -> bool:
        """Of several replicas: a single one is always at its minimum."""
        return self.in_sync == self.in_sync_min < self.replicas


class GroupFigures(NamedTuple):
    """One consumer group that this node coordinates; committed offsets by topic and partition."""

    id: str
    members: int
    offsets: Mapping[tuple[str, int], int]


class MembershipFigures(NamedTuple):
    """The cluster, as this node sees it."""

    # Internal topics included.
    topics: int
    partitions: int
    # Partitions of which this node knows no leader.
    leaderless: int
    brokers: int
    # Those of them that are fenced, or stopping.
    fenced: int
    is_controller: bool
    # Only on the controller, so that the sum over all nodes is the cluster's: partitions by topic, and
    # `host:port` by broker.
    topic_partitions: Mapping[str, int]
    broker_addresses: Mapping[int, str]


class PeerFigures(NamedTuple):
    """Another node, since this one started."""

    node: int
    is_up: bool
    connects: int
    frames_received: int
    bytes_received: int
    frames_sent: int
    bytes_sent: int
    frames_refused: int
    unsent_bytes: int


class ChannelFigures(NamedTuple):
    """Raft's messages of `__meta`, since this node started."""

    bytes_in: int = 0
    bytes_out: int = 0
    # Sent, and received for them.
    requests: int = 0
    responses: int = 0


class MetadataFigures(NamedTuple):
    """`__meta` on this node."""

    # In Kafka's words: leader, follower, candidate, prospective, unattached.
    state: str
    # -1 while no leader is known; -1 while this node has not voted in this epoch.
    leader: int
    vote: int
    epoch: int
    high_watermark: int
    end_offset: int
    applied: int
    # Records a second, lately: appended here as the leader, received from the leader.
    append_rate: float
    fetch_rate: float
    # From an append on the leader to its commit.
    commits: LatencyFigures
    # What passed between this node and the others for it; zeros on a node alone.
    channel: ChannelFigures
    # Its log cannot be used on this node any more.
    has_failed: bool


class RaftFigures(NamedTuple):
    """Consensus on a node of a cluster: all its replicated groups, that of the metadata included."""

    groups: int
    active: int
    led: int
    # Where this node's replica is on other files than the group knows, and must catch up before it votes.
    voteless: int
    elections: int
    leader_changes: int
    handed_over: int
    shrinks: int
    expands: int
    # From an append on a leader to its commit, one of each group at a time; of partitions, and of `__meta`.
    commits: LatencyFigures
    metadata_commits: LatencyFigures
    # Metadata records that the controller has applied and this node has not; None while that is not known.
    metadata_lag: int | None
    peers: Sequence[PeerFigures]
    # Connections to the port for nodes that were none of a node.
    strangers: int


class NodeAbout(NamedTuple):
    """The node's identity."""

    node_id: int
    cluster_id: str
    # By listener name, `host:port` as advertised.
    listeners: Mapping[str, str]
    started_ms: int


class StorageFigures(NamedTuple):
    """Problems of the data directory."""

    # Partitions with records that are damaged or missing.
    damaged_partitions: int = 0
    # Places found since start, by `log.damage.DamageKind`'s values.
    damage: Mapping[str, int] = {}
    # Resources in short supply now, by `disk_trouble.Trouble`'s values, and attempts refused since start.
    short: Mapping[str, bool] = {}
    refused: Mapping[str, int] = {}


class NodeStatistics(NamedTuple):
    """The node at one moment, or some milliseconds."""

    # Of the event loop's thread, lately; from 0 to 1.
    idle_ratio: float
    # By Kafka's API names, such as "Produce".
    requests: Mapping[str, RequestTotals]
    connections: ConnectionTotals
    received_bytes: int
    unsent_bytes: int
    syncs: SyncerStatistics
    traffic: TopicTraffic
    topic_traffic: Mapping[str, TopicTraffic]
    membership: MembershipFigures
    # Replicas on this node; those that should be here and could not be opened.
    partitions: Sequence[PartitionFigures]
    offline_partitions: int
    groups: Sequence[GroupFigures]
    # Partitions of `__consumer_offsets` that this node leads, by Kafka's name of their coordinator's state.
    coordinator_states: Mapping[str, int]
    # None before it is open.
    metadata: MetadataFigures | None
    # None for a node alone.
    raft: RaftFigures | None
    storage: StorageFigures = StorageFigures()


class NodeView(Protocol):
    """The node as HTTP sees it. Called on the node's event loop only."""

    @property
    def is_ready(self) -> bool:
        """True if clients can connect and use it."""
        ...

    @property
    def warnings(self) -> Sequence[str]:
        """Problems that clients do not notice: damaged records, a full disk."""
        ...

    @property
    def reasons(self) -> Sequence[str]:
        """The reasons why it is not ready; empty when it is."""
        ...

    def about(self) -> NodeAbout:
        """May be called before the node is ready."""
        ...

    async def statistics(self) -> NodeStatistics:
        """A snapshot, taken in pieces between which the loop turns. May be called before the node is
        ready.
        """
        ...
