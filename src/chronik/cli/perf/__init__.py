"""The measurements of `chronik perf` and `benchmarks/`, from the client's side.

Each workload drives a running broker, Chronik or any other that speaks Kafka's protocol, and returns figures.
Nothing here starts a broker or knows which one it is connected to, so that figures may be compared.
"""

from chronik.cli.perf.figure import Direction, Figure, MeasurementError
from chronik.cli.perf.run import DEFAULT_SECONDS, run, run_each
from chronik.cli.perf.workload import Progress, Workload

__all__ = [
    "DEFAULT_SECONDS",
    "Direction",
    "Figure",
    "MeasurementError",
    "Progress",
    "Workload",
    "run",
    "run_each",
]
