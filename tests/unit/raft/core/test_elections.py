"""Claims of the Raft paper about terms and elections, by section."""

import pytest

from chronik.raft.core.messages import (
    AppendEntries,
    Heartbeat,
    HeartbeatReply,
    Message,
    PreVoteReply,
    RequestPreVote,
    RequestVote,
    TimeoutNow,
    VoteReply,
)
from chronik.raft.core.options import RaftOptions
from chronik.raft.core.roles import TRANSITIONS, Role
from chronik.raft.core.types import RaftIndex, Term
from chronik.vocab.ids import NodeId
from chronik.vocab.invariant import InvariantViolation
from tests.unit.raft.core.group import Group, membership

THREE = membership(1, 2, 3)


def request_vote(
    source: int, target: int, term: int, last: tuple[int, int] = (0, -1), *, is_transfer: bool = False
) -> RequestVote:
    """`last`: term and index."""
    return RequestVote(
        source=NodeId(source),
        target=NodeId(target),
        term=Term(term),
        last_index=RaftIndex(last[1]),
        last_term=Term(last[0]),
        is_transfer=is_transfer,
    )


def heartbeat(source: int, target: int, term: int) -> Heartbeat:
    return Heartbeat(
        source=NodeId(source),
        target=NodeId(target),
        term=Term(term),
        committed=RaftIndex(-1),
        sent=RaftIndex(-1),
        accepted=RaftIndex(-1),
    )


def sent(group: Group, kind: type[Message]) -> list[Message]:
    return [message for message in group.wire if isinstance(message, kind)]


def elected(leader: int = 1, *, voters: int = 3) -> Group:
    group = Group(membership(*range(1, voters + 1)))
    group.bootstrap(leader)
    group.wait_until_idle()
    assert group.leaders() == [leader]
    return group


# Section 5.1: terms.


def test_5_1_a_leader_that_sees_a_later_term_follows() -> None:
    group = elected()
    group.step(
        HeartbeatReply(
            source=NodeId(2),
            target=NodeId(1),
            term=Term(9),
            match=RaftIndex(-1),
            sent=RaftIndex(-1),
        )
    )
    assert (group.core(1).role, group.core(1).term) == (Role.FOLLOWER, 9)


def test_5_1_a_candidate_that_sees_a_later_term_follows() -> None:
    group = Group(THREE)
    group.elapse(1)
    group.deliver()
    group.deliver()
    assert group.core(1).role is Role.CANDIDATE
    group.step(VoteReply(source=NodeId(2), target=NodeId(1), term=Term(7), is_granted=False))
    assert (group.core(1).role, group.core(1).term) == (Role.FOLLOWER, 7)


@pytest.mark.parametrize("kind", ["vote", "append"])
def test_5_1_requests_of_an_earlier_term_are_refused_with_the_present_one(kind: str) -> None:
    group = Group(THREE)
    group.load(1, 5)
    if kind == "vote":
        group.step(request_vote(2, 1, 4))
        reply = sent(group, VoteReply)[0]
        assert isinstance(reply, VoteReply)
        assert not reply.is_granted
    else:
        group.step(heartbeat(2, 1, 4))
        reply = sent(group, HeartbeatReply)[0]
    assert reply.term == 5
    assert group.core(1).leadership.leader is None


def test_5_1_terms_survive_a_restart() -> None:
    group = elected()
    group.restart(2)
    assert group.core(2).term == 1


def test_5_1_a_term_known_only_from_the_log_is_the_term_after_a_crash() -> None:
    group = Group(THREE)
    group.load(1, 1, (1, "a"), (4, "b"))
    assert group.core(1).term == 4
    assert group.core(1).ready().hard_state is not None


# Section 5.2: leader election.


def test_5_2_all_start_as_followers_and_wait_a_random_timeout() -> None:
    timeouts = set()
    for seed in range(50):
        group = Group(THREE, seed=seed)
        ticks = 0
        while group.core(1).role is Role.FOLLOWER:
            group.tick(1)
            ticks += 1
        timeouts.add(ticks)
    assert timeouts == set(range(10, 20))


def test_5_2_a_majority_of_votes_elects_and_a_minority_does_not() -> None:
    group = Group(membership(1, 2, 3, 4, 5))
    group.is_cut = lambda m: m.source in (3, 4, 5)
    group.campaign(1)
    assert group.leaders() == []
    group.is_cut = lambda m: m.source in (4, 5)
    group.campaign(1)
    assert group.leaders() == [1]


def test_5_2_one_vote_per_term_first_come_first_served() -> None:
    group = Group(THREE)
    group.step(request_vote(1, 3, 2))
    group.step(request_vote(2, 3, 2))
    group.step(request_vote(1, 3, 2))
    group.sync(3)
    votes = {(m.target, m.is_granted) for m in group.wire if isinstance(m, VoteReply)}
    assert votes == {(1, True), (2, False)}


def test_5_2_a_vote_is_remembered_through_a_crash() -> None:
    group = Group(THREE)
    group.step(request_vote(1, 3, 2))
    group.sync(3)
    group.restart(3)
    group.wire.clear()
    group.step(request_vote(2, 3, 2))
    group.sync(3)
    assert [m.is_granted for m in group.wire if isinstance(m, VoteReply)] == [False]


def test_5_2_a_candidate_follows_the_leader_of_its_term() -> None:
    group = Group(THREE)
    group.elapse(1)
    group.deliver()
    group.deliver()
    assert group.core(1).role is Role.CANDIDATE
    group.step(heartbeat(3, 1, group.core(1).term))
    assert (group.core(1).role, group.core(1).leadership.leader) == (Role.FOLLOWER, 3)


def test_5_2_a_split_vote_is_followed_by_another_election() -> None:
    group = Group(THREE)
    group.is_cut = lambda m: m.target == 3 or m.source == 3
    group.elapse(1)
    group.elapse(2)
    group.wait_until_idle()
    assert group.leaders() == []
    assert {group.core(1).term, group.core(2).term} == {2}
    group.campaign(1)
    group.campaign(2)
    assert len(group.leaders()) == 1


def test_5_2_refused_by_a_majority_it_follows_at_once() -> None:
    group = Group(THREE)
    for node in (2, 3):
        group.load(node, 1, (1, "more"))
    group.campaign(1)
    assert group.core(1).role is Role.FOLLOWER
    group.step(TimeoutNow(source=NodeId(2), target=NodeId(1), term=group.core(1).term))
    group.wait_until_idle()
    assert group.core(1).role is Role.FOLLOWER


def test_5_2_a_candidate_without_answers_asks_again() -> None:
    group = Group(THREE)
    group.elapse(1)
    group.deliver()
    group.deliver()
    assert group.core(1).role is Role.CANDIDATE
    group.tick(1, times=20)
    assert group.core(1).role is Role.PRE_CANDIDATE


def test_5_2_two_leaders_in_a_term_stop_the_replica() -> None:
    group = elected()
    with pytest.raises(InvariantViolation):
        group.step(heartbeat(2, 1, 1))
    with pytest.raises(InvariantViolation):
        group.step(heartbeat(2, 3, 1))


def test_5_2_a_leader_votes_for_nobody_else_in_its_term() -> None:
    group = elected()
    group.step(request_vote(2, 1, 1, (9, 9)))
    assert [m.is_granted for m in group.wire if isinstance(m, VoteReply)] == [False]


def test_5_2_a_candidate_does_not_mind_whom_it_is_connected_to() -> None:
    group = Group(THREE)
    group.elapse(1)
    group.lose_peer(1, 2)
    group.find_peer(1, 2)
    group.wait_until_idle()
    assert group.leaders() == [1]


def test_5_2_a_group_of_one_elects_itself_when_its_vote_is_durable() -> None:
    group = Group(membership(1))
    group.elapse(1)
    assert group.core(1).role is Role.CANDIDATE
    group.sync()
    assert group.leaders() == [1]
    group.wait_until_idle()
    assert group.core(1).committed == 0


# Section 5.4.1: election restriction.


@pytest.mark.parametrize(
    ("own", "last", "is_granted"),
    [
        ([(1, "a"), (2, "b")], (1, 5), False),
        ([(1, "a"), (2, "b")], (2, 0), False),
        ([(1, "a"), (2, "b")], (2, 1), True),
        ([(1, "a"), (2, "b")], (2, 2), True),
        ([(1, "a"), (2, "b")], (3, 0), True),
    ],
)
def test_5_4_1_votes_only_for_logs_as_good_as_its_own(
    own: list[tuple[int, str]], last: tuple[int, int], is_granted: bool
) -> None:
    group = Group(THREE)
    group.load(1, 3, *own)
    group.step(request_vote(2, 1, 9, last))
    group.sync(1)
    assert [m.is_granted for m in group.wire if isinstance(m, VoteReply)] == [is_granted]


# PreVote, thesis 9.6.


def test_pre_vote_changes_nobodys_term() -> None:
    group = elected()
    group.isolate(3)
    group.tick(3, times=200)
    assert group.core(3).term == 1
    group.heal()
    group.elapse(3)
    group.wait_until_idle()
    assert group.leaders() == [1]
    assert group.core(1).term == 1


def test_pre_vote_is_refused_while_the_leader_is_heard() -> None:
    group = elected()
    group.elapse(3)
    group.wait_until_idle()
    assert group.core(3).role is Role.FOLLOWER
    assert group.core(3).term == 1


def test_pre_vote_is_refused_for_a_worse_log() -> None:
    group = Group(THREE)
    group.load(2, 0, (1, "more"))
    group.load(3, 0, (1, "more"))
    group.campaign(1)
    assert group.core(1).term <= 1
    assert group.leaders() == []


def test_pre_vote_that_comes_late_counts_for_nothing() -> None:
    group = elected()
    group.step(PreVoteReply(source=NodeId(3), target=NodeId(2), term=Term(9), is_granted=True))
    assert group.core(2).term == 1


def test_pre_vote_refusal_of_a_later_term_teaches_that_term() -> None:
    group = Group(THREE)
    group.load(2, 8)
    group.elapse(1)
    group.wait_until_idle()
    assert group.core(1).term >= 8


def test_pre_candidate_grants_a_vote_and_follows() -> None:
    group = Group(THREE)
    group.load(1, 3)
    group.elapse(1)
    assert group.core(1).role is Role.PRE_CANDIDATE
    group.step(request_vote(2, 1, 3))
    assert group.core(1).role is Role.FOLLOWER
    assert group.core(1).ready().leadership is None


def test_pre_vote_is_granted_to_the_leader_that_asks() -> None:
    """It restarted, so it leads no more, whatever its followers think."""
    group = elected()
    group.restart(1)
    group.elapse(1)
    group.wait_until_idle()
    assert group.leaders() == [1]
    assert group.core(1).term == 2


# CheckQuorum and leader stickiness, thesis 4.2.3 and 6.2.


def test_check_quorum_ends_a_leader_without_a_majority() -> None:
    group = elected()
    group.isolate(1)
    group.tick(1, times=2 * group[1].options.election_ticks)
    assert group.leaders() == []
    assert group.core(1).leadership.leader is None


def test_check_quorum_keeps_a_leader_with_a_majority() -> None:
    group = elected()
    group.isolate(3)
    for _ in range(100):
        group.tick(1, 2)
        group.deliver()
    assert group.leaders() == [1]


def test_check_quorum_does_not_wait_for_those_that_are_lost() -> None:
    group = elected()
    group.lose_peer(1, 2)
    group.tick(1)
    assert group.leaders() == [1]
    group.lose_peer(1, 3)
    assert group.leaders() == [1]
    group.tick(1)
    assert group.leaders() == []


def test_check_quorum_does_not_mind_a_connection_that_comes_back_at_once() -> None:
    group = elected()
    group.lose_peer(1, 2)
    group.lose_peer(1, 3)
    group.find_peer(1, 3)
    group.tick(1)
    assert group.leaders() == [1]


def test_stickiness_a_vote_against_a_leader_that_is_heard_is_not_even_seen() -> None:
    group = elected()
    for node in (1, 2):
        group.step(request_vote(3, node, 50, (50, 50)))
        assert group.core(node).term == 1
    assert not group.wire


def test_stickiness_ends_with_the_election_timeout() -> None:
    group = elected()
    group.tick(2, times=group[2].options.election_ticks)
    group.step(request_vote(3, 2, 50, (50, 50)))
    assert group.core(2).term == 50


def test_a_partitioned_leader_hears_of_the_new_term() -> None:
    group = elected()
    group.isolate(1)
    group.campaign(2)
    assert group.core(2).role is Role.LEADER
    group.heal()
    group.tick(1, times=2)
    group.wait_until_idle()
    assert group.leaders() == [2]
    assert group.core(1).leadership.leader in (None, 2)


# A lost connection.


def test_those_who_lost_a_leader_ask_for_votes_in_turn() -> None:
    group = Group(THREE)
    group.campaign(1)
    counts = {}
    for node in (2, 3):
        group.lose_peer(node, 1)
        counts[node] = 0
        while group.core(node).role is Role.FOLLOWER:
            group.tick(node)
            counts[node] += 1
    assert counts == {2: 1, 3: 1 + RaftOptions().peer_lost_turn_ticks}


def test_whose_turn_comes_later_lets_an_election_end() -> None:
    group = Group(THREE)
    group.campaign(1)
    for node in (2, 3):
        group.lose_peer(node, 1)
    turn = RaftOptions().peer_lost_turn_ticks
    group.tick(3, times=turn)
    # Node 2 was slow. Its question comes in the tick before node 3 would ask.
    group.tick(2)
    assert group.core(2).role is Role.PRE_CANDIDATE
    group.wait_until_idle()
    group.tick(3, times=turn - 1)
    assert group.core(3).role is Role.FOLLOWER


def test_peer_lost_frees_a_follower_to_vote() -> None:
    group = elected()
    group.lose_peer(2, 1)
    group.step(request_vote(3, 2, 2, (1, 0)))
    assert group.core(2).term == 2


def test_peer_lost_of_another_follower_changes_nothing() -> None:
    group = elected()
    group.lose_peer(2, 3)
    group.tick(2, times=5)
    assert group.core(2).role is Role.FOLLOWER


# The designated first leader.


def test_first_leader_leads_in_term_1_without_an_election() -> None:
    group = Group(THREE)
    group.bootstrap(2)
    assert group.leaders() == []
    group.wait_until_idle()
    assert group.leaders() == [2]
    assert group.core(2).term == 1
    assert all(group.core(n).committed == 0 for n in (1, 2, 3))


def test_first_leader_leads_only_when_its_vote_is_durable() -> None:
    group = Group(THREE)
    group.bootstrap(2)
    assert not group.wire
    group.sync(2)
    assert sent(group, AppendEntries)
    assert not sent(group, RequestVote)
    assert not sent(group, RequestPreVote)


def test_first_leader_that_crashed_is_elected_in_a_later_term() -> None:
    """Were it to lead term 1 again, it might write other entries with the same index and term."""
    group = Group(THREE)
    group.bootstrap(2)
    group.sync(2)
    group.restart(2)
    group.wait_until_idle()
    assert group.leaders() == []
    group.campaign(2)
    assert group.core(2).term == 2


def test_nobody_else_wins_term_1() -> None:
    group = Group(THREE)
    group.bootstrap(2)
    group.step(request_vote(1, 3, 1, (9, 9)))
    group.sync(3)
    assert [m.is_granted for m in group.wire if isinstance(m, VoteReply)] == [False]


def test_nobody_is_elected_in_term_1_even_if_all_others_forgot_whom_they_were_made_for() -> None:
    group = Group(THREE)
    group.bootstrap(1)
    group.sync(1)
    group.restart(2)
    group.restart(3)
    group.isolate(1)
    group.campaign(2)
    assert sorted((group.core(n).term, n) for n in group.leaders()) == [(1, 1), (2, 2)]


def test_a_group_begins_with_the_first_term_it_is_given() -> None:
    """A partition of a name that others had before begins above their epochs."""
    group = Group(THREE, first_term=Term(12))
    group.bootstrap(2)
    group.wait_until_idle()
    assert group.leaders() == [2]
    assert [group.core(n).term for n in (1, 2, 3)] == [12, 12, 12]
    group.isolate(2)
    group.campaign(1)
    assert group.core(1).term == 13


def test_nobody_campaigns_in_a_later_first_term_either() -> None:
    group = Group(THREE, first_term=Term(12))
    group.bootstrap(1)
    group.sync(1)
    group.restart(2)
    group.restart(3)
    group.isolate(1)
    group.campaign(2)
    assert sorted((group.core(n).term, n) for n in group.leaders()) == [(12, 1), (13, 2)]


def test_bootstrap_is_only_for_new_replicas() -> None:
    group = elected()
    with pytest.raises(InvariantViolation):
        group.core(1).bootstrap(NodeId(1))
    fresh = Group(THREE)
    with pytest.raises(InvariantViolation):
        fresh.core(1).bootstrap(NodeId(9))


def test_transitions_name_every_role() -> None:
    assert TRANSITIONS.keys() == set(Role)
    assert Role.LEADER not in TRANSITIONS[Role.FOLLOWER] | TRANSITIONS[Role.PRE_CANDIDATE]
