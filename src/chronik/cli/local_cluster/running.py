"""The processes of a local cluster, from their start to their end."""

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType

from chronik.cli.failure import Failure
from chronik.cli.local_cluster.node_process import NodeProcess, open_log
from chronik.cli.local_cluster.plan import LocalNode, node_settings
from chronik.server.stop_signals import stop_signals

# Between two looks at the processes.
_POLL_S = 0.05

# A node hands its leaderships over, syncs and closes: a fraction of a second unless its disk is slow.
_STOP_SECONDS = 15.0


class StopSignals:
    """Counts signals to stop from now on: the first is a wish, the second is impatience."""

    def __init__(self) -> None:
        self.count = 0
        for number in stop_signals():
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.count += 1


class RunningCluster:
    """Made by `chronik cluster start`, which calls `stop` however it ends."""

    def __init__(self, nodes: Sequence[LocalNode], signals: StopSignals) -> None:
        self.nodes = nodes
        self._signals = signals
        self._processes: dict[int, NodeProcess] = {}

    def spawn(self, given: Mapping[str, str]) -> None:
        """Begin to start all nodes. Raises OSError, also for directories and logs."""
        for node in self.nodes:
            node.data_dir.mkdir(parents=True, exist_ok=True)
            settings = node_settings(node, self.nodes, given)
            self._processes[node.id] = NodeProcess.spawn(settings, open_log(node.log_path), os.environ)

    def pid(self, node: LocalNode) -> int:
        return self._processes[node.id].pid

    def wait_ready(self, seconds: float, on_progress: Callable[[int], None]) -> bool:
        """True if all are ready; False when a signal asks it to stop first.

        `on_progress` is called with the number of ready nodes. Raises Failure when one ends, or when time
        runs out.
        """
        deadline = time.monotonic() + seconds
        while not self._signals.count:
            for node in self.ended():
                raise Failure(self.obituary(node))
            waiting = [node for node in self.nodes if self._processes[node.id].started() is None]
            on_progress(len(self.nodes) - len(waiting))
            if not waiting:
                return True
            if time.monotonic() > deadline:
                names = ", ".join(str(node.id) for node in waiting)
                logs = ", ".join(str(node.log_path) for node in waiting)
                raise Failure(f"not ready after {seconds:g} s: node {names}", f"Look into {logs}.")
            time.sleep(_POLL_S)
        return False

    def watch(self, on_end: Callable[[LocalNode], None]) -> None:
        """Returns when a signal asks it to stop, or no node is left. `on_end` is called with those that
        end.
        """
        known: set[int] = set()
        while not self._signals.count and len(known) < len(self.nodes):
            for node in self.ended():
                if node.id not in known:
                    known.add(node.id)
                    on_end(node)
            time.sleep(_POLL_S)

    def ended(self) -> list[LocalNode]:
        """Returns the nodes whose process has ended."""
        return [node for node in self.nodes if self._processes[node.id].code is not None]

    def obituary(self, node: LocalNode) -> str:
        """Returns how a node ended, with its last log lines."""
        process = self._processes[node.id]
        how = f"node {node.id} ended with code {process.code}"
        return f"{how}; the end of {node.log_path}:\n{process.log_tail()}"

    def stop(self) -> list[LocalNode]:
        """Stops one node after the other, each with time to transfer its leaderships; returns those that were
        killed.

        A further signal kills all that are left at once.
        """
        killed = []
        signals_before = self._signals.count
        for node in self.nodes:
            process = self._processes.get(node.id)
            if process is None:
                continue
            if not self._ends(process, signals_before):
                process.kill()
                process.wait(_STOP_SECONDS)
                killed.append(node)
            process.close()
        return killed

    def _ends(self, process: NodeProcess, signals_before: int) -> bool:
        """True if it has ended by itself, after it was told to stop."""
        process.terminate()
        deadline = time.monotonic() + _STOP_SECONDS
        while self._signals.count == signals_before and time.monotonic() < deadline:
            if process.wait(_POLL_S) is not None:
                return True
        return process.code is not None
