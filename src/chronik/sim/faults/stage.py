"""State shared by all faults of a run: the cluster, randomness, counts, and which fault holds each node
down.
"""

import asyncio
from collections import Counter
from random import Random

from chronik.sim.client import ClientNetwork
from chronik.sim.cluster import SimCluster
from chronik.sim.faults.scarcity import Scarcity
from chronik.sim.trace import Trace
from chronik.vocab.ids import NodeId

_LASTS_SECONDS = (0.05, 2.5)


class Stage:
    """Owned by `schedule.Faults`. Created with it, ends with the run."""

    def __init__(self, cluster: SimCluster, clients: ClientNetwork, trace: Trace, random: Random) -> None:
        self.cluster = cluster
        self.clients = clients
        self.trace = trace
        self.random = random
        self.counts: Counter[str] = Counter()
        # What keeps a node from coming back when it should; a violation.
        self.problems: list[str] = []
        self.is_stopping = False
        # Nodes that a fault has taken down and will bring back, so that no other fault does.
        self.down: set[NodeId] = set()
        # True while a node lacks files that it had: no cluster of three survives two such nodes.
        self.is_wiping = False
        # True while a fault of several steps needs that no other one begins.
        self.is_reserved = False
        # Nodes whose files are all that is left of something.
        self.scarcity = Scarcity(cluster)
        self.scarcity.is_any_lost = lambda: bool(self.is_wiping or self.is_reserved or cluster.rotten)
        # Set by a client while its topic goes and the next one of its name comes.
        self.about_to_delete = asyncio.Event()

    def begin(self, kind: str, who: object = "") -> None:
        self.counts[kind] += 1
        self.trace.tell("fault", f"{kind} {who}".rstrip())

    def end(self, kind: str, who: object = "") -> None:
        self.trace.tell("fault", f"{kind} {who}".rstrip() + " ends")

    def node(self) -> NodeId:
        """Any node of the cluster."""
        return self.random.choice(self.cluster.all_nodes)

    def pair(self) -> tuple[NodeId, NodeId]:
        first, second = self.random.sample(self.cluster.all_nodes, 2)
        return first, second

    async def last(self) -> None:
        """Waits for the usual duration of a fault."""
        await asyncio.sleep(self.random.uniform(*_LASTS_SECONDS))
