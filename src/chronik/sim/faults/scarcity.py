"""The nodes that hold data few others have, so that no fault may take their files.

A group of three voters goes on without the files of one. One of two voters does not: both are its majority.
And one voter's files are the only copy.
"""

from collections.abc import Callable

from chronik.sim.agreement import runtime_of
from chronik.sim.cluster import SimCluster
from chronik.vocab.ids import NodeId

_ENOUGH = 3


class Scarcity:
    """Owned by the stage of the faults. Shared with the faults that change replicas."""

    def __init__(self, cluster: SimCluster) -> None:
        self._cluster = cluster
        # True from before a change of replicas is requested until it is done: its holders are not known in
        # between.
        self.is_changing = False
        # No files are taken in this run: while some are missing, or rotten, no replicas change.
        self.spares_all = False
        # Of faults: whether files are missing somewhere, or about to be.
        self.is_any_lost: Callable[[], bool] = lambda: False

    @property
    def may_change(self) -> bool:
        """True if replicas may be changed: not while a node lacks files."""
        return not self.is_any_lost()

    def is_spared(self, node: NodeId) -> bool:
        """True if the node must keep its files, by the state of all nodes."""
        return self.spares_all or self.is_changing or node in self._scarce()

    def _scarce(self) -> set[NodeId]:
        found = set[NodeId]()
        for running in self._cluster.nodes.values():
            if not running.is_made or not running.is_open:
                continue
            for topic in running.broker.metadata.image.topics.values():
                for partition in topic.partitions:
                    if len(partition.wanted) < _ENOUGH or partition.target:
                        found.update(partition.nodes)
            for group in runtime_of(running).host.groups():
                if len(group.membership.voters) < _ENOUGH:
                    found.update(group.membership.members)
        return found
