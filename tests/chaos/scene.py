"""The cluster that faults befall, and how each begins and ends.

The forwarders between the nodes cut and delay their links, not network namespaces: they need no rights, run
wherever the tests do, and name the two ways of a link by who sends. What they cannot show is the loss of
single packets, which TCP hides from the nodes anyway, and its time-outs, which are longer than any fault
here.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from chronik.testing import BrokerError, Cluster
from tests.chaos.clocks import VARIABLE, set_offset
from tests.chaos.disk import Disk, small_disk
from tests.chaos.faults import NODE_WITH_SMALL_DISK, NODES, Fault, Kind

# A node whose disk is full cannot even write what it ends with.
_STOP_TROUBLE = "did not stop within"


@dataclass(slots=True)
class Befallen:
    """A fault that was carried out; times on the monotonic clock. `left_out` says why it was not."""

    fault: Fault
    began: float = 0.0
    ended: float = 0.0
    left_out: str | None = None


@dataclass(slots=True)
class Scene:
    """Made by `scene`. One thread calls it."""

    cluster: Cluster
    disk: Disk | None
    clocks: Path
    # Nodes that were killed and shall be down now.
    down: set[int] = field(default_factory=set)
    is_disk_full: bool = False
    # How often a node ended by itself while its disk was full.
    ended_on_full_disk: int = 0
    problems: list[str] = field(default_factory=list)

    def begin(self, befallen: Befallen) -> None:
        befallen.began = befallen.ended = time.monotonic()
        befallen.left_out = self._why_not(befallen.fault)
        if befallen.left_out is None:
            self._begin(befallen.fault)

    def end(self, befallen: Befallen) -> None:
        if befallen.left_out is None:
            self._end(befallen.fault)
            befallen.ended = time.monotonic()

    def watch(self) -> None:
        """Start nodes again that have ended by themselves, and write down that they did."""
        for node in self.cluster.nodes:
            if node.node_id not in self.down and not node.is_running:
                self._on_ended(node.node_id)

    def heal(self) -> None:
        """Undo all faults, also those that have ended: every node runs, and hears every other one."""
        for node in self.cluster.nodes:
            if node.is_paused:
                self.cluster.resume(node.node_id)
            self.cluster.heal(node.node_id)
            set_offset(self.clocks, node.node_id, 0.0)
        for one, other in _directions(NODES):
            self.cluster.mend(one, other)
            self.cluster.delay(one, other, 0.0)
        self._free_disk()
        for node_id in NODES:
            self._start(node_id)
        for node_id in NODES:
            self._wait_started(node_id)

    # The kinds.

    def _why_not(self, fault: Fault) -> str | None:
        if fault.kind is Kind.DISK_FULL and self.disk is None:
            return "this system can neither mount a small disk nor limit another process"
        nodes = [self.cluster.node(node) for node in fault.nodes]
        if fault.kind in _OF_PROCESSES and not any(node.is_running for node in nodes):
            return "it did not run"
        return None

    def _begin(self, fault: Fault) -> None:
        cluster = self.cluster
        match fault.kind:
            case Kind.KILL | Kind.KILL_TWO | Kind.KILL_ALL:
                self._each_running(fault, self._kill)
            case Kind.PAUSE:
                self._each_running(fault, cluster.pause)
            case Kind.RESTART:
                self._each_running(fault, self._stop)
            case Kind.ISOLATE:
                cluster.isolate(*fault.nodes)
            case Kind.CUT_ONE_WAY:
                cluster.cut(*fault.nodes)
            case Kind.CUT_PAIR:
                for direction in _directions(fault.nodes):
                    cluster.cut(*direction)
            case Kind.DELAY:
                self._delay(fault, fault.amount)
            case Kind.DISK_FULL:
                self._fill_disk()
            case Kind.CLOCK:
                set_offset(self.clocks, fault.nodes[0], fault.amount)

    def _end(self, fault: Fault) -> None:
        cluster = self.cluster
        match fault.kind:
            case Kind.KILL | Kind.KILL_TWO | Kind.KILL_ALL | Kind.RESTART:
                for node in fault.nodes:
                    self._start(node)
            case Kind.PAUSE:
                for node in fault.nodes:
                    if cluster.node(node).is_paused:
                        cluster.resume(node)
            case Kind.ISOLATE:
                cluster.heal(*fault.nodes)
            case Kind.CUT_ONE_WAY:
                cluster.mend(*fault.nodes)
            case Kind.CUT_PAIR:
                for direction in _directions(fault.nodes):
                    cluster.mend(*direction)
            case Kind.DELAY:
                self._delay(fault, 0.0)
            case Kind.DISK_FULL:
                self._free_disk()
            case Kind.CLOCK:
                set_offset(self.clocks, fault.nodes[0], 0.0)

    def _each_running(self, fault: Fault, work: Callable[[int], None]) -> None:
        for node in fault.nodes:
            if self.cluster.node(node).is_running:
                work(node)

    def _kill(self, node: int) -> None:
        self.down.add(node)
        self.cluster.kill(node)

    def _stop(self, node: int) -> None:
        self.down.add(node)
        try:
            self.cluster.stop_node(node)
        except BrokerError as error:
            # It was killed then. One that lacks a majority, or is starting, may take longer to go.
            if _STOP_TROUBLE not in str(error) and not self._is_full(node):
                self.problems.append(f"node {node} was told to stop: {error}")

    def _start(self, node: int) -> None:
        if node in self.down or not self.cluster.node(node).is_running:
            self.cluster.restart(node, wait=False)
        self.down.discard(node)

    def _wait_started(self, node: int) -> None:
        try:
            self.cluster.wait_started(node)
        except BrokerError as error:
            self.problems.append(f"after all faults: {error}")
            self.cluster.restart(node)

    def _delay(self, fault: Fault, seconds: float) -> None:
        for other in NODES:
            for node in fault.nodes:
                if other != node:
                    self.cluster.delay(node, other, seconds)
                    self.cluster.delay(other, node, seconds)

    def _fill_disk(self) -> None:
        node = self.cluster.node(NODE_WITH_SMALL_DISK)
        if self.disk is not None and node.is_running:
            self.is_disk_full = True
            self.disk.fill(node.pid)

    def _free_disk(self) -> None:
        node = self.cluster.node(NODE_WITH_SMALL_DISK)
        if self.disk is not None:
            self.disk.free(node.pid if node.is_running else None)
        self.is_disk_full = False

    def _is_full(self, node: int) -> bool:
        return self.is_disk_full and node == NODE_WITH_SMALL_DISK

    def _on_ended(self, node: int) -> None:
        if self._is_full(node):
            # To end is one way to answer a disk that takes nothing; it starts when there is room.
            self.ended_on_full_disk += 1
            self.down.add(node)
            return
        try:
            self.cluster.resume(node)
        except BrokerError as error:
            self.problems.append(f"ended by itself: {error}")
        self.cluster.restart(node, wait=False)


_OF_PROCESSES = frozenset({Kind.KILL, Kind.KILL_TWO, Kind.KILL_ALL, Kind.PAUSE, Kind.RESTART, Kind.DISK_FULL})


def _directions(nodes: Sequence[int]) -> Iterator[tuple[int, int]]:
    return ((one, other) for one in nodes for other in nodes if one != other)


@contextmanager
def scene(directory: Path) -> Iterator[Scene]:
    """A running cluster whose data and logs are in `directory`."""
    clocks = directory / "clocks"
    clocks.mkdir(parents=True)
    for node in NODES:
        set_offset(clocks, node, 0.0)
    os.environ[VARIABLE] = str(clocks)
    data = directory / "nodes"
    with small_disk(data / f"node-{NODE_WITH_SMALL_DISK}") as disk:
        cluster = Cluster(
            len(NODES),
            data_dir=data,
            can_isolate=True,
            node_module="tests.chaos.node",
            config={"write.caching": False},
        )
        with cluster:
            yield Scene(cluster=cluster, disk=disk, clocks=clocks)
