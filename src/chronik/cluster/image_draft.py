"""How the next image is made.

A draft copies a mapping when it first writes to it and is thrown away at the end.
"""

from collections.abc import Iterable
from typing import assert_never

from chronik.cluster.image import (
    ClusterDelta,
    ClusterImage,
    NodeLoad,
    PartitionImage,
    ProducerIdBlock,
    TopicImage,
    TopicPartitionImage,
    collision_key,
)
from chronik.cluster.records import (
    BrokerFenced,
    BrokerRegistered,
    ConfigChanged,
    ConfigResource,
    EpochFloorRaised,
    MetadataRecord,
    PartitionCreated,
    ProducerIdsAllocated,
    TopicCreated,
    TopicDeleted,
    topic_resource,
)
from chronik.vocab.config.definition import ResourceType
from chronik.vocab.ids import NodeId, TopicId
from chronik.vocab.invariant import InvariantViolation, invariant


def apply_records(
    image: ClusterImage, records: Iterable[MetadataRecord]
) -> tuple[ClusterImage, ClusterDelta]:
    """The image after `records`, and what they changed.

    Costs time for the records, and hardly any for what is in the image already. Raises InvariantViolation for
    records that do not fit the image: the controller never makes such, so the log is damaged or was applied
    wrongly.
    """
    draft = ImageDraft(image)
    for record in records:
        draft.apply(record)
    return draft.finish()


class _GrowingTopic:
    """A topic that gets partitions in this draft.

    A list, because a tuple per partition would cost their square.
    """

    __slots__ = ("base_count", "name", "partitions", "topic_id")

    def __init__(self, name: str, topic_id: TopicId, partitions: Iterable[PartitionImage]) -> None:
        self.name = name
        self.topic_id = topic_id
        self.partitions = list(partitions)
        self.base_count = len(self.partitions)


class ImageDraft:
    """One step from an image to the next. Made by `apply_records`; of no use after `finish`."""

    def __init__(self, base: ClusterImage) -> None:
        self._base = base
        self._brokers = base.brokers.edit()
        self._fenced = base.fenced
        # Invariant: growing topics are in these two only once `finish` has frozen them.
        self._topics = base.topics.edit()
        self._topics_by_id = base.topics_by_id.edit()
        self._growing: dict[TopicId, _GrowingTopic] = {}
        self._growing_names: set[str] = set()
        self._collision_names = base.collision_names.edit()
        self._configs = base.configs.edit()
        self._loads = base.loads.edit()
        self._next_producer_id = base.next_producer_id
        self._epoch_floor = base.epoch_floor
        self._deleted: list[TopicImage] = []
        # Dictionaries for their order.
        self._changed_configs: dict[ConfigResource, None] = {}
        self._registered: dict[NodeId, BrokerRegistered] = {}
        self._blocks: list[ProducerIdBlock] = []

    def apply(self, record: MetadataRecord) -> None:
        match record:
            case PartitionCreated():
                self._create_partition(record)
            case TopicCreated():
                self._create_topic(record)
            case ConfigChanged():
                self._change_config(record)
            case TopicDeleted():
                self._delete_topic(record)
            case EpochFloorRaised():
                self._epoch_floor = max(self._epoch_floor, record.epoch)
            case ProducerIdsAllocated():
                self._allocate_producer_ids(record)
            case BrokerRegistered():
                self._brokers[record.node] = record
                self._fenced -= {record.node}
                self._registered[record.node] = record
            case BrokerFenced():
                invariant(record.node in self._brokers, "unknown broker {} is fenced", record.node)
                self._fenced |= {record.node}
            case _:
                assert_never(record)

    def finish(self) -> tuple[ClusterImage, ClusterDelta]:
        created, partitions = self._freeze_growing_topics()
        image = ClusterImage(
            brokers=self._brokers.finish(),
            fenced=self._fenced,
            topics=self._topics.finish(),
            topics_by_id=self._topics_by_id.finish(),
            collision_names=self._collision_names.finish(),
            configs=self._configs.finish(),
            loads=self._loads.finish(),
            next_producer_id=self._next_producer_id,
            epoch_floor=self._epoch_floor,
        )
        delta = ClusterDelta(
            topics_created=tuple(created),
            topics_deleted=tuple(self._deleted),
            partitions_created=tuple(partitions),
            configs_changed=tuple(self._changed_configs),
            brokers_registered=tuple(self._registered.values()),
            brokers_fenced=tuple(sorted(self._fenced - self._base.fenced)),
            producer_ids_allocated=tuple(self._blocks),
        )
        return image, delta

    def _create_topic(self, record: TopicCreated) -> None:
        name, topic_id = record.name, record.topic_id
        invariant(not self._has_topic(name), "topic {} is created twice", name)
        invariant(
            topic_id not in self._topics_by_id and topic_id not in self._growing,
            "topic {} gets the id of another",
            name,
        )
        key = collision_key(name)
        if key is not None:
            other = self._collision_names.get(key)
            invariant(other is None, "topic {} collides with {}", name, other)
            self._collision_names[key] = name
        self._growing[topic_id] = _GrowingTopic(name, topic_id, ())
        self._growing_names.add(name)

    def _create_partition(self, record: PartitionCreated) -> None:
        topic = self._grow(record.topic_id)
        index, replicas = record.partition, record.replicas
        invariant(index == len(topic.partitions), "partition {} of {} is out of order", index, topic.name)
        invariant(
            len(set(replicas)) == len(replicas), "partition {} of {} names a replica twice", index, topic.name
        )
        invariant(record.leader in replicas, "partition {} of {} is led by no replica", index, topic.name)
        directories = record.directories
        invariant(
            len(directories) in (0, len(replicas)), "partition {} of {} lacks directories", index, topic.name
        )
        partition = PartitionImage(replicas, record.leader, directories, record.first_epoch)
        topic.partitions.append(partition)
        self._count(partition, 1)

    def _delete_topic(self, record: TopicDeleted) -> None:
        topic_id = record.topic_id
        self._epoch_floor = max(self._epoch_floor, record.last_epoch)
        # Deleted as it was before this draft; what was added in between is not mentioned, but counted.
        before = self._topics_by_id.get(topic_id)
        growing = self._growing.pop(topic_id, None)
        topic = growing or before
        if topic is None:
            raise InvariantViolation("an unknown topic is deleted")
        if before is not None:
            self._topics.remove(topic.name)
            self._topics_by_id.remove(topic_id)
            self._deleted.append(before)
        self._growing_names.discard(topic.name)
        self._forget_name(topic.name, was_in_base=before is not None)
        for partition in topic.partitions:
            self._count(partition, -1)

    def _forget_name(self, name: str, *, was_in_base: bool) -> None:
        key = collision_key(name)
        if key is not None:
            self._collision_names.remove(key)
        resource = topic_resource(name)
        if resource in self._configs:
            self._configs.remove(resource)
            if was_in_base:
                self._changed_configs[resource] = None
        if not was_in_base:
            self._changed_configs.pop(resource, None)

    def _change_config(self, record: ConfigChanged) -> None:
        resource = record.resource
        if resource.type is ResourceType.TOPIC:
            invariant(self._has_topic(resource.name), "unknown topic {} is configured", resource.name)
        settings = dict(self._configs.get(resource) or {})
        if record.value is None:
            settings.pop(record.key, None)
        else:
            settings[record.key] = record.value
        if settings:
            self._configs[resource] = settings
        else:
            self._configs.remove(resource)
        self._changed_configs[resource] = None

    def _allocate_producer_ids(self, record: ProducerIdsAllocated) -> None:
        invariant(
            self._next_producer_id <= record.first < record.end,
            "producer ids {} to {} are allocated although {} is next",
            record.first,
            record.end,
            self._next_producer_id,
        )
        self._next_producer_id = record.end
        self._blocks.append(ProducerIdBlock(record.node, record.first, record.end))

    def _has_topic(self, name: str) -> bool:
        return name in self._topics or name in self._growing_names

    def _grow(self, topic_id: TopicId) -> _GrowingTopic:
        growing = self._growing.get(topic_id)
        if growing is None:
            topic = self._topics_by_id.get(topic_id)
            if topic is None:
                raise InvariantViolation("a partition of an unknown topic is created")
            growing = self._growing[topic_id] = _GrowingTopic(topic.name, topic_id, topic.partitions)
        return growing

    def _count(self, partition: PartitionImage, sign: int) -> None:
        for node in partition.replicas:
            load = self._loads.get(node) or NodeLoad()
            leads = sign if node == partition.first_leader else 0
            if load.replicas + sign:
                self._loads[node] = NodeLoad(load.leaders + leads, load.replicas + sign)
            else:
                self._loads.remove(node)

    def _freeze_growing_topics(self) -> tuple[list[TopicImage], list[TopicPartitionImage]]:
        created: list[TopicImage] = []
        partitions: list[TopicPartitionImage] = []
        for growing in self._growing.values():
            topic = TopicImage(
                name=growing.name, topic_id=growing.topic_id, partitions=tuple(growing.partitions)
            )
            if growing.topic_id not in self._base.topics_by_id:
                created.append(topic)
            self._topics[topic.name] = topic
            self._topics_by_id[topic.topic_id] = topic
            partitions.extend(
                TopicPartitionImage(topic, index)
                for index in range(growing.base_count, len(topic.partitions))
            )
        return created, partitions
