"""What every measurement of this package is handed."""

from dataclasses import dataclass
from pathlib import Path

from chronik.cli.perf.workload import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How much of everything. The defaults are what the figures are stated for."""

    starts: int = 10
    joins: int = 5
    topics: int = 1000
    gigabytes: float = 1.0
    data_parent: Path | None = None
    progress: Progress = lambda title, done: None
