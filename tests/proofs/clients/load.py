"""The records that are written, and what reading them must show.

A record is known by its number: key and value follow from it, so that a reader can tell what should be there.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock

# A multiple of three, so that three members share evenly and a fourth finds something to take over.
PARTITIONS = 6


@dataclass(frozen=True, slots=True)
class Record:
    """What a client is given to write."""

    key: bytes
    value: bytes


def record(number: int) -> Record:
    """About 110 bytes: half of them compress well, half do not. Printable, because kcat writes lines."""
    digest = hashlib.blake2b(number.to_bytes(8), digest_size=24).hexdigest()
    return Record(b"key-%d" % number, f"{number}:{digest}:{'order placed ' * 4}".encode())


def records(first: int, end: int) -> Iterator[Record]:
    return map(record, range(first, end))


@dataclass(slots=True)
class Reading:
    """What the members of one group have read. Members call `take` from their threads."""

    expected: int
    # number by offset, per partition.
    numbers: list[dict[int, int]] = field(default_factory=lambda: [{} for _ in range(PARTITIONS)])
    # A group that loses a member may read a few records twice; the figure is reported.
    again: int = 0
    by_member: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    @property
    def count(self) -> int:
        return sum(map(len, self.numbers))

    @property
    def is_complete(self) -> bool:
        return self.count >= self.expected or bool(self.problems)

    def take(self, member: str, partition: int, offset: int, value: bytes) -> None:
        number = _number(value)
        with self._lock:
            self.by_member[member] = self.by_member.get(member, 0) + 1
            if number is None or record(number).value != value:
                self._problem(f"partition {partition}, offset {offset}: not what was written: {value[:60]!r}")
                return
            known = self.numbers[partition].setdefault(offset, number)
            if known != number:
                self._problem(f"partition {partition}, offset {offset}: first {known}, then {number}")

    def took_again(self) -> int:
        return sum(self.by_member.values()) - self.count

    def check(self) -> list[str]:
        """Everything that is wrong with what was read: holes, order, records missing or there twice."""
        problems = list(self.problems)
        for partition, numbers in enumerate(self.numbers):
            offsets = sorted(numbers)
            if offsets != list(range(len(offsets))):
                problems.append(f"partition {partition}: offsets are not 0 to {len(offsets) - 1}")
            in_order = [numbers[offset] for offset in offsets]
            if in_order != sorted(in_order):
                problems.append(f"partition {partition}: not in the order in which it was written")
        found = sorted(number for numbers in self.numbers for number in numbers.values())
        if found != list(range(self.expected)):
            problems.append(
                f"{self.expected} records written, {len(found)} read, {len(set(found))} different ones"
            )
        return problems

    def digest(self) -> str:
        """The same for two readings exactly when they saw the same values at the same places."""
        seen = hashlib.sha256()
        for partition, numbers in enumerate(self.numbers):
            for offset in sorted(numbers):
                seen.update(b"%d %d " % (partition, offset) + record(numbers[offset]).value)
        return seen.hexdigest()

    def _problem(self, text: str) -> None:
        # The first few tell the story.
        if len(self.problems) < 5:
            self.problems.append(text)


def _number(value: bytes) -> int | None:
    digits = value.partition(b":")[0]
    return int(digits) if digits.isdigit() else None
