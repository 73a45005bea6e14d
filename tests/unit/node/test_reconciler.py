"""Out of the voters with a replaced disk, and in again."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import pytest

from chronik.cluster.image import ClusterImage
from chronik.cluster.image_draft import apply_records
from chronik.cluster.metadata.brokers import BrokerRegistered
from chronik.cluster.metadata.replicas import PartitionChanged, ReplicaRef, ReportMembers
from chronik.cluster.metadata.subject import MetadataRecord
from chronik.cluster.metadata.topics import PartitionCreated, TopicCreated
from chronik.node.membership_steps import present_directory
from chronik.node.reconciler import ReplicaReconciler
from chronik.node.stalled_changes import STALLED_LOOKS
from chronik.raft.core.types import Membership, ReplicaId, founding_replicas
from chronik.raft.group import GroupId
from chronik.sim.virtual_time import virtual
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import LeaderEpoch, NodeId, TopicId

ONE, TWO, THREE, FOUR, FIVE = map(NodeId, range(1, 6))


def members(voters: str, learners: str = "", **replaced: str) -> Membership:
    """Nodes as digits; each has the directory `d<node>`, unless said otherwise as `d<node>="…"`."""
    named = {NodeId(int(digit)): replaced.get(f"d{digit}", f"d{digit}") for digit in voters + learners}
    return Membership(
        voters=frozenset(NodeId(int(digit)) for digit in voters),
        learners=frozenset(NodeId(int(digit)) for digit in learners),
        replicas=founding_replicas(named),
    )


class FakeGroup:
    def __init__(self, number: int, membership: Membership) -> None:
        self.id = GroupId(TopicId(bytes(16)), number)
        self.membership = membership
        self.is_leader = True
        self.is_own_term_committed = True
        self.leader_epoch = LeaderEpoch(1)
        self.is_membership_pending = self.is_handing_over = False
        self.transferred: list[NodeId] = []
        self.lag: frozenset[NodeId] = frozenset()
        self.proposed: list[Membership] = []
        # Who lacks the membership in force.
        self.without: set[NodeId] = set()
        self.is_refused: Callable[[Membership], bool] = lambda wanted: False

    def has_membership(self, node: NodeId) -> bool:
        return node not in self.without

    def lagging(self) -> frozenset[NodeId]:
        return self.lag

    def transfer(self, to: NodeId) -> None:
        self.transferred.append(to)

    def propose_membership(self, wanted: Membership) -> bool:
        self.proposed.append(wanted)
        if self.is_refused(wanted):
            return False
        self.membership = wanted
        return True


class FakeReports:
    """What replicas said of their files."""

    def __init__(self) -> None:
        self.said: dict[tuple[GroupId, NodeId], str] = {}
        self.looks = 0

    @property
    def is_empty(self) -> bool:
        return not self.said

    def directory(self, group: GroupId, node: NodeId) -> str | None:
        return self.said.get((group, node))

    def report(self, groups: object) -> None:
        self.looks += 1

    def forget_except(self, groups: object) -> None:
        pass

    def close(self) -> None:
        pass


class Room:
    def __init__(self, *memberships: Membership) -> None:
        self.groups = [FakeGroup(number, membership) for number, membership in enumerate(memberships)]
        self.image = ClusterImage()
        # Who is not connected.
        self.lost: set[NodeId] = set()
        host = SimpleNamespace(node=ONE, groups=lambda: self.groups, is_up=lambda node: node not in self.lost)
        self.reports = FakeReports()
        self.reported: list[ReportMembers] = []
        self.refusal: KafkaError | None = None
        self.disks = ReplicaReconciler(
            host,  # type: ignore[arg-type]
            lambda: self.image,
            self.reports,  # type: ignore[arg-type]
            self.submit,
        )

    async def submit(self, command: ReportMembers) -> None:
        self.reported.append(command)
        if self.refusal is not None:
            raise self.refusal

    @property
    def group(self) -> FakeGroup:
        return self.groups[0]

    def register(self, **directories: str) -> "Room":
        """`n<node>="directory"`."""
        records = [
            BrokerRegistered(node=NodeId(int(name[1:])), directory_id=directory, endpoints=())
            for name, directory in directories.items()
        ]
        self.image, _ = apply_records(self.image, records)
        return self


def room_of_three(*groups: Membership) -> Room:
    return Room(*(groups or [members("123")])).register(n1="d1", n2="d2", n3="d3")


def test_nothing_is_done_where_everybody_is_as_registered() -> None:
    room = room_of_three()
    room.disks.look()
    assert room.group.proposed == []


def test_a_replaced_disk_learns_twice_and_then_votes_again() -> None:
    room = room_of_three().register(n3="new")
    for _ in range(5):
        room.disks.look()
    learning = members("12", "3", d3="new")
    assert room.group.proposed == [learning, learning, members("123", d3="new")]


def test_a_disk_that_is_replaced_again_learns_again() -> None:
    room = room_of_three(members("12", "3", d3="new")).register(n3="newer")
    room.disks.look()
    assert room.group.membership == members("12", "3", d3="newer")


def test_another_directory_is_of_the_same_revision() -> None:
    def named(membership: Membership, third: str) -> Membership:
        replicas = membership.replicas - {ReplicaId(THREE, third)} | {ReplicaId(THREE, third, 7)}
        return replace(membership, replicas=replicas)

    room = room_of_three(named(members("123"), "d3")).register(n3="new")
    for _ in range(3):
        room.disks.look()
    assert room.group.proposed[0] == named(members("12", "3", d3="new"), "new")
    assert room.group.membership == named(members("123", d3="new"), "new")


def test_a_learner_has_it_twice_before_it_votes() -> None:
    learning = members("12", "3", d3="new")
    room = room_of_three(learning).register(n3="new")
    room.group.without = {THREE}
    for _ in range(5):
        room.disks.look()
    assert room.group.proposed == [learning]
    room.group.without = set()
    room.disks.look()
    assert room.group.membership == members("123", d3="new")


def test_a_later_leader_puts_it_into_the_log_twice_itself() -> None:
    learning = members("12", "3", d3="new")
    room = room_of_three(learning).register(n3="new")
    room.group.without = {THREE}
    room.disks.look()
    room.group.leader_epoch = LeaderEpoch(3)
    room.disks.look()
    assert room.group.proposed == [learning] * 2


def test_a_learner_that_lacks_too_much_is_tried_again() -> None:
    learning = members("12", "3", d3="new")
    room = room_of_three(learning).register(n3="new")
    room.group.is_refused = lambda wanted: THREE in wanted.voters
    for _ in range(3):
        room.disks.look()
    assert room.group.proposed == [learning, *[members("123", d3="new")] * 2]


def test_two_disks_are_replaced_one_step_at_a_time() -> None:
    room = Room(members("12345")).register(n1="d1", n2="new2", n3="d3", n4="new4", n5="d5")
    seen = []
    for _ in range(6):
        room.disks.look()
        seen.append(room.group.membership)
    new = {"d2": "new2", "d4": "new4"}
    assert seen[:2] == [members("1345", "2", d2="new2"), members("135", "24", **new)]
    assert seen[-1] == members("12345", **new)
    assert all(len(one.voters ^ other.voters) <= 1 for one, other in pairwise(seen))


def test_a_learner_that_is_stuck_does_not_hold_up_another() -> None:
    room = Room(members("135", "24", d2="new2", d4="new4"))
    room.register(n1="d1", n2="new2", n3="d3", n4="new4", n5="d5")
    room.group.without = {TWO}
    for _ in range(2):
        room.disks.look()
    assert room.group.membership == members("1345", "2", d2="new2", d4="new4")


def test_a_learner_that_is_not_there_stays_one() -> None:
    room = Room(members("12", "3")).register(n1="d1", n2="d2")
    for _ in range(3):
        room.disks.look()
    assert room.group.membership == members("12", "3")


def test_the_last_voter_stays_one() -> None:
    room = Room(members("1")).register(n1="new")
    room.disks.look()
    assert room.group.proposed == []


def test_who_is_not_registered_or_was_never_named_is_left_alone() -> None:
    unnamed = Membership(voters=frozenset({ONE, TWO, THREE}), replicas=founding_replicas({TWO: "d2"}))
    room = Room(unnamed).register(n1="any")
    room.disks.look()
    assert room.group.proposed == []


@pytest.mark.parametrize("attribute", ["is_leader", "is_own_term_committed"])
def test_only_a_settled_leader_proposes(attribute: str) -> None:
    room = room_of_three().register(n3="new")
    setattr(room.group, attribute, False)
    room.disks.look()
    assert room.group.proposed == []


def test_a_group_is_judged_again_when_its_members_or_the_nodes_are_others() -> None:
    room = room_of_three()
    room.disks.look()
    room.register(n3="new")
    room.disks.look()
    assert room.group.membership == members("12", "3", d3="new")
    room = room_of_three()
    room.disks.look()
    room.group.membership = members("12", "3")
    for _ in range(2):
        room.disks.look()
    assert room.group.membership == members("123")


def test_nothing_is_kept_of_groups_that_are_gone() -> None:
    room = room_of_three(*[members("123")] * 3)
    room.disks.look()
    assert len(room.disks._judged) == 3
    del room.groups[1:]
    room.disks.look()
    assert len(room.disks._judged) == 1


@virtual
async def test_it_looks_every_so_often_until_it_is_stopped() -> None:
    room = room_of_three().register(n3="new")
    room.disks.stop()
    room.disks.start()
    await asyncio.sleep(1.7)
    assert room.group.membership == members("123", d3="new")
    room.disks.stop()
    room.register(n3="newer")
    await asyncio.sleep(5)
    assert room.group.membership == members("123", d3="new")


@virtual
async def test_it_goes_on_after_a_bug() -> None:
    room = room_of_three().register(n3="new")
    failures: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context))

    def fail(wanted: Membership) -> bool:
        raise ZeroDivisionError

    room.group.is_refused = fail
    room.disks.start()
    await asyncio.sleep(0.6)
    room.group.is_refused = lambda wanted: False
    await asyncio.sleep(0.6)
    assert (len(failures), room.group.membership) == (1, members("12", "3", d3="new"))
    room.disks.stop()


@pytest.mark.parametrize(
    ("named", "registered", "reported", "expected"),
    [
        pytest.param("d", "d", None, "d", id="as registered"),
        pytest.param("", "d", None, "", id="not named"),
        pytest.param("d", "new", None, "new", id="lost its disk"),
        pytest.param("d", "d", "d+1", "d+1", id="a loss"),
        pytest.param("", "d", "d+1", "d+1", id="a loss of one that is not named"),
        pytest.param("d+1", "d", None, "d+1", id="a loss that another leader was told of"),
        pytest.param("d+1", "d", "d+1", "d+1", id="a loss that is known"),
        pytest.param("d+1", "d", "d+2", "d+2", id="another loss"),
        pytest.param("d+2", "d", "d+1", "d+2", id="an older report"),
        pytest.param("d+2", "new", None, "new", id="a replaced disk after losses"),
        pytest.param("d+2", "new", "new+1", "new+1", id="a loss on a replaced disk"),
        pytest.param("d", "new", "d+1", "new", id="a report of the disk before"),
    ],
)
def test_what_a_member_is_to_be_called(
    named: str, registered: str, reported: str | None, expected: str
) -> None:
    assert present_directory(named, registered, reported) == expected


def test_a_replica_that_reports_lost_files_learns_twice_and_then_votes_again() -> None:
    room = room_of_three()
    # Judged before: nothing was to be done.
    room.disks.look()
    room.reports.said[room.group.id, THREE] = "d3+1"
    for _ in range(5):
        room.disks.look()
    learning = members("12", "3", d3="d3+1")
    assert room.group.proposed == [learning, learning, members("123", d3="d3+1")]


def test_another_leader_leaves_a_known_loss_alone() -> None:
    room = room_of_three(members("123", d3="d3+1"))
    room.disks.look()
    assert room.group.proposed == []


def changed(room: Room, *replicas: tuple[int, int], target: str = "", revision: int = 1) -> None:
    """Of the first group, which node 1 founded alone; its topic is made with the first change."""
    topic_id = room.group.id.topic_id
    records: list[MetadataRecord] = []
    if topic_id not in room.image.topics_by_id:
        records += [
            TopicCreated(name="t", topic_id=topic_id),
            PartitionCreated(
                topic_id=topic_id, partition=0, replicas=(ONE,), leader=ONE, directories=("d1",)
            ),
        ]
    records.append(
        PartitionChanged(
            topic_id=topic_id,
            partition=0,
            replicas=tuple(ReplicaRef(NodeId(node), added) for node, added in replicas),
            target=tuple(NodeId(int(digit)) for digit in target),
            revision=revision,
        )
    )
    room.image, _ = apply_records(room.image, records)


async def looks(room: Room, count: int) -> None:
    for _ in range(count):
        room.disks.look()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


def summary(memberships: list[Membership]) -> list[str]:
    """Voters and learners of each."""
    return [
        "".join(map(str, sorted(one.voters))) + "|" + "".join(map(str, sorted(one.learners)))
        for one in memberships
    ]


@virtual
async def test_from_one_to_three_replicas_and_back() -> None:
    room = Room(members("1")).register(n1="d1", n2="d2", n3="d3")
    changed(room, (1, 0), (2, 1), (3, 1))
    await looks(room, 12)
    assert summary(room.group.proposed) == ["1|2", "1|23", "1|23", "12|3", "12|3", "123|"]
    assert room.group.membership.replica(TWO) == ReplicaId(TWO, "d2", 1)
    assert room.reported == []
    room.group.proposed.clear()
    changed(room, (1, 0), (2, 1), (3, 1), target="1", revision=2)
    await looks(room, 3)
    assert summary(room.group.proposed) == ["12|", "1|", "1|"]
    assert room.reported == []
    await looks(room, 1)
    assert room.reported == [
        ReportMembers(topic_id=room.group.id.topic_id, partition=0, revision=2, members=(ONE,))
    ]
    changed(room, (1, 0), revision=3)
    await looks(room, 3)
    assert len(room.reported) == 1
    assert len(room.group.proposed) == 3


@virtual
async def test_a_later_leader_has_a_majority_confirm_before_it_reports() -> None:
    room = Room(members("1")).register(n1="d1", n2="d2")
    changed(room, (1, 0), (2, 1), target="1", revision=2)
    room.disks.look()
    room.group.leader_epoch = LeaderEpoch(2)
    await looks(room, 1)
    assert room.reported == []
    assert summary(room.group.proposed) == ["1|", "1|"]


@virtual
async def test_a_change_that_was_made_since_is_confirmed_again_before_a_report() -> None:
    room = Room(members("1")).register(n1="d1", n2="d2")
    changed(room, (1, 0), (2, 1), target="1", revision=2)
    room.disks.look()
    changed(room, (1, 0), (2, 1), (3, 3), target="1", revision=3)
    await looks(room, 1)
    assert room.reported == []
    await looks(room, 1)
    assert [command.revision for command in room.reported] == [3]


@pytest.mark.parametrize("attribute", ["is_membership_pending", "is_handing_over"])
@virtual
async def test_nothing_is_reported_before_it_is_committed(attribute: str) -> None:
    room = Room(members("1")).register(n1="d1", n2="d2")
    changed(room, (1, 0), (2, 1), target="1", revision=2)
    room.disks.look()
    setattr(room.group, attribute, True)
    await looks(room, 3)
    assert room.reported == []
    setattr(room.group, attribute, False)
    await looks(room, 1)
    assert len(room.reported) == 1


@virtual
async def test_a_report_that_is_refused_is_made_again_and_says_why(caplog: pytest.LogCaptureFixture) -> None:
    room = Room(members("1")).register(n1="d1", n2="d2")
    changed(room, (1, 0), (2, 1), target="1", revision=2)
    room.refusal = KafkaError(ErrorCode.NOT_CONTROLLER, "nobody decides")
    await looks(room, 2 + STALLED_LOOKS)
    assert len(room.reported) == STALLED_LOOKS + 1
    (reason,) = room.disks.stalled.reasons().values()
    assert "nobody decides" in reason
    assert caplog.text.count("change of replicas makes no progress") == 1
    room.refusal = None
    await looks(room, 2)
    assert room.disks.stalled.reasons() == {}


@virtual
async def test_a_leader_that_is_to_go_hands_over() -> None:
    room = Room(members("12")).register(n1="d1", n2="d2")
    room.group.membership = replace(
        members("12"), replicas=frozenset({ReplicaId(ONE, "d1"), ReplicaId(TWO, "d2", 1)})
    )
    changed(room, (2, 1), (1, 0), target="2", revision=1)
    room.group.lag = frozenset({TWO})
    await looks(room, 1)
    assert room.group.transferred == []
    room.group.lag = frozenset()
    await looks(room, 1)
    assert room.group.transferred == [TWO]
    assert room.group.proposed == []


@virtual
async def test_who_is_not_connected_holds_up_a_change_and_is_named() -> None:
    room = Room(members("1")).register(n1="d1")
    changed(room, (1, 0), (2, 1))
    await looks(room, STALLED_LOOKS - 1)
    assert room.disks.stalled.reasons() == {}
    await looks(room, 1)
    assert room.disks.stalled.reasons() == {room.group.id: "node 2 is not registered"}
    # Another leads.
    room.group.is_leader = False
    await looks(room, 1)
    assert room.disks.stalled.reasons() == {}


@virtual
async def test_a_look_that_has_nothing_to_do_asks_the_image_only_when_topics_are_others() -> None:
    room = Room(members("1")).register(n1="d1", n2="d2")
    changed(room, (1, 0), revision=1)
    await looks(room, 1)
    judged = room.disks._judged[room.group.id]
    await looks(room, 1)
    assert room.disks._judged[room.group.id] is judged
    other = TopicId(b"o" * 16)
    room.image, _ = apply_records(room.image, [TopicCreated(name="o", topic_id=other)])
    await looks(room, 1)
    assert room.disks._judged[room.group.id] is not judged
    assert room.group.proposed == []
    changed(room, (1, 0), (2, 2), revision=2)
    await looks(room, 1)
    assert summary(room.group.proposed) == ["1|2"]
