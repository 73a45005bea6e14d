"""The partitions of this node: made and removed as the metadata says, found by name or id, kept within their
retention.

Made by the node. `on_metadata` is called with every applied change; that a partition exists is known from the
metadata alone, its directory only follows. A partition whose log cannot be opened is offline: it answers
KAFKA_STORAGE_ERROR and is tried again.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from chronik.broker.partition import Partition
from chronik.cluster.image import ClusterDelta, ClusterImage, TopicImage
from chronik.cluster.leadership import Leader, LeadershipTable
from chronik.log.reading import ColdRead, LogSlice
from chronik.vocab.config.definition import ResourceType
from chronik.vocab.config.topic import TopicConfig
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NO_EPOCH, NO_NODE, NO_TOPIC_ID, NodeId, TopicId, TopicPartition
from chronik.vocab.seams import Clock

_log = logging.getLogger(__name__)


class PartitionFactory(Protocol):
    """Opens or creates one partition's log and group. Owned by the node."""

    def open(self, name: TopicPartition, topic_id: TopicId, config: TopicConfig) -> Partition:
        """Raises OSError when the log cannot be opened."""
        ...

    def reconfigure(self, partition: Partition, config: TopicConfig) -> None: ...

    async def close(self, partition: Partition) -> None:
        """Sync and close the log of a partition that no longer serves."""
        ...

    def delete(self, partition: Partition) -> None:
        """Close and remove the log of a partition that no longer serves."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskUsage:
    """The data directory: path, and bytes of its file system."""

    directory: str
    total_bytes: int
    usable_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaStatistics:
    """What this node holds."""

    partitions: int
    offline: int
    bytes: int


class ReplicaManager:
    """See the module."""

    def __init__(
        self,
        *,
        node_id: NodeId,
        factory: PartitionFactory,
        leadership: LeadershipTable,
        topic_config: Callable[[ClusterImage, str], TopicConfig],
        load_cold: Callable[[ColdRead], Awaitable[LogSlice]],
        disk_usage: Callable[[], DiskUsage],
        clock: Clock,
    ) -> None:
        self._node_id = node_id
        self._factory = factory
        self._leadership = leadership
        self._topic_config = topic_config
        self._load_cold = load_cold
        self._disk_usage = disk_usage
        self._clock = clock
        # Invariant: the same partitions in both, all of topics in `_image` or served by `adopt`.
        self._by_name: dict[tuple[str, int], Partition] = {}
        self._by_id: dict[tuple[TopicId, int], Partition] = {}
        # Partitions that should be here and could not be opened.
        self._offline: dict[tuple[str, int], OSError] = {}
        self._image = ClusterImage()

    # Finding.

    def find(self, topic: str, index: int) -> Partition | None:
        return self._by_name.get((topic, index))

    def leader(self, topic: str, index: int) -> Partition:
        """The partition, if this node has it. Raises KafkaError UNKNOWN_TOPIC_OR_PARTITION and others."""
        partition = self._by_name.get((topic, index))
        if partition is None:
            raise self._absent(self._image.topics.get(topic), index, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        return partition

    def leader_by_id(self, topic_id: bytes, index: int) -> Partition:
        """As `leader`; a topic id nobody knows is UNKNOWN_TOPIC_ID."""
        partition = self._by_id.get((TopicId(topic_id), index))
        if partition is None:
            topic = self._image.topics_by_id.get(TopicId(topic_id))
            raise self._absent(topic, index, ErrorCode.UNKNOWN_TOPIC_ID)
        return partition

    def known_leader(self, topic_id: bytes, topic: str, index: int) -> Leader | None:
        """Who leads a partition, named by its topic's id or, when that is zero, by its name (KIP-951)."""
        if topic_id == NO_TOPIC_ID:
            image = self._image.topics.get(topic)
            if image is None:
                return None
            topic_id = image.topic_id
        return self._leadership.leader(TopicId(topic_id), index)

    def partitions(self) -> list[Partition]:
        return list(self._by_name.values())

    async def load(self, cold: ColdRead) -> LogSlice:
        """Read from the device, in a thread. Raises KafkaError."""
        return await self._load_cold(cold)

    def disk_usage(self) -> DiskUsage:
        return self._disk_usage()

    def statistics(self) -> ReplicaStatistics:
        return ReplicaStatistics(
            partitions=len(self._by_name),
            offline=len(self._offline),
            bytes=sum(partition.log.size for partition in self._by_name.values()),
        )

    def _absent(self, topic: TopicImage | None, index: int, unknown_topic: ErrorCode) -> KafkaError:
        if topic is None:
            return KafkaError(unknown_topic)
        if not 0 <= index < len(topic.partitions):
            return KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        offline = self._offline.get((topic.name, index))
        if offline is not None:
            return KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"the log could not be opened: {offline}")
        return KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER)

    # Following the metadata.

    def adopt(self, partition: Partition) -> None:
        """Take in a partition the node opened itself (`__meta`)."""
        self._add(partition)

    def on_metadata(self, delta: ClusterDelta, image: ClusterImage) -> None:
        """Subscribed to the metadata service."""
        self._image = image
        for topic in delta.topics_deleted:
            self._delete_topic(topic)
        for created in delta.partitions_created:
            if self._node_id in created.image.replicas:
                self._open(created.topic, created.partition)
        for resource in delta.configs_changed:
            if resource.type is ResourceType.TOPIC:
                self._reconfigure(image.topics.get(resource.name))
            elif resource.type is ResourceType.BROKER:
                self._reconfigure_all()

    def retry_offline(self) -> None:
        """Try again to open what could not be opened."""
        for topic_name, index in list(self._offline):
            topic = self._image.topics.get(topic_name)
            if topic is None:
                del self._offline[topic_name, index]
            else:
                self._open(topic, index)

    def _open(self, topic: TopicImage, index: int) -> None:
        name = TopicPartition(topic.name, index)
        try:
            partition = self._factory.open(name, topic.topic_id, self._topic_config(self._image, topic.name))
        except OSError as error:
            if name not in self._offline:
                _log.error("partition is offline", extra={"partition": str(name), "error": str(error)})
            self._offline[name] = error
            # Those who wait for a leader are told at once that there is none.
            self._leadership.announce(topic.topic_id, index, Leader(NO_NODE, NO_EPOCH))
            return
        self._offline.pop(name, None)
        self._add(partition)

    def _add(self, partition: Partition) -> None:
        topic, index = partition.name
        self._by_name[topic, index] = partition
        self._by_id[partition.topic_id, index] = partition
        if partition.group.is_leader:
            self._leadership.announce(
                partition.topic_id, index, Leader(self._node_id, partition.group.leader_epoch)
            )

    def _delete_topic(self, topic: TopicImage) -> None:
        for index in range(len(topic.partitions)):
            self._offline.pop((topic.name, index), None)
            partition = self._by_id.pop((topic.topic_id, index), None)
            if partition is None:
                continue
            if self._by_name.get((topic.name, index)) is partition:
                del self._by_name[topic.name, index]
            partition.close(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
            self._factory.delete(partition)
        self._leadership.forget(topic.topic_id)

    def _reconfigure(self, topic: TopicImage | None) -> None:
        if topic is None:
            return
        config = self._topic_config(self._image, topic.name)
        for index in range(len(topic.partitions)):
            partition = self._by_name.get((topic.name, index))
            if partition is not None:
                self._factory.reconfigure(partition, config)

    def _reconfigure_all(self) -> None:
        for topic in self._image.topics.values():
            self._reconfigure(topic)

    # Upkeep.

    async def keep_up(self, partition: Partition) -> int:
        """Roll by time, then remove segments past retention; how many were removed."""
        if not partition.is_open:
            return 0
        try:
            return await partition.keep_up(self._clock.now_ms())
        except KafkaError as error:
            _log.error("retention failed", extra={"partition": str(partition.name), "error": str(error)})
            return 0

    async def close(self) -> Mapping[str, OSError]:
        """Stop serving and close every log; failures by partition. The shutdown is clean when there is
        none.
        """
        failures: dict[str, OSError] = {}
        for partition in self.partitions():
            partition.close(ErrorCode.NOT_LEADER_OR_FOLLOWER)
            try:
                await self._factory.close(partition)
            except OSError as error:
                failures[str(partition.name)] = error
        self._by_name.clear()
        self._by_id.clear()
        return failures
