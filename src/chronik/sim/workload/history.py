"""The actions of a run's clients and their answers: everything that is checked against the cluster when it
ends.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from chronik.history.events import UNTOLD, Commit, Committed, Look, Place, Poll, Send
from chronik.history.groups import Told
from chronik.sim.virtual_time import WALL_START_MS
from chronik.vocab.ids import Offset, TopicPartition


class Sent(NamedTuple):
    """One record that a producer sends."""

    producer: str
    partition: TopicPartition
    # Counts the producer's records to this partition.
    number: int


class Kept(NamedTuple):
    """One record that was acknowledged; its time is its producer's, in ms."""

    offset: Offset
    timestamp: int
    value: bytes


class Acknowledged(NamedTuple):
    """`offset` is None where the acknowledgement named none (a duplicate that is known no more)."""

    offset: Offset | None
    # In seconds of the loop.
    at: float


class History:
    """One per run. `problems` has observations of clients that are never allowed, whatever else happened."""

    def __init__(self) -> None:
        self.sent: dict[bytes, Sent] = {}
        # By value, in ms.
        self.timestamps: dict[bytes, int] = {}
        self.acknowledged: dict[bytes, Acknowledged] = {}
        # Observations of groups and of requests for ends, in order.
        self.told: list[Told | Look] = []
        # By group, the values that it was given; and how many that was.
        self.read: defaultdict[str, set[bytes]] = defaultdict(set)
        self.consumed = 0
        # Where records were deleted by request: what lies below may be gone.
        self.deleted_below: dict[TopicPartition, Offset] = {}
        self.problems: list[str] = []
        # Excluded from comparisons: topics that were deleted, or are about to be.
        self.doomed: set[str] = set()
        # The check's key of a value: its ordinal among those sent to its partition.
        self._numbers: dict[bytes, int] = {}
        self._counts: defaultdict[TopicPartition, int] = defaultdict(int)

    # Producers.

    def send(self, sent: Sent, filling: str, timestamp: int) -> bytes:
        """The value of a new record."""
        value = f"{sent.partition} {sent.producer} {sent.number} {filling}".encode()
        self.sent[value] = sent
        self.timestamps[value] = timestamp
        self._numbers[value] = self._counts[sent.partition]
        self._counts[sent.partition] += 1
        return value

    def acknowledge(self, value: bytes, offset: Offset | None, at: float) -> None:
        """`at`: in seconds."""
        before = self.acknowledged.setdefault(value, Acknowledged(offset, at)).offset
        if before is not None and offset is not None and before != offset:
            self.problems.append(f"{value!r} was acknowledged at {before} and at {offset}")

    # Groups.

    def consume(
        self,
        group: str,
        partition: TopicPartition,
        given: Sequence[tuple[Offset, bytes]],
        *,
        member: str,
        began: float,
        ended: float,
    ) -> None:
        """Records the result of one fetch, in its order."""
        if not given:
            return
        place = str(partition)
        records = {place: [(int(offset), self.number_at(place, offset, value)) for offset, value in given]}
        self.told.append(Poll(group=group, member=member, began=began, ended=ended, records=records))
        self.read[group].update(value for _, value in given)
        self.consumed += len(given)

    def number_at(self, place: Place, offset: int, value: bytes) -> int:
        """Returns the check's key of the record; a negative one for a value that was never sent there."""
        sent = self.sent.get(value)
        return self._numbers[value] if sent is not None and str(sent.partition) == place else -1 - offset

    def commit(
        self,
        group: str,
        offsets: Mapping[TopicPartition, Offset],
        *,
        member: str,
        began: float,
        ended: float,
        error: str | None = None,
    ) -> None:
        self.told.append(
            Commit(
                group=group,
                member=member,
                began=began,
                ended=ended,
                offsets={str(partition): int(offset) for partition, offset in offsets.items()},
                error=error,
            )
        )

    def committed(
        self, group: str, offsets: Mapping[TopicPartition, int], *, member: str, began: float, ended: float
    ) -> None:
        """Records the committed offsets that a member received, -1 where there is none."""
        places = {str(partition): offset for partition, offset in offsets.items()}
        self.told.append(Committed(group=group, member=member, began=began, ended=ended, offsets=places))

    # The end.

    def events(self) -> Iterator[Send | Told | Look]:
        """Yields everything, in the form of the check."""
        for value, sent in self.sent.items():
            sent_at = (self.timestamps[value] - WALL_START_MS) / 1000
            acknowledged = self.acknowledged.get(value)
            offset = None if acknowledged is None else acknowledged.offset
            yield Send(
                place=str(sent.partition),
                producer=sent.producer,
                number=self._numbers[value],
                sent_at=sent_at,
                done_at=sent_at if acknowledged is None else acknowledged.at,
                offset=UNTOLD if acknowledged is not None and offset is None else offset,
            )
        yield from self.told

    def kept(self, partition: TopicPartition) -> list[Kept]:
        """Returns acknowledged records by offset."""
        return sorted(
            Kept(acknowledged.offset, self.timestamps[value], value)
            for value, acknowledged in self.acknowledged.items()
            if acknowledged.offset is not None and self.sent[value].partition == partition
        )

    def unread(self, group: str, partitions: Sequence[TopicPartition]) -> list[Sent]:
        """Returns acknowledged records that the group has not received."""
        read, wanted = self.read[group], frozenset(partitions)
        return [
            sent
            for value, sent in self.sent.items()
            if sent.partition in wanted
            and value in self.acknowledged
            and value not in read
            and sent.partition not in self.deleted_below
        ]

    def partitions(self) -> Iterator[TopicPartition]:
        """Yields the partitions with records, each once."""
        yield from dict.fromkeys(sent.partition for sent in self.sent.values())
