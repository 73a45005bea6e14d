"""The metadata as a shard asks for it, under a test's control."""

import asyncio

from chronik.cluster.image import ClusterDelta, ClusterImage
from chronik.cluster.metadata.topics import TopicChanges, TopicImage
from chronik.vocab.ids import FIRST_EPOCH, LeaderEpoch, Offset, TopicId, TopicPartition


def deletion(*topics: str) -> tuple[ClusterDelta, ClusterImage]:
    """What the metadata says when these are deleted, and nothing is left."""
    deleted = (
        TopicImage(name=name, topic_id=TopicId(name.encode().ljust(16)), partitions=()) for name in topics
    )
    return ClusterDelta.made_of(TopicChanges(topics_deleted=tuple(deleted))), ClusterImage()


class KnownTopics:
    """Implements `Topics`. Every topic exists until it is deleted; `make_again` gives its name to another."""

    def __init__(self) -> None:
        self.metadata_offset = Offset(10)
        self.deleted: set[str] = set()
        self._times_made: dict[str, int] = {}
        self._first_epochs: dict[str, LeaderEpoch] = {}
        self._moved = asyncio.Event()

    def id_of(self, topic: str) -> TopicId | None:
        if topic in self.deleted:
            return None
        times = self._times_made.get(topic, 0)
        return TopicId(topic.encode()[:15].ljust(15, b".") + bytes([times]))

    def first_epoch(self, partition: TopicPartition) -> LeaderEpoch:
        return self._first_epochs.get(partition.topic, FIRST_EPOCH)

    async def wait_applied(self, metadata_offset: Offset, seconds: float) -> bool:
        deadline = asyncio.get_running_loop().time() + seconds
        while self.metadata_offset < metadata_offset:
            self._moved.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._moved.wait()
            except TimeoutError:
                return False
        return True

    def delete(self, topic: str) -> None:
        self.deleted.add(topic)
        self.move(Offset(self.metadata_offset + 1))

    def make_again(self, topic: str, first_epoch: int = 1) -> None:
        self.deleted.discard(topic)
        self._times_made[topic] = self._times_made.get(topic, 0) + 1
        self._first_epochs[topic] = LeaderEpoch(first_epoch)
        self.move(Offset(self.metadata_offset + 1))

    def move(self, to: Offset) -> None:
        self.metadata_offset = to
        self._moved.set()
