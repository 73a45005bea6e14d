"""The cluster as seen by a client of one listener.

Brokers with their addresses, partitions with leaders.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from chronik.cluster.image import ClusterImage
from chronik.cluster.leadership import LeadershipTable
from chronik.cluster.metadata.brokers import BrokerEndpoint
from chronik.cluster.metadata.topics import TopicImage
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import NO_EPOCH, NO_NODE, LeaderEpoch, NodeId


class BrokerView(NamedTuple):
    """A broker as one listener's clients reach it."""

    node: NodeId
    host: str
    port: int
    rack: str | None


class PartitionView(NamedTuple):
    """A partition and its leader.

    `error` is LEADER_NOT_AVAILABLE or LISTENER_NOT_FOUND when no leader can be named.
    """

    partition: int
    error: ErrorCode
    leader: NodeId
    leader_epoch: LeaderEpoch
    replicas: list[int]
    in_sync: list[int]
    offline: list[int]


BrokerViews = Mapping[NodeId, BrokerView]


def broker_views(image: ClusterImage, listener: str) -> BrokerViews:
    """The brokers that serve, and advertise an endpoint under the name of `listener`."""
    found: dict[NodeId, BrokerView] = {}
    for node, broker in image.brokers.items():
        if node in image.fenced:
            continue
        endpoint = _endpoint(broker.endpoints, listener)
        if endpoint is not None:
            found[node] = BrokerView(node, endpoint.host, endpoint.port, broker.rack)
    return found


def partition_views(
    topic: TopicImage, leadership: LeadershipTable, brokers: BrokerViews, *, first: int = 0
) -> Iterator[PartitionView]:
    """Yields the partitions of a topic in order, beginning with `first`.

    Lists may be shared and are read-only.
    """
    leaders, lost = leadership.leaders(topic.topic_id), leadership.lost
    for partition in range(first, len(topic.partitions)):
        replicas = topic.partitions[partition].nodes
        leader = leaders.get(partition)
        error, node, epoch = ErrorCode.NONE, NO_NODE, NO_EPOCH
        if leader is None or leader.node == NO_NODE:
            error = ErrorCode.LEADER_NOT_AVAILABLE
        elif leader.node not in brokers:
            error = ErrorCode.LISTENER_NOT_FOUND
        else:
            node, epoch = leader
        following = leadership.in_sync(topic.topic_id, partition, replicas)
        in_sync: list[int] = [replica for replica in following if replica in brokers]
        offline: list[int] = [node for node in replicas if node not in brokers or node in lost]
        yield PartitionView(partition, error, node, epoch, list(replicas), in_sync, offline)


def _endpoint(endpoints: tuple[BrokerEndpoint, ...], listener: str) -> BrokerEndpoint | None:
    return next((endpoint for endpoint in endpoints if endpoint.listener == listener), None)
