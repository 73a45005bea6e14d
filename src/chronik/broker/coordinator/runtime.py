"""The coordinators of one internal topic on this node: a shard for each partition that it leads.

Shards come and go with `on_leader` and `on_follower`; asking one of a partition that this node does not lead
raises NOT_COORDINATOR, and the client looks for the coordinator again.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

from chronik.broker.coordinator.host import CoordinatorSetting, CoordinatorState, ShardHost
from chronik.broker.coordinator.shard import Command, CoordinatorShard, MetadataChange
from chronik.cluster.image import ClusterDelta, ClusterImage
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import LeaderEpoch

_log = logging.getLogger(__name__)

A = TypeVar("A")
S = TypeVar("S", bound=CoordinatorShard[Any])

_NOTHING_APPLIED = ClusterImage()


class CoordinatorRuntime(Generic[S]):
    """One per internal topic and node, for the node's life. Created by the service of the topic's shards,
    notified of leadership and metadata by `registry.Coordinators`.
    """

    def __init__(self, setting: CoordinatorSetting[S]) -> None:
        self._setting = setting
        self._hosts: dict[int, ShardHost[S]] = {}
        self._epochs: dict[int, LeaderEpoch] = {}
        # Of the topic; None until it is known to exist. It never changes then: a group would be looked for
        # elsewhere.
        self.partitions: int | None = None
        # The metadata for shards that are loaded from now on.
        self._image = _NOTHING_APPLIED
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def topic(self) -> str:
        return self._setting.topic

    # For services.

    async def find_partitions(self) -> int:
        """Returns the number of partitions of the topic, which is created if need be. Raises KafkaError
        COORDINATOR_NOT_AVAILABLE.
        """
        if self.partitions is None:
            try:
                self.partitions = await self._setting.ensure_topic()
            except KafkaError as error:
                extra = {"topic": self.topic, "error": str(error)}
                _log.warning(
                    "could not create a coordinators' topic; clients get COORDINATOR_NOT_AVAILABLE",
                    extra=extra,
                )
                raise KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE, str(error)) from error
        return self.partitions

    def run(self, partition: int, command: Command[A]) -> Coroutine[Any, Any, A]:
        """Runs a command on the shard of `partition`. Raises KafkaError, at once or when awaited, if it
        cannot run.
        """
        host = self._hosts.get(partition)
        if host is None:
            raise KafkaError(ErrorCode.NOT_COORDINATOR)
        return host.run(command)

    async def run_all(self, command: Command[A]) -> list[A | KafkaError]:
        """Runs a command on every shard of this node; a KafkaError for each on which it cannot run."""
        answers: list[A | KafkaError] = []
        asked = [host.run(command) for host in self._hosts.values()]
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(answer, BaseException) and not isinstance(answer, KafkaError):
                raise answer
            answers.append(answer)
        return answers

    def shard(self, partition: int) -> S | None:
        """The shard of a partition; None while this node does not serve it. Not to be changed."""
        host = self._hosts.get(partition)
        return None if host is None else host.shard

    def shards(self) -> list[S]:
        """All loaded shards; read-only."""
        return [host.shard for host in self._hosts.values() if host.shard is not None]

    def states(self) -> Counter[CoordinatorState]:
        """Counts the partitions that this node leads by state."""
        return Counter(host.state for host in self._hosts.values())

    def states_by_name(self) -> dict[str, int]:
        """As `states`, for a metric: states without a partition are 0."""
        states = self.states()
        return {
            state.value: states[state] for state in CoordinatorState if state is not CoordinatorState.CLOSED
        }

    def failed(self) -> list[int]:
        """The partitions that this node leads and cannot load."""
        return sorted(
            partition for partition, host in self._hosts.items() if host.state is CoordinatorState.FAILED
        )

    # Notifications of leadership and metadata.

    def on_leader(self, partition: int, epoch: LeaderEpoch) -> None:
        """This node leads `partition` since `epoch`: loads and serves it."""
        if self._epochs.get(partition) == epoch:
            return
        self.on_follower(partition)
        self._epochs[partition] = epoch
        self._hosts[partition] = ShardHost(self._setting, partition, epoch, self._image)

    def on_follower(self, partition: int) -> None:
        """This node does not lead `partition` any more: refuses its clients."""
        self._epochs.pop(partition, None)
        host = self._hosts.pop(partition, None)
        if host is not None:
            task = asyncio.ensure_future(host.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def on_topic_lost(self) -> None:
        """The topic was deleted. Kafka does not allow it; should it happen, shards start from nothing."""
        self.partitions = None
        for partition in list(self._hosts):
            self.on_follower(partition)

    def on_metadata(self, delta: ClusterDelta, image: ClusterImage) -> None:
        """`delta` has led to `image`."""
        self._image = image
        change = MetadataChange(image=image, delta=delta)
        for host in self._hosts.values():
            host.on_metadata(change)

    async def close(self) -> None:
        """Send all clients away; nothing is written any more."""
        for partition in list(self._hosts):
            self.on_follower(partition)
        if self._closing:
            await asyncio.wait(self._closing)
