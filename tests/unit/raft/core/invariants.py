"""Invariants of every run: figure 3 of the Raft paper, and further ones that the shell relies on."""

from chronik.raft.core.types import HardState, RaftIndex, Term
from chronik.vocab.ids import NodeId
from tests.unit.raft.core.model_log import ModelLog, Unit


class Invariants:
    """Told of everything by all nodes of a group; asserts."""

    def __init__(self) -> None:
        # Whether leaders have whatever was committed in earlier terms. Where memory can be lost, a node may
        # win an old term in which it can commit nothing any more.
        self.is_complete = True
        self.leaders: dict[int, NodeId] = {}
        # By last index. Whatever any node ever knew to be committed.
        self.committed: dict[int, Unit] = {}
        # The term in which each of them was first seen committed, for leader completeness.
        self.committed_in: dict[int, int] = {}
        self._units: dict[tuple[int, int], tuple[Unit, Unit | None]] = {}

    def on_hard_state(self, node: NodeId, old: HardState, new: HardState) -> None:
        assert new.term >= old.term, f"term of {node} fell"
        if new.term == old.term:
            assert old.voted_for in (None, new.voted_for), f"{node} voted twice in {new.term}"

    def on_leader(self, node: NodeId, log: ModelLog, term: Term) -> None:
        assert self.leaders.setdefault(term, node) == node, f"two leaders in term {term}"
        units = {u.last: u for u in log.content.units}
        if not self.is_complete:
            return
        for last, unit in self.committed.items():
            if self.committed_in[last] < term and last >= log.first_index:
                assert units.get(last) == unit, f"leader {node} of {term} lacks {unit}"

    def on_commit(self, node: NodeId, log: ModelLog, old: RaftIndex, new: RaftIndex) -> None:
        assert new >= old, f"commit of {node} fell"
        assert new <= log.last_index, f"commit of {node} beyond its log"
        for unit in log.content.units:
            if unit.last <= new:
                known = self.committed.setdefault(unit.last, unit)
                assert known == unit, f"{node} committed {unit}, others {known}"
                self.committed_in.setdefault(unit.last, self._term_now())

    def on_restart(self, node: NodeId) -> None:
        """Nothing: what a node forgets must not matter."""

    def check_matching(self, logs: list[ModelLog]) -> None:
        """Log matching: the same index and term mean the same entry, and the same before it."""
        for log in logs:
            before: Unit | None = None
            for unit in log.content.units:
                key = (unit.last, unit.term)
                known, known_before = self._units.setdefault(key, (unit, before))
                assert known == unit, f"{unit} and {known}"
                assert before is None or known_before in (None, before), f"before {unit}"
                before = unit

    def _term_now(self) -> int:
        """The latest term anyone led in: those after it must have what is committed now."""
        return max(self.leaders, default=0)
