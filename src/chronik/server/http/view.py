"""What HTTP knows of the node.

Named tuples, because the node imports this at its start, and a dataclass takes ten times as long to make.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from chronik.broker.traffic import TopicTraffic
from chronik.raft.syncer import SyncerStatistics


class RequestTotals(NamedTuple):
    """One API since start. Seconds are between a request's arrival and its answer, waiting included."""

    requests: int
    errors: int
    seconds: float


class ConnectionTotals(NamedTuple):
    """Client connections: open now, and totals since start."""

    open: int
    accepted: int
    refused: int
    closed_idle: int


class PartitionFigures(NamedTuple):
    """One replica on this node."""

    topic: str
    partition: int
    is_leader: bool
    start_offset: int
    end_offset: int
    high_watermark: int
    bytes: int


class GroupFigures(NamedTuple):
    """One consumer group that this node coordinates; committed offsets by topic and partition."""

    id: str
    members: int
    offsets: Mapping[tuple[str, int], int]


class NodeStatistics(NamedTuple):
    """The node at one moment. Made on the event loop, read in any thread."""

    node_id: int
    cluster_id: str
    # By listener name, `host:port` as advertised.
    listeners: Mapping[str, str]
    started_ms: int
    # By Kafka's API names, such as "Produce".
    requests: Mapping[str, RequestTotals]
    connections: ConnectionTotals
    received_bytes: int
    unsent_bytes: int
    syncs: SyncerStatistics
    traffic: TopicTraffic
    topic_traffic: Mapping[str, TopicTraffic]
    # Topics in the cluster, internal ones included.
    topics: int
    partitions: Sequence[PartitionFigures]
    offline_partitions: int
    groups: Sequence[GroupFigures]


class NodeView(Protocol):
    """The node as HTTP sees it. Called on the node's event loop only."""

    @property
    def is_ready(self) -> bool:
        """Whether clients can connect and use it."""
        ...

    @property
    def reasons(self) -> Sequence[str]:
        """Why it is not ready; empty when it is."""
        ...

    def statistics(self) -> NodeStatistics:
        """A snapshot. May be asked before the node is ready."""
        ...
