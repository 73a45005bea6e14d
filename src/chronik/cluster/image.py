"""The cluster as the committed metadata records describe it: one immutable value, replaced and never changed.

Whoever holds an image may read it for as long as it likes. `image_draft.apply_records` makes the next one and
says what is different (`ClusterDelta`), so that rooms above need not compare images.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from chronik.cluster.records import NO_FLOOR, BrokerRegistered, ConfigResource, topic_resource
from chronik.cluster.shared_map import SharedMap
from chronik.vocab.config.topic_names import INTERNAL_TOPICS
from chronik.vocab.ids import FIRST_EPOCH, LeaderEpoch, NodeId, ProducerId, TopicId

FIRST_PRODUCER_ID = ProducerId(0)

_NO_CONFIG: Mapping[str, str] = {}


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


class ProducerIdBlock(NamedTuple):
    """Producer ids from `first` up to `end` (exclusive) that one node may hand out."""

    node: NodeId
    first: ProducerId
    end: ProducerId


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterDelta:
    """What records changed in an image. What came and went again within them is not mentioned.

    Deletions happened before creations: a topic deleted and created again is in both, under two ids.
    """

    topics_created: tuple[TopicImage, ...] = ()
    # As they were in the image before.
    topics_deleted: tuple[TopicImage, ...] = ()
    # Of created topics and of topics that grew.
    partitions_created: tuple[TopicPartitionImage, ...] = ()
    configs_changed: tuple[ConfigResource, ...] = ()
    brokers_registered: tuple[BrokerRegistered, ...] = ()
    # That were not fenced before. Those that no longer are have registered.
    brokers_fenced: tuple[NodeId, ...] = ()
    producer_ids_allocated: tuple[ProducerIdBlock, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterImage:
    """Everything the cluster knows."""

    brokers: SharedMap[NodeId, BrokerRegistered] = field(default_factory=SharedMap)
    # Invariant: all of them in `brokers`.
    fenced: frozenset[NodeId] = frozenset()
    topics: SharedMap[str, TopicImage] = field(default_factory=SharedMap)
    topics_by_id: SharedMap[TopicId, TopicImage] = field(default_factory=SharedMap)
    # Invariant: exactly the topic names with a '.' or '_' in them, by `collision_key`, which is
    # unique.
    collision_names: SharedMap[str, str] = field(default_factory=SharedMap)
    # Only resources with a dynamic setting, and only such settings.
    configs: SharedMap[ConfigResource, Mapping[str, str]] = field(default_factory=SharedMap)
    # Invariant: the sum over all partitions, without zeros; kept because placement must not walk over
    # thousands of them.
    loads: SharedMap[NodeId, NodeLoad] = field(default_factory=SharedMap)
    # Never decreases, so that no two producers ever share an id.
    next_producer_id: ProducerId = FIRST_PRODUCER_ID
    # Never decreases; at least every epoch in which a topic was led that is deleted. New partitions begin
    # above it, so that a client that stood on a deleted topic does not take metadata of the next one of its
    # name for outdated.
    epoch_floor: LeaderEpoch = NO_FLOOR

    def config(self, resource: ConfigResource) -> Mapping[str, str]:
        """The dynamic settings of a resource; empty when it has none."""
        return self.configs.get(resource, _NO_CONFIG)

    def topic_config(self, name: str) -> Mapping[str, str]:
        """The dynamic settings of a topic; empty when it has none."""
        return self.config(topic_resource(name))


def collision_key(name: str) -> str | None:
    """Names with equal keys are one in metrics, where `.` is `_`. None: this name is like no other."""
    folded = name.replace(".", "_")
    return folded if "_" in folded else None


def delta_from_nothing(image: ClusterImage) -> ClusterDelta:
    """The delta that leads from the empty image to `image`, for those who subscribe after a replay."""
    topics = tuple(image.topics.values())
    return ClusterDelta(
        topics_created=topics,
        partitions_created=tuple(
            TopicPartitionImage(topic, partition)
            for topic in topics
            for partition in range(len(topic.partitions))
        ),
        configs_changed=tuple(image.configs),
        brokers_registered=tuple(image.brokers.values()),
        brokers_fenced=tuple(sorted(image.fenced)),
    )
