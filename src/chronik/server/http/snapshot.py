"""The node's rooms read into one value: for whoever implements `NodeView.statistics`."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from chronik.broker.context import Broker
from chronik.broker.dispatch import ApiStatistics
from chronik.broker.partition import Partition
from chronik.broker.traffic import Traffic
from chronik.raft.syncer import SyncerStatistics
from chronik.server.http.view import (
    ConnectionTotals,
    GroupFigures,
    MembershipFigures,
    NodeStatistics,
    PartitionFigures,
    RaftFigures,
    RequestTotals,
)
from chronik.server.listener import ConnectionStatistics
from chronik.vocab.errors import KafkaError
from chronik.vocab.ids import NO_NODE
from chronik.wire.apis import ApiKey

if TYPE_CHECKING:
    # Dear to import, and a node without groups does not need it.
    from chronik.broker.groups.group import Group


def take_statistics(
    *,
    broker: Broker,
    started_ms: int,
    requests: Mapping[ApiKey, ApiStatistics],
    connections: ConnectionStatistics,
    syncs: SyncerStatistics,
    traffic: Traffic,
    groups: "Iterable[Group]",
    raft: RaftFigures | None,
) -> NodeStatistics:
    """On the event loop. Takes some microseconds for each partition, so some milliseconds for thousands."""
    return NodeStatistics(
        node_id=broker.node_id,
        cluster_id=broker.cluster_id,
        listeners={name: f"{endpoint.host}:{endpoint.port}" for name, endpoint in broker.endpoints.items()},
        started_ms=started_ms,
        requests=_requests(requests),
        connections=ConnectionTotals(
            open=connections.open,
            accepted=connections.accepted,
            refused=connections.refused,
            closed_idle=connections.closed_idle,
        ),
        received_bytes=broker.memory.received_bytes,
        unsent_bytes=broker.memory.unsent_bytes,
        syncs=syncs,
        traffic=traffic.total(),
        topic_traffic=dict(traffic.by_topic()),
        membership=_membership(broker),
        partitions=[_partition(partition) for partition in broker.replicas.partitions()],
        offline_partitions=broker.replicas.statistics().offline,
        groups=[_group(group) for group in groups],
        raft=raft,
    )


def _membership(broker: Broker) -> MembershipFigures:
    image, leadership = broker.metadata.image, broker.leadership
    partitions = sum(len(topic.partitions) for topic in image.topics.values())
    led = sum(
        leader.node != NO_NODE and partition < len(topic.partitions)
        for topic in image.topics.values()
        for partition, leader in leadership.leaders(topic.topic_id).items()
    )
    return MembershipFigures(
        topics=len(image.topics),
        partitions=partitions,
        leaderless=partitions - led,
        brokers=len(image.brokers),
        fenced=len(image.fenced),
        is_controller=broker.metadata.controller == broker.node_id,
    )


def _requests(requests: Mapping[ApiKey, ApiStatistics]) -> dict[str, RequestTotals]:
    named = {
        api_key.name.title().replace("_", ""): RequestTotals(
            requests=totals.requests, errors=totals.errors, seconds=totals.seconds
        )
        for api_key, totals in requests.items()
    }
    if "Fetch" in named:
        # Kafka counts a consumer's fetches under both names, and dashboards ask for this one.
        named["FetchConsumer"] = named["Fetch"]
    return named


def _partition(partition: Partition) -> PartitionFigures:
    figures = PartitionFigures(
        topic=partition.name.topic,
        partition=partition.name.partition,
        is_leader=partition.group.is_leader,
        start_offset=partition.log.start_offset,
        end_offset=partition.log.end_offset,
        high_watermark=partition.high_watermark,
        bytes=_size(partition),
    )
    return _with_replicas(figures, partition) if figures.is_leader and partition.is_replicated else figures


def _with_replicas(figures: PartitionFigures, partition: Partition) -> PartitionFigures:
    ends = [replica.end_offset for replica in partition.group.replicas() if replica.end_offset >= 0]
    return figures._replace(
        replicas=len(partition.replicas),
        in_sync=len(partition.in_sync()),
        in_sync_min=min(partition.config.min_insync_replicas, len(partition.replicas)),
        lag=max(0, figures.end_offset - min(ends, default=figures.end_offset)),
    )


def _size(partition: Partition) -> int:
    """0 for a log that cannot be read: a failing disk must not take the metrics away that show it."""
    try:
        return partition.size()
    except KafkaError:
        return 0


def _group(group: "Group") -> GroupFigures:
    return GroupFigures(
        id=group.group_id,
        members=len(group.members),
        offsets={
            (partition.topic, partition.partition): committed.offset for partition, committed in group.offsets
        },
    )
