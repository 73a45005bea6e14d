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
    NodeStatistics,
    PartitionFigures,
    RequestTotals,
)
from chronik.server.listener import ConnectionStatistics
from chronik.vocab.errors import KafkaError
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
        topics=len(broker.metadata.image.topics),
        partitions=[_partition(partition) for partition in broker.replicas.partitions()],
        offline_partitions=broker.replicas.statistics().offline,
        groups=[_group(group) for group in groups],
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
    return PartitionFigures(
        topic=partition.name.topic,
        partition=partition.name.partition,
        is_leader=partition.group.is_leader,
        start_offset=partition.log.start_offset,
        end_offset=partition.log.end_offset,
        high_watermark=partition.high_watermark,
        bytes=_size(partition),
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
