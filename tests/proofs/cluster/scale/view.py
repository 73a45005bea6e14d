"""Each node's metadata of its partitions for clients: leaders, epochs, in-sync replicas."""

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from chronik.client.client import Client
from chronik.client.errors import ClientError
from chronik.testing import Cluster
from chronik.wire.messages.metadata import MetadataResponse

# An answer about thousands of partitions costs a node tens of milliseconds: asking all the time would
# measure that.
POLL_SECONDS = 0.1
_ASK_SECONDS = 30.0


class Led(NamedTuple):
    """A partition as a node shows it. `leader` is -1 where there is none."""

    leader: int
    epoch: int
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]


View = Mapping[tuple[str, int], Led]


class NodeViews:
    """Asks nodes, over one connection each. Made for a cluster whose nodes may come and go."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._clients: dict[int, Client] = {}

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def of(self, node_id: int) -> View | None:
        """All partitions as one node sees them; None when it does not answer."""
        is_old = node_id in self._clients
        answer = self._ask(node_id)
        if answer is None and is_old:
            # Nodes close connections that were idle for ten minutes.
            answer = self._ask(node_id)
        if answer is None:
            return None
        return {
            (topic.name or "", partition.partition_index): Led(
                partition.leader_id,
                partition.leader_epoch,
                tuple(partition.replica_nodes),
                tuple(partition.isr_nodes),
            )
            for topic in answer.topics
            for partition in topic.partitions
        }

    def _ask(self, node_id: int) -> MetadataResponse | None:
        client = self._clients.get(node_id)
        if client is None:
            servers = self._cluster.node(node_id).bootstrap_servers
            client = self._clients[node_id] = Client(servers, timeout_s=_ASK_SECONDS)
        try:
            return client.metadata(None)
        except ClientError:
            self._clients.pop(node_id).close()
            return None

    def epochs(self) -> dict[tuple[str, int], int]:
        """The highest epoch that any node shows of each partition."""
        epochs: dict[tuple[str, int], int] = {}
        for node in self._cluster.nodes:
            for name, led in (self.of(node.node_id) or {}).items():
                epochs[name] = max(epochs.get(name, -1), led.epoch)
        return epochs

    def wait(
        self, what: str, partitions: int, is_done: Callable[[Led], bool], seconds: float
    ) -> tuple[float, View]:
        """Until every running node shows so many partitions, all of them done. How long that took, in
        seconds, and the last node's answer. Raises TimeoutError with what is missing.
        """
        begun = time.monotonic()
        running = [node.node_id for node in self._cluster.nodes if node.is_running]
        left = list(running)
        while True:
            view = self.of(left[0])
            missing = _missing(view, partitions, is_done)
            if not missing:
                left.pop(0)
                if not left:
                    return time.monotonic() - begun, view or {}
                continue
            if time.monotonic() - begun > seconds:
                raise TimeoutError(f"not within {seconds:g} s: {what}. Node {left[0]} shows {missing}")
            time.sleep(POLL_SECONDS)


def _missing(view: View | None, partitions: int, is_done: Callable[[Led], bool]) -> str:
    """What there is to wait for, as a person reads it; empty when nothing."""
    if view is None:
        return "nothing: it does not answer"
    if len(view) < partitions:
        return f"{len(view)} of {partitions} partitions"
    undone = [name for name, led in view.items() if not is_done(led)]
    if not undone:
        return ""
    topic, partition = undone[0]
    return f"{len(undone)} partitions that are not so, such as {topic}-{partition}: {view[undone[0]]}"
