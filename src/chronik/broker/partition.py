"""One partition on this node: Kafka's rules around a log and its group.

Created by the replica manager when a topic record is applied, closed by it on deletion or shutdown. Exists
whether or not this node leads. Handlers call `append` and `read`; the group calls `on_commit` and the like.
All on the event loop.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from chronik.broker.commit_waiters import CommitWaiter, CommitWaiters
from chronik.broker.epoch_ends import end_of_epoch
from chronik.broker.gateway import Appended, FetchWaiter
from chronik.broker.sequence_grace import SequenceGrace
from chronik.broker.storage_errors import on_disk, storage_error
from chronik.broker.traffic import TopicTraffic
from chronik.log.partition_log import PartitionLog
from chronik.log.producer_state import Duplicate, ProducerEntry
from chronik.log.reading import ColdRead, LogSlice
from chronik.log.timestamps import TimestampOffset
from chronik.log.txn_index import AbortedTxn
from chronik.raft.group import Group, Replica
from chronik.records.batch import TRANSACTIONAL_BIT, Batch
from chronik.records.validate import ProduceRules, validate_produce
from chronik.vocab.config.topic import TopicConfig
from chronik.vocab.config.topic_names import INTERNAL_TOPICS
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import LeaderEpoch, NodeId, Offset, TopicId, TopicPartition
from chronik.vocab.seams import Clock

# How long waiters for a commit are kept when this node has lost leadership and knows of no other leader.
# Connected nodes find one much sooner; a node that is cut off never does, and its producers should look for
# the leader that the others have elected.
_LEADERLESS_SECONDS = 0.3


class PartitionOwner(Protocol):
    """The owner of the partition, which is notified of leadership."""

    def on_partition_leadership(self, partition: "Partition") -> None:
        """Leadership, its epoch, or `is_own_term_committed` may have changed: see `partition.group`."""
        ...

    def on_partition_failed(self, partition: "Partition", error: OSError) -> None: ...


class Partition:
    """See the module."""

    def __init__(
        self,
        *,
        name: TopicPartition,
        topic_id: TopicId,
        replicas: Sequence[NodeId],
        log: PartitionLog,
        group: Group,
        config: TopicConfig,
        clock: Clock,
        traffic: TopicTraffic,
        revision: int = 0,
    ) -> None:
        """`revision`: of this node's replica (`raft.core.types.ReplicaId`); 0 of one of the founders."""
        self.name = name
        self.topic_id = topic_id
        self.revision = revision
        # As assigned, this node among them: all that may hold data, and of these so many shall.
        self.replicas = tuple(replicas)
        self._wanted_count = len(self.replicas)
        # Whether they are others than those it was created with.
        self._is_changed = False
        self.log = log
        self.group = group
        self.traffic = traffic
        self._clock = clock
        self.high_watermark = group.high_watermark
        self.owner: PartitionOwner | None = None
        self.is_internal = name.topic in INTERNAL_TOPICS
        # The error for every call after closing; None while the partition is open.
        self._closed: ErrorCode | None = None
        self.configure(config)
        self._commit_waiters = CommitWaiters(self)
        # Runs while there are waiters for a commit and no known leader.
        self._leaderless: asyncio.TimerHandle | None = None
        self._doubts = SequenceGrace()
        self._own_term_waiters: list[asyncio.Future[None]] = []
        # A dict, for it keeps an order that a simulation can repeat.
        self._fetch_waiters: dict[FetchWaiter, None] = {}
        # Removals of files that run in threads. They go on when a caller that awaits them is cancelled.
        self._tidying: set[asyncio.Task[None]] = set()

    def configure(self, config: TopicConfig) -> None:
        """Take over a changed topic configuration."""
        self.config = config
        self._in_sync_min = self.in_sync_min
        self._rules = ProduceRules.of(config)

    def change_replicas(self, replicas: Sequence[NodeId], wanted_count: int) -> None:
        """Take over other replicas; the first `wanted_count` stay, the rest is to go."""
        self.replicas = tuple(replicas)
        self._wanted_count = wanted_count
        self._is_changed = True
        self._in_sync_min = self.in_sync_min

    @property
    def in_sync_min(self) -> int:
        """How many must be in sync for acks=all. More than there shall be cannot be asked for; Kafka bounds
        it so as well.
        """
        return min(self.config.min_insync_replicas, self._wanted_count)

    @property
    def is_reassigning(self) -> bool:
        """On the leader: True while others vote, or hold data, than the replicas that there shall be."""
        if not self._is_changed:
            return False
        voters = {replica.node for replica in self.group.replicas() if replica.is_voter}
        return len(self.replicas) > self._wanted_count or voters != set(self.replicas)

    @property
    def is_open(self) -> bool:
        """False after deletion or shutdown. A partition whose log failed is open, and leads no more."""
        return self._closed is None

    @property
    def is_leader(self) -> bool:
        """True if this node leads, and serves."""
        return self._closed is None and self.group.is_leader

    @property
    def is_own_term_committed(self) -> bool:
        """See `raft.group.Group.is_own_term_committed`."""
        return self._closed is None and self.group.is_own_term_committed

    @property
    def is_replicated(self) -> bool:
        return len(self.replicas) > 1

    @property
    def leader_epoch(self) -> LeaderEpoch:
        return self.group.leader_epoch

    @property
    def last_stable_offset(self) -> Offset:
        """Exclusive bound of what read_committed may see."""
        return self.log.last_stable_offset(self.high_watermark)

    @property
    def log_start_offset(self) -> Offset:
        return self.log.start_offset

    @property
    def known_leader(self) -> NodeId | None:
        """The leader, as far as this node knows."""
        return self.group.known_leader

    def offsets(self) -> tuple[Offset, Offset, Offset]:
        """High watermark, last stable offset, log start offset."""
        high_watermark = self.high_watermark
        return high_watermark, self.log.last_stable_offset(high_watermark), self.log.start_offset

    def has_offset(self, offset: int) -> bool:
        """True if the offset is between log start and log end."""
        return self.log.start_offset <= offset <= self.log.end_offset

    def check_leader(self, epoch: int = -1) -> None:
        """Raises unless this node leads, and at the client's epoch (KIP-320); -1 is any."""
        if self._closed is not None:
            raise KafkaError(self._closed)
        if not self.group.is_leader:
            raise self.group.refusal()
        self._check_epoch(epoch)

    def check_reader(self, epoch: int = -1) -> None:
        """As `check_leader`, but accepts a follower that has a live leader (KIP-392)."""
        if self._closed is not None:
            raise KafkaError(self._closed)
        if not self.group.is_leader and (self.log.is_failed or self.group.known_leader is None):
            # Cut off, it may be far behind without knowing.
            raise self.group.refusal()
        self._check_epoch(epoch)

    def _check_epoch(self, epoch: int) -> None:
        if epoch >= 0 and epoch != self.group.leader_epoch:
            is_old = epoch < self.group.leader_epoch
            raise KafkaError(ErrorCode.FENCED_LEADER_EPOCH if is_old else ErrorCode.UNKNOWN_LEADER_EPOCH)

    async def wait_own_term(self, deadline: float | None) -> None:
        """Wait until the high watermark is not behind what earlier leaders acknowledged (KIP-207).

        `deadline` is on the loop's clock, in seconds. Raises KafkaError as `check_leader` when this node does
        not lead, or stops while it waits; REQUEST_TIMED_OUT.
        """
        try:
            async with asyncio.timeout_at(deadline):
                while not self.is_own_term_committed:
                    self.check_leader()
                    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    self._own_term_waiters.append(waiter)
                    await waiter
        except TimeoutError:
            raise KafkaError(ErrorCode.REQUEST_TIMED_OUT, "the new leader is not settled yet") from None

    def in_sync(self) -> list[NodeId]:
        """On the leader: the in-sync replicas, in the order of assignment."""
        lagging = self.group.lagging()
        return [node for node in self.replicas if node not in lagging] if lagging else list(self.replicas)

    def has_committed(self, node: NodeId) -> bool:
        """On the leader: True if `node` has all that is committed."""
        return any(
            replica.node == node and replica.end_offset >= self.high_watermark
            for replica in self.group.replicas()
        )

    def replica_progress(self) -> Sequence[Replica]:
        """On the leader: the progress of each replica, this one first. Empty on others."""
        return self.group.replicas()

    def transfer(self, to: NodeId) -> None:
        """On the leader: starts a transfer to a replica that is in sync. Raises as `Group.transfer`."""
        self.group.transfer(to)

    # Produce.

    def append(self, records: bytes, *, needs_in_sync: bool = False) -> Appended:
        """Validates and proposes records of a producer. Raises KafkaError; then nothing was appended.

        With `needs_in_sync` (acks=all) that is NOT_ENOUGH_REPLICAS when fewer than `min.insync.replicas` are
        in sync.
        """
        # Before duplicates are looked for: on a failed log the first try's commit would never be reported.
        if self._closed is not None or not self.group.is_leader:
            self.check_leader()
        if needs_in_sync and self._in_sync_min > 1:
            self._check_in_sync()
        batch = validate_produce(records, self._rules, self._clock.now_ms())
        if batch.header.attributes & TRANSACTIONAL_BIT:
            # It would open a transaction without an end, and read_committed would stand still before it.
            raise KafkaError(ErrorCode.INVALID_TXN_STATE, "no transaction of this producer is open here")
        try:
            duplicate = self.log.producers.check(batch.header)
        except KafkaError as error:
            if not self.is_replicated:
                raise
            producer_id = batch.header.producer_id
            raise self._doubts.judge(producer_id, error, self._clock.monotonic_ms()) from error
        if duplicate is not None:
            return self._first_append(duplicate)
        appended = self._propose(batch)
        self.traffic.messages_in += batch.header.record_count
        self.traffic.bytes_in += len(records)
        return appended

    def _check_in_sync(self) -> None:
        count = len(self.in_sync())
        if count < self._in_sync_min:
            message = f"{count} replicas are in sync, and min.insync.replicas asks for {self._in_sync_min}"
            raise KafkaError(ErrorCode.NOT_ENOUGH_REPLICAS, message)

    def append_internal(self, batch: Batch) -> Appended:
        """Propose a batch that the broker itself built."""
        self.check_leader()
        return self._propose(batch)

    def _propose(self, batch: Batch) -> Appended:
        result = self.group.propose([batch])
        # Committed already where the topic trusts memory.
        self.high_watermark = self.group.high_watermark
        return Appended(
            base_offset=result.base_offset,
            end_offset=result.end_offset,
            log_append_time_ms=batch.header.max_timestamp if self._rules.is_log_append_time else -1,
            log_start_offset=self.log.start_offset,
        )

    def _first_append(self, duplicate: Duplicate) -> Appended:
        return Appended(
            base_offset=Offset(duplicate.base_offset),
            end_offset=Offset(duplicate.last_offset + 1),
            log_append_time_ms=duplicate.timestamp if self._rules.is_log_append_time else -1,
            log_start_offset=self.log.start_offset,
        )

    def wait_committed(self, end_offset: Offset, waiter: CommitWaiter) -> bool:
        """Registers `waiter` to be called once `end_offset` is committed; returns False, without a call, when
        it already is.

        Only in the same turn of the loop as the append: then the group still leads, or has not yet reported
        that it failed.
        """
        if end_offset <= self.high_watermark:
            return False
        self._commit_waiters.add(end_offset, waiter)
        return True

    # Fetch, and looking up.

    def read(
        self, offset: Offset, max_bytes: int, *, is_read_committed: bool, at_least_one: bool
    ) -> LogSlice | ColdRead:
        """Whole batches from `offset` within `max_bytes`.

        Raises KafkaError OFFSET_OUT_OF_RANGE, CORRUPT_MESSAGE, KAFKA_STORAGE_ERROR.
        """
        bound = self.last_stable_offset if is_read_committed else self.high_watermark
        try:
            return self.log.read(offset, max_bytes, bound, at_least_one=at_least_one)
        except OSError as error:
            raise storage_error(error) from error

    def add_fetch_waiter(self, waiter: FetchWaiter) -> None:
        self._fetch_waiters[waiter] = None

    def remove_fetch_waiter(self, waiter: FetchWaiter) -> None:
        self._fetch_waiters.pop(waiter, None)

    def offset_for_timestamp(self, timestamp: int) -> TimestampOffset | None:
        """The first record that is so new. Raises KafkaError CORRUPT_MESSAGE, KAFKA_STORAGE_ERROR."""
        return on_disk(lambda: self.log.offset_for_timestamp(timestamp))

    def offset_of_max_timestamp(self) -> TimestampOffset | None:
        """The first record with the greatest timestamp. Raises as `offset_for_timestamp`."""
        return on_disk(self.log.offset_of_max_timestamp)

    def aborted_txns(self, offset: int, end_offset: int) -> Sequence[AbortedTxn]:
        """The aborted transactions with records between both. Raises KafkaError KAFKA_STORAGE_ERROR."""
        return on_disk(lambda: self.log.aborted_txns(offset, end_offset))

    def epoch_at(self, offset: int) -> LeaderEpoch:
        """The epoch of the record at `offset`; at the end the leader's own, which the next record will
        have.
        """
        return self.group.leader_epoch if offset >= self.log.end_offset else self.log.epoch_at(offset)

    def end_of_epoch(self, epoch: int) -> tuple[int, int]:
        """The largest epoch that is not above `epoch`, and where it ends; -1, -1 when nothing is known."""
        # As far as a consumer may read. A new leader does not know how far that is, and must not look as if
        # it had lost something.
        reach = self.high_watermark if self.is_own_term_committed else self.log.end_offset
        return end_of_epoch(self.log, epoch, current=self.leader_epoch, reach=reach)

    def active_producers(self) -> Sequence[ProducerEntry]:
        """The idempotent producers the log remembers."""
        return self.log.producers.active()

    def size(self) -> int:
        """Bytes of all segments. Raises KafkaError KAFKA_STORAGE_ERROR."""
        return on_disk(lambda: self.log.size)

    # Administration.

    async def delete_records(self, before: Offset) -> Offset:
        """Raise the log start offset (DeleteRecords); -1 means the high watermark.

        Durable when it returns the new one. Raises KafkaError OFFSET_OUT_OF_RANGE, KAFKA_STORAGE_ERROR.
        """
        self.check_leader()
        target = self.high_watermark if before == -1 else before
        if not 0 <= target <= self.high_watermark:
            raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE)
        if target > self.log.start_offset:
            on_disk(lambda: self.log.advance_start(Offset(target)))
        await self._tidy()
        return self.log.start_offset

    async def run_maintenance(self, now_ms: int) -> int:
        """Rolls by time, then removes segments past retention; returns how many. Raises KafkaError.

        Each replica does so by itself: committed records may be removed by any of them. One that lags behind
        the leader's log start is restarted there.
        """
        if self._closed is not None:
            raise KafkaError(self._closed)
        on_disk(self.log.maybe_roll)
        try:
            await self.log.mend_indexes()
        except OSError as error:
            raise storage_error(error) from error
        if self._closed is not None:
            raise KafkaError(self._closed)
        # By times that the log bears out.
        removed = on_disk(lambda: self.log.apply_retention(now_ms, self.high_watermark))
        if self.log.has_unsynced:
            # There may be no append to this log for long: the segment it rolled would stay open until then.
            self.group.sync_soon()
        await self._tidy()
        return len(removed)

    async def _tidy(self) -> None:
        """Returns when the removal is complete, also for cancelled callers, which leave it running."""
        tidying = asyncio.create_task(self.log.tidy())
        self._tidying.add(tidying)
        tidying.add_done_callback(self._on_tidied)
        try:
            await asyncio.shield(tidying)
            self.group.on_tidied()
        except OSError as error:
            raise storage_error(error) from error

    def _on_tidied(self, tidying: asyncio.Task[None]) -> None:
        self._tidying.discard(tidying)
        if not tidying.cancelled():
            # Retrieved, so that it is not reported as lost when no caller waits any more.
            tidying.exception()

    async def wait_until_idle(self) -> None:
        """Wait until no thread works below the partition's directory on its behalf, but for reads."""
        while self._tidying:
            await asyncio.wait(self._tidying)

    def close(self, code: ErrorCode) -> None:
        """Stop serving; everyone who waits or comes is answered with `code`."""
        self._closed = code
        self._fail_waiters(code)

    # The group's side: `raft.group.GroupListener`.

    def on_commit(self, high_watermark: Offset) -> None:
        self.high_watermark = high_watermark
        self._commit_waiters.on_commit(high_watermark)
        self.wake_fetchers()

    def on_truncated(self, end_offset: Offset) -> None:
        """Fails producers whose records were truncated. Not earlier: until truncation the records may
        still be committed (decision 0009, "Waiting producers").
        """
        self._commit_waiters.on_truncated(end_offset)

    def on_leadership(self) -> None:
        """Wakes fetches, which are sent to the new leader. Waiters for a commit stay as long as there is a
        leader that could commit it.
        """
        self._doubts.clear()
        if self.owner is not None:
            self.owner.on_partition_leadership(self)
        self._wake_own_term_waiters()
        self.wake_fetchers()
        if self._leaderless is not None:
            self._leaderless.cancel()
            self._leaderless = None
        if self._commit_waiters and self.group.known_leader is None:
            loop = asyncio.get_running_loop()
            self._leaderless = loop.call_later(_LEADERLESS_SECONDS, self._on_leaderless)

    def _on_leaderless(self) -> None:
        """Fails waiters, as Kafka does as soon as it leads no more. An idempotent producer finds out by a
        retry whether its batch was committed.
        """
        self._leaderless = None
        self._commit_waiters.fail(ErrorCode.NOT_LEADER_OR_FOLLOWER)

    def on_own_term_committed(self) -> None:
        if self.owner is not None:
            self.owner.on_partition_leadership(self)
        self._wake_own_term_waiters()

    def on_failure(self, error: OSError) -> None:
        if self.owner is not None:
            self.owner.on_partition_failed(self, error)
        self._fail_waiters(ErrorCode.KAFKA_STORAGE_ERROR)

    def _fail_waiters(self, code: ErrorCode) -> None:
        if self._leaderless is not None:
            self._leaderless.cancel()
            self._leaderless = None
        self._commit_waiters.fail(code)
        self._wake_own_term_waiters()
        self.wake_fetchers()

    def _wake_own_term_waiters(self) -> None:
        waiters, self._own_term_waiters = self._own_term_waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def wake_fetchers(self) -> None:
        """Have everyone who waits for more to read look again."""
        if self._fetch_waiters:
            for waiter in tuple(self._fetch_waiters):
                waiter.on_progress()
