"""Quantiles of measurements."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Milliseconds. A quantile is a value that was measured: the smallest that so many do not exceed."""

    count: int
    p50: float
    p99: float
    longest: float

    @classmethod
    def of_seconds(cls, values: Sequence[float]) -> Self:
        """Raises ValueError without values."""
        if not values:
            raise ValueError("nothing was measured")
        in_order = sorted(round(1000 * value, 1) for value in values)
        return cls(
            count=len(in_order),
            p50=in_order[ceil(0.50 * len(in_order)) - 1],
            p99=in_order[ceil(0.99 * len(in_order)) - 1],
            longest=in_order[-1],
        )

    def __str__(self) -> str:
        return f"p50 {self.p50:.0f} ms, p99 {self.p99:.0f} ms, longest {self.longest:.0f} ms ({self.count})"
