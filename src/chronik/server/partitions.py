"""Opens, changes, closes and deletes this node's partitions: log, group and Kafka's rules put together.

Implements `broker.replica_manager.PartitionFactory` for a node whose groups have one voter.
"""

import logging

from chronik.broker.partition import Partition
from chronik.broker.traffic import Traffic
from chronik.log.config import LogConfig
from chronik.log.disk import Disk
from chronik.log.handles import HandleCache
from chronik.log.partition_log import PartitionLog
from chronik.raft.solo import FlushPolicy, SoloGroup
from chronik.raft.syncer import Syncer
from chronik.vocab.config.topic import TopicConfig
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import LeaderEpoch, TopicId, TopicPartition
from chronik.vocab.seams import Clock

_log = logging.getLogger(__name__)

# Directories of deleted topics end so until they are gone, as Kafka names them.
_DELETED_SUFFIX = "-delete"


class LocalPartitions:
    """One per node."""

    def __init__(
        self,
        *,
        disk: Disk,
        clock: Clock,
        syncer: Syncer,
        leader_epoch: LeaderEpoch,
        was_clean: bool,
        handles: HandleCache,
        flush: FlushPolicy,
        producer_id_expiration_ms: int,
        traffic: Traffic,
    ) -> None:
        self._disk = disk
        self._clock = clock
        self._syncer = syncer
        self._leader_epoch = leader_epoch
        self._was_clean = was_clean
        self._handles = handles
        self._flush = flush
        self._producer_id_expiration_ms = producer_id_expiration_ms
        self._traffic = traffic
        # The group of each open partition: it closes with it.
        self._groups: dict[Partition, SoloGroup] = {}

    def open(self, name: TopicPartition, topic_id: TopicId, config: TopicConfig) -> Partition:
        """See `PartitionFactory.open`. What is left of a deleted topic of this name is removed first."""
        log = self._open_log(name, topic_id, config)
        epoch = LeaderEpoch(max(self._leader_epoch, log.latest_epoch))
        group = SoloGroup(log, self._syncer, epoch, write_caching=self._flush_policy(config))
        partition = Partition(
            name=name,
            topic_id=topic_id,
            log=log,
            group=group,
            config=config,
            clock=self._clock,
            traffic=self._traffic.of(name.topic),
        )
        group.listen(partition)
        self._groups[partition] = group
        return partition

    def reconfigure(self, partition: Partition, config: TopicConfig) -> None:
        was_caching = partition.config.write_caching
        partition.configure(config)
        partition.log.config = self._log_config(config)
        if config.write_caching != was_caching:
            self._groups[partition].set_write_caching(self._flush_policy(config))

    async def close(self, partition: Partition) -> None:
        """Leave the log as a clean start wants to find it: everything written, synced, closed."""
        self._groups.pop(partition).close()
        log = partition.log
        if not log.is_failed:
            log.flush()
            files, end_offset = log.files_to_sync()
            failures = await self._disk.sync_many(files)
            for error in failures.values():
                raise error
            log.on_synced(end_offset)
        log.close()
        if log.is_failed:
            raise OSError("the log failed earlier")

    def delete(self, partition: Partition) -> None:
        self._groups.pop(partition).close()
        self._traffic.forget(partition.name.topic)
        try:
            partition.log.delete()
        except OSError as error:
            # The metadata says it is gone; what is left is removed at the next start.
            _log.error(
                "cannot remove a partition", extra={"partition": str(partition.name), "error": str(error)}
            )

    def remove_strays(self, wanted: set[str]) -> list[str]:
        """Remove partition directories nobody wants: their topics were deleted when this node could not."""
        removed = []
        for name in self._disk.list(""):
            is_partition = name.rpartition("-")[2].isdigit() and self._disk.exists(
                f"{name}/partition.metadata"
            )
            if (is_partition or name.endswith(_DELETED_SUFFIX)) and name not in wanted:
                self._disk.remove_tree(name)
                removed.append(name)
        return removed

    def _open_log(self, name: TopicPartition, topic_id: TopicId, config: TopicConfig) -> PartitionLog:
        try:
            return self._open_directory(name, topic_id, config)
        except KafkaError as error:
            if error.code is not ErrorCode.INCONSISTENT_TOPIC_ID:
                raise
        self._disk.remove_tree(str(name))
        return self._open_directory(name, topic_id, config)

    def _open_directory(self, name: TopicPartition, topic_id: TopicId, config: TopicConfig) -> PartitionLog:
        return PartitionLog.open(
            str(name),
            self._disk,
            self._log_config(config),
            self._clock,
            was_clean=self._was_clean,
            topic_id=topic_id,
            handles=self._handles,
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
            producer_id_expiration_ms=self._producer_id_expiration_ms,
        )
