"""Reads the node's rooms into one value: for implementations of `NodeView.statistics`."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from chronik.broker.context import Broker
from chronik.broker.dispatch import ApiStatistics
from chronik.broker.partition import Partition
from chronik.broker.traffic import Traffic
from chronik.cluster.metadata.topics import TopicImage
from chronik.raft.syncer import SyncerStatistics
from chronik.server.http.view import (
    ConnectionTotals,
    GroupFigures,
    MembershipFigures,
    MetadataFigures,
    NodeStatistics,
    PartitionFigures,
    RaftFigures,
    RequestTotals,
    StorageFigures,
)
from chronik.server.listener import Listeners
from chronik.vocab.address import host_and_port
from chronik.vocab.errors import KafkaError
from chronik.vocab.ids import NO_NODE
from chronik.wire.apis import ApiKey

if TYPE_CHECKING:
    # Dear to import, and a node without groups does not need it.
    from chronik.broker.groups.group import Group

_Item = TypeVar("_Item")
_Row = TypeVar("_Row")

# Partitions, topics or groups that are read before the loop turns: some milliseconds' worth.
_SLICE = 256


class Sources(NamedTuple):
    """The sources of a node's figures."""

    broker: Broker
    requests: Mapping[ApiKey, ApiStatistics]
    listeners: Listeners
    syncs: SyncerStatistics
    traffic: Traffic
    idle_ratio: float
    metadata: MetadataFigures | None
    raft: RaftFigures | None
    storage: StorageFigures


async def take_statistics(sources: Sources) -> NodeStatistics:
    """Runs on the event loop, and yields after every few hundred partitions: clients wait for some
    milliseconds at most, and the figures are of as many moments.
    """
    broker, connections = sources.broker, sources.listeners.statistics
    return NodeStatistics(
        idle_ratio=sources.idle_ratio,
        requests=_requests(sources.requests),
        connections=ConnectionTotals(
            open=connections.open,
            accepted=connections.accepted,
            refused=connections.refused,
            closed_idle=connections.closed_idle,
            by_listener=dict(sources.listeners.open_by_listener),
        ),
        received_bytes=broker.memory.received_bytes,
        unsent_bytes=broker.memory.unsent_bytes,
        syncs=sources.syncs,
        traffic=sources.traffic.total(),
        topic_traffic=dict(sources.traffic.by_topic()),
        membership=await _membership(broker),
        partitions=await in_slices(broker.replicas.partitions(), _partition),
        offline_partitions=broker.replicas.statistics().offline,
        groups=await in_slices(list(broker.groups.groups()), _group),
        coordinator_states=broker.groups.runtime.states_by_name(),
        metadata=sources.metadata,
        raft=sources.raft,
        storage=sources.storage,
    )


async def in_slices(items: Sequence[_Item], read: Callable[[_Item], _Row]) -> list[_Row]:
    """Items removed in the meantime are read all the same, in their last state."""
    rows: list[_Row] = []
    for start in range(0, len(items), _SLICE):
        rows += map(read, items[start : start + _SLICE])
        await asyncio.sleep(0)
    return rows


async def _membership(broker: Broker) -> MembershipFigures:
    image, leadership = broker.metadata.image, broker.leadership

    def leaderless(topic: TopicImage) -> int:
        leaders = leadership.leaders(topic.topic_id).items()
        led = sum(leader.node != NO_NODE and index < len(topic.partitions) for index, leader in leaders)
        return len(topic.partitions) - led

    topics = {topic.name: len(topic.partitions) for topic in image.topics.values()}
    is_controller = broker.metadata.controller == broker.node_id
    return MembershipFigures(
        topics=len(topics),
        partitions=sum(topics.values()),
        leaderless=sum(await in_slices(list(image.topics.values()), leaderless)),
        brokers=len(image.brokers),
        fenced=len(image.fenced),
        is_controller=is_controller,
        topic_partitions=topics if is_controller else {},
        broker_addresses=_addresses(broker) if is_controller else {},
    )


def _addresses(broker: Broker) -> dict[int, str]:
    """Returns the address of each broker's first listener."""
    return {
        one.node: host_and_port(one.endpoints[0].host, one.endpoints[0].port)
        for one in broker.metadata.image.brokers.values()
        if one.endpoints
    }


def _requests(requests: Mapping[ApiKey, ApiStatistics]) -> dict[str, RequestTotals]:
    named = {
        api_key.name.title().replace("_", ""): RequestTotals(
            requests=totals.requests, errors=totals.errors, seconds=totals.seconds
        )
        for api_key, totals in requests.items()
    }
    if "Fetch" in named:
        # Kafka counts a consumer's fetches under both names, and dashboards use this one.
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
        is_preferred=partition.replicas[0] == partition.group.known_leader,
    )
    if figures.is_leader and (partition.is_replicated or partition.is_reassigning):
        return _with_replicas(figures, partition)
    return figures


def _with_replicas(figures: PartitionFigures, partition: Partition) -> PartitionFigures:
    ends = [replica.end_offset for replica in partition.group.replicas() if replica.end_offset >= 0]
    return figures._replace(
        replicas=len(partition.replicas),
        in_sync=len(partition.in_sync()),
        in_sync_min=partition.in_sync_min,
        is_reassigning=partition.is_reassigning,
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
