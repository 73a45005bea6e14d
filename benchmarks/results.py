"""What a side-by-side run gathered, and the medians and ratios that follow from it."""

import statistics
from dataclasses import dataclass, field

from benchmarks.peers import CHRONIK_CACHING, TANSU
from chronik.cli.perf.figure import Direction, Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One peer, one workload, one round."""

    peer: str
    figures: list[Figure]
    syncs_per_second: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A measurement that gave no figure, and why."""

    peer: str
    workload: str
    reason: str


@dataclass(slots=True)
class Results:
    """Filled round by round, then read."""

    machine: dict[str, str]
    peers: dict[str, str]
    rounds: int
    seconds: float
    failures: list[Failure] = field(default_factory=list)
    # By figure name: its first Figure, whose value is one sample; it has the unit and direction of all.
    figures: dict[str, Figure] = field(default_factory=dict)
    # By (figure name, peer): one value a round.
    samples: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    # By (figure name, peer): syncs a second in each round, for peers that tell.
    syncs: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    def add(self, measured: Measured) -> None:
        for figure in measured.figures:
            key = (figure.name, measured.peer)
            self.figures.setdefault(figure.name, figure)
            self.samples.setdefault(key, []).append(figure.value)
            if measured.syncs_per_second is not None and not figure.name.startswith("consume"):
                self.syncs.setdefault(key, []).append(measured.syncs_per_second)

    def median(self, name: str, peer: str) -> float | None:
        return _median(self.samples.get((name, peer)))

    def syncs_per_second(self, name: str, peer: str) -> float | None:
        return _median(self.syncs.get((name, peer)))

    def spread(self, name: str, peer: str) -> tuple[float, float]:
        """The lowest and highest round."""
        samples = self.samples[name, peer]
        return min(samples), max(samples)

    def ratio(self, name: str, peer: str, other: str) -> float | None:
        """How many times better `peer` is than `other`, whichever way the figure improves; 1 is equal."""
        mine, theirs = self.median(name, peer), self.median(name, other)
        if not mine or not theirs:
            return None
        return mine / theirs if self.figures[name].better is Direction.HIGHER else theirs / mine

    def behind(self) -> list[str]:
        """Figures in which Chronik with write.caching=true is behind Tansu, or cannot be compared."""
        ratios = {name: self.ratio(name, CHRONIK_CACHING.name, TANSU.name) for name in self.figures}
        return [name for name, ratio in ratios.items() if ratio is None or ratio < 1]


def _median(samples: list[float] | None) -> float | None:
    return statistics.median(samples) if samples else None
