"""The coordinator runtimes of a node, by the internal topic in which their shards live.

A new kind of coordinator only has to register its runtime here.
"""

from collections.abc import Iterable
from typing import Any

from chronik.broker.coordinator.runtime import CoordinatorRuntime
from chronik.cluster.image import ClusterDelta, ClusterImage
from chronik.vocab.ids import LeaderEpoch


class Coordinators:
    """One per node, for the node's life."""

    def __init__(self, runtimes: Iterable[CoordinatorRuntime[Any]]) -> None:
        """One runtime for a topic: kinds of shards that share one are a `combined.CombinedShard`."""
        self._runtimes = {runtime.topic: runtime for runtime in runtimes}

    def on_leader(self, topic: str, partition: int, epoch: LeaderEpoch) -> None:
        """This node leads a partition since `epoch`. Topics without coordinators are ignored."""
        if (runtime := self._runtimes.get(topic)) is not None:
            runtime.on_leader(partition, epoch)

    def on_follower(self, topic: str, partition: int) -> None:
        """Another node leads it."""
        if (runtime := self._runtimes.get(topic)) is not None:
            runtime.on_follower(partition)

    def on_metadata(self, delta: ClusterDelta, image: ClusterImage) -> None:
        """`delta` has led to `image`."""
        for deleted in delta.topics_deleted:
            if (runtime := self._runtimes.get(deleted.name)) is not None:
                runtime.on_topic_lost()
        for runtime in self._runtimes.values():
            runtime.on_metadata(delta, image)

    def failed(self) -> list[tuple[str, int]]:
        """Topic and index of each partition whose coordinator has stopped loading here."""
        return [
            (topic, partition) for topic, runtime in self._runtimes.items() for partition in runtime.failed()
        ]

    async def close(self) -> None:
        """Send all clients away; nothing is written any more."""
        for runtime in self._runtimes.values():
            await runtime.close()
