"""Section 6, and chapter 4 of the thesis: one server at a time; learners; the correction of 2015."""

import pytest

from chronik.raft.core.progress import Mode
from chronik.raft.core.roles import Role
from chronik.raft.core.types import Membership, Refusal, Refused, founding_replicas
from chronik.vocab.ids import NodeId
from tests.unit.raft.core.group import Group, membership


def led(*voters: int, extra: tuple[int, ...] = ()) -> Group:
    group = Group(membership(*voters), extra=extra)
    group.bootstrap(voters[0])
    group.wait_until_idle()
    return group


def refusal(group: Group, node: int, to: Membership) -> Refusal:
    with pytest.raises(Refused) as refused:
        group.change(node, to)
    return refused.value.reason


def test_6_a_membership_is_in_force_from_when_it_is_in_the_log() -> None:
    group = led(1, 2, 3)
    group.change(1, membership(1, 2))
    assert group.core(1).membership == membership(1, 2)
    assert group.core(1).membership_index == group.core(1).last_index
    group.deliver()
    assert group.core(2).membership == membership(1, 2)
    assert group.core(2).membership_index == group.core(1).membership_index


def test_6_only_one_voter_at_a_time() -> None:
    group = led(1, 2, 3)
    assert refusal(group, 1, membership(1)) is Refusal.MORE_THAN_ONE_VOTER
    assert refusal(group, 1, membership(1, 2, 4)) is Refusal.MORE_THAN_ONE_VOTER
    assert refusal(group, 1, Membership(voters=frozenset())) is Refusal.NO_VOTERS


def test_6_one_change_after_the_other() -> None:
    group = led(1, 2, 3)
    group.change(1, membership(1, 2))
    assert refusal(group, 1, membership(1, 2, 3)) is Refusal.CHANGE_PENDING
    group.wait_until_idle()
    group.change(1, membership(1))
    group.wait_until_idle()
    assert group.core(1).committed == group.core(1).last_index


def test_6_no_change_before_an_entry_of_the_own_term_is_committed() -> None:
    """Without it two leaders may each commit with a majority that does not meet the other's."""
    group = Group(membership(1, 2, 3))
    group.load(1, 1, (1, "a"))
    group.load(2, 1, (1, "a"))
    group.is_cut = lambda m: type(m).__name__ in ("AppendEntries", "Heartbeat")
    group.campaign(1)
    assert group.leaders() == [1]
    assert refusal(group, 1, membership(1, 2)) is Refusal.CHANGE_PENDING
    group.heal()
    group.tick(1, times=2)
    group.wait_until_idle()
    group.change(1, membership(1, 2))


def test_6_only_the_leader_changes_members() -> None:
    assert refusal(led(1, 2, 3), 2, membership(1, 2)) is Refusal.NOT_LEADER


def test_6_an_uncommitted_membership_goes_with_its_entry() -> None:
    group = led(1, 2, 3)
    group.isolate(1)
    group.change(1, membership(1, 2))
    group.campaign(2)
    assert group.core(2).role is Role.LEADER
    group.heal()
    group.tick(2, times=2)
    group.wait_until_idle()
    assert group.core(1).membership == membership(1, 2, 3)


def test_6_a_removed_leader_leads_until_the_removal_is_committed() -> None:
    group = led(1, 2, 3)
    group.change(1, membership(2, 3))
    assert group.core(1).role is Role.LEADER
    group.wait_until_idle()
    assert group.core(1).role is Role.FOLLOWER
    assert len(group.leaders()) == 1
    assert group.leaders()[0] in (2, 3)


def test_6_a_removed_leader_does_not_count_itself() -> None:
    group = led(1, 2, 3)
    group.is_cut = lambda m: m.target == 3
    group.change(1, membership(2, 3))
    group.wait_until_idle()
    assert group.core(1).committed == 0


def test_6_a_removed_server_disturbs_nobody() -> None:
    group = led(1, 2, 3)
    group.change(1, membership(1, 2))
    group.isolate(3)
    group.wait_until_idle()
    group.heal()
    for _ in range(10):
        group.elapse(3)
        group.wait_until_idle()
    assert group.leaders() == [1]
    assert group.core(1).term == 1


def test_6_a_server_whose_removal_is_not_committed_can_still_be_needed() -> None:
    """It has the best log; with nobody else able to win, it must campaign (thesis 4.2.2)."""
    group = led(1, 2)
    group.change(1, membership(2))
    group.propose(1, "more")
    group.sync(1)
    group.wire.clear()
    group.restart(1)
    group.campaign(2)
    assert group.leaders() == []
    group.campaign(1)
    assert group.leaders()
    group.wait_until_idle()
    assert group.core(2).membership == membership(2)


def test_6_a_settled_removal_does_not_campaign() -> None:
    group = led(1, 2, 3)
    group.change(1, membership(1, 2, learners=[3]))
    group.wait_until_idle()
    group.tick(3, times=100)
    assert group.core(3).role is Role.FOLLOWER
    assert group.core(3).leadership.leader is None


# Learners.


def test_learner_receives_and_does_not_count() -> None:
    group = led(1, 2, 3, extra=(4,))
    group.change(1, membership(1, 2, 3, learners=[4]))
    group.wait_until_idle()
    group.isolate(1, 4)
    group.propose(1, "a")
    group.wait_until_idle()
    assert group.texts(4) == ["a"]
    assert group.texts(1, is_committed=True) == []


def test_learner_does_not_campaign_even_when_told_to() -> None:
    group = Group(membership(1, 2, learners=[3]))
    group.tick(3, times=100)
    assert group.core(3).role is Role.FOLLOWER
    assert not group.wire


def test_learner_votes_only_when_it_is_caught_up() -> None:
    group = led(1, 2, 3, extra=(4,))
    group.is_cut = lambda m: m.source == 4
    assert refusal(group, 1, membership(1, 2, 3, 4)) is Refusal.NOT_CAUGHT_UP
    group.change(1, membership(1, 2, 3, learners=[4]))
    group.wait_until_idle()
    assert refusal(group, 1, membership(1, 2, 3, 4)) is Refusal.NOT_CAUGHT_UP
    group.heal()
    group.tick(1, times=2)
    group.wait_until_idle()
    assert group.core(1).followers[NodeId(4)].mode is Mode.REPLICATE
    group.change(1, membership(1, 2, 3, 4))
    group.wait_until_idle()
    assert group.core(4).membership == membership(1, 2, 3, 4)


def test_learner_made_voter_again_needs_no_log_but_its_own() -> None:
    """A leader that made itself a learner has all there is."""
    group = led(1, 2, 3)
    group.change(1, membership(2, 3, learners=[1]))
    assert refusal(group, 1, membership(1, 2, 3)) is Refusal.CHANGE_PENDING
    group.wait_until_idle()
    leader = group.leaders()[0]
    group.change(leader, membership(1, 2, 3))
    group.wait_until_idle()
    assert group.core(1).membership == membership(1, 2, 3)


def test_a_member_of_nothing_is_not_listened_to_by_a_leader() -> None:
    group = led(1, 2, 3)
    group.change(1, membership(1, 2))
    group.wait_until_idle()
    assert NodeId(3) not in group.core(1).followers
    assert group.core(2).followers == {}
    group.lose_peer(1, 3)
    assert group.leaders() == [1]


# What counts as a change of voters.


def test_6_learners_and_directories_change_freely() -> None:
    group = led(1, 2, 3, extra=(4, 5))
    names = founding_replicas({NodeId(1): "1-0", NodeId(2): "2-0"})
    to = Membership(voters=membership(1, 2, 3).voters, replicas=names)
    group.change(1, to)
    assert group.core(1).membership == to != membership(1, 2, 3)
    assert refusal(group, 1, membership(1, 2, 3)) is Refusal.CHANGE_PENDING
    group.wait_until_idle()
    group.change(1, membership(1, 2, 3, learners=[4, 5]))
    group.wait_until_idle()
    assert group.core(2).membership == membership(1, 2, 3, learners=[4, 5])


def test_6_a_voter_that_becomes_a_learner_or_the_other_way_is_one_change_each() -> None:
    group = led(1, 2, 3)
    assert refusal(group, 1, membership(1, learners=[2, 3])) is Refusal.MORE_THAN_ONE_VOTER
    group.change(1, membership(1, 2, learners=[3]))
    group.wait_until_idle()
    assert refusal(group, 1, membership(1, 3, learners=[2])) is Refusal.MORE_THAN_ONE_VOTER
    group.change(1, membership(1, 2, 3))
    group.wait_until_idle()
    assert group.core(3).membership == membership(1, 2, 3)


def test_learner_that_is_lost_is_not_made_a_voter() -> None:
    group = led(1, 2, 3)
    group.change(1, membership(1, 2, learners=[3]))
    group.wait_until_idle()
    group.lose_peer(1, 3)
    assert refusal(group, 1, membership(1, 2, 3)) is Refusal.NOT_CAUGHT_UP


def test_a_leader_is_settled_when_an_entry_of_its_own_term_is_committed() -> None:
    """Only then does it know all that earlier leaders committed (section 8)."""
    group = led(1, 2, 3)
    assert group.core(1).is_own_term_committed
    assert not group.core(2).is_own_term_committed
    group.is_cut = lambda m: 1 in (m.source, m.target) or type(m).__name__ == "AppendAccepted"
    group.campaign(2)
    assert 2 in group.leaders()
    assert not group.core(2).is_own_term_committed
    group.heal()
    group.tick(2, times=2)
    group.wait_until_idle()
    assert group.core(2).is_own_term_committed
