"""A measured number with the words that make it readable."""

from dataclasses import dataclass
from enum import Enum


class Direction(Enum):
    """The direction in which a figure improves."""

    HIGHER = "higher is better"
    LOWER = "lower is better"


class MeasurementError(Exception):
    """The broker refused or lost a record, or time ran out: there is no figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of a result. `name` is the same for every broker, so figures are matched by it."""

    name: str
    value: float
    unit: str
    better: Direction = Direction.HIGHER
    # A remark next to the number, such as MB/s or the count of samples.
    note: str = ""


def percentile(samples: list[float], percent: float) -> float:
    """The nearest-rank percentile of unsorted samples; not interpolated, so it is a value that was seen."""
    ordered = sorted(samples)
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(int(rank), 1) - 1]
