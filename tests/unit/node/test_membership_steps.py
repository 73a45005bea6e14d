"""The next step of the leader of a group: the rows of `next_steps`."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from chronik.cluster.metadata.replicas import PartitionImage, ReplicaRef
from chronik.node.membership_steps import Propose, Report, Situation, Step, Transfer, Wait, next_steps
from chronik.raft.core.types import Membership, ReplicaId
from chronik.vocab.ids import NodeId

ALL = tuple(map(NodeId, range(1, 6)))
ONE, TWO, THREE, FOUR, FIVE = ALL


def members(voters: str, learners: str = "", revisions: str = "00000") -> Membership:
    """Nodes as digits, and the revision of each of the five; node n is in the directory `d<n>`."""
    named = (
        ReplicaId(node, f"d{node}", int(revisions[node - 1]))
        for node in ALL
        if str(node) in voters + learners
    )
    return Membership(
        voters=frozenset(NodeId(int(digit)) for digit in voters),
        learners=frozenset(NodeId(int(digit)) for digit in learners),
        replicas=frozenset(named),
    )


def image(
    founders: str, replicas: Sequence[tuple[int, int]], target: str = "", revision: int = 9
) -> PartitionImage:
    found = PartitionImage(
        founders=tuple(NodeId(int(digit)) for digit in founders), first_leader=NodeId(int(founders[0]))
    )
    refs = tuple(ReplicaRef(NodeId(node), added) for node, added in replicas)
    return found.changed(refs, tuple(NodeId(int(digit)) for digit in target), revision)


@dataclass
class Doing:
    """How the replicas are doing."""

    down: str = ""
    without: str = ""
    lagging: str = ""

    def is_up(self, node: NodeId) -> bool:
        return str(node) not in self.down

    def has_membership(self, node: NodeId) -> bool:
        return str(node) not in self.without

    def is_in_sync(self, node: NodeId) -> bool:
        return str(node) not in self.lagging


@dataclass
class Case:
    membership: Membership
    image: PartitionImage | None
    steps: list[Step]
    leader: NodeId = ONE
    doing: Doing = field(default_factory=Doing)
    is_repeated: bool = False
    is_confirmed: bool = False
    registered: str = "12345"


UP_TO_THREE = image("1", [(1, 0), (2, 1), (3, 1)], revision=1)
DOWN_TO_ONE = image("123", [(1, 0), (2, 0), (3, 0)], "1", revision=1)
MOVED = image("1", [(2, 1), (1, 0)], "2", revision=1)
BACK = image("123", [(1, 0), (2, 0), (3, 3)], revision=3)
R1 = "01100"


def proposed(step: Step) -> object:
    """Without the words for people."""
    return step.membership if isinstance(step, Propose) else step


CASES = {
    "nothing is to be done": Case(members("123"), image("123", [(1, 0), (2, 0), (3, 0)], revision=2), []),
    "a group whose members do not change": Case(members("123"), None, []),
    "founders, whatever they are called": Case(
        Membership(voters=frozenset({ONE, TWO})), PartitionImage((ONE, TWO), ONE), []
    ),
    "who is to be added learns": Case(
        members("1"),
        UP_TO_THREE,
        [
            Propose(members("1", "2", R1)),
            Propose(members("1", "3", R1)),
            Wait("node 2 is not caught up"),
        ],
    ),
    "who is not there does not hold up another": Case(
        members("1"),
        UP_TO_THREE,
        [Propose(members("1", "3", R1)), Wait("node 2 is not registered")],
        registered="13",
    ),
    "learners get the membership a second time": Case(
        members("1", "23", R1),
        UP_TO_THREE,
        [Propose(members("1", "23", R1)), Wait("node 2 is not caught up")],
    ),
    "one that has it twice votes": Case(
        members("1", "23", R1),
        UP_TO_THREE,
        [Propose(members("13", "2", R1)), Wait("node 2 is not connected")],
        doing=Doing(without="2", down="2"),
        is_repeated=True,
    ),
    "an earlier replica of a node is removed first": Case(members("123"), BACK, [Propose(members("12"))]),
    "and the present one added then": Case(
        members("12"), BACK, [Propose(members("12", "3", "00300")), Wait("node 3 is not caught up")]
    ),
    "a leader that is to go hands over": Case(
        members("12", revisions="01000"),
        MOVED,
        [Transfer(TWO), Wait("no replica that is to stay is in sync, so none can lead")],
    ),
    "but to none that lags": Case(
        members("12", revisions="01000"),
        MOVED,
        [Wait("no replica that is to stay is in sync, so none can lead")],
        doing=Doing(lagging="2"),
    ),
    "nobody goes before all the others vote": Case(
        members("1", "2", "01000"),
        MOVED,
        [Wait("node 2 is not caught up")],
        doing=Doing(without="2"),
        is_repeated=True,
    ),
    "one goes after the other, the last first": Case(members("123"), DOWN_TO_ONE, [Propose(members("12"))]),
    "learners go first": Case(members("13", "2"), DOWN_TO_ONE, [Propose(members("13"))]),
    "who is not connected goes before who is": Case(
        members("123"), DOWN_TO_ONE, [Propose(members("13"))], doing=Doing(down="2")
    ),
    "nobody goes where too few would be left to commit it": Case(
        members("123"),
        image("123", [(1, 0), (2, 0), (3, 0)], "12", revision=1),
        [Wait("too few of the replicas that are left are connected to let one go")],
        doing=Doing(down="2"),
    ),
    "a founder that was removed and has come back is no member yet": Case(
        members("2", revisions="01000"),
        image("1", [(1, 2), (2, 1)], "1", revision=2),
        [Propose(members("2", "1", "21000")), Wait("node 1 is not caught up")],
        leader=TWO,
    ),
    "before a report a majority confirms": Case(members("1"), DOWN_TO_ONE, [Propose(members("1"))]),
    "then the members are reported": Case(
        members("1"), DOWN_TO_ONE, [Report((ONE,))], is_repeated=True, is_confirmed=True
    ),
    "that a membership was repeated before the revision was known does not count": Case(
        members("1"), DOWN_TO_ONE, [Propose(members("1"))], is_repeated=True
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_next_steps(case: Case) -> None:
    situation = Situation(
        leader=case.leader,
        membership=case.membership,
        registered={NodeId(int(digit)): f"d{digit}" for digit in case.registered},
        image=case.image,
        is_repeated=case.is_repeated,
        is_confirmed=case.is_confirmed,
    )
    steps = list(next_steps(situation, case.doing))
    assert list(map(proposed, steps)) == list(map(proposed, case.steps))


def test_what_lost_its_disk_learns_before_anything_else() -> None:
    situation = Situation(
        leader=ONE,
        membership=members("123"),
        registered={ONE: "d1", TWO: "new", THREE: "d3"},
        image=DOWN_TO_ONE,
    )
    first = next(next_steps(situation, Doing()))
    assert isinstance(first, Propose)
    assert first.membership.voters == {ONE, THREE}
    assert first.membership.learners == {TWO}
