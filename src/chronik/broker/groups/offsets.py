"""Committed offsets of one group."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from chronik.vocab.ids import NO_TOPIC_ID, TopicId, TopicPartition


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedOffset:
    """The position a consumer left for the next reader of the partition."""

    offset: int
    leader_epoch: int = -1
    metadata: str = ""
    commit_timestamp_ms: int
    # Set only by old clients that brought a retention time of their own; None leaves it to the broker's.
    expire_timestamp_ms: int | None = None
    # Of the topic that had the name then; NO_TOPIC_ID in commits of earlier releases.
    topic_id: TopicId = NO_TOPIC_ID
    # The metadata offset that the writer had applied: the topic's creation lies below. None where there is no
    # id, or another system wrote it.
    metadata_offset: int | None = None


@dataclass(slots=True)
class GroupOffsets:
    """By topic, then partition: expiry and deletion of topics look up by topic. Invariant: no topic's map
    is empty.
    """

    by_topic: dict[str, dict[int, CommittedOffset]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.by_topic)

    def __iter__(self) -> Iterator[tuple[TopicPartition, CommittedOffset]]:
        for topic, partitions in self.by_topic.items():
            for partition, committed in partitions.items():
                yield TopicPartition(topic, partition), committed

    def get(self, partition: TopicPartition) -> CommittedOffset | None:
        return self.by_topic.get(partition.topic, {}).get(partition.partition)

    def put(self, partition: TopicPartition, committed: CommittedOffset) -> None:
        self.by_topic.setdefault(partition.topic, {})[partition.partition] = committed

    def remove(self, partition: TopicPartition) -> bool:
        """True if there was one."""
        partitions = self.by_topic.get(partition.topic)
        if partitions is None or partitions.pop(partition.partition, None) is None:
            return False
        if not partitions:
            del self.by_topic[partition.topic]
        return True
