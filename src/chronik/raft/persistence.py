"""The durable state of a group, and the messages that wait for it.

A group writes, to its log and to the node's store of terms, votes and markers, and hands over the messages
that may leave when all that is durable. The next round of syncs covers it; with write caching records in the
log count as durable when they are written, records in the store never do.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from chronik.log.disk import Syncable
from chronik.log.partition_log import PartitionLog
from chronik.raft.core.types import BEFORE_FIRST, RaftIndex, Term
from chronik.raft.replicated_log import ReplicatedLog
from chronik.raft.state_store import StateStore
from chronik.raft.syncer import Syncer
from chronik.vocab.ids import Offset

if TYPE_CHECKING:
    from chronik.raft.core.messages import Message


class Persisted(Protocol):
    """The group, which is notified of durable writes."""

    def on_round_end(self) -> None:
        """A round of syncs ended well; further calls follow. Called in a turn of the loop in which the
        group may not be run otherwise.
        """
        ...

    def on_own_synced(self, end_offset: Offset) -> bool:
        """The log is durable up to `end_offset`. True if no further call is needed: there is no other
        replica, and records go past the core.
        """
        ...

    def on_persisted(self, last_index: RaftIndex, term: Term) -> None:
        """The log is durable, or counted as durable, up to an entry of this term."""
        ...

    def release(self, messages: "Sequence[Message]") -> None:
        """These messages may leave."""
        ...

    def on_sync_failed(self, error: OSError) -> None:
        """The content of the device is unknown from now on."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FlushPolicy:
    """When a write-cached log is synced: after so many bytes or so long after the first unsynced one."""

    bytes_max: int
    interval_ms: int


class SyncRound(NamedTuple):
    """One round of syncs of a group: the writes that are durable when it ends well."""

    # The group's count of writes when the round began.
    writes: int
    # The log as it ended then.
    last_index: RaftIndex
    term: Term
    # The store's sequence number then.
    store_written: int
    # How often the log was restarted, and how often it was truncated in any way. After a restart, `on_synced`
    # must not reach the log; after any truncation, `on_persisted` must not reach the core.
    restarts: int
    cuts: int
    # Messages that may leave when the round ends.
    messages: "tuple[Message, ...]"


@dataclass(slots=True)
class Durability:
    """Counts the writes of a group. Messages wait until the writes before them are durable."""

    # Writes to log and store so far, and how many of them are durable (or, with write caching, counted so).
    # Invariant: durable <= writes.
    writes: int = 0
    durable: int = 0
    restarts: int = 0
    # Restarts and truncations.
    cuts: int = 0
    # Messages since the running round began.
    waiting: "list[Message]" = field(default_factory=list)
    round: SyncRound | None = None

    @property
    def is_durable(self) -> bool:
        return self.durable == self.writes

    def begin(self, last_index: RaftIndex, term: Term, store_written: int) -> None:
        """A round begins. One that failed is replaced: the group has failed with it."""
        self.round = SyncRound(
            self.writes, last_index, term, store_written, self.restarts, self.cuts, tuple(self.waiting)
        )
        self.waiting.clear()

    def end(self) -> SyncRound | None:
        done, self.round = self.round, None
        if done is not None:
            self.durable = max(self.durable, done.writes)
        return done

    def skip(self) -> "list[Message]":
        """Counts all writes as durable now; returns the messages that waited for them."""
        self.durable = self.writes
        released, self.waiting = self.waiting, []
        return released


class Persistence:
    """Made with its group, which alone writes. Implements `raft.syncer.Synced`."""

    __slots__ = (
        "_durability",
        "_ended",
        "_flush_timer",
        "_group",
        "_is_end_known",
        "_log",
        "_raft_log",
        "_store",
        "_store_written",
        "_syncer",
        "_unsynced_bytes",
        "_write_caching",
    )

    def __init__(
        self,
        group: Persisted,
        log: ReplicatedLog,
        store: StateStore,
        syncer: Syncer,
        write_caching: FlushPolicy | None,
    ) -> None:
        self._group = group
        self._raft_log = log
        self._log: PartitionLog = log.log
        self._store = store
        self._syncer = syncer
        # None: nothing counts as durable before its sync.
        self._write_caching = write_caching
        self._durability = Durability()
        # The store's sequence number of this group's last write there.
        self._store_written = 0
        self._unsynced_bytes = 0
        # True if the store has the end of the log.
        self._is_end_known = False
        self._flush_timer: asyncio.TimerHandle | None = None
        # Why nothing is synced any more; None while it is.
        self._ended: OSError | None = None

    # Writes of the group.

    def set_write_caching(self, policy: FlushPolicy | None) -> None:
        """Applies to writes from now on; earlier ones are synced at once."""
        self._write_caching = policy
        self.sync_soon()

    def on_proposed(self, size: int) -> None:
        """`size` bytes were appended, and will be handed out later."""
        self._durability.writes += 1
        self._unsynced_bytes += size
        if self._write_caching is None:
            self._syncer.request(self)

    def on_own_term_written(self) -> None:
        """The store's last records are this group's, and what comes behind them waits for their sync."""
        self._durability.writes += 1
        self.on_store_written()
        self._syncer.request(self)

    def on_appended_alone(self, size: int) -> bool:
        """`size` bytes were appended that no other replica waits for. True if they count as durable
        immediately.
        """
        self._durability.writes += 1
        self._unsynced_bytes += size
        policy = self._write_caching
        if policy is None or self._store.synced < self._store_written:
            self._syncer.request(self)
            return False
        self._durability.durable = self._durability.writes
        self._flush_later(policy)
        return True

    def on_appended(self, size: int) -> None:
        """`size` bytes of a leader's were appended."""
        self._unsynced_bytes += size

    def on_store_written(self) -> None:
        """The store's last record is of this group."""
        self._store_written = self._store.written

    def on_cut(self, *, is_restart: bool) -> None:
        """The log is about to be truncated, or restarted."""
        self._durability.cuts += 1
        self._durability.restarts += is_restart
        if is_restart:
            self._is_end_known = False

    def on_write_failed(self) -> None:
        """Something was written, perhaps; the rest was not."""
        self._durability.writes += 1

    def hold(self, messages: "Sequence[Message]", *, has_written: bool) -> None:
        """Releases `messages` once everything written so far is durable, or counts as such. `has_written`:
        there were writes other than those reported by `on_proposed`.
        """
        durability = self._durability
        durability.waiting.extend(messages)
        if has_written:
            durability.writes += 1
        if durability.is_durable:
            self._group.release(durability.skip())
            return
        policy = self._write_caching
        if policy is None or self._store.synced < self._store_written:
            # Votes, terms and memberships are synced in any case.
            if not self._is_covered():
                self._syncer.request(self)
            return
        self._group.release(durability.skip())
        last = self._raft_log.last_index
        if last > BEFORE_FIRST:
            self._group.on_persisted(last, self._raft_log.term_at(last))
        self._flush_later(policy)

    def _is_covered(self) -> bool:
        """True if everything written so far is durable when the running round ends."""
        running = self._durability.round
        return (
            running is not None
            and running.writes == self._durability.writes
            and running.store_written >= self._store_written
        )

    def sync_soon(self) -> None:
        if self._ended is None:
            self._syncer.request(self)

    def end(self, error: OSError) -> None:
        """Ends syncing; the result of a round in progress is not reported."""
        self._ended = self._ended or error
        self._syncer.forget(self)
        self._stop_timer()

    def _flush_later(self, policy: FlushPolicy) -> None:
        if self._unsynced_bytes >= policy.bytes_max:
            self._syncer.request(self)
        elif self._flush_timer is None:
            loop = asyncio.get_running_loop()
            self._flush_timer = loop.call_later(policy.interval_ms / 1000, self._syncer.request, self)

    def _stop_timer(self) -> None:
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None

    # The syncer's side.

    def files_to_sync(self) -> tuple[Sequence[Syncable], Offset]:
        """See `raft.syncer.Synced`."""
        if self._ended is not None:
            raise self._ended
        self._unsynced_bytes = 0
        if self._flush_timer is not None:
            self._stop_timer()
        log, last = self._log, self._raft_log.last_index
        self._durability.begin(last, self._raft_log.term_at(last), self._store.written)
        files: Sequence[Syncable] = ()
        end_offset = log.end_offset
        if end_offset > log.first_offset:
            files, _ = log.files_to_sync()
        # Else it has no records: should its directory be lost, nothing is. So a new topic costs no syncs of
        # its own, and the terms of a thousand groups cost one.
        if self._store.synced < self._store_written:
            files = [*files, *self._store.files_to_sync()]
        return files, end_offset

    def on_synced(self, end_offset: Offset) -> None:
        """See `raft.syncer.Synced`."""
        done, durability = self._durability.end(), self._durability
        if self._ended is not None or done is None:
            return
        if done.restarts == durability.restarts:
            # A stale checkpoint only makes the next recovery read more.
            with suppress(OSError):
                has_moved = self._log.on_synced(end_offset)
                if has_moved or (not self._is_end_known and end_offset > 0):
                    self._record_end(is_durable=has_moved)
        if self._store.synced < self._store_written:
            self._store.on_synced(done.store_written)
        if self._group.on_own_synced(end_offset):
            return
        self._group.on_round_end()
        if done.last_index > BEFORE_FIRST and done.cuts == durability.cuts:
            self._group.on_persisted(done.last_index, done.term)
        self._group.release(done.messages)
        if durability.is_durable and durability.waiting:
            # These came while the round ran, and nothing was written after it began.
            self._group.release(durability.skip())

    def _record_end(self, *, is_durable: bool) -> None:
        """Records the log's end in the store durably for the first records of a log, and for each new
        segment; otherwise this happens once a second (`node.log_end_recorder`). Raises OSError.
        """
        self._store.raise_log_ends({self._raft_log.group: self._log.synced_offset})
        self._is_end_known = True
        if is_durable and self._store.synced < self._store.written:
            self.on_store_written()
            self._syncer.request(self)

    def on_sync_failed(self, error: OSError) -> None:
        """See `raft.syncer.Synced`."""
        if self._ended is None:
            self._group.on_sync_failed(error)
