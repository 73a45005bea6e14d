"""The time of one record from produce() to its acknowledgement, with nothing else in flight."""

import time
from collections.abc import Iterator

from chronik.cli.perf.client import ANSWER_TIMEOUT_S, PARTITION, producer
from chronik.cli.perf.figure import Direction, Figure, MeasurementError, percentile
from chronik.cli.perf.workload import Target

RECORD_BYTES = 100
WARM_UP_RECORDS = 50

_TITLE = "one at a time"


def measure_one_at_a_time(target: Target) -> Iterator[Figure]:
    """Figures `one at a time p50` and `p99`, in milliseconds. Raises MeasurementError."""
    latencies_ms = _latencies_ms(target)
    note = f"{len(latencies_ms)} records"
    for percent in (50, 99):
        yield Figure(
            name=f"{_TITLE} p{percent}",
            value=percentile(latencies_ms, percent),
            unit="ms",
            better=Direction.LOWER,
            note=note,
        )


def _latencies_ms(target: Target) -> list[float]:
    failures: list[str] = []
    sender = producer(target.bootstrap_servers, linger_ms=0, failures=failures)
    value = bytes(RECORD_BYTES)

    def send_one() -> float:
        start = time.perf_counter()
        sender.produce(target.topic, value, partition=PARTITION)
        left = sender.flush(ANSWER_TIMEOUT_S)
        elapsed = time.perf_counter() - start
        if left or failures:
            raise MeasurementError(f"a record failed: {failures or 'not acknowledged in time'}")
        return elapsed * 1000

    for _ in range(WARM_UP_RECORDS):
        send_one()
    latencies_ms: list[float] = []
    begin = time.perf_counter()
    while (elapsed := time.perf_counter() - begin) < target.seconds:
        target.progress(_TITLE, elapsed / target.seconds)
        latencies_ms.append(send_one())
    return latencies_ms
