"""What a broker weighs after it has been used."""

import time

from confluent_kafka import OFFSET_BEGINNING, TopicPartition

from benchmarks.footprint.measure import Options
from benchmarks.peers import Peer, running
from chronik.cli.perf.client import ANSWER_TIMEOUT_S, PARTITION, consumer, producer, temporary_topic
from chronik.cli.perf.figure import Direction, Figure, MeasurementError

_RECORD_BYTES = 1024
_STRIDE = 1000
_CONSUME_MAX = 10_000

# One gigabyte at 10 MB/s: a broker slower than that is not what this is about.
_TIMEOUT_S = 100.0


def measure_used_memory(peer: Peer, options: Options) -> list[Figure]:
    """Figures `memory after N GB` and `peak memory`, of values of 1 KiB produced and all consumed once."""
    records = int(options.gigabytes * 1e9 / _RECORD_BYTES)
    with running(peer, options.data_parent) as broker, temporary_topic(broker.bootstrap_servers) as topic:
        _produce(broker.bootstrap_servers, topic, records, options)
        _consume(broker.bootstrap_servers, topic, records, options)
        after = broker.process.resident_mb()
        peak = broker.process.peak_mb()
    names = (f"memory after {options.gigabytes:g} GB", "peak memory")
    return [
        Figure(name=name, value=value, unit="MB", better=Direction.LOWER)
        for name, value in zip(names, (after, peak), strict=True)
        if value is not None
    ]


def _produce(servers: str, topic: str, records: int, options: Options) -> None:
    failures: list[str] = []
    sender = producer(servers, linger_ms=5, failures=failures)
    value = bytes(_RECORD_BYTES)
    deadline = time.perf_counter() + _TIMEOUT_S
    sent = 0
    while sent < records and time.perf_counter() < deadline:
        try:
            for _ in range(min(_STRIDE, records - sent)):
                sender.produce(topic, value, partition=PARTITION)
                sent += 1
        except BufferError:
            sender.poll(0.005)
        options.progress("memory: produce", sent / records)
    if sender.flush(ANSWER_TIMEOUT_S) or failures or sent < records:
        raise MeasurementError(f"produced {sent} of {records} records: {failures[:1]}")


def _consume(servers: str, topic: str, records: int, options: Options) -> None:
    reader = consumer(servers)
    reader.assign([TopicPartition(topic, PARTITION, OFFSET_BEGINNING)])
    deadline = time.perf_counter() + _TIMEOUT_S
    consumed = 0
    while consumed < records and time.perf_counter() < deadline:
        consumed += len(reader.consume(_CONSUME_MAX, timeout=0.1))
        options.progress("memory: consume", consumed / records)
    reader.close()
    if consumed < records:
        raise MeasurementError(f"consumed {consumed} of {records} records in {_TIMEOUT_S:.0f} s")
