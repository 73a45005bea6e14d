"""Topics and their partitions: where these live, and what nodes carry of them. `topic_decisions` decides."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, NamedTuple

from chronik.cluster.json_codec import Plain
from chronik.cluster.metadata.replicas import PartitionChanged, PartitionImage
from chronik.cluster.metadata.subject import Edits, MetadataRecord
from chronik.cluster.shared_map import SharedMap
from chronik.vocab.config.topic_names import INTERNAL_TOPICS
from chronik.vocab.ids import FIRST_EPOCH, LeaderEpoch, NodeId, TopicId
from chronik.vocab.invariant import InvariantViolation, invariant

# Below every epoch of a partition that can be deleted: new partitions begin at the first one.
NO_FLOOR = LeaderEpoch(0)


# Records.


class TopicCreated(NamedTuple):
    """A topic exists. Its partitions and configuration follow in the same append."""

    name: str
    topic_id: TopicId


class PartitionCreated(NamedTuple):
    """The next partition of a topic exists.

    `leader`, one of `replicas`, leads its first epoch without an election.
    """

    topic_id: TopicId
    partition: int
    replicas: tuple[NodeId, ...]
    leader: NodeId
    # The data directory each replica begins in, in the order of `replicas`. Empty: decided by a release
    # without this field.
    directories: tuple[str, ...] = ()
    # The epoch that `leader` leads: above all epochs of earlier partitions of this name. In records of
    # releases without this field it is the lowest there is.
    first_epoch: LeaderEpoch = FIRST_EPOCH


class TopicDeleted(NamedTuple):
    """A topic, its partitions and its configuration are gone."""

    topic_id: TopicId
    # No partition of it was led in an epoch above this one.
    last_epoch: LeaderEpoch = NO_FLOOR


class EpochFloorRaised(NamedTuple):
    """New partitions begin above `epoch`: no deleted topic was led in a later one.

    Only in snapshots, in place of the deletions that they stand for.
    """

    epoch: LeaderEpoch


# The sub-image.


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
                replicas=partition.founders,
                leader=partition.first_leader,
                directories=partition.directories,
                first_epoch=partition.first_epoch,
            )
            if partition.change is not None:
                yield PartitionChanged(topic_id=self.topic_id, partition=index, **partition.change._asdict())


class NodeLoad(NamedTuple):
    """A node's load: partitions it leads by preference, and replicas of any role."""

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


class ChangedPartitions(NamedTuple):
    """A topic, and those of its partitions whose replicas have changed."""

    topic: TopicImage
    partitions: tuple[int, ...]


class TopicChanges(NamedTuple):
    """Changes of topics. Deletions happened before creations: a topic deleted and created again is in
    both, under two ids.
    """

    # Created topics, and those that got more partitions.
    topics: tuple[GrownTopic, ...] = ()
    # As they were in the image before.
    topics_deleted: tuple[TopicImage, ...] = ()
    # None of a partition that is new as well.
    changed: Annotated[tuple[ChangedPartitions, ...], Plain(is_omitted=True)] = ()

    @property
    def topics_created(self) -> tuple[TopicImage, ...]:
        return tuple(grown.topic for grown in self.topics if grown.first_new == 0)

    @property
    def partitions_created(self) -> tuple[TopicPartitionImage, ...]:
        """Partitions of created topics and of topics that grew."""
        return tuple(
            TopicPartitionImage(topic, partition)
            for topic, first_new in self.topics
            for partition in range(first_new, len(topic.partitions))
        )

    @property
    def partitions_changed(self) -> tuple[TopicPartitionImage, ...]:
        """Partitions with other replicas than before, in their present state."""
        return tuple(
            TopicPartitionImage(topic, partition)
            for topic, partitions in self.changed
            for partition in partitions
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Topics:
    """All existing topics."""

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
        grown, changed = [], []
        for topic in self.by_id.values():
            before = old.by_id.get(topic.topic_id)
            if before is topic:
                continue
            if before is None or len(before.partitions) < len(topic.partitions):
                grown.append(GrownTopic(topic, 0 if before is None else len(before.partitions)))
            partitions = () if before is None else _changed_partitions(before, topic)
            if partitions:
                changed.append(ChangedPartitions(topic, partitions))
        return TopicChanges(
            topics=tuple(grown),
            topics_deleted=tuple(topic for topic in old.by_id.values() if topic.topic_id not in self.by_id),
            changed=tuple(changed),
        )


def _changed_partitions(old: TopicImage, new: TopicImage) -> tuple[int, ...]:
    both = zip(old.partitions, new.partitions, strict=False)
    return tuple(index for index, (before, now) in enumerate(both) if before.revision != now.revision)


def collision_key(name: str) -> str | None:
    """Names with equal keys are one in metrics, where `.` is `_`. None: this name is like no other."""
    folded = name.replace(".", "_")
    return folded if "_" in folded else None


class FoundTopic(NamedTuple):
    """A topic in an edit, before or after the records that it has taken in."""

    name: str
    was_in_base: bool


class _EditedTopic:
    """A topic that gets partitions in this edit, or other replicas.

    A list, because a tuple per partition would cost their square.
    """

    __slots__ = ("base_count", "changed", "name", "partitions", "topic_id")

    def __init__(self, name: str, topic_id: TopicId, partitions: Iterable[PartitionImage]) -> None:
        self.name = name
        self.topic_id = topic_id
        self.partitions = list(partitions)
        # 0: the topic is new.
        self.base_count = len(self.partitions)
        # Of those there were before; a dictionary for its order.
        self.changed: dict[int, None] = {}

    @property
    def has_grown(self) -> bool:
        return self.base_count == 0 or len(self.partitions) > self.base_count

    def freeze(self) -> TopicImage:
        return TopicImage(name=self.name, topic_id=self.topic_id, partitions=tuple(self.partitions))


class TopicsEdit:
    """See `subject.Edit`."""

    def __init__(self, base: Topics) -> None:
        # Invariant: edited topics are in these two only once `finish` has frozen them.
        self._topics = base.by_name.edit()
        self._topics_by_id = base.by_id.edit()
        self._edited: dict[TopicId, _EditedTopic] = {}
        self._edited_names: set[str] = set()
        self._collision_names = base.collision_names.edit()
        self._loads = base.loads.edit()
        self._epoch_floor = base.epoch_floor
        self._deleted: list[TopicImage] = []

    def has(self, name: str) -> bool:
        """True if there is a topic of this name now."""
        return name in self._topics or name in self._edited_names

    def find(self, topic_id: TopicId) -> FoundTopic | None:
        """The topic of this id; None when there is none now."""
        before = self._topics_by_id.get(topic_id)
        topic = self._edited.get(topic_id) or before
        return None if topic is None else FoundTopic(topic.name, before is not None)

    def apply(
        self,
        record: PartitionCreated | PartitionChanged | TopicCreated | TopicDeleted | EpochFloorRaised,
        edits: Edits,
    ) -> None:
        match record:
            case PartitionCreated():
                self._create_partition(record)
            case PartitionChanged():
                self._change_partition(record)
            case TopicCreated():
                self._create_topic(record)
            case TopicDeleted():
                self._delete_topic(record)
            case EpochFloorRaised():
                self._epoch_floor = max(self._epoch_floor, record.epoch)

    def finish(self) -> tuple[Topics, TopicChanges]:
        grown, changed = [], []
        for edited in self._edited.values():
            topic = edited.freeze()
            self._topics[topic.name] = topic
            self._topics_by_id[topic.topic_id] = topic
            if edited.has_grown:
                grown.append(GrownTopic(topic, edited.base_count))
            if edited.changed:
                changed.append(ChangedPartitions(topic, tuple(edited.changed)))
        topics = Topics(
            by_name=self._topics.finish(),
            by_id=self._topics_by_id.finish(),
            collision_names=self._collision_names.finish(),
            loads=self._loads.finish(),
            epoch_floor=self._epoch_floor,
        )
        changes = TopicChanges(
            topics=tuple(grown), topics_deleted=tuple(self._deleted), changed=tuple(changed)
        )
        return topics, changes

    def _create_topic(self, record: TopicCreated) -> None:
        name, topic_id = record.name, record.topic_id
        invariant(not self.has(name), "topic {} is created twice", name)
        invariant(
            topic_id not in self._topics_by_id and topic_id not in self._edited,
            "topic {} gets the id of another",
            name,
        )
        key = collision_key(name)
        if key is not None:
            other = self._collision_names.get(key)
            invariant(other is None, "topic {} collides with {}", name, other)
            self._collision_names[key] = name
        self._edited[topic_id] = _EditedTopic(name, topic_id, ())
        self._edited_names.add(name)

    def _create_partition(self, record: PartitionCreated) -> None:
        topic = self._edit(record.topic_id)
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

    def _change_partition(self, record: PartitionChanged) -> None:
        topic, index = self._edit(record.topic_id), record.partition
        invariant(0 <= index < len(topic.partitions), "no partition {} of {} to change", index, topic.name)
        before = topic.partitions[index]
        after = before.changed(record.replicas, record.target, record.revision)
        _check_change(f"{topic.name}-{index}", before, after)
        self._count(before, -1)
        topic.partitions[index] = after
        self._count(after, 1)
        if index < topic.base_count:
            topic.changed[index] = None

    def _delete_topic(self, record: TopicDeleted) -> None:
        topic_id = record.topic_id
        self._epoch_floor = max(self._epoch_floor, record.last_epoch)
        # Deleted in its state before this edit; partitions added in between are not mentioned, but counted.
        before = self._topics_by_id.get(topic_id)
        edited = self._edited.pop(topic_id, None)
        topic = edited or before
        if topic is None:
            raise InvariantViolation("an unknown topic is deleted")
        if before is not None:
            self._topics.remove(topic.name)
            self._topics_by_id.remove(topic_id)
            self._deleted.append(before)
        self._edited_names.discard(topic.name)
        key = collision_key(topic.name)
        if key is not None:
            self._collision_names.remove(key)
        for partition in topic.partitions:
            self._count(partition, -1)

    def _edit(self, topic_id: TopicId) -> _EditedTopic:
        edited = self._edited.get(topic_id)
        if edited is None:
            topic = self._topics_by_id.get(topic_id)
            if topic is None:
                raise InvariantViolation("a partition of an unknown topic is created or changed")
            edited = self._edited[topic_id] = _EditedTopic(topic.name, topic_id, topic.partitions)
        return edited

    def _count(self, partition: PartitionImage, sign: int) -> None:
        leader = partition.preferred_leader
        for node in partition.nodes:
            load = self._loads.get(node) or NodeLoad()
            leads = sign if node == leader else 0
            if load.replicas + sign:
                self._loads[node] = NodeLoad(load.leaders + leads, load.replicas + sign)
            else:
                self._loads.remove(node)


def _check_change(name: str, before: PartitionImage, after: PartitionImage) -> None:
    """A snapshot leaves out changes in between: this is all that can be checked for one."""
    nodes, revision = after.nodes, after.revision
    invariant(revision > before.revision, "{} is changed to the earlier revision {}", name, revision)
    invariant(
        len(nodes) > 0 and len(set(nodes)) == len(nodes), "{} is changed to the replicas {}", name, nodes
    )
    invariant(set(after.target) <= set(nodes), "{} shall have replicas that are none", name)
    invariant(
        all(
            0 < replica.revision <= revision or (replica.revision == 0 and replica.node in before.founders)
            for replica in after.replicas
        ),
        "{} has a replica of a revision that it cannot have",
        name,
    )


# Commands.

# Partitions, replication factor: "take the broker's default" (KIP-464).
USE_DEFAULT = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTopic:
    """Creates a topic, placed by the controller or by `assignments`.

    They map partitions to replicas, of which the first leads first.
    """

    name: str
    partitions: int = USE_DEFAULT
    replication_factor: int = USE_DEFAULT
    assignments: Mapping[int, Sequence[NodeId]] = field(default_factory=dict)
    # A None value leaves the default in place.
    configs: Mapping[str, str | None] = field(default_factory=dict)
    # Chosen by the requester, so that a repeated request finds the topic of the first. None: by the
    # controller.
    topic_id: TopicId | None = None


class DeleteTopic(NamedTuple):
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
