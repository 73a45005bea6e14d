"""Messages that may leave a node before its disk has its writes, and those that may only after."""

import pytest

from chronik.raft.core.messages import AppendAccepted, AppendEntries, RequestVote, TimeoutNow, VoteReply
from chronik.raft.core.options import RaftOptions
from chronik.raft.core.ready import Ready
from chronik.raft.core.roles import Role
from chronik.raft.core.types import RaftIndex, Term
from chronik.vocab.ids import NodeId
from chronik.vocab.invariant import InvariantViolation
from tests.unit.raft.core.group import Group, membership

THREE = membership(1, 2, 3)


def led() -> Group:
    group = Group(THREE)
    group.bootstrap(1)
    group.wait_until_idle()
    return group


def test_entries_leave_while_the_leader_syncs_and_it_counts_itself_after() -> None:
    group = led()
    group.is_cut = lambda m: m.target == 3
    group.propose(1, "a")
    group.deliver()
    group.sync(2)
    group.deliver()
    assert group.core(1).committed == 0
    group.sync(1)
    assert group.core(1).committed == 1


def test_a_majority_without_the_leader_commits_before_its_sync() -> None:
    group = led()
    group.propose(1, "a")
    group.deliver()
    group.sync(2, 3)
    group.deliver()
    assert group.core(1).committed == 1


def test_an_acceptance_leaves_after_the_sync() -> None:
    group = led()
    group.propose(1, "a")
    group.deliver()
    assert not any(isinstance(m, AppendAccepted) for m in group.wire)
    assert any(isinstance(m, AppendAccepted) for m in group[2].readies[-1].messages_after_persistence)
    group.sync(2)
    assert any(isinstance(m, AppendAccepted) for m in group.wire)


def test_votes_and_requests_for_them_leave_after_the_sync() -> None:
    group = Group(THREE)
    group.elapse(1)
    group.deliver()
    group.deliver()
    assert group.core(1).role is Role.CANDIDATE
    [ready] = [ready for ready in group[1].readies if ready.hard_state is not None]
    assert not ready.messages
    kinds = {type(m) for m in ready.messages_after_persistence}
    assert kinds == {RequestVote, VoteReply}


def test_a_late_word_of_a_sync_about_replaced_entries_counts_for_nothing() -> None:
    group = led()
    group.core(1).on_persisted(RaftIndex(7), Term(1))
    group.core(1).on_persisted(RaftIndex(0), Term(9))
    assert group.core(1).committed == 0


def test_nothing_happens_without_a_reason() -> None:
    group = led()
    assert group.core(1).ready() == Ready()
    assert group.core(2).ready() == Ready()


def test_a_tick_that_only_counted_is_no_news_and_one_that_led_to_something_is() -> None:
    group = led()
    heartbeat_ticks = group[1].options.heartbeat_ticks
    news = []
    for _ in range(heartbeat_ticks):
        group.core(1).tick()
        news.append(group.core(1).has_output)
    assert news == [False] * (heartbeat_ticks - 1) + [True]
    while not group.core(2).has_output:
        group.core(2).tick()
    assert group.core(2).role is Role.PRE_CANDIDATE


def test_a_ready_that_was_not_carried_out_is_found() -> None:
    group = led()
    group.core(1).propose(count=1, payload="a", size=1)
    group.core(1).ready()
    with pytest.raises(InvariantViolation):
        group.core(1).tick()


def test_a_leader_that_cannot_write_steps_down_and_its_proposal_never_was() -> None:
    group = led()
    group.core(1).propose(count=1, payload="unwritten", size=1)
    group.core(1).ready()
    group.core(1).on_append_failed()
    assert group.core(1).role is Role.FOLLOWER
    assert group.core(1).last_index == 0
    group[1].run()
    # It has the best of the others campaign: its disk may be full for long.
    assert any(isinstance(m, TimeoutNow) for m in group[1].outbox)
    group.campaign(2)
    group.propose(2, "written")
    group.wait_until_idle()
    assert group.texts(1, is_committed=True) == ["written"]


def test_a_follower_that_cannot_write_accepts_nothing_and_is_sent_it_again() -> None:
    group = led()
    group.propose(1, "a")
    [message] = [m for m in group.wire if isinstance(m, AppendEntries) and m.target == 2]
    group.wire.remove(message)
    group.wait_until_idle()
    group.core(2).step(message)
    group.core(2).ready()
    group.core(2).on_append_failed()
    assert group.core(2).last_index == 0
    group[2].run()
    group.tick(1, times=2)
    group.wait_until_idle()
    assert group.texts(2, is_committed=True) == ["a"]


def test_a_membership_that_was_not_written_is_not_in_force() -> None:
    group = led()
    group.core(1).propose_membership(membership(1, 2))
    group.core(1).ready()
    group.core(1).on_append_failed()
    assert group.core(1).membership == THREE


def test_a_candidate_that_cannot_write_asks_for_no_votes() -> None:
    group = led()
    group.propose(1, "a")
    [message] = [m for m in group.wire if isinstance(m, AppendEntries) and m.target == 2]
    group.core(2).step(message)
    group.core(2).step(TimeoutNow(source=NodeId(1), target=NodeId(2), term=Term(1)))
    assert group.core(2).ready().messages_after_persistence
    group.core(2).on_append_failed()
    ready = group.core(2).ready()
    assert ready.messages_after_persistence == ()
    assert ready.hard_state is not None
    assert not group.core(2).is_quiesced


# Quiet groups.

QUIET = RaftOptions(is_quiescence_used=True)


def test_a_group_with_nothing_to_do_is_quiet_and_a_quiet_leader_says_nothing() -> None:
    group = Group(THREE, options=QUIET)
    group.bootstrap(1)
    assert not group.core(1).is_quiesced
    group.wait_until_idle()
    assert all(group.core(n).is_quiesced for n in (1, 2, 3))
    group.tick(1, times=100)
    assert not group.wire
    assert group.leaders() == [1]


def test_a_quiet_group_wakes_for_a_proposal_and_rests_again() -> None:
    group = Group(THREE, options=QUIET)
    group.bootstrap(1)
    group.wait_until_idle()
    group.tick(1, times=9)
    group.propose(1, "a")
    assert not group.core(1).is_quiesced
    group.tick(1, times=2)
    assert group.leaders() == [1]
    group.wait_until_idle()
    assert all(group.core(n).is_quiesced for n in (1, 2, 3))
    assert group.core(3).committed == 1


def test_a_lost_leader_wakes_its_follower_and_a_found_follower_its_leader() -> None:
    group = Group(THREE, options=QUIET)
    group.bootstrap(1)
    group.wait_until_idle()
    group.isolate(2)
    group.lose_peer(1, 2)
    group.lose_peer(2, 1)
    assert group.core(1).is_quiesced
    assert not group.core(2).is_quiesced
    group.heal()
    group.find_peer(1, 2)
    assert not group.core(1).is_quiesced
    group.wait_until_idle()
    assert group.core(1).is_quiesced
    assert group.core(2).is_quiesced


def test_a_leader_that_lost_all_peers_steps_down() -> None:
    group = Group(THREE, options=QUIET)
    group.bootstrap(1)
    group.wait_until_idle()
    group.isolate(1)
    group.lose_peer(1, 2)
    group.lose_peer(1, 3)
    group.tick(1, times=20)
    assert group.leaders() == []


# What was known before.


def test_what_was_noted_as_committed_is_known_after_a_restart() -> None:
    group = led()
    group.propose(1, "a")
    group.wait_until_idle()
    assert group.core(2).persisted == 1
    group[2].crash()
    group[2].restart(is_checkpoint_kept=True)
    assert group.core(2).committed == group[2].checkpoint == 1


def test_a_note_beyond_the_log_stops_the_replica() -> None:
    """Something else may be there: the writer of the note did not wait for the sync."""
    group = led()
    group[2].crash()
    group[2].checkpoint = RaftIndex(5)
    with pytest.raises(InvariantViolation):
        group[2].restart(is_checkpoint_kept=True)


def test_a_message_to_another_node_stops_the_replica() -> None:
    group = led()
    with pytest.raises(InvariantViolation):
        group.core(1).step(TimeoutNow(source=NodeId(2), target=NodeId(3), term=Term(1)))


def test_a_vote_is_known_before_it_is_durable() -> None:
    group = Group(THREE)
    group.bootstrap(2)
    assert group.core(1).hard_state.voted_for == 2
