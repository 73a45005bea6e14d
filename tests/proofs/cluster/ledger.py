"""What was sent to the partitions of a topic, what was acknowledged and when; and what reading must show."""

import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

# (offset, number) of each record of a partition.
Records = Sequence[tuple[int, int]]

_SILENCE_SECONDS_MAX = 30.0
# `consume` waits so long for a full batch.
_CONSUME_SECONDS = 0.1
# Longer values make no difference here; some length makes batches.
_VALUE_BYTES = 100


class Ledger:
    """Each partition is sent the numbers 0, 1, 2, …"""

    def __init__(self, topic: str, partitions: int) -> None:
        self.topic = topic
        self.sent = [0] * partitions
        # Offset by number.
        self.offsets: list[dict[int, int]] = [{} for _ in range(partitions)]
        # When each acknowledgement came, on the monotonic clock.
        self.times: list[list[float]] = [[] for _ in range(partitions)]
        self.failures: list[str] = []

    @property
    def partitions(self) -> range:
        return range(len(self.sent))

    @property
    def acknowledged(self) -> int:
        return sum(map(len, self.offsets))

    def next_value(self, partition: int) -> bytes:
        """The value of the next record; it counts as sent with `count_sent`."""
        return (b"%d " % self.sent[partition]).ljust(_VALUE_BYTES, b".")

    def on_acknowledged(self, partition: int, offset: int, value: bytes, at: float) -> None:
        self.offsets[partition][number_of(value)] = offset
        self.times[partition].append(at)

    def is_everywhere_past(self, marks: Sequence[int]) -> bool:
        """True if each partition has acknowledged a record that was sent when `sent` had been `marks`."""
        return all(
            any(number >= mark for number in list(self.offsets[partition])[-1:])
            for partition, mark in enumerate(marks)
        )

    def longest_gap(self, partition: int, start: float, end: float) -> float:
        """Seconds between two acknowledgements of a partition, the second of them in a span of time."""
        return _longest_gap(self.times[partition], start, end)

    def longest_gap_overall(self, start: float, end: float) -> float:
        """The same, taking all partitions as one."""
        nearby = (at for times in self.times for at in times[max(0, bisect_right(times, start) - 1) :])
        return _longest_gap(sorted(nearby), start, end)

    def problems(self, read: Sequence[Records]) -> Iterator[str]:
        """How what was read differs from what was promised: nothing lost, nothing doubled, order kept."""
        yield from self.failures[:5]
        for partition, records in enumerate(read):
            numbers = [number for _, number in records]
            if numbers != list(range(self.sent[partition])):
                wrong = next((at for at, number in enumerate(numbers) if at != number), len(numbers))
                yield (
                    f"partition {partition}: sent {self.sent[partition]}, read {len(numbers)}, "
                    f"first difference at {wrong}: {numbers[wrong : wrong + 5]}"
                )
            where = {number: offset for offset, number in records}
            for number, offset in self.offsets[partition].items():
                if where.get(number) != offset:
                    yield (
                        f"partition {partition}: {number} acknowledged at {offset}, is at {where.get(number)}"
                    )
                    break


def number_of(value: bytes) -> int:
    return int(value.partition(b" ")[0])


def read_all(servers: str, topic: str, partitions: int) -> list[list[tuple[int, int]]]:
    """Every record, by a client that never saw the producer. Raises TimeoutError, RuntimeError."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "ledger-check",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "check.crcs": True,
        }
    )
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
    read: list[list[tuple[int, int]]] = [[] for _ in range(partitions)]
    is_open = set(range(partitions))
    heard_at = time.monotonic()
    try:
        while is_open:
            messages = consumer.consume(1000, timeout=_CONSUME_SECONDS)
            for message in messages:
                _take(message, read, is_open)
            if messages:
                heard_at = time.monotonic()
            elif time.monotonic() > heard_at + _SILENCE_SECONDS_MAX:
                raise TimeoutError("the nodes do not answer the check")
    finally:
        consumer.close()
    return read


def _take(message: Message, read: list[list[tuple[int, int]]], is_open: set[int]) -> None:
    partition, offset, value = message.partition(), message.offset(), message.value()
    error = message.error()
    if error is not None:
        if error.code() != KafkaError._PARTITION_EOF:
            raise RuntimeError(str(error))
        is_open.discard(-1 if partition is None else partition)
    elif partition is not None and offset is not None and value is not None:
        read[partition].append((offset, number_of(value)))


def _longest_gap(times: Sequence[float], start: float, end: float) -> float:
    first = max(0, bisect_right(times, start) - 1)
    last = bisect_right(times, end)
    return max((later - earlier for earlier, later in pairwise(times[first:last])), default=0.0)
