"""What ties the groups of a node to its cluster: the topic they live in, who leads it, and which topics are
deleted.
"""

import asyncio
from typing import Final

from chronik.broker.groups.config import GroupConfig, IntSettings
from chronik.broker.groups.log import CoordinatorLog
from chronik.broker.groups.service import GroupService
from chronik.cluster.image import ClusterDelta, ClusterImage
from chronik.cluster.internal_topics import internal_topic
from chronik.cluster.leadership import Leader, LeadershipTable, PartitionKey
from chronik.cluster.metadata_service import MetadataService
from chronik.cluster.topic_creation import ensure_topic
from chronik.vocab.ids import CONSUMER_OFFSETS_TOPIC, NodeId, TopicId
from chronik.vocab.invariant import InvariantViolation
from chronik.vocab.seams import Clock, Randomness

# The creation of fifty partitions and their election, several times over; clients wait longer for
# FindCoordinator.
_CREATE_SECONDS: Final = 10.0


def make_group_service(
    *,
    node_id: NodeId,
    metadata: MetadataService,
    leadership: LeadershipTable,
    log: CoordinatorLog,
    settings: IntSettings,
    clock: Clock,
    randomness: Randomness,
) -> GroupService:
    """The node's groups, following `metadata` and `leadership` from now on. Call on the running loop.

    Partitions that this node leads already are taken over at once, so the metadata must have been replayed.
    """

    async def ensure_offsets_topic() -> int:
        command = internal_topic(CONSUMER_OFFSETS_TOPIC, settings)
        if command is None:
            raise InvariantViolation(f"{CONSUMER_OFFSETS_TOPIC} is not an internal topic")
        deadline = asyncio.get_running_loop().time() + _CREATE_SECONDS
        topic = await ensure_topic(metadata, leadership, command, deadline)
        return len(topic.partitions)

    service = GroupService(
        log=log,
        ensure_topic=ensure_offsets_topic,
        clock=clock,
        randomness=randomness,
        config=GroupConfig.from_settings(settings),
    )
    _Follower(service, node_id, metadata, leadership).start()
    return service


class _Follower:
    """Lives as long as the node."""

    def __init__(
        self, service: GroupService, node_id: NodeId, metadata: MetadataService, leadership: LeadershipTable
    ) -> None:
        self._service = service
        self._node_id = node_id
        self._metadata = metadata
        self._leadership = leadership

    def start(self) -> None:
        self._metadata.subscribe(self.on_metadata)
        self._leadership.subscribe(self.on_leader)
        topic_id = self._topic_id(self._metadata.image)
        if topic_id is not None:
            for partition, leader in self._leadership.leaders(topic_id).items():
                self.on_leader(PartitionKey(topic_id, partition), leader)

    def on_leader(self, key: PartitionKey, leader: Leader) -> None:
        if key.topic_id != self._topic_id(self._metadata.image):
            return
        if leader.node == self._node_id:
            self._service.on_leader(key.partition, leader.epoch)
        else:
            self._service.on_follower(key.partition)

    def on_metadata(self, delta: ClusterDelta, image: ClusterImage) -> None:
        deleted = {topic.name for topic in delta.topics_deleted}
        if CONSUMER_OFFSETS_TOPIC in deleted:
            self._service.on_topic_lost()
        self._service.on_topics_deleted(deleted)

    def _topic_id(self, image: ClusterImage) -> TopicId | None:
        topic = image.topics.get(CONSUMER_OFFSETS_TOPIC)
        return topic.topic_id if topic is not None else None
