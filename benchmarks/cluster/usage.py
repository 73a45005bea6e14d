"""What nodes used while a client measured them: processor and syncs."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.syncs import sync_count

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Of all nodes together."""

    seconds: float
    cpu_seconds: float
    syncs: float


class UsageMeter:
    """Counts from its making, or from the last `take`, on."""

    def __init__(self, pids: Sequence[int], metrics_urls: Sequence[str]) -> None:
        self._pids = pids
        self._urls = metrics_urls
        self._before = self._read()

    def take(self) -> Usage:
        before, self._before = self._before, self._read()
        return Usage(
            seconds=self._before.seconds - before.seconds,
            cpu_seconds=self._before.cpu_seconds - before.cpu_seconds,
            syncs=self._before.syncs - before.syncs,
        )

    def _read(self) -> Usage:
        return Usage(
            seconds=time.perf_counter(),
            cpu_seconds=sum(map(cpu_seconds, self._pids)),
            syncs=sum(sync_count(url) or 0.0 for url in self._urls),
        )


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads, as Linux counts it; 0 elsewhere."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return 0.0
    # The name, in brackets, may have spaces; after it utime and stime are the 12th and 13th.
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND
