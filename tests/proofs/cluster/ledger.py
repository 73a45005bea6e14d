"""The records that one producer sent to the partitions of a topic, with their outcome; and reading all of
them back.
"""

import threading
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import count, pairwise

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from chronik.history.events import Place, Records, Send
from chronik.history.logs import check_log
from chronik.history.violations import STRICT, Allowances

_SILENCE_SECONDS_MAX = 30.0
# `consume` waits so long for a full batch.
_CONSUME_SECONDS = 0.1
# A record of each producer that keeps a pace so often, to one partition after the other.
_INTERVAL_SECONDS = 0.01
_FAILURES_SHOWN = 5


class Ledger:
    """Each partition is sent the numbers 0, 1, 2, …

    Owned by the starter of the producer. Callbacks may come from another thread than sends.
    """

    def __init__(
        self,
        topic: str,
        partitions: int,
        *,
        client: str = "",
        value_bytes: int = 0,
        sink: Callable[[Send], None] | None = None,
    ) -> None:
        """`sink` takes each record when it is answered or given up; `sends` has them without one."""
        self.topic = topic
        self.client = client
        self.sent = [0] * partitions
        self.sends: list[Send] = []
        # When each acknowledgement came, on the monotonic clock, by partition.
        self.times: list[list[float]] = [[] for _ in range(partitions)]
        self.failures: list[str] = []
        self._value_bytes = value_bytes
        self._sink = self.sends.append if sink is None else sink
        # The number acknowledged last, by partition.
        self._last = [-1] * partitions
        self._lock = threading.Lock()
        # When each record that is not answered yet was sent, by place and number.
        self._sent_at: dict[tuple[Place, int], float] = {}
        self._turns = count()
        self._next_at = time.monotonic()

    @property
    def partitions(self) -> range:
        return range(len(self.sent))

    @property
    def acknowledged(self) -> int:
        return sum(map(len, self.times))

    def place(self, partition: int) -> Place:
        return f"{self.topic}-{partition}"

    # Sending.

    def next(self) -> tuple[int, bytes]:
        """Partition and value of the next record, to one partition after the other; it counts as sent."""
        partition = next(self._turns) % len(self.sent)
        value = self.next_value(partition)
        self.count_sent(partition)
        return partition, value

    def next_value(self, partition: int) -> bytes:
        """The value of the partition's next record; it counts as sent with `count_sent`."""
        number = b"%d" % self.sent[partition]
        return number if not self._value_bytes else (number + b" ").ljust(self._value_bytes, b".")

    def count_sent(self, partition: int) -> None:
        with self._lock:
            self._sent_at[self.place(partition), self.sent[partition]] = time.monotonic()
            self.sent[partition] += 1

    def seconds_to_next(self) -> float:
        """How long to pause; a client that was held up does not make up for it."""
        now = time.monotonic()
        self._next_at = max(now, self._next_at + _INTERVAL_SECONDS)
        return self._next_at - now

    # Answers.

    def on_acknowledged(self, partition: int, value: bytes, offset: int, at: float | None = None) -> None:
        """`at`: now, unless it is said. Raises KeyError for a record that was answered before."""
        done_at = time.monotonic() if at is None else at
        self._add(self.place(partition), number_of(value), done_at, offset=offset)
        self.times[partition].append(done_at)
        self._last[partition] = number_of(value)

    def on_failed(self, partition: int, value: bytes, why: str) -> None:
        """Raises KeyError for a record that was answered before."""
        who = f"{self.client}: " if self.client else ""
        self.failures.append(f"{who}record {number_of(value)} of partition {partition}: {why}")
        self._add(self.place(partition), number_of(value), time.monotonic(), error=why)

    def give_up(self, why: str | None) -> None:
        """What has no answer yet will have none: its producer is gone."""
        for place, number in list(self._sent_at):
            self._add(place, number, time.monotonic(), error=why)

    def _add(
        self,
        place: Place,
        number: int,
        done_at: float,
        *,
        offset: int | None = None,
        error: str | None = None,
    ) -> None:
        with self._lock:
            sent_at = self._sent_at.pop((place, number))
            self._sink(
                Send(
                    place=place,
                    producer=self.client,
                    number=number,
                    sent_at=sent_at,
                    done_at=done_at,
                    offset=offset,
                    error=error,
                )
            )

    # Figures.

    def is_everywhere_past(self, marks: Sequence[int]) -> bool:
        """True if each partition has acknowledged a record that was sent when `sent` had been `marks`."""
        return all(last >= mark for last, mark in zip(self._last, marks, strict=True))

    def longest_gap(self, partition: int, start: float, end: float) -> float:
        """Seconds between two acknowledgements of a partition, the second of them in a span of time."""
        return _longest_gap(self.times[partition], start, end)

    def longest_gap_overall(self, start: float, end: float) -> float:
        """The same, taking all partitions as one."""
        nearby = (at for times in self.times for at in times[max(0, bisect_right(times, start) - 1) :])
        return _longest_gap(sorted(nearby), start, end)

    def longest_pause(self) -> float:
        """Seconds between two acknowledgements of one partition."""
        return max(longest_pause(times) for times in self.times)

    # The end.

    def acknowledged_at(self) -> dict[Place, dict[int, int]]:
        """Offset by number of what was acknowledged, by place."""
        found: dict[Place, dict[int, int]] = {self.place(partition): {} for partition in self.partitions}
        for send in list(self.sends):
            if send.offset is not None:
                found[send.place][send.number] = send.offset
        return found

    def problems(self, read: Sequence[Records], allowed: Allowances = STRICT) -> Iterator[str]:
        """How what was read of each partition differs from what was promised, and what was not answered."""
        yield from self.failures[:_FAILURES_SHOWN]
        if self._sent_at:
            yield f"{len(self._sent_at)} records were never answered, {next(iter(self._sent_at))} first"
        sends: defaultdict[Place, list[Send]] = defaultdict(list)
        for send in self.sends:
            sends[send.place].append(send)
        for partition, records in enumerate(read):
            place = self.place(partition)
            yield from map(str, check_log(place, sends[place], records, allowed))


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
    return longest_pause(times[first:last])


def longest_pause(times: Sequence[float]) -> float:
    """Seconds between two neighbours."""
    return max((later - earlier for earlier, later in pairwise(list(times))), default=0.0)
