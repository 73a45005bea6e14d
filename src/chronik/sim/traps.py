"""Deaths at chosen points: at a change of a disk, between a leader's election and its first commit."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from chronik.sim.cluster import SimCluster, SimNode
from chronik.sim.process_disk import Change, Death, Operation
from chronik.vocab.ids import NodeId, TopicPartition

# Changes by the ends of their paths: of the journal of terms and markers, of logs, of anything; and how
# probably a node dies of one, if its cluster is brittle there. So about once in a run, or as often as not
# where it is rare. The first that fits counts.
_BRITTLENESS = {
    (Change.WRITE, "raft-state"): 1 / 40,
    (Change.SYNC, "raft-state"): 1 / 40,
    (Change.WRITE, ".log"): 1 / 1500,
    (Change.SYNC, ".log"): 1 / 1000,
    (Change.TRUNCATE, ".log"): 1 / 3,
    (Change.WRITE, ""): 1 / 500,
    (Change.SYNC, ""): 1 / 500,
    (Change.TRUNCATE, ""): 1 / 300,
    (Change.CREATE, ""): 1 / 400,
    (Change.RENAME, ""): 1 / 100,
    (Change.REMOVE, ""): 1 / 20,
    (Change.SYNC_DIRECTORY, ""): 1 / 200,
}
_BRITTLE_KINDS = 1 / 3
_POWER_LOST = 0.7
# A leader is settled after its followers' first answers, which come among those of other groups.
_TURNS_LEFT = (0, 0, 0, 1, 2, 3, 4, 6, 8)


@dataclass(slots=True, kw_only=True, eq=False)
class Trap:
    """Whoever leads `partition` and has committed nothing dies after so many turns of taking frames. What it
    sent just now may be lost with it.
    """

    partition: TopicPartition
    left: int
    is_power_lost: bool
    sprung: asyncio.Event = field(default_factory=asyncio.Event)
    # Who died of it, and stays down until who set it brings it back.
    victim: NodeId | None = None

    def step(self, node: SimNode) -> bool:
        """Whether this is its death."""
        if self.victim is not None or not node.is_open:
            return False
        found = node.broker.replicas.find(*self.partition)
        if found is None or not found.is_leader or found.is_settled:
            return False
        self.left -= 1
        return self.left < 0


class Traps:
    """Of one cluster. `on_death` is told who dies, how, and whether of a trap, just before."""

    def __init__(
        self,
        cluster: SimCluster,
        random: Random,
        on_death: Callable[[NodeId, str, bool], None],
    ) -> None:
        self._cluster = cluster
        self._random = random
        self._on_death = on_death
        self._traps: list[Trap] = []
        self._brittleness: dict[tuple[Change, str], float] = {}
        # Whether the machine of the node that dies just now loses its power.
        self._is_power_lost = False
        cluster.watch = self._on_change
        cluster.is_power_lost = lambda node: self._is_power_lost
        cluster.network.on_turn = self._on_turn

    def be_brittle(self) -> None:
        """Changes of some kinds, which are drawn, now and then are a node's death until `clear`."""
        self._brittleness = {
            kind: probability
            for kind, probability in _BRITTLENESS.items()
            if self._random.random() < _BRITTLE_KINDS
        }

    def set(self, partition: TopicPartition) -> Trap:
        trap = Trap(
            partition=partition,
            left=self._random.choice(_TURNS_LEFT),
            is_power_lost=self._random.random() > _POWER_LOST,
        )
        self._traps.append(trap)
        return trap

    def drop(self, trap: Trap) -> None:
        if trap in self._traps:
            self._traps.remove(trap)

    def clear(self) -> None:
        self._traps.clear()
        self._brittleness.clear()

    def _on_change(self, node: SimNode, operation: Operation) -> Death | None:
        for (change, suffix), probability in self._brittleness.items():
            if operation.change is change and operation.path.endswith(suffix):
                if self._random.random() >= probability:
                    return None
                death = self._random.choice(list(Death))
                self._is_power_lost = self._random.random() < _POWER_LOST
                self._tell(node, f"{death.value} {operation}", is_trap=False)
                return death
        return None

    def _on_turn(self, target: NodeId) -> None:
        node = self._cluster.nodes.get(target)
        for trap in self._traps:
            if node is not None and trap.step(node):
                self._is_power_lost = trap.is_power_lost
                self._tell(node, f"leading {trap.partition}", is_trap=True)
                trap.victim = target
                trap.sprung.set()
                node.crash(is_power_lost=trap.is_power_lost)
                break

    def _tell(self, node: SimNode, how: str, *, is_trap: bool) -> None:
        loss = " and its machine" if self._is_power_lost else ""
        self._on_death(node.node, f"{node.node}{loss}, {how}", is_trap)
