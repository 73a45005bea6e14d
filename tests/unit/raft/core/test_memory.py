"""A replica that lost what it promised: it follows, but neither votes nor counts until that does no harm."""

import pytest

from chronik.raft.core.messages import (
    AppendAccepted,
    AppendEntries,
    PreVoteReply,
    RequestPreVote,
    RequestVote,
    TimeoutNow,
    VoteReply,
)
from chronik.raft.core.roles import Role
from chronik.raft.core.types import Membership, RaftIndex, ReplicaId, Term, founding_replicas
from chronik.vocab.ids import NodeId
from tests.unit.raft.core.connections import ConnectedGroup
from tests.unit.raft.core.group import Group, directory_of, membership, nodes, with_directories

THREE = with_directories(membership(1, 2, 3))


def named(voters: set[int], learners: set[int], third: int) -> Membership:
    """With node 3 on its `third`th disk."""
    disks = {1: 0, 2: 0, 3: third}
    return Membership(
        voters=nodes(*voters),
        learners=nodes(*learners),
        replicas=founding_replicas({NodeId(n): directory_of(n, disk) for n, disk in disks.items()}),
    )


def wiped(node: int = 3) -> Group:
    """A group of three, led by 1, whose `node` has just got another disk."""
    group = Group(THREE)
    group.bootstrap(1)
    group.wait_until_idle()
    group[node].crash()
    group[node].wipe(THREE)
    group[node].restart()
    group.lose_peer(1, node)
    return group


def test_it_votes_for_nobody_and_would_not() -> None:
    group = wiped()
    group.step(
        RequestPreVote(
            source=NodeId(2), target=NodeId(3), term=Term(5), last_index=RaftIndex(9), last_term=Term(4)
        )
    )
    group.step(
        RequestVote(
            source=NodeId(2), target=NodeId(3), term=Term(5), last_index=RaftIndex(9), last_term=Term(4)
        )
    )
    group.sync(3)
    answers = [m for m in group.wire if isinstance(m, VoteReply | PreVoteReply)]
    assert [m.is_granted for m in answers] == [False, False]
    assert group.core(3).hard_state.voted_for is None


def test_it_does_not_campaign_when_time_passes_or_when_told_to() -> None:
    group = wiped()
    group.wire.clear()
    group.tick(3, times=100)
    group.step(TimeoutNow(source=NodeId(1), target=NodeId(3), term=Term(0)))
    assert group.core(3).role is Role.FOLLOWER
    assert group.wire == []


@pytest.mark.parametrize("first_leader", [1, 3])
def test_it_does_not_begin_a_group(first_leader: int) -> None:
    group = wiped()
    group.core(3).bootstrap(NodeId(first_leader))
    assert (group.core(3).role, group.core(3).term) == (Role.FOLLOWER, 0)


def test_it_follows_and_catches_up_and_counts_for_no_commit() -> None:
    group = wiped()
    group.find_peer(1, 3, is_restarted=True)
    group.is_cut = lambda m: m.target == 2
    group.propose(1, "a")
    group.wait_until_idle()
    assert group.texts(3) == ["a"]
    assert group.core(1).followers[NodeId(3)].match == 1
    assert group.core(1).committed == 0
    group.heal()
    group.tick(1, times=2)
    group.wait_until_idle()
    assert group.core(1).committed == 1


def test_what_its_acceptance_would_lose() -> None:
    """It voted for 2 in term 2, lost its disk, and accepts an entry of term 1 that 2 does not have."""
    group = Group(THREE)
    group.bootstrap(1)
    group.wait_until_idle()
    group.isolate(1)
    group.campaign(2)
    assert 2 in group.leaders()
    group[3].crash()
    group[3].wipe(THREE)
    group[3].restart()
    group.wire.clear()
    group.isolate(2)
    group.lose_peer(1, 3)
    group.find_peer(1, 3, is_restarted=True)
    group.propose(1, "a")
    group.wait_until_idle()
    assert group.texts(3) == ["a"]
    assert group.texts(1, is_committed=True) == []
    group.heal()
    group.find_peer(2, 1)
    group.find_peer(2, 3, is_restarted=True)
    group.wait_until_idle()
    assert group.leaders() == [2]
    assert group.texts(1) == group.texts(3) == []


def test_it_is_not_chosen_to_lead_next() -> None:
    group = wiped(2)
    group.find_peer(1, 2, is_restarted=True)
    group.wait_until_idle()
    group.core(1).resign()
    group[1].run()
    group.sync(1)
    assert [m.target for m in group.wire if isinstance(m, TimeoutNow)] == [3]


def test_when_it_may_vote_again_what_it_has_counts_at_once() -> None:
    group = wiped()
    group.find_peer(1, 3, is_restarted=True)
    group.is_cut = lambda m: m.target == 2
    group.propose(1, "a")
    group.wait_until_idle()
    group.core(3).may_vote = True
    group.core(3).may_vote = True
    group[3].run()
    group.sync(3)
    assert [m.match for m in group.wire if isinstance(m, AppendAccepted)] == [1]
    group.wait_until_idle()
    assert group.core(1).committed == 1


def test_without_a_leader_there_is_nobody_to_tell() -> None:
    group = wiped()
    group.core(3).may_vote = True
    group.core(3).may_vote = False
    assert group.core(3).ready().messages_after_persistence == ()
    assert not group.core(3).may_vote


@pytest.mark.parametrize("role", [Role.PRE_CANDIDATE, Role.CANDIDATE, Role.LEADER])
def test_who_may_not_vote_any_more_follows(role: Role) -> None:
    group = Group(THREE)
    group.elapse(1)
    if role is not Role.PRE_CANDIDATE:
        group.deliver()
        group.deliver()
    if role is Role.LEADER:
        group.wait_until_idle()
    assert group.core(1).role is role
    group.core(1).may_vote = False
    assert group.core(1).role is Role.FOLLOWER


# Which directory is settled.


def test_the_directory_of_the_founding_membership_is_settled() -> None:
    group = Group(THREE)
    assert group.core(3).is_replica_committed(ReplicaId(NodeId(3), "3-0"))
    assert not group.core(3).is_replica_committed(ReplicaId(NodeId(3), "3-1"))


def test_without_a_name_any_directory_is_settled() -> None:
    group = Group(membership(1, 2, 3))
    assert group.core(3).is_replica_committed(ReplicaId(NodeId(3), "3-7"))


def test_a_stranger_waits_until_it_is_a_member() -> None:
    """It may have been a voter before, on another disk, by a membership it has not been sent yet."""
    group = Group(THREE, extra=[4])
    group.bootstrap(1)
    group.wait_until_idle()
    assert not group.core(4).may_vote
    group.change(1, with_directories(membership(1, 2, 3, learners=[4])))
    group.wait_until_idle()
    assert group.core(4).may_vote


def test_an_uncommitted_membership_settles_nothing() -> None:
    """A leader of a later term, elected with a vote this disk does not remember, may not have it."""
    group = wiped()
    group.find_peer(1, 3, is_restarted=True)
    group.wait_until_idle()
    group.is_cut = lambda m: m.target == 2
    group.change(1, named({1, 2}, {3}, 1))
    group.wait_until_idle()
    assert group.core(3).membership == named({1, 2}, {3}, 1)
    assert not group.core(3).is_replica_committed(ReplicaId(NodeId(3), "3-1"))
    group.heal()
    group.tick(1, times=2)
    group.wait_until_idle()
    assert group.core(3).is_replica_committed(ReplicaId(NodeId(3), "3-1"))
    assert group.core(3).may_vote


def test_a_membership_before_the_one_in_force_is_committed_even_if_a_crash_forgot_that() -> None:
    group = wiped()
    group.find_peer(1, 3, is_restarted=True)
    group.wait_until_idle()
    group.change(1, named({1, 2}, {3}, 1))
    group.wait_until_idle()
    group[3].crash()
    group[3].restart()
    assert not group.core(3).may_vote
    group.change(1, named({1, 2, 3}, set(), 1))
    group.wait_until_idle()
    group[3].crash()
    group[3].restart()
    assert group.core(3).committed == -1
    assert group.core(3).may_vote


def test_a_leader_that_is_replaced_leads_until_that_is_committed() -> None:
    """Nobody else may have a log that can win (thesis 4.2.2)."""
    group = Group(THREE)
    group.bootstrap(1)
    group.wait_until_idle()
    others = named({2, 3}, {1}, 0).replicas - {ReplicaId(NodeId(1), "1-0")}
    elsewhere = Membership(
        voters=nodes(2, 3), learners=nodes(1), replicas=others | {ReplicaId(NodeId(1), "1-1")}
    )
    group.change(1, elsewhere)
    assert group.core(1).may_vote
    assert group.leaders() == [1]
    group.wait_until_idle()
    assert not group.core(1).may_vote
    assert group.leaders() != [1]


def test_a_replaced_disk_comes_back_as_a_voter() -> None:
    """The whole way: learner under its new directory, caught up, voter, and elected."""
    group = ConnectedGroup(THREE)
    group.bootstrap(1)
    group.wait_until_idle()
    for text in "ab":
        group.propose(1, text)
    group.wait_until_idle()
    group.take_down(NodeId(3))
    group[3].crash()
    group[3].wipe(THREE)
    group.bring_up(NodeId(3))
    group.connect_all()
    group.wait_until_idle()
    assert not group.core(3).may_vote
    group.change(1, named({1, 2}, {3}, 1))
    group.wait_until_idle()
    assert group.core(3).may_vote
    group.change(1, named({1, 2, 3}, set(), 1))
    group.wait_until_idle()
    group.transfer(1, 3)
    group.wait_until_idle()
    assert group.leaders() == [3]
    assert group.texts(3, is_committed=True) == ["a", "b"]


def test_entries_go_to_it_as_to_any_follower() -> None:
    group = wiped()
    group.find_peer(1, 3, is_restarted=True)
    assert any(isinstance(m, AppendEntries) and m.target == 3 for m in group.wire)
