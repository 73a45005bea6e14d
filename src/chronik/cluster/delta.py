"""What is different between two images, for those who follow deltas when a snapshot comes in between."""

from collections.abc import Iterable, Iterator

from chronik.cluster.image import ClusterDelta, ClusterImage, TopicImage, TopicPartitionImage
from chronik.cluster.records import ConfigResource


def delta_between(old: ClusterImage, new: ClusterImage) -> ClusterDelta:
    """What leads from `old` to the later `new`. Costs time for all that is in them.

    Which producer ids were allocated meanwhile cannot be known, and only concerns those who asked for them.
    """
    created = _missing_in(old, new.topics_by_id.values())
    return ClusterDelta(
        topics_created=tuple(created),
        topics_deleted=tuple(_missing_in(new, old.topics_by_id.values())),
        partitions_created=tuple(_partitions_created(old, new)),
        configs_changed=tuple(_configs_changed(old, new)),
        brokers_registered=tuple(
            broker for node, broker in new.brokers.items() if old.brokers.get(node) != broker
        ),
        brokers_fenced=tuple(sorted(new.fenced - old.fenced)),
    )


def _missing_in(image: ClusterImage, topics: Iterable[TopicImage]) -> list[TopicImage]:
    return [topic for topic in topics if topic.topic_id not in image.topics_by_id]


def _partitions_created(old: ClusterImage, new: ClusterImage) -> Iterator[TopicPartitionImage]:
    for topic in new.topics_by_id.values():
        before = old.topics_by_id.get(topic.topic_id)
        first = len(before.partitions) if before is not None else 0
        for partition in range(first, len(topic.partitions)):
            yield TopicPartitionImage(topic, partition)


def _configs_changed(old: ClusterImage, new: ClusterImage) -> Iterator[ConfigResource]:
    for resource in dict.fromkeys((*old.configs, *new.configs)):
        if old.config(resource) != new.config(resource):
            yield resource
