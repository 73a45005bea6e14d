"""`__meta` on this node: the partition under the metadata service.

It is opened before all others, because they are what it says. Clients neither see nor reach it, and retention
does not touch it: everything else on the node is only there because of its records.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

from chronik.broker.internal_log import InternalLog
from chronik.broker.partition import Partition
from chronik.broker.replica_manager import ReplicaManager
from chronik.cluster.metadata_service import KeyValue
from chronik.cluster.record_codec import decode
from chronik.cluster.records import TopicDeleted
from chronik.server.partitions import LocalPartitions
from chronik.vocab.config.topic import DEFAULT_TOPIC_CONFIG
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import METADATA_TOPIC, TopicId, TopicPartition
from chronik.vocab.seams import Clock

_log = logging.getLogger(__name__)

_NAME = TopicPartition(METADATA_TOPIC, 0)

# Which no metadata record names: the one KRaft reserves for its own log.
_TOPIC_ID = TopicId(bytes(15) + b"\x01")

_CONFIG = replace(DEFAULT_TOPIC_CONFIG, retention_ms=-1, retention_bytes=-1, write_caching=False)


class MetadataPartition:
    """Implements `cluster.metadata_service.MetadataLog`. One per node, for its life."""

    def __init__(self, partitions: LocalPartitions, replicas: ReplicaManager, clock: Clock) -> None:
        self._partitions = partitions
        self._node = replicas.node_id
        self._partition: Partition | None = None
        self._log = InternalLog(self._find, replicas.load, clock)
        # Why no change of the metadata is possible any more; None while it is.
        self.failure: OSError | None = None

    def open(self) -> None:
        """Raises OSError, KafkaError."""
        self._partition = self._partitions.open_solo(_NAME, _TOPIC_ID, _CONFIG, self._node)
        self._partition.keeper = self

    async def append(self, records: Sequence[KeyValue]) -> None:
        """See `MetadataLog`. What a failed append left in the log failed the log."""
        await self._log.append(0, records)

    def replay(self) -> Iterator[KeyValue]:
        """See `MetadataLog`. Raises KafkaError."""
        for batch in self._log.replay(0):
            for key, value in batch:
                yield key, value or b""

    def deleted_topics(self) -> set[TopicId]:
        """The ids of all topics that were ever deleted. Raises KafkaError, UnreadableRecord."""
        records = (decode(key, value) for key, value in self.replay())
        return {record.topic_id for record in records if isinstance(record, TopicDeleted)}

    async def close(self) -> bool:
        """True when it is closed cleanly."""
        partition, self._partition = self._partition, None
        if partition is None:
            return False
        partition.close(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        return not await self._partitions.close([partition])

    def on_partition_leadership(self, partition: Partition) -> None:
        """Of no consequence: there is no other voter."""

    def on_partition_failed(self, partition: Partition, error: OSError) -> None:
        self.failure = error
        _log.critical("the metadata log failed: nothing can be changed any more", extra={"error": str(error)})

    def _find(self, index: int) -> Partition:
        if self._partition is None:
            raise KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        return self._partition
