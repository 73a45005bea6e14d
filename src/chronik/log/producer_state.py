"""A partition's producer state: sequences of idempotent producers, open transactions.

Kafka's ProducerStateManager and ProducerAppendInfo. The state is a function of the batches in the log:
`check` validates a client's batch, `on_batch` applies every appended one, from a client or a leader.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from chronik.log.txn_index import AbortedTxn
from chronik.records.batch import NO_SEQUENCE, NO_TIMESTAMP, SEQUENCE_MAX, Batch, BatchHeader
from chronik.records.control import parse_end_txn_marker
from chronik.vocab.errors import ErrorCode, KafkaError

# Kafka keeps five, because a producer may have max.in.flight.requests.per.connection=5 unanswered requests.
BATCHES_KEPT = 5

NO_PRODUCER_EPOCH = -1
NO_COORDINATOR_EPOCH = -1


class Duplicate(NamedTuple):
    """A batch that was appended before: where. It is committed once the high watermark passes
    `last_offset`.
    """

    base_offset: int
    last_offset: int
    timestamp: int


class AppendedBatch(NamedTuple):
    """One of a producer's last batches."""

    last_sequence: int
    last_offset: int
    # last_offset - offset_delta is the base offset, and likewise for the sequences.
    offset_delta: int
    timestamp: int

    @property
    def base_sequence(self) -> int:
        return (self.last_sequence - self.offset_delta) & SEQUENCE_MAX

    @property
    def base_offset(self) -> int:
        return self.last_offset - self.offset_delta


class ProducerEntry:
    """One producer id. Created by its first batch, dropped when it has been silent for
    producer.id.expiration.ms.
    """

    __slots__ = ("batches", "coordinator_epoch", "epoch", "last_timestamp", "producer_id", "txn_first_offset")

    def __init__(
        self,
        producer_id: int,
        *,
        epoch: int = NO_PRODUCER_EPOCH,
        coordinator_epoch: int = NO_COORDINATOR_EPOCH,
        last_timestamp: int = NO_TIMESTAMP,
        txn_first_offset: int | None = None,
        batches: Iterable[AppendedBatch] = (),
    ) -> None:
        self.producer_id = producer_id
        self.epoch = epoch
        self.coordinator_epoch = coordinator_epoch
        self.last_timestamp = last_timestamp
        self.txn_first_offset = txn_first_offset
        # The newest batches of the current epoch, oldest first; none after a bump by a marker.
        self.batches = deque(batches, BATCHES_KEPT)

    @property
    def last_sequence(self) -> int:
        return self.batches[-1].last_sequence if self.batches else NO_SEQUENCE

    def find_duplicate(self, batch: BatchHeader) -> Duplicate | None:
        if batch.producer_epoch != self.epoch:
            return None
        for kept in self.batches:
            if kept.last_sequence == batch.last_sequence and kept.base_sequence == batch.base_sequence:
                return Duplicate(kept.base_offset, kept.last_offset, kept.timestamp)
        return None

    def adopt_epoch(self, epoch: int) -> None:
        """A new epoch starts its sequences again."""
        if epoch != self.epoch:
            self.epoch = epoch
            self.batches.clear()


class CompletedTxn(NamedTuple):
    producer_id: int
    first_offset: int
    # The offset of the marker.
    last_offset: int
    is_aborted: bool


# What those without transactions have in common: an empty deque takes 760 bytes.
_NONE_COMPLETED: "deque[CompletedTxn]" = deque(maxlen=0)


class ProducerState:
    """All producers of one partition. Owned by its PartitionLog."""

    __slots__ = ("_completed", "_entries", "_ongoing")

    def __init__(self, entries: Iterable[ProducerEntry] = ()) -> None:
        self._entries = {entry.producer_id: entry for entry in entries}
        # First offsets of open transactions, by producer id; ascending, because a transaction opens at the
        # log's end.
        self._ongoing: dict[int, int] = {}
        # Transactions whose marker is in the log but perhaps not committed yet, in the order of their
        # markers.
        self._completed: deque[CompletedTxn] = _NONE_COMPLETED
        open_txns = [(e.txn_first_offset, e.producer_id) for e in self if e.txn_first_offset is not None]
        for first_offset, producer_id in sorted(open_txns):
            self._ongoing[producer_id] = first_offset

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[ProducerEntry]:
        return iter(self._entries.values())

    def active(self) -> Sequence[ProducerEntry]:
        """Returns all known producers (DescribeProducers)."""
        return list(self._entries.values())

    def get(self, producer_id: int) -> ProducerEntry | None:
        return self._entries.get(producer_id)

    # Checking a client's batch.

    def check(self, batch: BatchHeader) -> Duplicate | None:
        """Returns None if a batch may be appended, or the earlier append of a duplicate. Raises KafkaError
        for a wrong epoch, sequence or state.
        """
        if batch.producer_id < 0:
            return None
        entry = self._entries.get(batch.producer_id)
        if entry is None:
            # An unknown producer may start at any sequence: its state may have expired or been deleted
            # (KIP-360).
            return None
        duplicate = entry.find_duplicate(batch)
        if duplicate is not None:
            return duplicate
        self._check_epoch(entry, batch)
        self._check_sequence(entry, batch)
        if entry.txn_first_offset is not None and not batch.is_transactional:
            raise KafkaError(
                ErrorCode.INVALID_TXN_STATE, f"producer {batch.producer_id} has an open transaction"
            )
        return None

    def _check_epoch(self, entry: ProducerEntry, batch: BatchHeader) -> None:
        if batch.producer_epoch < entry.epoch:
            raise KafkaError(
                ErrorCode.INVALID_PRODUCER_EPOCH,
                f"producer {entry.producer_id} has epoch {entry.epoch}, the batch {batch.producer_epoch}",
            )

    def _check_sequence(self, entry: ProducerEntry, batch: BatchHeader) -> None:
        if batch.producer_epoch != entry.epoch:
            expected = 0
            if entry.epoch == NO_PRODUCER_EPOCH:
                return
        else:
            expected = (entry.last_sequence + 1) & SEQUENCE_MAX
        if batch.base_sequence != expected:
            raise KafkaError(
                ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
                f"producer {entry.producer_id} epoch {batch.producer_epoch}: "
                f"sequence {batch.base_sequence} where {expected} follows",
            )

    # Applying appended batches.

    def on_batch(self, batch: BatchHeader, base_offset: int) -> None:
        """A data batch with a producer id is in the log at `base_offset`."""
        entry = self._entries.get(batch.producer_id)
        if entry is None:
            entry = self._entries[batch.producer_id] = ProducerEntry(batch.producer_id)
        entry.adopt_epoch(batch.producer_epoch)
        last_offset = base_offset + batch.last_offset_delta
        entry.batches.append(
            AppendedBatch(batch.last_sequence, last_offset, batch.last_offset_delta, batch.max_timestamp)
        )
        entry.last_timestamp = batch.max_timestamp
        if batch.is_transactional and entry.txn_first_offset is None:
            entry.txn_first_offset = base_offset
            self._ongoing[batch.producer_id] = base_offset

    def on_end_marker(
        self, batch: BatchHeader, offset: int, coordinator_epoch: int, *, is_abort: bool
    ) -> AbortedTxn | None:
        """A commit or abort marker is in the log at `offset`; returns the entry for the transaction index,
        if any.
        """
        entry = self._entries.get(batch.producer_id)
        if entry is None:
            entry = self._entries[batch.producer_id] = ProducerEntry(batch.producer_id)
        entry.adopt_epoch(batch.producer_epoch)
        entry.coordinator_epoch = coordinator_epoch
        entry.last_timestamp = batch.max_timestamp
        first_offset, entry.txn_first_offset = entry.txn_first_offset, None
        if first_offset is None:
            return None
        del self._ongoing[batch.producer_id]
        if self._completed is _NONE_COMPLETED:
            self._completed = deque()
        self._completed.append(CompletedTxn(batch.producer_id, first_offset, offset, is_abort))
        if not is_abort:
            return None
        last_stable = next(iter(self._ongoing.values()), offset + 1)
        return AbortedTxn(batch.producer_id, first_offset, offset, last_stable)

    # Bounds and ends.

    def first_unstable_offset(self, high_watermark: int) -> int | None:
        """Returns the start of the first transaction that is open, or whose marker is not yet below
        `high_watermark`.
        """
        completed = self._completed
        while completed and completed[0].last_offset < high_watermark:
            completed.popleft()
        first = next(iter(self._ongoing.values()), None)
        for txn in completed:
            if first is None or txn.first_offset < first:
                first = txn.first_offset
        return first

    def remove_expired(self, now_ms: int, expiration_ms: int) -> int:
        """Drop producers that were silent too long, except with a transaction open; how many."""
        expired = [
            entry.producer_id
            for entry in self._entries.values()
            if entry.txn_first_offset is None and now_ms - entry.last_timestamp >= expiration_ms
        ]
        for producer_id in expired:
            del self._entries[producer_id]
        return len(expired)


def apply_to_producer_state(producers: ProducerState, batch: Batch, base_offset: int) -> AbortedTxn | None:
    """Update the producers with a batch at `base_offset`; the transaction it aborts, if it does."""
    header = batch.header
    if header.producer_id < 0:
        return None
    if not header.is_control:
        producers.on_batch(header, base_offset)
        return None
    marker = parse_end_txn_marker(batch)
    if marker is None:
        return None
    return producers.on_end_marker(header, base_offset, marker.coordinator_epoch, is_abort=marker.is_abort)
