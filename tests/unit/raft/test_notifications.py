"""Notifications of a partition: once, in order, and its failure in any case."""

import pytest

from chronik.raft.latency import Latency
from chronik.raft.notifications import ListenerNotifier
from chronik.vocab.ids import LeaderEpoch, NodeId, Offset

ONE, TWO, THREE = NodeId(1), NodeId(2), NodeId(3)
BROKEN = OSError("broken")


class FakeGroup:
    """Node 1's; implements `NotifyingGroup`. Listens, too, and writes down what it hears."""

    def __init__(self) -> None:
        self.now = 0.0
        self.commits = Latency(lambda: self.now)
        self.telling = ListenerNotifier(self, Offset(5), self.commits)
        self.telling.listener = self
        self.is_leader = False
        self.first_epoch = LeaderEpoch(1)
        self.leader_epoch = LeaderEpoch(1)
        self.known_leader: NodeId | None = None
        self.is_own_term_committed = False
        self.is_alone = False
        self.committed_offset = Offset(0)
        self.heard: list[str] = []
        # What a listener's bug is in.
        self.faulty = ""

    def lead(
        self, epoch: int, leader: NodeId | None = ONE, *, is_own_term_committed: bool = False
    ) -> list[str]:
        self.leader_epoch, self.known_leader = LeaderEpoch(epoch), leader
        self.is_leader, self.is_own_term_committed = leader == ONE, is_own_term_committed
        return self.tell()

    def tell(self) -> list[str]:
        self.heard.clear()
        self.telling.tell()
        return list(self.heard)

    def hear(self, what: str) -> None:
        self.heard.append(what)
        if what == self.faulty:
            raise ZeroDivisionError(what)

    def on_leader_changed(self) -> None:
        self.hear("changed")

    def on_commit(self, high_watermark: Offset) -> None:
        self.hear(f"commit {high_watermark}")

    def on_truncated(self, end_offset: Offset) -> None:
        self.hear(f"truncated {end_offset}")

    def on_leadership(self) -> None:
        self.hear("leadership")

    def on_own_term_committed(self) -> None:
        self.hear("settled")

    def on_failure(self, error: OSError) -> None:
        self.hear(f"failure {error}")


def test_all_that_changed_is_told_in_order_and_once() -> None:
    group = FakeGroup()
    group.telling.on_truncated(Offset(6))
    group.committed_offset = Offset(7)
    assert group.lead(2, is_own_term_committed=True) == [
        "truncated 6",
        "changed",
        "leadership",
        "commit 7",
        "settled",
    ]
    assert group.tell() == []
    assert group.telling.high_watermark == 7


def test_commits_only_rise() -> None:
    group = FakeGroup()
    group.lead(1)
    assert group.telling.high_watermark == 5
    for offset in (4, 5):
        group.committed_offset = Offset(offset)
        assert group.tell() == []
    group.committed_offset = Offset(6)
    assert group.tell() == ["commit 6"]


def test_the_least_end_of_a_log_that_was_cut_twice_is_told() -> None:
    group = FakeGroup()
    group.lead(1)
    for offset in (9, 7, 8):
        group.telling.on_truncated(Offset(offset))
    assert group.tell() == ["truncated 7"]


def test_it_is_settled_anew_in_each_term() -> None:
    group = FakeGroup()
    group.lead(2, is_own_term_committed=True)
    assert group.lead(3) == ["changed", "leadership"]
    assert group.lead(3, is_own_term_committed=True) == ["settled"]


def test_a_failure_is_told_last_and_after_the_loss_of_leadership() -> None:
    group = FakeGroup()
    group.lead(2)
    group.is_leader = False
    group.committed_offset = Offset(9)
    group.heard.clear()
    group.telling.notify_failure(BROKEN)
    assert group.heard == ["changed", "leadership", "failure broken"]
    group.telling.notify_failure(BROKEN)
    assert group.tell() == []
    assert group.heard == []


def test_a_failure_is_told_whatever_is_wrong_with_the_listener() -> None:
    group = FakeGroup()
    group.faulty = "leadership"
    with pytest.raises(ZeroDivisionError):
        group.telling.notify_failure(BROKEN)
    assert group.heard[-1] == "failure broken"


def test_a_listener_that_fails_is_not_told_the_same_again() -> None:
    group = FakeGroup()
    group.committed_offset = Offset(9)
    for faulty in ("leadership", "commit 9"):
        group.faulty = faulty
        with pytest.raises(ZeroDivisionError):
            group.tell()
    group.faulty = ""
    assert group.tell() == []


def test_nobody_may_listen() -> None:
    group = FakeGroup()
    group.telling.listener = None
    assert group.lead(2) == []


def counted(group: FakeGroup) -> tuple[int, int, int]:
    telling = group.telling
    return telling.elections, telling.leader_changes, telling.handed_over


def test_the_first_leader_of_a_group_was_not_elected() -> None:
    group = FakeGroup()
    group.lead(1)
    assert counted(group) == (0, 0, 0)
    group.lead(2)
    assert counted(group) == (1, 0, 0)


def test_nor_was_that_of_a_group_that_begins_later() -> None:
    group = FakeGroup()
    group.first_epoch = LeaderEpoch(12)
    group.lead(12)
    assert counted(group) == (0, 0, 0)
    group.lead(13)
    assert counted(group) == (1, 0, 0)


def test_a_change_is_another_leader_than_the_last_one_that_was_known() -> None:
    group = FakeGroup()
    group.lead(1, TWO)
    group.lead(2, None)
    group.lead(3, TWO)
    assert counted(group) == (0, 0, 0)
    group.lead(4, None)
    group.lead(5, THREE)
    assert counted(group) == (0, 1, 0)


def test_a_leadership_is_handed_over_when_the_next_leader_is_the_heir() -> None:
    group = FakeGroup()
    group.lead(1)
    group.telling.transfer_target = TWO
    group.lead(2, None)
    group.lead(2, TWO)
    assert counted(group) == (0, 1, 1)
    group.telling.transfer_target = TWO
    group.lead(3, THREE)
    group.lead(4, TWO)
    assert counted(group)[2] == 1


def test_one_append_at_a_time_is_timed_to_its_commit() -> None:
    group = FakeGroup()
    group.lead(2)
    group.telling.on_proposed(Offset(10))
    group.now = 1.0
    group.telling.on_proposed(Offset(11))
    group.committed_offset = Offset(9)
    group.tell()
    group.now = 3.0
    group.committed_offset = Offset(11)
    group.tell()
    assert (sum(group.commits.figures().counts), group.commits.figures().seconds) == (1, 3.0)
    group.telling.on_proposed(Offset(12))
    # Of another leader.
    group.lead(3, TWO)
    group.committed_offset = Offset(12)
    group.tell()
    assert sum(group.commits.figures().counts) == 1
