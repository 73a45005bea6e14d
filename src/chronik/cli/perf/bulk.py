"""As many records as the broker takes from one producer, then all of them back to one consumer."""

import time
from collections.abc import Iterator

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, Producer, TopicPartition

from chronik.cli.perf.client import ANSWER_TIMEOUT_S, PARTITION, consumer, producer
from chronik.cli.perf.figure import Figure, MeasurementError
from chronik.cli.perf.workload import Target

LINGER_MS = 5.0
WARM_UP_S = 0.3

# Records handed over or taken between two looks at the clock.
_STRIDE = 200
_CONSUME_MAX = 10_000

# A broker that keeps less of the acknowledged records gets no consume figure; librdkafka's mock keeps 5 MB.
_KEPT_MIN = 0.9


def measure_bulk(target: Target, record_bytes: int, size_name: str) -> Iterator[Figure]:
    """Figures `produce SIZE` and `consume SIZE`, in records a second. Raises MeasurementError."""
    produced, produce_s = _produce(target, record_bytes, f"produce {size_name}")
    yield _figure(f"produce {size_name}", produced, produce_s, record_bytes)
    reader = consumer(target.bootstrap_servers)
    try:
        readable = _readable(reader, target.topic, produced)
        if readable >= produced * _KEPT_MIN:
            consumed, consume_s = _consume(target, reader, readable, f"consume {size_name}")
            yield _figure(f"consume {size_name}", consumed, consume_s, record_bytes)
    finally:
        reader.close()


def _figure(name: str, records: int, seconds: float, record_bytes: int) -> Figure:
    rate = records / seconds
    return Figure(
        name=name, value=rate, unit="records/s", note=f"{rate * record_bytes / 1e6:.0f} MB/s of values"
    )


def _produce(target: Target, record_bytes: int, title: str) -> tuple[int, float]:
    """Records and seconds, from the first record handed over to the last one acknowledged."""
    failures: list[str] = []
    sender = producer(target.bootstrap_servers, linger_ms=LINGER_MS, failures=failures)
    value = bytes(record_bytes)
    _send_for(sender, target, value, WARM_UP_S, title)
    _drain(sender, failures)
    start = time.perf_counter()
    produced = _send_for(sender, target, value, target.seconds, title)
    _drain(sender, failures)
    return produced, time.perf_counter() - start


def _send_for(sender: Producer, target: Target, value: bytes, seconds: float, title: str) -> int:
    topic, produce = target.topic, sender.produce
    start = time.perf_counter()
    produced = 0
    while (elapsed := time.perf_counter() - start) < seconds:
        target.progress(title, elapsed / seconds)
        try:
            for _ in range(_STRIDE):
                produce(topic, value, partition=PARTITION)
                produced += 1
        except BufferError:
            # The client's queue of 100,000 records is full: the broker is the slower one, as it should be.
            sender.poll(0.005)
    return produced


def _drain(sender: Producer, failures: list[str]) -> None:
    left = sender.flush(ANSWER_TIMEOUT_S)
    if left:
        raise MeasurementError(f"{left} records were not acknowledged within {ANSWER_TIMEOUT_S:.0f} s")
    if failures:
        raise MeasurementError(f"{len(failures)} records failed, the first with: {failures[0]}")


def _readable(reader: Consumer, topic: str, produced: int) -> int:
    """Records the partition holds. Raises MeasurementError when it acknowledged more than that."""
    low, high = reader.get_watermark_offsets(TopicPartition(topic, PARTITION), timeout=ANSWER_TIMEOUT_S)
    if high < produced:
        raise MeasurementError(f"{produced} records were acknowledged, but the partition ends at {high}")
    return int(high - low)


def _consume(target: Target, reader: Consumer, records: int, title: str) -> tuple[int, float]:
    """Records and seconds, from the first record that arrived to the last: connecting is not counted."""
    reader.assign([TopicPartition(target.topic, PARTITION, OFFSET_BEGINNING)])
    batch = _next_records(reader, 1)
    start = time.perf_counter()
    first_offset, consumed = batch[0].offset() or 0, 1
    while consumed < records:
        batch = _next_records(reader, min(_CONSUME_MAX, records - consumed))
        consumed += len(batch)
        target.progress(title, consumed / records)
    elapsed = time.perf_counter() - start
    # Looking at each record would measure Python; an error, a gap or a repeat shifts the last offset.
    if batch[-1].error() is not None or batch[-1].offset() != first_offset + records - 1:
        raise MeasurementError(f"the last of {records} records is not the one expected: {batch[-1].error()}")
    return records - 1, elapsed


def _next_records(reader: Consumer, count: int) -> list[Message]:
    """Returns up to `count` records, waiting only until some are there."""
    deadline = time.perf_counter() + ANSWER_TIMEOUT_S
    while time.perf_counter() < deadline:
        # A short timeout, because consume() waits for the full count until it ends.
        messages = reader.consume(count, timeout=0.05)
        if messages:
            return messages
    raise MeasurementError(f"no record arrived for {ANSWER_TIMEOUT_S:.0f} s")
