"""Connections that break and come back, and groups that rest: what a node does about its peers."""

from chronik.raft.core.messages import (
    AppendEntries,
    Heartbeat,
    HeartbeatReply,
    Message,
    RequestPreVote,
    RequestVote,
    TimeoutNow,
)
from chronik.raft.core.options import RaftOptions
from chronik.raft.core.progress import FollowerState, Mode
from chronik.raft.core.roles import Role
from chronik.raft.core.types import BEFORE_FIRST, Membership, RaftIndex, Term
from chronik.vocab.ids import NodeId
from tests.unit.raft.core.group import Group, membership

THREE = membership(1, 2, 3)
QUIET = RaftOptions(is_quiescence_used=True)


def led(first: Membership = THREE, *, options: RaftOptions | None = None) -> Group:
    group = Group(first, options=options)
    group.bootstrap(1)
    group.wait_until_idle()
    return group


def follower(group: Group, node: int, leader: int = 1) -> FollowerState:
    return group.core(leader).followers[NodeId(node)]


def to(group: Group, target: int) -> list[Message]:
    return [message for message in group.wire if message.target == target]


# The leader's side.


def test_a_leader_sends_nothing_to_a_lost_peer() -> None:
    group = led()
    group.lose_peer(1, 2)
    assert follower(group, 2).is_lost
    group.propose(1, "a")
    group.tick(1, times=9)
    assert to(group, 2) == []
    assert to(group, 3) != []


def test_a_found_peer_is_probed_at_once() -> None:
    group = led()
    group.lose_peer(1, 2)
    group.propose(1, "a")
    group.wire.clear()
    group.find_peer(1, 2)
    [probe] = to(group, 2)
    assert isinstance(probe, AppendEntries)
    assert (probe.prev_index, probe.entries[-1].last) == (0, 1)
    assert not follower(group, 2).is_lost


def test_a_peer_is_found_when_it_is_heard() -> None:
    group = led()
    group.lose_peer(1, 2)
    beat = HeartbeatReply(
        source=NodeId(2), target=NodeId(1), term=Term(1), match=RaftIndex(0), sent=RaftIndex(0)
    )
    group.step(beat)
    assert not follower(group, 2).is_lost
    assert to(group, 2) != []


def test_what_a_peer_of_the_same_process_accepted_stays() -> None:
    group = led()
    group.lose_peer(1, 2)
    group.find_peer(1, 2)
    assert (follower(group, 2).match, follower(group, 2).mode) == (0, Mode.PROBE)


def test_what_an_earlier_incarnation_accepted_is_forgotten_and_what_is_committed_is_not() -> None:
    group = led()
    group.propose(1, "a")
    group.wait_until_idle()
    group.find_peer(1, 2, is_restarted=True)
    assert follower(group, 2).match == BEFORE_FIRST
    assert group.core(1).committed == 1
    [probe] = to(group, 2)
    assert isinstance(probe, AppendEntries)
    assert probe.prev_index == 1
    group.wait_until_idle()
    assert follower(group, 2).match == 1


def test_a_follower_that_lost_what_it_accepted_is_sent_it_again() -> None:
    """As with write caching, and a power cut."""
    group = led()
    empty = group[2].log.content
    for text in "abc":
        group.propose(1, text)
    group.wait_until_idle()
    group[2].crash()
    group[2].log.content = empty
    group[2].restart()
    group.lose_peer(1, 2)
    group.find_peer(1, 2, is_restarted=True)
    group.wait_until_idle()
    assert group.texts(2, is_committed=True) == ["a", "b", "c"]


def test_a_new_leader_that_knows_no_match_does_not_begin_at_the_beginning() -> None:
    group = led()
    for text in "abc":
        group.propose(1, text)
    group.wait_until_idle()
    group.isolate(1)
    group.campaign(2)
    group.find_peer(2, 1)
    group.wire.clear()
    group.find_peer(2, 1)
    [probe] = to(group, 1)
    assert isinstance(probe, AppendEntries)
    assert probe.prev_index == 3


def test_a_stranger_that_is_found_or_searches_is_nothing_to_a_leader() -> None:
    group = Group(THREE, extra=[4])
    group.bootstrap(1)
    group.wait_until_idle()
    group.find_peer(1, 4)
    group.step(request_pre_vote(4, 1))
    assert [type(m).__name__ for m in group.wire] == ["PreVoteReply"]


def test_a_leader_speaks_to_a_follower_that_does_not_hear_it() -> None:
    group = led(options=QUIET)
    group[3].restart()
    group.tick(3, times=20)
    group.deliver()
    assert any(isinstance(m, AppendEntries) for m in to(group, 3))
    group.wait_until_idle()
    assert group.core(3).leadership.leader == 1
    assert group.core(1).is_quiesced


# A follower's side.


def test_a_lost_leader_hastens_and_the_same_one_found_does_not_any_more() -> None:
    group = led()
    group.lose_peer(2, 1)
    group.find_peer(2, 1)
    group.tick(2, times=group[2].options.election_ticks - 1)
    assert group.core(2).role is Role.FOLLOWER
    group.step(request_vote(3, 2))
    assert group.core(2).term == 1


def test_a_leader_found_restarted_does_not_lead() -> None:
    group = led()
    group.lose_peer(2, 1)
    group.find_peer(2, 1, is_restarted=True)
    group.step(request_vote(3, 2))
    assert group.core(2).term == 2


def test_a_leader_found_restarted_hastens_even_if_its_loss_was_not_told() -> None:
    group = led(options=QUIET)
    group.find_peer(2, 1, is_restarted=True)
    assert not group.core(2).is_quiesced


def test_another_found_peer_changes_nothing_for_a_follower() -> None:
    group = led(options=QUIET)
    group.find_peer(2, 3)
    group.find_peer(2, 1)
    assert group.core(2).is_quiesced


def test_a_follower_that_found_its_leader_rests_when_it_is_heard() -> None:
    """It may have ceased to lead meanwhile."""
    group = led(options=QUIET)
    group.lose_peer(2, 1)
    group.find_peer(2, 1)
    assert not group.core(2).is_quiesced
    group.find_peer(1, 2)
    group.wait_until_idle()
    assert group.core(2).is_quiesced


def test_a_quiet_follower_asks_its_leader_when_another_searches() -> None:
    group = led(options=QUIET)
    group.step(request_pre_vote(3, 2))
    assert not group.core(2).is_quiesced
    assert any(isinstance(m, RequestPreVote) for m in to(group, 1))
    group.wait_until_idle()
    assert group.leaders() == [1]
    assert all(group.core(n).is_quiesced for n in (1, 2, 3))


def test_followers_that_are_not_quiet_need_not_ask() -> None:
    group = led()
    group.step(request_pre_vote(3, 2))
    assert to(group, 1) == []


def test_a_leader_that_searches_leads_no_more() -> None:
    group = led(options=QUIET)
    group.step(request_pre_vote(1, 2))
    assert not group.core(2).is_quiesced
    assert [type(m).__name__ for m in group.wire] == ["PreVoteReply"]


def test_a_question_from_an_earlier_term_says_nothing() -> None:
    group = led(options=QUIET)
    group.step(request_pre_vote(1, 2, term=1))
    assert group.core(2).is_quiesced


# Quiet leaders.


def test_a_quiet_leader_has_a_majority_and_those_it_reaches_have_everything() -> None:
    group = led(options=QUIET)
    assert group.core(1).is_quiesced
    group.lose_peer(1, 2)
    assert group.core(1).is_quiesced
    group.lose_peer(1, 3)
    assert not group.core(1).is_quiesced
    group.tick(1, times=2 * QUIET.election_ticks)
    assert group.leaders() == []


def test_learners_must_have_everything_and_count_for_no_majority() -> None:
    group = led(membership(1, 2, 3, learners=[4]), options=QUIET)
    group.is_cut = lambda m: m.target == 4
    group.propose(1, "a")
    group.wait_until_idle()
    assert group.core(1).committed == 1
    assert not group.core(1).is_quiesced
    group.lose_peer(1, 4)
    assert group.core(1).is_quiesced
    group.heal()
    group.find_peer(1, 4)
    group.wait_until_idle()
    assert group.core(1).is_quiesced
    group.lose_peer(1, 2)
    group.lose_peer(1, 3)
    assert not group.core(1).is_quiesced


def test_word_of_a_commit_that_was_lost_comes_with_the_probe() -> None:
    group = led(options=QUIET)
    group.propose(1, "a")
    group.is_cut = lambda m: isinstance(m, Heartbeat) and m.target == 2
    group.wait_until_idle()
    group.heal()
    assert (group.core(1).committed, group.core(2).committed) == (1, 0)
    group.lose_peer(1, 2)
    group.find_peer(1, 2)
    assert not group.core(1).is_quiesced
    group.wait_until_idle()
    assert group.core(2).committed == 1
    assert group.core(1).is_quiesced


# A leader that goes.


def test_a_leader_that_resigns_has_the_best_follower_campaign() -> None:
    group = led()
    group.is_cut = lambda m: m.target == 2
    group.propose(1, "a")
    group.wait_until_idle()
    group.heal()
    group.core(1).resign()
    group.tick(1)
    assert group.core(1).role is Role.FOLLOWER
    assert [m.target for m in group.wire if isinstance(m, TimeoutNow)] == [3]
    group.wait_until_idle()
    assert group.leaders() == [3]


def test_a_leader_that_resigns_wakes_those_that_are_quiet() -> None:
    """Who was to campaign may not get to it."""
    group = led(options=QUIET)
    group.core(1).resign()
    group.tick(1)
    group.is_cut = lambda m: isinstance(m, TimeoutNow)
    group.deliver()
    quiet = [n for n in (2, 3) if group.core(n).is_quiesced]
    assert len(quiet) == 1
    others = {2, 3} - set(quiet)
    assert not group.core(others.pop()).is_quiesced


def test_only_a_leader_resigns_and_one_that_is_alone_leaves_nobody_to_tell() -> None:
    group = led()
    group.core(2).resign()
    assert group.leaders() == [1]
    group.lose_peer(1, 2)
    group.lose_peer(1, 3)
    group.wire.clear()
    group.core(1).resign()
    group[1].run()
    assert group.leaders() == []
    assert group.wire == []


def request_pre_vote(source: int, target: int, *, term: int = 2) -> RequestPreVote:
    return RequestPreVote(
        source=NodeId(source),
        target=NodeId(target),
        term=Term(term),
        last_index=RaftIndex(0),
        last_term=Term(1),
    )


def request_vote(source: int, target: int) -> RequestVote:
    return RequestVote(
        source=NodeId(source),
        target=NodeId(target),
        term=Term(2),
        last_index=RaftIndex(0),
        last_term=Term(1),
    )
