"""Opens, changes, closes and deletes this node's partitions: combines log, group and Kafka's rules.

Implements `broker.replica_manager.PartitionFactory`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import NamedTuple

from chronik.broker.partition import Partition
from chronik.broker.replica_steps import LocalStep, local_step
from chronik.broker.traffic import Traffic
from chronik.cluster.metadata.replicas import PartitionImage
from chronik.cluster.metadata.topics import TopicPartitionImage
from chronik.log.config import LogConfig
from chronik.log.disk import Disk, Syncable
from chronik.log.handle_cache import HandleCache
from chronik.log.partition_log import LogFailed, PartitionLog
from chronik.log.vouched import VouchedLog
from chronik.node.partition_directories import (
    mark_for_deletion,
    move_aside,
    set_aside,
    topic_of,
)
from chronik.node.replication import NewReplica, Replication
from chronik.node.storage_health import StorageHealth
from chronik.raft.group import GroupId
from chronik.raft.persistence import FlushPolicy
from chronik.raft.replicated import ReplicatedGroup
from chronik.raft.syncer import Syncer
from chronik.vocab.config.topic import TopicConfig
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import METADATA_TOPIC, LeaderEpoch, NodeId, Offset, TopicId, TopicPartition
from chronik.vocab.seams import Clock

_log = logging.getLogger(__name__)

# Logs that are closed together: their syncs run at the same time, their files are open at the same time.
_CLOSED_AT_ONCE = 64

# A stop must end before its supervisor kills the node. Acknowledged records are durable already; a log that
# is not closed costs the next start a scan of its end.
_CLOSE_SECONDS_MAX = 4.0


class _Opened(NamedTuple):
    """The state needed to close an open partition."""

    group: ReplicatedGroup
    # Where the log ended when its files were as a clean close leaves them; None when they were not.
    clean_end_offset: Offset | None
    # How many times the partition's replicas have changed.
    revision: int = 0


class LocalPartitions:
    """One per node."""

    def __init__(
        self,
        *,
        disk: Disk,
        clock: Clock,
        syncer: Syncer,
        handles: HandleCache,
        flush: FlushPolicy,
        producer_id_expiration_ms: Callable[[], int],
        traffic: Traffic,
    ) -> None:
        self._disk = disk
        self._clock = clock
        self._syncer = syncer
        self._handles = handles
        self._flush = flush
        self._producer_id_expiration_ms = producer_id_expiration_ms
        self._traffic = traffic
        self._earlier_epoch: LeaderEpoch | None = None
        self._has_peers = False
        self._was_clean = False
        # Notes of each log, by directory: of the last clean stop, and for the next one.
        self._vouched: dict[str, VouchedLog] = {}
        self.closed: dict[str, VouchedLog] = {}
        self.health = StorageHealth()
        # Invariant: there from `begin` on, before which nothing is opened.
        self._replication: Replication
        self._opened: dict[Partition, _Opened] = {}
        # One at a time, so that cold reads do not wait behind a topic of a thousand partitions.
        self._removing = asyncio.Lock()
        self._removals: set[asyncio.Task[None]] = set()
        # Incomplete logs that were set aside, by group, kept until the replica has a whole one.
        self._set_aside: dict[GroupId, list[str]] = {}
        # Called with a replica whose incomplete log can be replaced.
        self.on_replaceable: Callable[[Partition], None] | None = None

    def begin(
        self,
        *,
        replication: Replication,
        has_peers: bool,
        earlier_epoch: LeaderEpoch | None,
        was_clean: bool,
        vouched: Mapping[str, VouchedLog] | None = None,
    ) -> None:
        """Sets the parameters of this start; called before any partition is opened. `earlier_epoch`: see
        `data_directory.earlier_leader_epoch`.
        """
        self._earlier_epoch = earlier_epoch
        self._has_peers = has_peers
        self._was_clean = was_clean
        self._vouched = dict(vouched or {})
        self._replication = replication

    def open(self, created: TopicPartitionImage, config: TopicConfig) -> Partition:
        """See `PartitionFactory.open`. Remains of another topic of this name are moved aside first."""
        image, replication = created.image, self._replication
        new = replication.new_replica(created, self._earlier_epoch)
        self._clear_earlier_replica(new, image, replication)
        if new.is_only and self._has_peers:
            self._check_only_replica(new, image, replication)
        self._forget_outdated_note(str(new.name), image)
        partition = self.open_replica(new, config, image.nodes)
        self.change_replicas(partition, image)
        return partition

    def _forget_outdated_note(self, directory: str, image: PartitionImage) -> None:
        """After a crash the note of an only replica holds as long as it has been that since: while there were
        others, a leader may have truncated its log.
        """
        noted = self._vouched.get(directory)
        if noted is not None and not self._was_clean and noted.revision != image.revision:
            del self._vouched[directory]

    def _check_only_replica(self, new: NewReplica, image: PartitionImage, replication: Replication) -> None:
        """A replica that was on another disk and nowhere else is lost: an empty one must not pass for it."""
        if self._disk.exists(str(new.name)):
            return
        if image.change is not None:
            # It had to be here, and to vote, before the others could go.
            is_lost, where = replication.revision_here(new.group_id) is None, "a data directory"
        else:
            named = image.directories[0]
            is_lost, where = named not in ("", replication.directory_id), f"the data directory {named}"
        if is_lost:
            raise KafkaError(
                ErrorCode.KAFKA_STORAGE_ERROR,
                f"the only replica was in {where}, which this node no longer has: "
                "bring that directory back, or delete the topic",
            )

    def _clear_earlier_replica(
        self, new: NewReplica, image: PartitionImage, replication: Replication
    ) -> None:
        """Removes the remains of an earlier replica, which are no part of the new one. Raises OSError, and
        KafkaError while the metadata is older than the remains.
        """
        here = replication.revision_here(new.group_id)
        step = local_step(image, replication.node, here)
        if step is LocalStep.WAIT:
            raise KafkaError(
                ErrorCode.KAFKA_STORAGE_ERROR,
                f"the metadata is at revision {image.revision} of the partition, and this replica at {here}: "
                "it is opened when the metadata has caught up",
            )
        if step is LocalStep.REMAKE or (step is LocalStep.MAKE and new.revision and not new.is_only):
            self.remove_unopened(new.topic_id, new.name)
        elif step is LocalStep.MAKE and image.change is not None and not new.is_only:
            self._keep_unknown_copy(new, image, replication)

    def _keep_unknown_copy(self, new: NewReplica, image: PartitionImage, replication: Replication) -> None:
        """A node that had all of a partition, and lost its store while the partition was to get more
        replicas, cannot tell whether these have the records. It takes theirs, and keeps its own copy.
        """
        is_lost = image.directories != (replication.directory_id,) and len(image.founders) == 1
        if is_lost and topic_of(self._disk, str(new.name)) == new.topic_id:
            kept = set_aside(self._disk, new.name, new.topic_id)
            self._set_aside.setdefault(new.group_id, []).append(kept)
            _log.error(
                "log of a replica whose store was lost set aside: it is removed when the replica votes again",
                extra={"partition": str(new.name), "kept": kept},
            )

    def open_replica(self, new: NewReplica, config: TopicConfig, replicas: Sequence[NodeId]) -> Partition:
        """Opens this node's replica of a partition; creates and begins it when it does not exist."""
        replication = self._replication
        existed = self._disk.exists(str(new.name))
        has_others = not replication.is_only_replica(new)
        log = self._open_log(new.name, new.topic_id, config, has_other_replicas=has_others)
        group = replication.open(
            new, log, self._flush_policy(config), lambda: self._on_leader_found(partition)
        )
        revision = group.replica_id.revision
        partition = self._partition(new.name, new.topic_id, replicas, log, group, config, revision)
        is_clean = existed and not log.recovery.was_scanned
        self._opened[partition] = _Opened(group, log.end_offset if is_clean else None)
        self._replication.begin(group, new)
        return partition

    def _on_leader_found(self, partition: Partition) -> None:
        """Deferred: the group is processing a message."""
        if self.on_replaceable is not None:
            asyncio.get_running_loop().call_soon(self.on_replaceable, partition)

    def _partition(
        self,
        name: TopicPartition,
        topic_id: TopicId,
        replicas: Sequence[NodeId],
        log: PartitionLog,
        group: ReplicatedGroup,
        config: TopicConfig,
        revision: int = 0,
    ) -> Partition:
        partition = Partition(
            name=name,
            topic_id=topic_id,
            replicas=replicas,
            log=log,
            group=group,
            config=config,
            clock=self._clock,
            traffic=self._traffic.of(name.topic),
            revision=revision,
        )
        group.listen(partition)
        return partition

    def reconfigure(self, partition: Partition, config: TopicConfig) -> None:
        was_caching = partition.config.write_caching
        partition.configure(config)
        partition.log.config = self._log_config(config)
        if config.write_caching != was_caching:
            self._opened[partition].group.set_write_caching(self._flush_policy(config))

    def change_replicas(self, partition: Partition, image: PartitionImage) -> None:
        """See `PartitionFactory.change_replicas`."""
        if image.change is None:
            return
        opened = self._opened[partition] = self._opened[partition]._replace(revision=image.revision)
        partition.change_replicas(image.nodes, len(image.wanted))
        self._replication.host.expect(opened.group, frozenset(image.nodes))

    # The end of the node.

    async def close(self, partitions: Sequence[Partition]) -> Mapping[Partition, OSError]:
        """Leaves the logs as a clean start needs them: everything written, synced, closed."""
        failures: dict[Partition, OSError] = {}
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _CLOSE_SECONDS_MAX
        await self._resign(partitions)
        for start in range(0, len(partitions), _CLOSED_AT_ONCE):
            some = partitions[start : start + _CLOSED_AT_ONCE]
            if loop.time() < deadline:
                failures.update(await self._close(some))
            else:
                failures.update({partition: self._leave(partition) for partition in some})
        for removal in self._removals:
            # The rest is removed at the next start.
            removal.cancel()
        if self._removals:
            await asyncio.wait(self._removals)
        return failures

    async def _resign(self, partitions: Sequence[Partition]) -> None:
        """Notifies the other nodes at once of the leaderships that this node gives up: they would wait for
        it until its connections close.
        """
        for partition in partitions:
            self._opened[partition].group.resign()
        # It is sent at the end of this turn.
        await asyncio.sleep(0)

    async def _close(self, partitions: Sequence[Partition]) -> dict[Partition, OSError]:
        failures: dict[Partition, OSError] = {}
        syncs: dict[Partition, Sequence[Syncable]] = {}
        opened = {partition: self._opened[partition] for partition in partitions}
        for partition in partitions:
            try:
                syncs[partition] = self._flush_log(partition)
            except OSError as error:
                failures[partition] = error
        unsynced = await self._disk.sync_many([file for files in syncs.values() for file in files])
        for partition, files in syncs.items():
            failure = next((unsynced[file] for file in files if file in unsynced), None)
            try:
                if failure is not None:
                    raise failure
                partition.log.on_synced(partition.log.end_offset)
            except OSError as error:
                failures[partition] = error
        closed = {each: found.group.id for each, found in opened.items() if each not in failures}
        failures.update(self._record_ends(closed))
        for partition in partitions:
            vouched = None if partition in failures else partition.log.vouch()
            if vouched is not None:
                self.closed[str(partition.name)] = vouched._replace(revision=opened[partition].revision)
            partition.log.close()
        return failures

    def _record_ends(self, closed: Mapping[Partition, GroupId]) -> dict[Partition, OSError]:
        """Records the end of each log in the store. A log whose end could not be recorded is not closed
        cleanly: a loss of its end could not be detected later.
        """
        try:
            self._replication.on_closed(
                {group: partition.log.end_offset for partition, group in closed.items()}
            )
        except OSError as error:
            return dict.fromkeys(closed, error)
        return {}

    def _leave(self, partition: Partition) -> OSError:
        """Close a log as it is, because the stop takes too long; why the next start must look at it."""
        self._end_group(self._opened.pop(partition))
        partition.log.close()
        return TimeoutError("the stop took too long")

    def _flush_log(self, partition: Partition) -> Sequence[Syncable]:
        """Writes data buffered in memory, if any; returns the files to sync then. Raises OSError."""
        opened, log = self._opened.pop(partition), partition.log
        self._end_group(opened)
        if log.is_failed:
            raise LogFailed("the log failed earlier")
        is_as_found = log.end_offset == opened.clean_end_offset and not log.has_unsynced
        # One that never had a record is found empty even if its directory is lost.
        if is_as_found or log.end_offset == 0:
            return []
        log.flush()
        return log.files_to_sync()[0]

    # The end of a topic.

    def delete(self, partition: Partition) -> Awaitable[None]:
        """See `PartitionFactory.delete`. The files are removed in the background."""
        opened = self._opened.pop(partition)
        self._end_group(opened)
        self._replication.forget(opened.group)
        self._traffic.forget(partition.name.topic)
        self._abandon(partition, LogFailed("the topic was deleted"))
        return self._free_name(partition)

    def remove(self, partition: Partition) -> Awaitable[None]:
        """See `PartitionFactory.remove`. The files are removed in the background."""
        self._end_group(self._opened.pop(partition))
        topic = partition.name.topic
        if not any(other.name.topic == topic for other in self._opened):
            self._traffic.forget(topic)
        self._abandon(partition, LogFailed("the replica was removed"))
        return self._remove_replica(partition)

    async def _remove_replica(self, partition: Partition) -> None:
        await partition.wait_until_idle()
        try:
            self._replication.discard(GroupId(partition.topic_id, partition.name.partition))
        except OSError as error:
            # Its promises are remembered, and its files exist: removed when the name is needed, or at the
            # next start.
            extra = {"partition": str(partition.name), "error": str(error)}
            _log.error("could not forget a removed replica; the next start does", extra=extra)
            await self._close_drained(partition.log)
        else:
            await self._free_name(partition)

    def remove_unopened(self, topic_id: TopicId, name: TopicPartition) -> None:
        """See `PartitionFactory.remove_unopened`. Raises OSError."""
        self._replication.discard(GroupId(topic_id, name.partition))
        self._vouched.pop(str(name), None)
        # A crash may have taken the id, which is not synced: such a directory would be opened for this topic.
        if self._disk.exists(str(name)) and topic_of(self._disk, str(name)) in (topic_id, None):
            _log.info("directory of a removed replica removed", extra={"directory": str(name)})
            self.remove_later(mark_for_deletion(self._disk, str(name), topic_id))

    def _abandon(self, partition: Partition, why: LogFailed) -> None:
        """No request reaches it any more."""
        partition.log.fail(why)
        self.health.forget(partition.name)
        self._vouched.pop(str(partition.name), None)
        for directory in self._set_aside.pop(GroupId(partition.topic_id, partition.name.partition), ()):
            self.remove_later(directory)

    # Replacing a log.

    async def set_aside(self, partition: Partition) -> None:
        """See `PartitionFactory.set_aside`."""
        opened = self._opened.pop(partition)
        self._end_group(opened)
        partition.log.fail(LogFailed("the log is set aside"))
        self.health.forget(partition.name)
        await partition.wait_until_idle()
        await self._syncer.wait_until_drained()
        partition.log.close()
        self._replication.on_set_aside(opened.group)
        kept = set_aside(self._disk, partition.name, partition.topic_id)
        self._vouched.pop(str(partition.name), None)
        self._set_aside.setdefault(opened.group.id, []).append(kept)
        extra = {"partition": str(partition.name), "kept": kept}
        _log.warning("incomplete log set aside: it is removed when the replica votes again", extra=extra)

    def keep_aside(self, directory: str, topic_id: TopicId, partition: int) -> None:
        """Keeps a directory that an earlier process of this node set aside."""
        self._set_aside.setdefault(GroupId(topic_id, partition), []).append(directory)

    def look_after_replicas(self) -> None:
        """Called periodically: replaces logs whose damage was found by a read, and removes directories set
        aside for replicas that are whole again.
        """
        if self.health.found:
            for name in self.health.damaged:
                self._suspend(name)
        self._remove_replaced()

    def _suspend(self, name: TopicPartition) -> None:
        """A leader that cannot read some of its log: others can."""
        found = next((one for one in self._opened if one.name == name), None)
        if found is None or name.topic == METADATA_TOPIC:
            return
        if self._opened[found].group.suspend(lambda: self._on_leader_found(found)):
            _log.error(
                "replica lost records inside its log: another one leads, and sends a whole copy",
                extra={"partition": str(name)},
            )

    def _remove_replaced(self) -> None:
        """For replicas that vote, and whose log is durable."""
        for group_id in list(self._set_aside):
            group = self._replication.host.group(group_id)
            if group is not None and group.has_vote and group.synced_offset >= group.high_watermark > 0:
                for directory in self._set_aside.pop(group_id):
                    _log.info("removed a log that was set aside", extra={"directory": directory})
                    self.remove_later(directory)

    def _end_group(self, opened: _Opened) -> None:
        opened.group.close()
        self._replication.end(opened.group)

    async def _free_name(self, partition: Partition) -> None:
        # A thread that still removed old segments would remove the new topic's.
        await partition.wait_until_idle()
        if not partition.log.is_on_disk:
            partition.log.close()
            return
        try:
            doomed = mark_for_deletion(self._disk, str(partition.name), partition.topic_id)
        except OSError as error:
            # Moved aside when its name is needed, removed at the next start.
            extra = {"partition": str(partition.name), "error": str(error)}
            _log.error("could not remove a partition directory; the next start removes it", extra=extra)
            await self._close_drained(partition.log)
        else:
            self._in_background(self._remove_log(partition.log, doomed))

    async def _remove_log(self, log: PartitionLog, directory: str) -> None:
        await self._close_drained(log)
        await self._remove(directory)

    async def _close_drained(self, log: PartitionLog) -> None:
        try:
            # A descriptor that were closed now could be another file's by the time it is synced.
            await self._syncer.wait_until_drained()
        finally:
            log.close()

    def remove_later(self, directory: str) -> None:
        """Removes a directory without an owner, in the background."""
        self._in_background(self._remove(directory))

    async def _remove(self, directory: str) -> None:
        def remove() -> None:
            # First its new name, so that a crash does not bring the topic's directory back.
            self._disk.sync_directory("")
            self._disk.remove_tree(directory)

        try:
            async with self._removing:
                await self._disk.run_blocking(remove)
        except OSError as error:
            _log.error(
                "could not remove a directory; the next start removes it",
                extra={"directory": directory, "error": str(error)},
            )

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._removals.add(task)
        task.add_done_callback(self._removals.discard)

    # Logs.

    def _open_log(
        self, name: TopicPartition, topic_id: TopicId, config: TopicConfig, *, has_other_replicas: bool
    ) -> PartitionLog:
        try:
            log = self._open_directory(name, topic_id, config, has_other_replicas)
        except KafkaError as error:
            if error.code is not ErrorCode.INCONSISTENT_TOPIC_ID:
                raise
            self._clear_name(str(name))
            log = self._open_directory(name, topic_id, config, has_other_replicas)
        self.health.watch(name, log.damages)
        report = log.recovery
        # A loss of durable records is an error, already reported in health, and no crash causes it.
        if (report.truncated_bytes or report.removed_segments) and report.lost_from_offset is None:
            extra = {
                "partition": str(name),
                "end_offset": log.end_offset,
                "dropped_bytes": report.truncated_bytes,
                "dropped_segments": report.removed_segments,
            }
            _log.warning(
                "unacknowledged records dropped: a crash left them behind the last sync", extra=extra
            )
        return log

    def _clear_name(self, directory: str) -> None:
        """The name belonged to another topic. In a cluster that one is deleted: a majority has this one."""
        topic_id = topic_of(self._disk, directory)
        if self._has_peers and topic_id is not None:
            _log.info("directory of a deleted topic removed", extra={"directory": directory})
            self.remove_later(mark_for_deletion(self._disk, directory, topic_id))
        else:
            kept = move_aside(self._disk, directory)
            _log.warning("directory of another topic moved aside", extra={"kept": kept})

    def _open_directory(
        self, name: TopicPartition, topic_id: TopicId, config: TopicConfig, has_other_replicas: bool
    ) -> PartitionLog:
        # A log that follows a leader may have been truncated since.
        is_note_valid = self._was_clean or not has_other_replicas
        return PartitionLog.open(
            str(name),
            self._disk,
            self._log_config(config),
            self._clock,
            was_clean=self._was_clean,
            topic_id=topic_id,
            handles=self._handles,
            vouched=self._vouched.get(str(name)) if is_note_valid else None,
            has_other_replicas=has_other_replicas,
        )

    def _flush_policy(self, config: TopicConfig) -> FlushPolicy | None:
        return self._flush if config.write_caching else None

    def _log_config(self, config: TopicConfig) -> LogConfig:
        return LogConfig(
            segment_bytes=config.segment_bytes,
            segment_ms=config.segment_ms,
            segment_jitter_ms=config.segment_jitter_ms,
            segment_index_bytes=config.segment_index_bytes,
            index_interval_bytes=config.index_interval_bytes,
            retention_ms=config.retention_ms,
            retention_bytes=config.retention_bytes,
            deletes=config.deletes,
            producer_id_expiration_ms=self._producer_id_expiration_ms(),
        )
