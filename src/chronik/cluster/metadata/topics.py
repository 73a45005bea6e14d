"""Topics and their partitions: where these live, and what nodes carry of them. `topic_decisions` decides."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from chronik.cluster.metadata.subject import Edits, MetadataRecord
from chronik.cluster.shared_map import SharedMap
from chronik.vocab.config.topic_names import INTERNAL_TOPICS
from chronik.vocab.ids import FIRST_EPOCH, LeaderEpoch, NodeId, TopicId
from chronik.vocab.invariant import InvariantViolation, invariant

# Below every epoch of a partition that can be deleted: new partitions begin at the first one.
NO_FLOOR = LeaderEpoch(0)


# Records.


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicCreated:
    """A topic exists. Its partitions and configuration follow in the same append."""

    name: str
    topic_id: TopicId


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionCreated:
    """The next partition of a topic exists.

    `leader`, one of `replicas`, leads its first epoch without an election.
    """

    topic_id: TopicId
    partition: int
    replicas: tuple[NodeId, ...]
    leader: NodeId
    # The data directory each replica begins in, in the order of `replicas`. Empty: decided by a release that
    # did not say.
    directories: tuple[str, ...] = ()
    # The epoch that `leader` leads: above all that partitions of this name had before. In records of releases
    # that did not say it is the lowest there is.
    first_epoch: LeaderEpoch = FIRST_EPOCH


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicDeleted:
    """A topic, its partitions and its configuration are gone."""

    topic_id: TopicId
    # No partition of it was led in an epoch above this one.
    last_epoch: LeaderEpoch = NO_FLOOR


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochFloorRaised:
    """New partitions begin above `epoch`: no deleted topic was led in a later one.

    Only in snapshots, in place of the deletions that they stand for.
    """

    epoch: LeaderEpoch


# The sub-image.


class PartitionImage(NamedTuple):
    """Where a partition lives.

    Who leads it now is the leadership table's business; `first_leader` led its first epoch.
    """

    replicas: tuple[NodeId, ...]
    first_leader: NodeId
    # Where each replica began, in the order of `replicas`; empty when its record did not say.
    directories: tuple[str, ...] = ()
    first_epoch: LeaderEpoch = FIRST_EPOCH


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicImage:
    """One topic; partition n is at index n."""

    name: str
    topic_id: TopicId
    partitions: tuple[PartitionImage, ...]

    @property
    def is_internal(self) -> bool:
        return self.name in INTERNAL_TOPICS

    def records(self) -> Iterator[MetadataRecord]:
        """Records that create it as it is."""
        yield TopicCreated(name=self.name, topic_id=self.topic_id)
        for index, partition in enumerate(self.partitions):
            yield PartitionCreated(
                topic_id=self.topic_id,
                partition=index,
                replicas=partition.replicas,
                leader=partition.first_leader,
                directories=partition.directories,
                first_epoch=partition.first_epoch,
            )


class NodeLoad(NamedTuple):
    """What a node carries: partitions it led first, and replicas of any role."""

    leaders: int = 0
    replicas: int = 0


class TopicPartitionImage(NamedTuple):
    """A partition together with its topic, as a delta names it."""

    topic: TopicImage
    partition: int

    @property
    def image(self) -> PartitionImage:
        return self.topic.partitions[self.partition]


class GrownTopic(NamedTuple):
    """A topic that is new from partition `first_new` on: all of it when that is 0."""

    topic: TopicImage
    first_new: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicChanges:
    """Of topics. Deletions happened before creations: a topic deleted and created again is in both, under
    two ids.
    """

    # Created, and those that got more partitions.
    topics: tuple[GrownTopic, ...] = ()
    # As they were in the image before.
    topics_deleted: tuple[TopicImage, ...] = ()

    @property
    def topics_created(self) -> tuple[TopicImage, ...]:
        return tuple(grown.topic for grown in self.topics if grown.first_new == 0)

    @property
    def partitions_created(self) -> tuple[TopicPartitionImage, ...]:
        """Of created topics and of topics that grew."""
        return tuple(
            TopicPartitionImage(topic, partition)
            for topic, first_new in self.topics
            for partition in range(first_new, len(topic.partitions))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Topics:
    """All topics there are."""

    by_name: SharedMap[str, TopicImage] = field(default_factory=SharedMap)
    by_id: SharedMap[TopicId, TopicImage] = field(default_factory=SharedMap)
    # Invariant: exactly the topic names with a '.' or '_' in them, by `collision_key`, which is
    # unique.
    collision_names: SharedMap[str, str] = field(default_factory=SharedMap)
    # Invariant: the sum over all partitions, without zeros; kept because placement must not walk over
    # thousands of them.
    loads: SharedMap[NodeId, NodeLoad] = field(default_factory=SharedMap)
    # Never decreases; at least every epoch in which a topic was led that is deleted. New partitions begin
    # above it, so that a client that stood on a deleted topic does not take metadata of the next one of its
    # name for outdated.
    epoch_floor: LeaderEpoch = NO_FLOOR

    def edit(self) -> "TopicsEdit":
        return TopicsEdit(self)

    def records(self) -> Iterator[MetadataRecord]:
        for topic in self.by_id.values():
            yield from topic.records()
        if self.epoch_floor:
            yield EpochFloorRaised(epoch=self.epoch_floor)

    def changes_since(self, old: "Topics") -> TopicChanges:
        grown = []
        for topic in self.by_id.values():
            before = old.by_id.get(topic.topic_id)
            if before is None or len(before.partitions) < len(topic.partitions):
                grown.append(GrownTopic(topic, 0 if before is None else len(before.partitions)))
        return TopicChanges(
            topics=tuple(grown),
            topics_deleted=tuple(topic for topic in old.by_id.values() if topic.topic_id not in self.by_id),
        )


def collision_key(name: str) -> str | None:
    """Names with equal keys are one in metrics, where `.` is `_`. None: this name is like no other."""
    folded = name.replace(".", "_")
    return folded if "_" in folded else None


class FoundTopic(NamedTuple):
    """A topic in an edit, before or after the records that it has taken in."""

    name: str
    was_in_base: bool


class _GrowingTopic:
    """A topic that gets partitions in this edit.

    A list, because a tuple per partition would cost their square.
    """

    __slots__ = ("base_count", "name", "partitions", "topic_id")

    def __init__(self, name: str, topic_id: TopicId, partitions: Iterable[PartitionImage]) -> None:
        self.name = name
        self.topic_id = topic_id
        self.partitions = list(partitions)
        self.base_count = len(self.partitions)

    def freeze(self) -> GrownTopic:
        topic = TopicImage(name=self.name, topic_id=self.topic_id, partitions=tuple(self.partitions))
        return GrownTopic(topic, self.base_count)


class TopicsEdit:
    """See `subject.Edit`."""

    def __init__(self, base: Topics) -> None:
        # Invariant: growing topics are in these two only once `finish` has frozen them.
        self._topics = base.by_name.edit()
        self._topics_by_id = base.by_id.edit()
        self._growing: dict[TopicId, _GrowingTopic] = {}
        self._growing_names: set[str] = set()
        self._collision_names = base.collision_names.edit()
        self._loads = base.loads.edit()
        self._epoch_floor = base.epoch_floor
        self._deleted: list[TopicImage] = []

    def has(self, name: str) -> bool:
        """Whether there is a topic of this name now."""
        return name in self._topics or name in self._growing_names

    def find(self, topic_id: TopicId) -> FoundTopic | None:
        """The topic of this id; None when there is none now."""
        before = self._topics_by_id.get(topic_id)
        topic = self._growing.get(topic_id) or before
        return None if topic is None else FoundTopic(topic.name, before is not None)

    def apply(
        self, record: PartitionCreated | TopicCreated | TopicDeleted | EpochFloorRaised, edits: Edits
    ) -> None:
        match record:
            case PartitionCreated():
                self._create_partition(record)
            case TopicCreated():
                self._create_topic(record)
            case TopicDeleted():
                self._delete_topic(record)
            case EpochFloorRaised():
                self._epoch_floor = max(self._epoch_floor, record.epoch)

    def finish(self) -> tuple[Topics, TopicChanges]:
        grown = [growing.freeze() for growing in self._growing.values()]
        for topic, _ in grown:
            self._topics[topic.name] = topic
            self._topics_by_id[topic.topic_id] = topic
        topics = Topics(
            by_name=self._topics.finish(),
            by_id=self._topics_by_id.finish(),
            collision_names=self._collision_names.finish(),
            loads=self._loads.finish(),
            epoch_floor=self._epoch_floor,
        )
        return topics, TopicChanges(topics=tuple(grown), topics_deleted=tuple(self._deleted))

    def _create_topic(self, record: TopicCreated) -> None:
        name, topic_id = record.name, record.topic_id
        invariant(not self.has(name), "topic {} is created twice", name)
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
        # Deleted as it was before this edit; what was added in between is not mentioned, but counted.
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
        key = collision_key(topic.name)
        if key is not None:
            self._collision_names.remove(key)
        for partition in topic.partitions:
            self._count(partition, -1)

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


# Commands.

# Partitions, replication factor: "take the broker's default" (KIP-464).
USE_DEFAULT = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTopic:
    """Create a topic, placed by the controller or as `assignments` say.

    They map partitions to replicas, of which the first leads first.
    """

    name: str
    partitions: int = USE_DEFAULT
    replication_factor: int = USE_DEFAULT
    assignments: Mapping[int, Sequence[NodeId]] = field(default_factory=dict)
    # A None value leaves the default in place.
    configs: Mapping[str, str | None] = field(default_factory=dict)
    # Chosen by who asks, so that asking again finds what the first time made. None: by the controller.
    topic_id: TopicId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteTopic:
    """Delete a topic by its name or by its id: exactly one of the two is given."""

    name: str | None = None
    topic_id: TopicId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatePartitions:
    """Let a topic grow to `count` partitions.

    `assignments`, when given, name the replicas of each new one.
    """

    name: str
    count: int
    assignments: Sequence[Sequence[NodeId]] | None = None
