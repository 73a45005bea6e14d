"""Checks whether an offset was committed for the topic that has the name now.

A commit keeps the id of its topic, and the metadata offset its writer had applied: a reader that has applied
as much, and does not know the id, knows that the topic is deleted. Commits of earlier releases have neither.
Those are known to be of an earlier topic when their leader epoch lies below the first epoch of the present
one (decision 0018); else they are kept.
"""

from typing import TYPE_CHECKING, Protocol

from chronik.broker.coordinator.host import AppliedMetadata
from chronik.vocab.ids import FIRST_EPOCH, NO_TOPIC_ID, LeaderEpoch, Offset, TopicId, TopicPartition

if TYPE_CHECKING:
    from chronik.broker.groups.offsets import CommittedOffset
    from chronik.cluster.metadata_service import MetadataService


class Topics(AppliedMetadata, Protocol):
    """The coordinator's view of the metadata that this node has applied."""

    def id_of(self, topic: str) -> TopicId | None: ...

    def first_epoch(self, partition: TopicPartition) -> LeaderEpoch:
        """The first epoch of a partition; the lowest possible for one that does not exist."""
        ...


class MetadataTopics:
    """One per node, for the node's life. Implements `Topics`."""

    def __init__(self, metadata: "MetadataService") -> None:
        self._metadata = metadata

    @property
    def metadata_offset(self) -> Offset:
        return self._metadata.applied_offset

    def id_of(self, topic: str) -> TopicId | None:
        found = self._metadata.image.topics.get(topic)
        return None if found is None else found.topic_id

    def first_epoch(self, partition: TopicPartition) -> LeaderEpoch:
        found = self._metadata.image.topics.get(partition.topic)
        if found is None or not 0 <= partition.partition < len(found.partitions):
            return FIRST_EPOCH
        return found.partitions[partition.partition].first_epoch

    async def wait_applied(self, metadata_offset: Offset, seconds: float) -> bool:
        return await self._metadata.wait_applied(metadata_offset, seconds)


def is_of_deleted_topic(topics: Topics, partition: TopicPartition, committed: "CommittedOffset") -> bool:
    """True if the offset's topic is deleted, by the present metadata."""
    topic_id = topics.id_of(partition.topic)
    if committed.topic_id != NO_TOPIC_ID:
        return committed.topic_id != topic_id
    return topic_id is not None and is_of_earlier_topic(topics, partition, committed.leader_epoch)


def is_of_earlier_topic(topics: Topics, partition: TopicPartition, leader_epoch: int) -> bool:
    """True if an epoch cannot be one of the present topic's. A group of one may begin one epoch lower."""
    return 0 <= leader_epoch < topics.first_epoch(partition) - 1
