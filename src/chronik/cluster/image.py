"""The cluster as the committed metadata records describe it: one immutable value, replaced and never changed.

It is made of sub-images, one for each subject of the metadata (`metadata.subject`), and so is the difference
of two. Holders of an image may read it as long as they like. `image_draft.apply_records` creates the next one
and returns the difference (`ClusterDelta`), so that rooms above need not compare images.

Both have shorthands for the parts that the rooms above use most; anything else is `of` its class.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar, cast

from chronik.cluster.metadata.brokers import BrokerChanges, BrokerRegistered, Brokers
from chronik.cluster.metadata.configs import ConfigChanges, ConfigResource, Configs, topic_resource
from chronik.cluster.metadata.features import Features
from chronik.cluster.metadata.producer_ids import ProducerIdBlock, ProducerIdChanges, ProducerIds
from chronik.cluster.metadata.subject import SubImage
from chronik.cluster.metadata.topics import NodeLoad, TopicChanges, TopicImage, TopicPartitionImage, Topics
from chronik.cluster.shared_map import SharedMap
from chronik.vocab.ids import LeaderEpoch, NodeId, ProducerId, TopicId

P = TypeVar("P")

# One for each class: a missing part is always the same object.
_EMPTY: dict[type, Any] = {}


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """One value for each subject, by its class; missing ones are empty."""

    parts: Mapping[type, Any] = field(default_factory=dict)

    @classmethod
    def made_of(cls, *parts: Any) -> Self:
        """Creates one with these parts, and no others."""
        return cls({type(part): part for part in parts})

    def of(self, kind: type[P]) -> P:
        """Returns the part of class `kind`."""
        part = self.parts.get(kind)
        if part is None:
            part = _EMPTY.get(kind)
            if part is None:
                part = _EMPTY[kind] = kind()
        return cast(P, part)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Parts) or type(other) is not type(self):
            return NotImplemented
        return all(self.of(kind) == other.of(kind) for kind in {**self.parts, **other.parts})

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True, eq=False)
class ClusterDelta(_Parts):
    """Changes of an image, by subject. Things created and removed within them are omitted."""

    @property
    def topics_created(self) -> tuple[TopicImage, ...]:
        return self.of(TopicChanges).topics_created

    @property
    def topics_deleted(self) -> tuple[TopicImage, ...]:
        return self.of(TopicChanges).topics_deleted

    @property
    def partitions_created(self) -> tuple[TopicPartitionImage, ...]:
        return self.of(TopicChanges).partitions_created

    @property
    def partitions_changed(self) -> tuple[TopicPartitionImage, ...]:
        """With other replicas than before, in their present state."""
        return self.of(TopicChanges).partitions_changed

    @property
    def configs_changed(self) -> tuple[ConfigResource, ...]:
        return self.of(ConfigChanges).configs_changed

    @property
    def brokers_registered(self) -> tuple[BrokerRegistered, ...]:
        return self.of(BrokerChanges).brokers_registered

    @property
    def brokers_fenced(self) -> tuple[NodeId, ...]:
        return self.of(BrokerChanges).brokers_fenced

    @property
    def producer_ids_allocated(self) -> tuple[ProducerIdBlock, ...]:
        return self.of(ProducerIdChanges).producer_ids_allocated


@dataclass(frozen=True, slots=True, eq=False)
class ClusterImage(_Parts):
    """The whole metadata of the cluster."""

    @property
    def brokers(self) -> SharedMap[NodeId, BrokerRegistered]:
        return self.of(Brokers).registered

    @property
    def fenced(self) -> frozenset[NodeId]:
        return self.of(Brokers).fenced

    @property
    def topics(self) -> SharedMap[str, TopicImage]:
        return self.of(Topics).by_name

    @property
    def topics_by_id(self) -> SharedMap[TopicId, TopicImage]:
        return self.of(Topics).by_id

    @property
    def collision_names(self) -> SharedMap[str, str]:
        return self.of(Topics).collision_names

    @property
    def loads(self) -> SharedMap[NodeId, NodeLoad]:
        return self.of(Topics).loads

    @property
    def epoch_floor(self) -> LeaderEpoch:
        return self.of(Topics).epoch_floor

    @property
    def configs(self) -> SharedMap[ConfigResource, Mapping[str, str]]:
        return self.of(Configs).by_resource

    @property
    def next_producer_id(self) -> ProducerId:
        return self.of(ProducerIds).next

    @property
    def metadata_level(self) -> int:
        """The level that decides which kinds of records may be written."""
        return self.of(Features).metadata_level

    def config(self, resource: ConfigResource) -> Mapping[str, str]:
        """The dynamic settings of a resource; empty when it has none."""
        return self.of(Configs).get(resource)

    def topic_config(self, name: str) -> Mapping[str, str]:
        """The dynamic settings of a topic; empty when it has none."""
        return self.config(topic_resource(name))


def delta_between(old: ClusterImage, new: ClusterImage) -> ClusterDelta:
    """Returns the delta from `old` to the later `new`, for subscribers that skip deltas because of a
    snapshot.

    Its cost is proportional to both images.
    """
    kinds: Mapping[type[SubImage[Any]], Any] = {**old.parts, **new.parts}
    changed = [kind for kind in kinds if new.of(kind) is not old.of(kind)]
    return ClusterDelta.made_of(*(new.of(kind).changes_since(old.of(kind)) for kind in changed))


def delta_from_nothing(image: ClusterImage) -> ClusterDelta:
    """Returns the delta from the empty image to `image`, for subscribers after a replay."""
    return delta_between(ClusterImage(), image)
