"""What clients did and were told: all that a checker may hold against the cluster."""

from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from chronik.vocab.ids import Offset, TopicPartition


class Sent(NamedTuple):
    """One record that a producer tries to have kept."""

    producer: str
    partition: TopicPartition
    # Counts the producer's records to this partition.
    number: int


class Consumed(NamedTuple):
    """One record that a consumer was given."""

    group: str
    partition: TopicPartition
    offset: Offset
    value: bytes


class Kept(NamedTuple):
    """One record that was acknowledged; its time is its producer's, in ms."""

    offset: Offset
    timestamp: int
    value: bytes


class History:
    """One per run. `problems` has what clients saw that no client may see."""

    def __init__(self) -> None:
        self.sent: dict[bytes, Sent] = {}
        # By value, in ms.
        self.timestamps: dict[bytes, int] = {}
        # By value; None where the acknowledgement named no offset (a duplicate that is known no more).
        self.acknowledged: dict[bytes, Offset | None] = {}
        self.consumed: list[Consumed] = []
        # The highest offset each group was told is committed.
        self.committed: dict[tuple[str, TopicPartition], Offset] = {}
        # Where records were deleted by request: what lies below may be gone.
        self.deleted_below: dict[TopicPartition, Offset] = {}
        self.problems: list[str] = []
        # By partition: when an acknowledgement moved the end of what was acknowledged, and to where.
        self._ends: dict[TopicPartition, list[tuple[float, Offset]]] = {}
        # What may be left out of a comparison: topics that were deleted, or are about to be.
        self.doomed: set[str] = set()

    def send(self, sent: Sent, filling: str, timestamp: int) -> bytes:
        """The value of a new record."""
        value = f"{sent.partition} {sent.producer} {sent.number} {filling}".encode()
        self.sent[value] = sent
        self.timestamps[value] = timestamp
        return value

    def acknowledge(self, value: bytes, offset: Offset | None, at: float) -> None:
        """At a time in seconds."""
        before = self.acknowledged.setdefault(value, offset)
        if offset is not None:
            self._note_end(self.sent[value].partition, Offset(offset + 1), at)
        if before is not None and offset is not None and before != offset:
            self.problems.append(f"{value!r} was acknowledged at {before} and at {offset}")

    def _note_end(self, partition: TopicPartition, end: Offset, at: float) -> None:
        ends = self._ends.setdefault(partition, [])
        if not ends or end > ends[-1][1]:
            ends.append((at, end))

    def acknowledged_end(self, partition: TopicPartition, at: float) -> Offset:
        """The end of what had been acknowledged by then."""
        ends = self._ends.get(partition, [])
        position = bisect_right(ends, at, key=lambda each: each[0])
        return ends[position - 1][1] if position else Offset(0)

    def consume(self, group: str, partition: TopicPartition, offset: Offset, value: bytes) -> None:
        self.consumed.append(Consumed(group, partition, offset, value))

    def commit(self, group: str, partition: TopicPartition, offset: Offset) -> None:
        key = (group, partition)
        self.committed[key] = max(offset, self.committed.get(key, Offset(0)))

    def kept(self, partition: TopicPartition) -> list[Kept]:
        """What was acknowledged at an offset, in that order."""
        return sorted(
            Kept(offset, self.timestamps[value], value)
            for value, offset in self.acknowledged.items()
            if offset is not None and self.sent[value].partition == partition
        )

    def partitions(self) -> Iterator[TopicPartition]:
        """Those that were written to, each once."""
        yield from dict.fromkeys(sent.partition for sent in self.sent.values())
