"""Leadership transfer, thesis 3.10."""

import pytest

from chronik.raft.core.messages import AppendEntries, TimeoutNow
from chronik.raft.core.roles import Role
from chronik.raft.core.types import Refusal, Refused, Term
from chronik.vocab.ids import NodeId
from tests.unit.raft.core.group import Group, membership


def led() -> Group:
    group = Group(membership(1, 2, 3, learners=[4]))
    group.bootstrap(1)
    group.wait_until_idle()
    return group


def test_transfer_makes_the_other_leader_in_the_next_term_without_a_timeout() -> None:
    group = led()
    group.transfer(1, 2)
    group.wait_until_idle()
    assert group.leaders() == [2]
    assert group.core(2).term == 2
    group.wait_until_idle()
    assert group.core(1).leadership.leader == 2


def test_transfer_waits_until_the_other_has_the_whole_log() -> None:
    group = led()
    group.propose(1, "a")
    group.transfer(1, 2)
    assert not any(isinstance(m, TimeoutNow) for m in group.wire)
    group.wait_until_idle()
    assert group.leaders() == [2]
    assert group.texts(2, is_committed=True) == ["a"]


def test_transfer_stops_proposals() -> None:
    group = led()
    group.propose(1, "a")
    group.transfer(1, 2)
    with pytest.raises(Refused) as refused:
        group.propose(1, "b")
    assert refused.value.reason is Refusal.IS_TRANSFERRING
    with pytest.raises(Refused):
        group.change(1, membership(1, 2))


def test_transfer_that_does_not_succeed_is_given_up() -> None:
    group = led()
    group.is_cut = lambda m: isinstance(m, AppendEntries) and m.target == 2
    group.propose(1, "a")
    group.transfer(1, 2)
    for _ in range(10):
        group.tick(1)
        group.wait_until_idle()
    group.propose(1, "b")
    group.wait_until_idle()
    assert group.texts(1, is_committed=True) == ["a", "b"]


@pytest.mark.parametrize("to", [1, 4, 9])
def test_transfer_goes_to_another_voter(to: int) -> None:
    group = led()
    with pytest.raises(Refused) as refused:
        group.transfer(1, to)
    assert refused.value.reason is Refusal.NOT_A_VOTER


def test_transfer_is_the_leaders() -> None:
    group = led()
    with pytest.raises(Refused) as refused:
        group.transfer(2, 3)
    assert refused.value.reason is Refusal.NOT_LEADER


def test_timeout_now_is_nothing_to_a_learner() -> None:
    group = led()
    group.step(TimeoutNow(source=NodeId(1), target=NodeId(4), term=Term(1)))
    assert group.core(4).role is Role.FOLLOWER


def test_transfer_is_given_up_when_the_other_is_lost_and_proposals_go_on() -> None:
    group = led()
    group.is_cut = lambda m: m.target == 2
    group.propose(1, "a")
    group.transfer(1, 2)
    assert group.core(1).transferring_to == 2
    group.lose_peer(1, 3)
    assert group.core(1).transferring_to == 2
    group.lose_peer(1, 2)
    assert group.core(1).transferring_to is None
    group.propose(1, "b")
    group.find_peer(1, 3)
    group.wait_until_idle()
    assert group.texts(1, is_committed=True) == ["a", "b"]


def test_transfer_does_not_go_to_one_that_is_lost() -> None:
    group = led()
    group.lose_peer(1, 2)
    with pytest.raises(Refused) as refused:
        group.transfer(1, 2)
    assert refused.value.reason is Refusal.NOT_CONNECTED


def test_transfer_lets_what_was_proposed_before_be_committed() -> None:
    group = led()
    group.is_cut = lambda m: m.target == 2
    group.propose(1, "a")
    group.transfer(1, 2)
    group.wait_until_idle()
    assert group.core(1).transferring_to == 2
    assert group.texts(1, is_committed=True) == ["a"]


def test_transfer_can_be_redirected() -> None:
    group = led()
    group.is_cut = lambda m: m.target == 2
    group.propose(1, "a")
    group.transfer(1, 2)
    group.transfer(1, 3)
    group.wait_until_idle()
    assert group.leaders() == [3]
    assert group.core(1).transferring_to is None
