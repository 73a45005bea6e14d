"""Run workloads against a broker that is up, one after the other."""

import time
from collections.abc import Callable, Iterable, Iterator

from chronik.cli.perf.bulk import measure_bulk
from chronik.cli.perf.client import temporary_topic
from chronik.cli.perf.figure import Figure
from chronik.cli.perf.one_at_a_time import measure_one_at_a_time
from chronik.cli.perf.small_requests import measure_small_requests
from chronik.cli.perf.workload import Progress, Target, Workload

DEFAULT_SECONDS = 3.0

# Often enough for a bar to move, seldom enough not to be measured.
_PROGRESS_INTERVAL_S = 0.1

_MEASURE: dict[Workload, Callable[[Target], Iterator[Figure]]] = {
    Workload.BULK_100B: lambda target: measure_bulk(target, 100, "100 B"),
    Workload.BULK_1KIB: lambda target: measure_bulk(target, 1024, "1 KiB"),
    Workload.ONE_AT_A_TIME: measure_one_at_a_time,
    Workload.SMALL_REQUESTS: measure_small_requests,
}


def run(
    bootstrap_servers: str,
    workloads: Iterable[Workload] = tuple(Workload),
    *,
    seconds: float = DEFAULT_SECONDS,
    on_progress: Progress = lambda title, done: None,
) -> list[Figure]:
    """Figures of all workloads, in their order; `seconds` is how long each part of them lasts, warm-up aside.

    Each workload gets a topic of its own, deleted afterwards. Raises MeasurementError when the broker fails.
    """
    return list(run_each(bootstrap_servers, workloads, seconds=seconds, on_progress=on_progress))


def run_each(
    bootstrap_servers: str,
    workloads: Iterable[Workload],
    *,
    seconds: float,
    on_progress: Progress = lambda title, done: None,
) -> Iterator[Figure]:
    """As `run`, but yields each figure once it is known: a later failure does not take it away."""
    for workload in workloads:
        with temporary_topic(bootstrap_servers) as topic:
            target = Target(
                bootstrap_servers=bootstrap_servers,
                topic=topic,
                seconds=seconds,
                progress=_throttled(on_progress),
            )
            yield from measure(workload, target)


def measure(workload: Workload, target: Target) -> Iterator[Figure]:
    """Yields one workload's figures, each as soon as its part is over: the next part has not begun then.

    Raises MeasurementError.
    """
    return _MEASURE[workload](target)


def _throttled(on_progress: Progress) -> Progress:
    due = 0.0

    def progress(title: str, done: float) -> None:
        nonlocal due
        now = time.perf_counter()
        if now >= due:
            due = now + _PROGRESS_INTERVAL_S
            on_progress(title, done)

    return progress
