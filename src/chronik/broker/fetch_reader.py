"""Reads the partitions of one Fetch request, within its byte limits.

Byte limits are obeyed except that the first batch always comes whole (KIP-74). Data not in the page cache is
left as a `ColdRead`, to be loaded in a thread.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from chronik.broker.context import Broker
from chronik.broker.fetch_session import FetchedPartition, PartitionKey
from chronik.broker.gateway import PartitionGateway
from chronik.broker.leader_hints import leader_hint
from chronik.broker.read_replicas import NO_RACK, check_follower_has, preferred_replica
from chronik.broker.slices import Steps
from chronik.broker.traffic import TopicTraffic
from chronik.cluster.leadership import Leader
from chronik.log.reading import ColdRead, CorruptBatch, LogSlice
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NO_NODE, NO_TOPIC_ID, NodeId, Offset

_log = logging.getLogger(__name__)

NOTHING_DENIED: frozenset[str | bytes] = frozenset()

# Partitions read in one step: some 10 microseconds for each.
_STEP_PARTITIONS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """The limits of one request, by the client and the node."""

    min_bytes: int
    max_bytes: int
    max_wait_ms: int
    is_read_committed: bool
    # Whether a follower may answer, and where the client is (KIP-392).
    reads_followers: bool = False
    rack: str = NO_RACK
    # Topics that the client may not read, by name or id as the request has them.
    denied: frozenset[str | bytes] = NOTHING_DENIED


@dataclass(slots=True, kw_only=True)
class Fetched:
    """The result for one partition."""

    key: PartitionKey
    wanted: FetchedPartition
    code: ErrorCode = ErrorCode.NONE
    high_watermark: int = -1
    last_stable_offset: int = -1
    log_start_offset: int = -1
    buffers: list[bytes | memoryview] = field(default_factory=list)
    size: int = 0
    # (producer id, first offset) of aborted transactions in the records; None for read_uncommitted.
    aborted: Sequence[tuple[int, int]] | None = None
    # Where it counts once it is sent; None where this node has no replica.
    traffic: TopicTraffic | None = None
    # The present leader, on errors that mean it is another node (KIP-951).
    leader: Leader | None = None
    # A replica nearer to the client, from which it should read (KIP-392).
    preferred_read_replica: NodeId = NO_NODE

    def fail(self, error: KafkaError) -> None:
        if isinstance(error, CorruptBatch):
            # Reported at every try: the consumer is stuck until an operator acts.
            damage = error.damage
            extra = {
                "file": damage.path,
                "position": damage.position,
                "offset": error.offset,
                "what": damage.kind.value,
                "next_readable": damage.end_offset,
            }
            _log.error("corrupt batch read; its readers get CORRUPT_MESSAGE", extra=extra)
        self.code = error.code
        # Nothing is reported of a partition whose leader, or whose data, is elsewhere.
        self.high_watermark = self.last_stable_offset = self.log_start_offset = -1
        self.buffers = []
        self.size = 0


@dataclass(slots=True, kw_only=True)
class Reading:
    """One pass over the partitions of a request."""

    fetched: list[Fetched] = field(default_factory=list)
    # What still has to be loaded from the device.
    cold: list[tuple[Fetched, PartitionGateway, ColdRead]] = field(default_factory=list)
    size: int = 0
    # What counts for `min_bytes`: as much as there is for the client within its limits, also where a batch
    # ends short of them.
    available: int = 0
    # Errors and preferred read replicas are answered at once.
    must_answer: bool = False


def find_partition(broker: Broker, key: PartitionKey) -> PartitionGateway:
    """The partition a request names, if this node has a replica. Raises KafkaError."""
    topic, index = key
    if isinstance(topic, bytes):
        return broker.replicas.replica_by_id(topic, index)
    return broker.replicas.replica(topic, index)


def read_partitions(
    broker: Broker, wanted: Mapping[PartitionKey, FetchedPartition], limits: FetchLimits
) -> Reading:
    """Reads in the order given until `max_bytes`, or the memory the node has left for slow readers, is
    used up.
    """
    steps = read_in_steps(broker, wanted, limits)
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            reading: Reading = stop.value
            return reading


def read_in_steps(
    broker: Broker, wanted: Mapping[PartitionKey, FetchedPartition], limits: FetchLimits
) -> Steps[Reading]:
    """As `read_partitions`, with pauses between partitions. `wanted` must not change during the pass."""
    reading = Reading()
    left = max(0, min(limits.max_bytes, broker.memory.response_bytes_left))
    # With no memory left for responses not even one batch is read: the client waits as if there were no data.
    at_least_one = broker.memory.response_bytes_left > 0
    for key, partition_wanted in wanted.items():
        fetched = Fetched(key=key, wanted=partition_wanted)
        reading.fetched.append(fetched)
        if not len(reading.fetched) % _STEP_PARTITIONS:
            yield
        try:
            _read_one(broker, reading, fetched, left, at_least_one and reading.size == 0, limits)
        except KafkaError as error:
            _on_error(broker, fetched, error)
            reading.must_answer = True
        left = max(0, left - fetched.size)
        reading.size += fetched.size
    return reading


def _read_one(
    broker: Broker, reading: Reading, fetched: Fetched, left: int, at_least_one: bool, limits: FetchLimits
) -> None:
    wanted = fetched.wanted
    if limits.denied and fetched.key[0] in limits.denied:
        # Existence is not disclosed.
        raise KafkaError(ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    partition = find_partition(broker, fetched.key)
    fetched.traffic = partition.traffic
    offset = Offset(wanted.fetch_offset)
    _check_replica(partition, wanted.current_leader_epoch, offset, limits)
    _tell_offsets(fetched, partition)
    if limits.rack and partition.is_leader:
        fetched.preferred_read_replica = preferred_replica(broker, partition, limits.rack, offset)
        if fetched.preferred_read_replica != NO_NODE:
            reading.must_answer = True
            return
    # Clients can send negative limits.
    max_bytes = max(0, min(wanted.partition_max_bytes, left))
    data = partition.read(
        offset,
        max_bytes,
        is_read_committed=limits.is_read_committed,
        at_least_one=at_least_one,
    )
    if isinstance(data, ColdRead):
        # There is something to read; it counts as much as it may become.
        fetched.size = max_bytes
        reading.cold.append((fetched, partition, data))
        reading.available += max_bytes
        return
    take_slice(fetched, partition, data, limits)
    end_offset = fetched.last_stable_offset if limits.is_read_committed else fetched.high_watermark
    reading.available += data.size if data.end_offset >= end_offset else max(max_bytes, data.size)


def _check_replica(partition: PartitionGateway, epoch: int, offset: Offset, limits: FetchLimits) -> None:
    """Raises KafkaError when the client should read from another node."""
    if partition.is_leader or not limits.reads_followers:
        partition.check_leader(epoch)
    else:
        partition.check_reader(epoch)
        check_follower_has(partition, offset)


def _tell_offsets(fetched: Fetched, partition: PartitionGateway) -> None:
    fetched.high_watermark, fetched.last_stable_offset, fetched.log_start_offset = partition.offsets()


def take_slice(fetched: Fetched, partition: PartitionGateway, data: LogSlice, limits: FetchLimits) -> None:
    """Puts the data read into the answer."""
    fetched.buffers = data.buffers
    fetched.size = data.size
    if limits.is_read_committed:
        aborted = partition.aborted_txns(fetched.wanted.fetch_offset, data.end_offset)
        fetched.aborted = [(txn.producer_id, txn.first_offset) for txn in aborted]


def _on_error(broker: Broker, fetched: Fetched, error: KafkaError) -> None:
    fetched.fail(error)
    topic, index = fetched.key
    topic_id, name = (topic, "") if isinstance(topic, bytes) else (NO_TOPIC_ID, topic)
    fetched.leader = leader_hint(broker, error.code, topic_id, name, index)
