"""Deaths at chosen points: at a change of a disk, between a leader's election and its first commit."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from random import Random

from chronik.broker.partition import Partition
from chronik.raft.core.core import RaftCore
from chronik.raft.core.types import RaftIndex, Term
from chronik.raft.replicated import ReplicatedGroup
from chronik.raft.state_codec import Kind, find_frames, parse_group, parse_markers
from chronik.raft.state_store import STATE_FILE
from chronik.sim.cluster import SimCluster, SimNode
from chronik.sim.process_disk import Change, Death, Operation
from chronik.vocab.ids import NodeId, TopicPartition

# Changes by a part of their paths (the journal's file keeps the name it had before it was renamed): of the
# journal of terms and markers, of logs, of anything. How probably a node dies of one, if its cluster is
# brittle there: so about once in a run, or as often as not where it is rare. The first that fits counts.
_BRITTLENESS = {
    (Change.WRITE, STATE_FILE): 1 / 200,
    (Change.SYNC, STATE_FILE): 1 / 200,
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
# How probably a node is doomed that writes a record of this kind into its journal: it dies of one of the next
# changes, when some of what belongs together is done.
_DOOM = {
    Kind.WIPED: 1 / 20,
    Kind.TRUNCATE: 1 / 5,
    Kind.RESTART: 1.0,
    Kind.REBASE: 1 / 50,
    Kind.FORGET: 1 / 10,
}
_MEMBERSHIP_DOOM = 1 / 15
_CHANGES_DOOMED_MAX = 12
_POWER_LOST = 0.7
_UNHEARD = 0.8


class Moment(Enum):
    """Of a leader that has committed nothing yet."""

    # It may have announced its leadership.
    ELECTED = "elected"
    # A follower has accepted something that earlier terms left.
    HALF_WAY = "half way"


@dataclass(slots=True, kw_only=True, eq=False)
class Trap:
    """The leader of `partition` dies this many turns of taking frames after the moment has come."""

    partition: TopicPartition
    moment: Moment
    left: int
    is_power_lost: bool
    # Its last frames are lost with it.
    is_unheard: bool
    sprung: asyncio.Event = field(default_factory=asyncio.Event)
    # Who died of it, and stays down until who set it brings it back.
    victim: NodeId | None = None
    # What leaders had committed when they were first seen, by node and term.
    _committed: dict[tuple[NodeId, Term], RaftIndex] = field(default_factory=dict)

    def step(self, node: SimNode) -> bool:
        """True if this is its death."""
        if self.victim is not None or not node.is_open:
            return False
        found = node.broker.replicas.find(*self.partition)
        if (
            found is None
            or not found.is_leader
            or found.is_own_term_committed
            or not self._has_come(node, found)
        ):
            return False
        self.left -= 1
        return self.left < 0

    def _has_come(self, node: SimNode, partition: Partition) -> bool:
        group = partition.group
        if self.moment is Moment.ELECTED or not isinstance(group, ReplicatedGroup):
            return True
        core = group._core
        committed = self._committed.setdefault((node.node, core.term), core.committed)
        return _is_half_way(core, committed)


def _is_half_way(leader: RaftCore, committed: RaftIndex) -> bool:
    """True if a follower has accepted an entry of an earlier term that was not `committed` at the
    election.
    """
    term_at = leader._replica.log.term_at
    matches = [follower.match for follower in leader.followers.values()]
    return any(match > committed and term_at(match) < leader.term for match in matches)


class Traps:
    """The traps of one cluster. `on_death` is called with the dying node, the way, and whether it is a
    trap, just before.
    """

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
        # Whether journals doom nodes; who is, and how many changes it has left.
        self._is_doom_near = False
        self._doomed: dict[SimNode, int] = {}
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
        self._is_doom_near = self._random.random() < 0.5

    def set(self, partition: TopicPartition, moment: Moment, left: int) -> Trap:
        trap = Trap(
            partition=partition,
            moment=moment,
            left=left,
            is_unheard=self._random.random() < _UNHEARD,
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
        self._is_doom_near = False
        self._doomed.clear()

    def _on_change(self, node: SimNode, operation: Operation) -> Death | None:
        if not self._breaks(operation) and not self._is_time(node, operation):
            return None
        death = self._random.choice(list(Death))
        self._is_power_lost = self._random.random() < _POWER_LOST
        self._tell(node, f"{death.value} {operation}", is_trap=False)
        return death

    def _breaks(self, operation: Operation) -> bool:
        for (change, part), probability in self._brittleness.items():
            if operation.change is change and part in operation.path:
                return self._random.random() < probability
        return False

    def _is_time(self, node: SimNode, operation: Operation) -> bool:
        """For a doomed node: True if it dies of this operation. Others may be doomed by it."""
        left = self._doomed.get(node)
        if left is not None:
            self._doomed[node] = left - 1
            return left == 0
        is_journal = operation.change is Change.WRITE and STATE_FILE in operation.path
        if self._is_doom_near and is_journal and self._random.random() < _doom(operation.data):
            self._doomed[node] = self._random.randint(0, _CHANGES_DOOMED_MAX)
        return False

    def _on_turn(self, target: NodeId) -> None:
        node = self._cluster.nodes.get(target)
        for trap in self._traps:
            if node is not None and trap.step(node):
                self._is_power_lost = trap.is_power_lost
                self._tell(node, f"leading {trap.partition}", is_trap=True)
                trap.victim = target
                trap.sprung.set()
                if trap.is_unheard:
                    self._cluster.network.lose_what_is_said(target)
                node.crash(is_power_lost=trap.is_power_lost)
                break

    def _tell(self, node: SimNode, how: str, *, is_trap: bool) -> None:
        loss = " and its machine" if self._is_power_lost else ""
        self._on_death(node.node, f"{node.node}{loss}, {how}", is_trap)


def _doom(written: bytes) -> float:
    """Returns how probably a write to a journal dooms its node."""
    probability = 0.0
    for _, frame in find_frames(written, 0):
        kind, _ = parse_group(frame.body)
        probability = max(probability, _DOOM.get(kind, 0.0))
        if kind is Kind.MARKERS and any(marker.membership for marker in parse_markers(frame.body)):
            probability = max(probability, _MEMBERSHIP_DOOM)
    return probability
