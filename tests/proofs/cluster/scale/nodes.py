"""Resources used by the processes of a cluster, as Linux counts them."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

from chronik.testing import Cluster

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads since the process began."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    # The name, in brackets, may have spaces; after it utime and stime are the 12th and 13th.
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def resident_mb(pid: int) -> float:
    """In units of 10^6 bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES / 1e6


def cpu_of_all(cluster: Cluster) -> dict[int, float]:
    """By node id; of nodes that run."""
    return {node.node_id: cpu_seconds(node.pid) for node in cluster.nodes if node.is_running}


class CpuMeter:
    """From its making: how much of a core each node uses."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._before = cpu_of_all(cluster)
        self._begun = time.monotonic()

    def seconds(self) -> Mapping[int, float]:
        """Seconds of CPU so far."""
        now = cpu_of_all(self._cluster)
        return {node: round(now[node] - before, 2) for node, before in self._before.items() if node in now}

    def percent(self) -> Mapping[int, float]:
        """Of one core, since the beginning."""
        elapsed = time.monotonic() - self._begun
        return {node: round(100 * used / elapsed, 1) for node, used in self.seconds().items()}
