"""A partition's log and its markers as one Raft log: `raft.core.log_view.LogView`, and the writes of a
`Ready`.

Offsets are the log's, indexes the core's; `Markers` turns one into the other. Writes go to the kernel, in the
order that recovery expects (`raft.reconcile`); the group syncs them in rounds.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from chronik.log.disk import Buffer
from chronik.log.partition_log import PartitionLog
from chronik.log.reading import ColdRead, LogSlice
from chronik.raft.core.entries import Append, Entries, Marker
from chronik.raft.core.types import RaftIndex, Term
from chronik.raft.group import GroupId
from chronik.raft.markers import MarkerBase, MarkerRecord, RestartPayload
from chronik.raft.state_store import StateStore
from chronik.records.batch import split_batches
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import Offset
from chronik.vocab.invariant import invariant

if TYPE_CHECKING:
    from chronik.raft.core.ready import LogStart

Payload = Sequence[Buffer]


class ReplicatedLog:
    """Made with its group, which alone writes to it."""

    __slots__ = (
        "_is_cut",
        "_is_loading",
        "_load",
        "_loaded",
        "_state",
        "_store",
        "group",
        "log",
    )

    def __init__(
        self, group: GroupId, log: PartitionLog, store: StateStore, load: Callable[[ColdRead], None]
    ) -> None:
        """`load` has a cold read loaded in a thread and given back through `on_loaded`."""
        state = store.get(group)
        invariant(state is not None, "no state of {}", group)
        assert state is not None
        self.log = log
        self.group = group
        self._store = store
        self._state = state
        self._load = load
        self._is_loading = False
        # True if the log was cut since the load in progress began: the records being read may be gone.
        self._is_cut = False
        # Result of a load from the device: taken by the next `slice` that requests it.
        self._loaded: LogSlice | None = None

    # The core's view.

    @property
    def first_index(self) -> RaftIndex:
        # Markers between a removed record and the next stay: they may not be committed.
        return RaftIndex(self._state.markers.index_before(self.log.first_offset) + 1)

    @property
    def last_index(self) -> RaftIndex:
        return RaftIndex(self._state.markers.index_of(self.log.end_offset) - 1)

    def term_at(self, index: RaftIndex) -> Term:
        return self._state.markers.term_at(index)

    def slice(self, next_index: RaftIndex, max_bytes: int) -> Entries | None:
        """See `LogView.slice`. Raises KafkaError, OSError when the log cannot be read."""
        markers = self._state.markers
        start = markers.offset_after(RaftIndex(next_index - 1))
        if start >= self.log.end_offset:
            return self._entries(next_index, self.last_index, None, 0)
        read = self._read(start, max_bytes)
        if read is None:
            return None
        invariant(read.base_offset == start, "no batch starts at {}", start)
        last = RaftIndex(markers.index_of(Offset(read.end_offset)) - 1)
        return self._entries(next_index, last, read.buffers, read.size)

    def offset_after(self, index: RaftIndex) -> Offset:
        """The exclusive bound of the records up to `index`."""
        return self._state.markers.offset_after(index)

    def last_before(self, offset: Offset) -> RaftIndex:
        """The index of the entry before the record at `offset`, perhaps a marker."""
        return RaftIndex(self._state.markers.index_of(offset) - 1)

    def on_loaded(self, read: LogSlice | None) -> None:
        """A cold read ended; None when it failed."""
        self._loaded = None if self._is_cut else read
        self._is_loading = self._is_cut = False

    def _forget_loaded(self) -> None:
        """The log is about to be cut."""
        self._loaded = None
        self._is_cut = self._is_loading

    def _read(self, start: Offset, max_bytes: int) -> LogSlice | None:
        loaded = self._loaded
        if loaded is not None and loaded.base_offset == start and loaded.end_offset <= self.log.end_offset:
            return loaded
        if self._is_loading:
            return None
        self._loaded = None
        read = self.log.read_for_replication(start, max_bytes)
        if isinstance(read, ColdRead):
            self._is_loading = True
            self._load(read)
            return None
        if not read.buffers:
            raise KafkaError(ErrorCode.CORRUPT_MESSAGE, f"nothing to read at {start}")
        return read

    def _entries(self, first: RaftIndex, last: RaftIndex, payload: Payload | None, size: int) -> Entries:
        markers = self._state.markers
        return Entries(
            first=first,
            last=last,
            starts=markers.term_starts(first, last),
            markers=tuple(
                Marker(index=record.index, membership=record.membership)
                for record in markers.between(first, last)
            ),
            payload=payload,
            size=size,
        )

    # Writing.

    def restart(self, start: "LogStart") -> None:
        """Drops everything and starts a log after `start.index`. Raises OSError."""
        payload = start.payload
        invariant(isinstance(payload, RestartPayload), "a restart without an offset")
        assert isinstance(payload, RestartPayload)
        base = MarkerBase(
            index=start.index,
            offset=payload.offset,
            term=start.term,
            membership=start.membership,
            membership_index=start.index,
        )
        self._forget_loaded()
        self._store.restart(self.group, base)
        # First, so that a crash in the middle finds a log that is to be dropped.
        self._store.sync_now()
        self.log.reset(payload.offset)

    def truncate(self, to: RaftIndex) -> Offset:
        """Drops everything after `to`; returns the new end of the log. The log is cut before the markers:
        see `raft.reconcile`.
        """
        end_offset = self.offset_after(to)
        self._forget_loaded()
        try:
            self._store.lower_log_end(self.group, end_offset)
        except OSError as error:
            # The core has already forgotten the entries to be cut.
            self.log.fail(error)
            raise
        self.log.truncate(end_offset)
        self._truncate_markers(to)
        return end_offset

    def append(self, append: Append) -> None:
        """Writes [first, last] of replicated entries. Raises OSError, and KafkaError CORRUPT_MESSAGE for
        bytes that differ from those sent; then nothing was appended.
        """
        entries = append.entries
        records = self._records(append)
        payload = self._payload(append)
        has_membership = any(record.membership is not None for record in records)
        if has_membership:
            # Recovery could not see that one is missing among batches of one epoch.
            self._store.append_markers(self.group, records)
            self._store.sync_now()
        end_offset = self.log.end_offset
        if payload:
            try:
                self.log.append_stamped(payload)
            except (OSError, KafkaError):
                if has_membership:
                    self._truncate_markers(RaftIndex(append.first - 1))
                raise
        if records and not has_membership:
            try:
                self._store.append_markers(self.group, records)
            except OSError:
                self.log.truncate(end_offset)
                raise
        invariant(self.last_index == append.last, "{} written up to {}", entries.last, self.last_index)

    def _truncate_markers(self, to: RaftIndex) -> None:
        """The log is of no use any more when that fails: indexes and offsets would part. Raises OSError."""
        try:
            self._store.truncate_markers(self.group, to)
        except OSError as error:
            self.log.fail(error)
            raise

    def _records(self, append: Append) -> list[MarkerRecord]:
        """The markers in `append`, with the offsets where they stand."""
        entries, end_offset = append.entries, self.log.end_offset
        wanted = [marker for marker in entries.markers if append.first <= marker.index <= append.last]
        return [
            MarkerRecord(
                index=marker.index,
                offset=Offset(end_offset + marker.index - append.first - position),
                term=entries.term_at(marker.index),
                membership=marker.membership,
            )
            for position, marker in enumerate(wanted)
        ]

    def _payload(self, append: Append) -> Payload:
        entries = append.entries
        if entries.payload is None:
            return ()
        payload: Payload = entries.payload  # type: ignore[assignment]
        if append.first == entries.first and append.last == entries.last:
            return payload
        markers = sum(append.first <= marker.index <= append.last for marker in entries.markers)
        first = self.log.end_offset
        return _cut(payload, first, first + append.last - append.first + 1 - markers)


def _cut(payload: Payload, first_offset: int, end_offset: int) -> Payload:
    """The batches with offsets in [first_offset, end_offset)."""
    return [
        batch.data
        for buffer in payload
        for batch in split_batches(buffer)
        if first_offset <= batch.header.base_offset < end_offset
    ]
