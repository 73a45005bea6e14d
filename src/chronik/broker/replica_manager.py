"""The partitions of this node: created and removed by the metadata, found by name or id, kept within their
retention.

Created by the node. `on_metadata` is called with every applied change; only the metadata says which
partitions exist, directories follow. A partition whose log cannot be opened is offline: it answers
KAFKA_STORAGE_ERROR and is tried again. One whose log fails resigns, and stays until the node starts again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple, Protocol, assert_never

from chronik.broker.partition import Partition
from chronik.broker.replica_steps import LocalStep, local_step
from chronik.broker.storage_errors import storage_error
from chronik.cluster.image import ClusterDelta, ClusterImage
from chronik.cluster.leadership import Leader, LeadershipTable
from chronik.cluster.metadata.replicas import PartitionImage
from chronik.cluster.metadata.topics import TopicImage, TopicPartitionImage
from chronik.log.reading import ColdRead, LogSlice
from chronik.vocab.config.definition import ResourceType
from chronik.vocab.config.topic import TopicConfig
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import (
    NO_EPOCH,
    NO_NODE,
    NO_TOPIC_ID,
    LeaderEpoch,
    NodeId,
    TopicId,
    TopicPartition,
)
from chronik.vocab.seams import Clock

_log = logging.getLogger(__name__)


# How many partitions are opened before the loop does something else, when there are thousands to open: some
# milliseconds.
_OPENED_AT_ONCE = 16


class PartitionFactory(Protocol):
    """Opens or creates one partition's log and group. Owned by the node."""

    def open(self, created: TopicPartitionImage, config: TopicConfig) -> Partition:
        """Opens this node's replica of a partition. It may lead already, or start to lead later.

        Raises OSError or KafkaError when the log cannot be opened.
        """
        ...

    def reconfigure(self, partition: Partition, config: TopicConfig) -> None: ...

    def change_replicas(self, partition: Partition, image: PartitionImage) -> None:
        """Have a partition whose replica here stays know the others."""
        ...

    def remove(self, partition: Partition) -> Awaitable[None]:
        """As `delete`, where only this node's replica goes: what it promised is forgotten, durably, before
        its files go.
        """
        ...

    def remove_unopened(self, topic_id: TopicId, name: TopicPartition) -> None:
        """As `remove`, of a replica that is not open."""
        ...

    def delete(self, partition: Partition) -> Awaitable[None]:
        """End a closed partition for good; done when a new one of its name may be opened. Does not raise."""
        ...

    async def set_aside(self, partition: Partition) -> None:
        """Ends a closed partition and keeps its files under another name: opened again it is empty, and
        its leader sends everything. Raises OSError.
        """
        ...

    async def close(self, partitions: Sequence[Partition]) -> Mapping[Partition, OSError]:
        """Syncs and closes the logs of partitions that no longer serve; returns the error of each that did
        not close cleanly: TimeoutError for those without enough time.
        """
        ...


class DiskUsage(NamedTuple):
    """The data directory: path, and bytes of its file system."""

    directory: str
    total_bytes: int
    usable_bytes: int


class ReplicaStatistics(NamedTuple):
    """Counts of the replicas on this node."""

    partitions: int
    offline: int
    # Those of `partitions` that this node leads.
    led: int = 0


class ReplicaManager:
    """See the module."""

    def __init__(
        self,
        *,
        node_id: NodeId,
        factory: PartitionFactory,
        leadership: LeadershipTable,
        topic_config: Callable[[ClusterImage, str], TopicConfig],
        load_cold: Callable[[ColdRead], Awaitable[LogSlice]],
        disk_usage: Callable[[], DiskUsage],
        clock: Clock,
    ) -> None:
        self.node_id = node_id
        self._factory = factory
        self._leadership = leadership
        self._topic_config = topic_config
        self._load_cold = load_cold
        self._disk_usage = disk_usage
        self._clock = clock
        # Invariant: the same partitions in both, all of topics in `_image`.
        self._by_name: dict[tuple[str, int], Partition] = {}
        self._by_id: dict[tuple[TopicId, int], Partition] = {}
        # The partitions that this node leads, and the announced epoch of each.
        self._led: dict[Partition, LeaderEpoch] = {}
        # Partitions that are to be opened, in this order; a dict, because one may be taken back.
        self._unopened: dict[TopicPartition, None] = {}
        # Invariant: not None while any is unopened, but during `start`.
        self._opener: asyncio.Task[None] | None = None
        # Partitions that should be here and could not be opened.
        self._offline: dict[tuple[str, int], Exception] = {}
        # Deleted partitions whose names are still in use. New ones of these names are opened after them.
        self._leaving: dict[tuple[str, int], asyncio.Future[None]] = {}
        self._is_closed = False
        self._image = ClusterImage()

    # Finding.

    def find(self, topic: str, index: int) -> Partition | None:
        return self._by_name.get((topic, index))

    def replica(self, topic: str, index: int) -> Partition:
        """The partition, if this node has a replica, which need not lead: see `Partition.check_leader`.

        Raises KafkaError UNKNOWN_TOPIC_OR_PARTITION; NOT_LEADER_OR_FOLLOWER when it is elsewhere; others.
        """
        partition = self._by_name.get((topic, index))
        if partition is None:
            raise self._absent(self._image.topics.get(topic), index, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        return partition

    def replica_by_id(self, topic_id: bytes, index: int) -> Partition:
        """As `replica`; raises UNKNOWN_TOPIC_ID for an unknown topic id."""
        partition = self._by_id.get((TopicId(topic_id), index))
        if partition is None:
            topic = self._image.topics_by_id.get(TopicId(topic_id))
            raise self._absent(topic, index, ErrorCode.UNKNOWN_TOPIC_ID)
        return partition

    def known_leader(self, topic_id: bytes, topic: str, index: int) -> Leader | None:
        """Returns the leader of a partition, named by its topic's id or, when that is zero, by its name
        (KIP-951).
        """
        if topic_id == NO_TOPIC_ID:
            image = self._image.topics.get(topic)
            if image is None:
                return None
            topic_id = image.topic_id
        return self._leadership.leader(TopicId(topic_id), index)

    def is_leaving(self, node: NodeId) -> bool:
        """True if a node stops, or is taken for lost: nothing is to be given to it."""
        return node in self._image.fenced

    def partitions(self) -> list[Partition]:
        return list(self._by_name.values())

    def led(self) -> list[Partition]:
        """Returns the partitions that this node leads."""
        return list(self._led)

    async def load(self, cold: ColdRead) -> LogSlice:
        """Read from the device, in a thread. Raises KafkaError."""
        try:
            return await self._load_cold(cold)
        except OSError as error:
            raise storage_error(error) from error

    def disk_usage(self) -> DiskUsage:
        """Raises KafkaError KAFKA_STORAGE_ERROR."""
        try:
            return self._disk_usage()
        except OSError as error:
            raise storage_error(error) from error

    def statistics(self) -> ReplicaStatistics:
        return ReplicaStatistics(
            partitions=len(self._by_name), offline=len(self._offline), led=len(self._led)
        )

    def _absent(self, topic: TopicImage | None, index: int, unknown_topic: ErrorCode) -> KafkaError:
        if topic is None:
            return KafkaError(unknown_topic)
        if not 0 <= index < len(topic.partitions):
            return KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        offline = self._offline.get((topic.name, index))
        if offline is not None:
            return KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"the log could not be opened: {offline}")
        return KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER)

    # Following the metadata.

    async def start(self, delta: ClusterDelta, image: ClusterImage) -> None:
        """Opens all partitions of the metadata when the node starts; `on_metadata` is not called until it
        ends.
        """
        self._image = image
        self._want(delta)
        await self._open_rest()

    def on_metadata(self, delta: ClusterDelta, image: ClusterImage) -> None:
        """Subscribed to the metadata service. Changes during the close of the node are applied at the next
        start: a log opened now would be left open, under a mark that all are closed.
        """
        if self._is_closed:
            return
        self._image = image
        for topic in delta.topics_deleted:
            self._delete_topic(topic)
        self._want(delta)
        for changed in delta.partitions_changed:
            self._follow_change(changed)
        self._open_some()
        if self._unopened and self._opener is None:
            self._opener = asyncio.create_task(self._open_rest(), name="open-partitions")
            self._opener.add_done_callback(self._on_all_opened)
        for resource in delta.configs_changed:
            if resource.type is ResourceType.TOPIC:
                self._reconfigure(image.topics.get(resource.name))
            elif resource.type is ResourceType.BROKER:
                self._reconfigure_all()

    def retry_offline(self) -> bool:
        """Try again to open what could not be opened; whether there is any left."""
        for name in list(self._offline):
            self._open_if_wanted(*name)
        return bool(self._offline)

    def _want(self, delta: ClusterDelta) -> None:
        for created in delta.partitions_created:
            if self.node_id in created.image.nodes:
                self._unopened[TopicPartition(created.topic.name, created.partition)] = None

    def _follow_change(self, changed: TopicPartitionImage) -> None:
        name = TopicPartition(changed.topic.name, changed.partition)
        partition = self._by_id.get((changed.topic.topic_id, changed.partition))
        here = None if partition is None else partition.revision
        step = local_step(changed.image, self.node_id, here)
        match step:
            case LocalStep.MAKE:
                self._unopened[name] = None
            case LocalStep.NONE:
                self._remove_unopened(changed.topic.topic_id, name)
            case LocalStep.WAIT:
                _log.error("metadata is behind this replica; it waits", extra={"partition": str(name)})
            case LocalStep.DELETE | LocalStep.REMAKE | LocalStep.CHANGE:
                assert partition is not None
                if step is LocalStep.CHANGE:
                    self._factory.change_replicas(partition, changed.image)
                else:
                    self._remove(partition)
            case _:
                assert_never(step)

    def _remove_unopened(self, topic_id: TopicId, name: TopicPartition) -> None:
        if name not in self._unopened and name not in self._offline:
            return
        self._unopened.pop(name, None)
        self._offline.pop(name, None)
        try:
            self._factory.remove_unopened(topic_id, name)
        except OSError as error:
            extra = {"partition": str(name), "error": str(error)}
            _log.error("could not remove a replica; the next start removes it", extra=extra)

    def _remove(self, partition: Partition) -> None:
        """Closes and removes a replica; clients are redirected. A later change may create it again."""
        name = partition.name
        del self._by_name[name], self._by_id[partition.topic_id, name.partition]
        partition.close(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        # If it led, it does so no more.
        self.on_partition_leadership(partition)
        _log.info("replica removed: the partition lives elsewhere", extra={"partition": str(name)})
        self._leaving[name] = asyncio.ensure_future(self._factory.remove(partition))
        self._leaving[name].add_done_callback(partial(self._on_left, name))

    def _open_some(self) -> None:
        for name in list(islice(self._unopened, _OPENED_AT_ONCE)):
            del self._unopened[name]
            if name not in self._leaving:
                self._open_if_wanted(*name)

    async def _open_rest(self) -> None:
        """Opens the remaining partitions, yielding to the loop: peers must not miss this node's
        heartbeats.
        """
        while self._unopened:
            await asyncio.sleep(0)
            self._open_some()

    def _on_all_opened(self, opener: asyncio.Task[None]) -> None:
        self._opener = None
        if not opener.cancelled() and (error := opener.exception()) is not None:
            _log.critical("could not open partitions: an unexpected error; restart this node", exc_info=error)

    def _open_if_wanted(self, topic_name: str, index: int) -> None:
        """Open a partition unless it is open, or the metadata has changed its mind."""
        self._unopened.pop(TopicPartition(topic_name, index), None)
        topic = self._image.topics.get(topic_name)
        if topic is None or index >= len(topic.partitions):
            self._offline.pop((topic_name, index), None)
        elif self.node_id in topic.partitions[index].nodes and (topic_name, index) not in self._by_name:
            self._open(topic, index)

    def _open(self, topic: TopicImage, index: int) -> None:
        name = TopicPartition(topic.name, index)
        try:
            config = self._topic_config(self._image, topic.name)
            partition = self._factory.open(TopicPartitionImage(topic, index), config)
        except (
            Exception
        ) as error:  # whatever the files of one log contain must not stop the metadata, or the node
            self._on_unopened(topic, index, error)
            return
        self._offline.pop(name, None)
        self._add(partition)

    def _on_unopened(self, topic: TopicImage, index: int, error: Exception) -> None:
        name = TopicPartition(topic.name, index)
        if name not in self._offline:
            is_bug = not isinstance(error, (OSError, KafkaError))
            extra = {"partition": str(name), "error": str(error)}
            _log.error("partition is offline", extra=extra, exc_info=error if is_bug else None)
        self._offline[name] = error
        if topic.partitions[index].nodes == (self.node_id,):
            # Those who wait for a leader are told at once that there is none.
            self._leadership.announce(topic.topic_id, index, Leader(NO_NODE, NO_EPOCH))

    def _add(self, partition: Partition) -> None:
        topic, index = partition.name
        self._by_name[topic, index] = partition
        self._by_id[partition.topic_id, index] = partition
        partition.owner = self
        self.on_partition_leadership(partition)

    # Notifications of partitions.

    def on_partition_leadership(self, partition: Partition) -> None:
        """Announce that it leads, or that it no longer leads the epoch it led."""
        announced = self._led.get(partition)
        if partition.is_leader:
            epoch = partition.leader_epoch
            if announced != epoch:
                self._led[partition] = epoch
                self._announce(partition, Leader(self.node_id, epoch))
        elif announced is not None:
            del self._led[partition]
            self._announce(partition, Leader(NO_NODE, announced))

    def on_partition_failed(self, partition: Partition, error: OSError) -> None:
        """Give up its leadership: it will not come back in this epoch."""
        extra = {"partition": str(partition.name), "error": str(error)}
        _log.critical("partition stopped: its log failed; restart this node", extra=extra)
        self.on_partition_leadership(partition)

    def _announce(self, partition: Partition, leader: Leader) -> None:
        self._leadership.announce(partition.topic_id, partition.name.partition, leader)

    def _delete_topic(self, topic: TopicImage) -> None:
        for index in range(len(topic.partitions)):
            name = TopicPartition(topic.name, index)
            partition = self._by_id.pop((topic.topic_id, index), None)
            if partition is None:
                self._remove_unopened(topic.topic_id, name)
            else:
                del self._by_name[name]
                self._led.pop(partition, None)
                partition.close(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
                self._leaving[name] = asyncio.ensure_future(self._factory.delete(partition))
                self._leaving[name].add_done_callback(partial(self._on_left, name))
        self._leadership.forget(topic.topic_id)

    def replace(self, partition: Partition) -> None:
        """Reopens a replica whose log is incomplete, on an empty log, unless it was removed in the
        meantime.
        """
        name = partition.name
        if self._by_name.get(name) is not partition or self._is_closed:
            return
        del self._by_name[name], self._by_id[partition.topic_id, name.partition]
        partition.close(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        self._leaving[name] = asyncio.ensure_future(self._factory.set_aside(partition))
        self._leaving[name].add_done_callback(partial(self._on_left, name))

    def _on_left(self, name: TopicPartition, left: asyncio.Future[None]) -> None:
        del self._leaving[name]
        if self._is_closed:
            return
        topic, error = self._image.topics.get(name.topic), left.exception()
        if topic is not None and isinstance(error, Exception):
            # Its directory is as it was: `retry_offline` opens it, and a leader has it replaced again.
            self._on_unopened(topic, name.partition, error)
        else:
            self._open_if_wanted(*name)

    def _reconfigure(self, topic: TopicImage | None) -> None:
        if topic is None:
            return
        config = self._topic_config(self._image, topic.name)
        for index in range(len(topic.partitions)):
            partition = self._by_name.get((topic.name, index))
            if partition is not None:
                self._factory.reconfigure(partition, config)

    def _reconfigure_all(self) -> None:
        for topic in self._image.topics.values():
            self._reconfigure(topic)

    # LogMaintenance.

    async def run_maintenance(self, partition: Partition) -> int:
        """Roll by time, then remove segments past retention; how many were removed. Followers too."""
        if not partition.is_open or partition.log.is_failed:
            return 0
        try:
            return await partition.run_maintenance(self._clock.now_ms())
        except KafkaError as error:
            if partition.is_open:
                _log.error(
                    "could not apply retention; the next run tries again",
                    extra={"partition": str(partition.name), "error": str(error)},
                )
            return 0

    # The end.

    def wake_fetchers(self) -> None:
        """Have every waiting fetch look again, because the node stops."""
        for partition in self.partitions():
            partition.wake_fetchers()

    async def close(self) -> bool:
        """Stop serving and close every log. True when all that this node should have is closed cleanly."""
        self._is_closed = True
        if self._opener is not None:
            self._opener.cancel()
        partitions = self.partitions()
        for partition in partitions:
            partition.close(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        if self._leaving:
            await asyncio.wait(list(self._leaving.values()))
        failures = await self._factory.close(partitions)
        late = sum(isinstance(error, TimeoutError) for error in failures.values())
        if late:
            _log.warning(
                "shutdown exceeded its time; the next start recovers all logs", extra={"unclosed": late}
            )
        for partition, error in failures.items():
            if not isinstance(error, TimeoutError):
                extra = {"partition": str(partition.name), "error": str(error)}
                _log.error("could not close partition cleanly; the next start recovers its log", extra=extra)
        self._by_name.clear()
        self._by_id.clear()
        self._led.clear()
        return not failures and not self._offline and not self._unopened
