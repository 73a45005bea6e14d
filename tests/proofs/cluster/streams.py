"""What one producer has written to its topic, and what one group has read of all topics.

Their clients tell them from threads of their own; others look on.
"""

import time
from collections.abc import Iterator, Sequence
from itertools import count, pairwise

# A record of each producer so often, to one partition after the other.
_INTERVAL_SECONDS = 0.01


class Written:
    """Each partition is written the numbers 0, 1, 2, …"""

    def __init__(self, client: str, topic: str, partitions: int) -> None:
        self.client = client
        self.topic = topic
        self.sent = [0] * partitions
        self.acknowledged: list[list[int]] = [[] for _ in range(partitions)]
        self.failures: list[str] = []
        # When each acknowledgement came, on the monotonic clock, per partition.
        self.times: list[list[float]] = [[] for _ in range(partitions)]
        self._turns = count()
        self._next_at = time.monotonic()

    def next(self) -> tuple[int, bytes]:
        """Partition and value of the next record, which counts as sent."""
        partition = next(self._turns) % len(self.sent)
        number = self.sent[partition]
        self.sent[partition] += 1
        return partition, b"%d" % number

    def seconds_to_next(self) -> float:
        """How long to pause; a client that was held up does not make up for it."""
        now = time.monotonic()
        self._next_at = max(now, self._next_at + _INTERVAL_SECONDS)
        return self._next_at - now

    def on_acknowledged(self, partition: int, value: bytes, offset: int = -1) -> None:
        """`offset` is for those who want to know it."""
        self.acknowledged[partition].append(int(value))
        self.times[partition].append(time.monotonic())

    def on_failed(self, partition: int, value: bytes, why: str) -> None:
        self.failures.append(f"{self.client}: record {int(value)} of partition {partition}: {why}")

    @property
    def acknowledged_count(self) -> int:
        return sum(map(len, self.acknowledged))

    def is_everywhere_past(self, counts: Sequence[int]) -> bool:
        """True if each partition has more acknowledged records than it had."""
        return all(len(now) > then for now, then in zip(self.acknowledged, counts, strict=True))

    def longest_pause(self) -> float:
        """Seconds between two acknowledgements of one partition."""
        return max(longest_pause(times) for times in self.times)


class Taken:
    """What the one member of a group was given, in the order in which it was."""

    def __init__(self, client: str, topics: Sequence[str], partitions: int) -> None:
        self.client = client
        self.group = f"rolling-{client}"
        self.topics = list(topics)
        # (offset, number) of every record, by topic and partition.
        self.records: dict[tuple[str, int], list[tuple[int, int]]] = {
            (topic, partition): [] for topic in topics for partition in range(partitions)
        }
        self.times: dict[tuple[str, int], list[float]] = {place: [] for place in self.records}
        self.errors: list[str] = []

    def on_record(self, topic: str, partition: int, offset: int, value: bytes) -> None:
        self.records[topic, partition].append((offset, int(value)))
        self.times[topic, partition].append(time.monotonic())

    def on_error(self, error: str) -> None:
        """One that the client shows and goes on after."""
        self.errors.append(f"{self.client}: {error}")

    @property
    def has_read_everywhere(self) -> bool:
        return all(self.records.values())

    def has_all(self, written: Written) -> bool:
        """True if every acknowledged record was read."""
        return not any(self._missing(written, partition) for partition in range(len(written.sent)))

    def read_again(self) -> int:
        """Records that came more than once: those that were read and not committed when a group moved."""
        return sum(len(records) - len(set(records)) for records in self.records.values())

    def longest_pause(self) -> float:
        """Seconds between two records of one partition."""
        return max(longest_pause(times) for times in self.times.values())

    def problems(self, written: Written) -> Iterator[str]:
        """Records of a topic that the group did not get, or not in the order of the log."""
        for partition in range(len(written.sent)):
            where = f"{self.group}, {written.topic}-{partition}"
            missing = self._missing(written, partition)
            if missing:
                yield f"{where}: {len(missing)} acknowledged records not read, from {min(missing)} on"
            # Going back to what was committed is allowed; leaving something out is not.
            for (before, _), (after, _) in pairwise(self.records[written.topic, partition]):
                if after > before + 1:
                    yield f"{where}: from offset {before} to {after}"

    def _missing(self, written: Written, partition: int) -> set[int]:
        read = {number for _, number in list(self.records[written.topic, partition])}
        return set(written.acknowledged[partition]) - read


def log_problems(
    written: Written, partition: int, records: Sequence[tuple[int, int]], *, is_idempotent: bool
) -> Iterator[str]:
    """What is wrong with a partition as it is in the end; `records` are (offset, number)."""
    where = f"{written.topic}-{partition}"
    numbers = [number for _, number in records]
    first_times = list(dict.fromkeys(numbers))
    missing = set(range(written.sent[partition])) - set(numbers)
    if missing:
        lost = missing & set(written.acknowledged[partition])
        yield f"{where}: {len(missing)} records are not there, {len(lost)} of them acknowledged"
    if first_times != sorted(first_times):
        wrong = next(at for at, (one, other) in enumerate(pairwise(first_times)) if one > other)
        yield f"{where}: out of order: {first_times[max(0, wrong - 2) : wrong + 5]}"
    if is_idempotent and len(numbers) != len(first_times):
        yield f"{where}: {len(numbers) - len(first_times)} records twice"


def longest_pause(times: Sequence[float]) -> float:
    return max((later - earlier for earlier, later in pairwise(list(times))), default=0.0)
