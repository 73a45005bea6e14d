"""One partition on this node: Kafka's rules around a log and its group.

Made by the replica manager when a topic record is applied, closed by it on deletion or shutdown. Handlers
call `append` and `read`; the group calls `on_commit`. All on the event loop.
"""

from collections import deque
from dataclasses import dataclass
from typing import Protocol

from chronik.broker.traffic import TopicTraffic
from chronik.log.partition_log import PartitionLog
from chronik.log.producer_state import Duplicate
from chronik.log.reading import ColdRead, LogSlice
from chronik.raft.group import Group
from chronik.records.batch import Batch
from chronik.records.validate import ProduceRules, validate_produce
from chronik.vocab.config.topic import TopicConfig
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import LeaderEpoch, Offset, TopicId, TopicPartition
from chronik.vocab.seams import Clock


class CommitWaiter(Protocol):
    """Someone who waits until what was appended is committed."""

    def on_committed(self, partition: "Partition") -> None: ...

    def on_commit_failed(self, partition: "Partition", code: ErrorCode) -> None: ...


class FetchWaiter(Protocol):
    """Someone who waits for more to read."""

    def on_progress(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """Where a produced batch is, or was when it came first."""

    base_offset: Offset
    # Exclusive: the high watermark that commits it.
    end_offset: Offset
    # Milliseconds; -1 where the topic keeps the producer's timestamps.
    log_append_time_ms: int


class Partition:
    """See the module."""

    def __init__(
        self,
        *,
        name: TopicPartition,
        topic_id: TopicId,
        log: PartitionLog,
        group: Group,
        config: TopicConfig,
        clock: Clock,
        traffic: TopicTraffic,
    ) -> None:
        self.name = name
        self.topic_id = topic_id
        self.log = log
        self.group = group
        self.traffic = traffic
        self._clock = clock
        self.high_watermark = group.high_watermark
        self.is_open = True
        self.configure(config)
        # Invariant: end offsets ascend, and all are above the high watermark.
        self._commit_waiters: deque[tuple[Offset, CommitWaiter]] = deque()
        self._fetch_waiters: set[FetchWaiter] = set()

    def configure(self, config: TopicConfig) -> None:
        """Take over a changed topic configuration."""
        self.config = config
        self._rules = ProduceRules.of(config)

    @property
    def leader_epoch(self) -> LeaderEpoch:
        return self.group.leader_epoch

    @property
    def last_stable_offset(self) -> Offset:
        """Exclusive bound of what read_committed may see."""
        return self.log.last_stable_offset(self.high_watermark)

    def check_leader(self, epoch: int = -1) -> None:
        """Raise unless this node leads, and at the epoch the client believes in (KIP-320); -1 is any."""
        if not self.is_open:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        if not self.group.is_leader:
            raise KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        if epoch >= 0 and epoch != self.group.leader_epoch:
            is_old = epoch < self.group.leader_epoch
            raise KafkaError(ErrorCode.FENCED_LEADER_EPOCH if is_old else ErrorCode.UNKNOWN_LEADER_EPOCH)

    # Produce.

    def append(self, records: bytes) -> Appended:
        """Validate and propose what a producer sent. Raises KafkaError; then nothing was appended."""
        if not self.is_open:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        batch = validate_produce(records, self._rules, self._clock.now_ms())
        duplicate = self.log.producers.check(batch.header)
        if duplicate is not None:
            return self._first_append(duplicate)
        appended = self._propose(batch)
        self.traffic.messages_in += batch.header.record_count
        self.traffic.bytes_in += batch.header.size
        return appended

    def append_internal(self, batch: Batch) -> Appended:
        """Propose a batch that the broker itself built."""
        if not self.is_open:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        return self._propose(batch)

    def _propose(self, batch: Batch) -> Appended:
        result = self.group.propose([batch])
        # Committed already where the topic trusts memory.
        self.high_watermark = self.group.high_watermark
        return Appended(
            base_offset=result.base_offset,
            end_offset=result.end_offset,
            log_append_time_ms=batch.header.max_timestamp if self._rules.is_log_append_time else -1,
        )

    def _first_append(self, duplicate: Duplicate) -> Appended:
        return Appended(
            base_offset=Offset(duplicate.base_offset),
            end_offset=Offset(duplicate.last_offset + 1),
            log_append_time_ms=duplicate.timestamp if self._rules.is_log_append_time else -1,
        )

    def wait_committed(self, end_offset: Offset, waiter: CommitWaiter) -> bool:
        """Have `waiter` called once `end_offset` is committed; False, and no call, when it is already."""
        if end_offset <= self.high_watermark:
            return False
        waiters = self._commit_waiters
        position = len(waiters)
        # A retried duplicate may wait for less than those before it.
        while position > 0 and waiters[position - 1][0] > end_offset:
            position -= 1
        waiters.insert(position, (end_offset, waiter))
        return True

    # Fetch.

    def read(
        self, offset: Offset, max_bytes: int, *, is_read_committed: bool, at_least_one: bool
    ) -> LogSlice | ColdRead:
        """Whole batches from `offset` within `max_bytes`. Raises KafkaError OFFSET_OUT_OF_RANGE,
        CORRUPT_MESSAGE.
        """
        bound = self.last_stable_offset if is_read_committed else self.high_watermark
        if not self.log.start_offset <= offset <= self.log.end_offset:
            raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE)
        return self.log.read(offset, max_bytes, bound, at_least_one=at_least_one)

    def add_fetch_waiter(self, waiter: FetchWaiter) -> None:
        self._fetch_waiters.add(waiter)

    def remove_fetch_waiter(self, waiter: FetchWaiter) -> None:
        self._fetch_waiters.discard(waiter)

    # Administration.

    async def delete_records(self, before: Offset) -> Offset:
        """Raise the log start offset (DeleteRecords); -1 means the high watermark. Durable when it returns
        the new one.
        """
        target = self.high_watermark if before == -1 else before
        if not 0 <= target <= self.high_watermark:
            raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE)
        if target > self.log.start_offset:
            self.log.advance_start(Offset(target))
        await self._tidy()
        return self.log.start_offset

    async def keep_up(self, now_ms: int) -> int:
        """Roll by time, then remove segments past retention; how many were removed. Raises KafkaError."""
        try:
            self.log.maybe_roll()
            removed = self.log.apply_retention(now_ms, self.high_watermark)
        except OSError as error:
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, str(error)) from error
        await self._tidy()
        return len(removed)

    async def _tidy(self) -> None:
        try:
            await self.log.tidy()
        except OSError as error:
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, str(error)) from error

    def close(self, code: ErrorCode) -> None:
        """Stop serving; everyone who waits is answered with `code`."""
        self.is_open = False
        self._fail_waiters(code)

    # The group's side.

    def on_commit(self, high_watermark: Offset) -> None:
        self.high_watermark = high_watermark
        waiters = self._commit_waiters
        while waiters and waiters[0][0] <= high_watermark:
            waiters.popleft()[1].on_committed(self)
        self._wake_fetchers()

    def on_failure(self, error: OSError) -> None:
        self._fail_waiters(ErrorCode.KAFKA_STORAGE_ERROR)

    def _fail_waiters(self, code: ErrorCode) -> None:
        while self._commit_waiters:
            self._commit_waiters.popleft()[1].on_commit_failed(self, code)
        self._wake_fetchers()

    def _wake_fetchers(self) -> None:
        for waiter in tuple(self._fetch_waiters):
            waiter.on_progress()
