"""Claims of the Raft paper about the log, by section."""

import pytest

from chronik.raft.core.messages import (
    AppendAccepted,
    AppendEntries,
    AppendRejected,
    Heartbeat,
    Message,
    RestartLog,
)
from chronik.raft.core.options import RaftOptions
from chronik.raft.core.progress import Mode
from chronik.raft.core.types import BEFORE_FIRST, HardState, RaftIndex, Term
from chronik.vocab.ids import NodeId
from chronik.vocab.invariant import InvariantViolation
from tests.unit.raft.core.group import Group, membership
from tests.unit.raft.core.model_log import Content, Unit

THREE = membership(1, 2, 3)


def led(options: RaftOptions | None = None) -> Group:
    group = Group(THREE, options=options)
    group.bootstrap(1)
    group.wait_until_idle()
    return group


def appends(group: Group, target: int) -> list[AppendEntries]:
    return [m for m in group.wire if isinstance(m, AppendEntries) and m.target == target]


# Section 5.3: log replication.


def test_5_3_an_entry_is_committed_when_a_majority_has_it() -> None:
    group = led()
    group.is_cut = lambda m: m.target == 3
    entries = group.propose(1, "a", 3)
    assert (entries.first, entries.last, entries.last_term) == (1, 3, 1)
    assert group.core(1).committed == 0
    group.wait_until_idle()
    assert group.core(1).committed == 3
    assert group.core(2).committed == 3


def test_5_3_a_minority_commits_nothing() -> None:
    group = led()
    group.isolate(1)
    group.propose(1, "a")
    group.wait_until_idle()
    assert group.core(1).committed == 0


def test_5_3_followers_learn_of_a_commit_with_the_next_entries() -> None:
    group = led(RaftOptions(is_commit_sent_at_once=False))
    group.propose(1, "a")
    group.wait_until_idle()
    assert (group.core(1).committed, group.core(2).committed) == (1, 0)
    group.propose(1, "b")
    group.wait_until_idle()
    assert group.core(2).committed == 1


def test_5_3_a_slow_follower_is_sent_to_until_it_has_all() -> None:
    group = led()
    group.isolate(3)
    for text in "abc":
        group.propose(1, text)
    group.wait_until_idle()
    group.heal()
    group.tick(1, times=2)
    group.wait_until_idle()
    assert group.texts(3, is_committed=True) == ["a", "b", "c"]


def test_5_3_what_a_follower_has_otherwise_is_replaced() -> None:
    group = led()
    group.isolate(1)
    group.propose(1, "lost", 5)
    group.propose(1, "lost too")
    group.wait_until_idle()
    group.campaign(2)
    group.propose(2, "kept")
    group.wait_until_idle()
    group.heal()
    group.tick(2, times=2)
    group.wait_until_idle()
    assert group.texts(1) == ["kept"]
    assert any(ready.truncate_to == 0 for ready in group[1].readies)
    assert group[1].log.content == group[2].log.content


@pytest.mark.parametrize(
    "follower",
    [
        [1, 1, 1, 4, 4, 5, 5, 6, 6],
        [1, 1, 1, 4],
        [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
        [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
        [1, 1, 1, 4, 4, 4, 4],
        [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
    ],
    ids="abcdef",
)
def test_5_3_figure_7(follower: list[int]) -> None:
    """Every way in which a follower's log may differ from a new leader's is mended."""
    group = Group(THREE)
    group.load(1, 7, *[(t, f"{t}") for t in [1, 1, 1, 4, 4, 5, 5, 6, 6, 6]])
    group.load(2, 7, *[(t, f"{t}") for t in follower])
    group.load(3, 7)
    group.campaign(1)
    assert group.leaders() == [1]
    assert group[2].log.content.units == group[1].log.content.units
    assert group.core(2).committed == 10


def test_5_3_conflicts_cost_a_round_per_term_not_per_entry() -> None:
    group = Group(THREE)
    group.load(1, 6, *[(1, "a")] * 5, *[(5, "b")] * 300)
    group.load(2, 6, *[(1, "a")] * 5, *[(2, "x")] * 200, *[(3, "y")] * 90)
    group.load(3, 6)
    probes = 0

    def count(message: object) -> bool:
        nonlocal probes
        probes += isinstance(message, AppendRejected) and message.source == 2
        return False

    group.is_cut = count
    group.campaign(1)
    assert group[2].log.content.units == group[1].log.content.units
    assert 1 <= probes <= 2


def test_5_3_entries_that_come_late_remove_nothing() -> None:
    """An old request whose entries the follower has is not a reason to drop what follows them."""
    group = led()
    group.propose(1, "a")
    old = appends(group, 2)[0]
    group.propose(1, "b")
    group.wait_until_idle()
    group.step(old)
    assert group.texts(2) == ["a", "b"]
    assert group[2].readies[-1].truncate_to is None


def test_5_3_entries_come_in_any_order() -> None:
    group = led()
    for text in "abc":
        group.propose(1, text)
    for message in reversed(appends(group, 2)):
        group.step(message)
    group.wait_until_idle()
    assert group.texts(2, is_committed=True) == ["a", "b", "c"]


def test_5_3_several_proposals_are_one_message_without_a_read() -> None:
    group = led()
    for text in "abc":
        group.core(1).propose(count=1, payload=text, size=100)
    group[1].log.is_cold = True
    group.tick(1)
    [message] = appends(group, 2)
    assert [piece.payload for piece in message.entries] == ["a", "b", "c"]


def test_5_3_a_committed_entry_of_another_term_stops_the_replica() -> None:
    group = led()
    group.propose(1, "a")
    group.wait_until_idle()
    bad = AppendEntries(
        source=NodeId(1),
        target=NodeId(2),
        term=Term(1),
        prev_index=RaftIndex(1),
        prev_term=Term(9),
        committed=RaftIndex(0),
    )
    with pytest.raises(InvariantViolation):
        group.step(bad)


# Section 5.4.2: entries of earlier terms.


def test_5_4_2_figure_8_an_earlier_terms_entry_is_not_committed_by_counting() -> None:
    """(c) of the figure: S1 leads again and has its entry of term 2 on a majority; S5 can still win."""
    group = Group(membership(1, 2, 3, 4, 5))
    group.load(1, 3, (1, "one"), (2, "two"))
    for node in (2, 3, 4):
        group.load(node, 3, (1, "one"))
    group.load(5, 3, (1, "one"), (3, "three"))
    # Nodes 2 and 3 are sent entries, and no more once they have the old one.
    group[1].options = RaftOptions(append_bytes_max=100)
    group[1].restart()

    def is_cut(message: Message) -> bool:
        if isinstance(message, AppendEntries):
            return message.target not in (2, 3) or "two" in group.texts(message.target)
        return 5 in (message.source, message.target)

    group.is_cut = is_cut
    group.campaign(1)
    assert group.leaders() == [1]
    for _ in range(10):
        group.tick(1)
        group.wait_until_idle()
    assert group.texts(2) == group.texts(3) == ["one", "two"]
    assert [group.core(1).followers[NodeId(n)].match for n in (2, 3)] == [1, 1]
    assert group.core(1).committed == BEFORE_FIRST
    # (d): S5, which first learns the term, is elected, and replaces it.
    group.is_cut = lambda m: 1 in (m.source, m.target)
    group.campaign(5)
    group.campaign(5)
    assert 5 in group.leaders()
    assert group.texts(3) == ["one", "three"]


def test_5_4_2_figure_8_it_is_committed_with_one_of_the_present_term() -> None:
    """(e) of the figure."""
    group = Group(membership(1, 2, 3, 4, 5))
    for node in (1, 2, 3):
        group.load(node, 3, (1, "one"), (2, "two"))
    group.load(4, 3, (1, "one"))
    group.load(5, 3, (1, "one"), (3, "three"))
    group.isolate(5)
    group.campaign(1)
    assert group.core(1).committed == 2
    group.heal()
    group[1].crash()
    group.campaign(5)
    group.campaign(5)
    assert 5 not in group.leaders()


# Section 5.5: crashes.


def test_5_5_requests_are_repeated_until_a_crashed_follower_answers() -> None:
    group = led()
    group[3].crash()
    group.propose(1, "a")
    group.wait_until_idle()
    group[3].restart()
    group.tick(1, times=2)
    group.wait_until_idle()
    assert group.texts(3, is_committed=True) == ["a"]


def test_5_5_a_request_answered_twice_does_no_harm() -> None:
    group = led()
    group.propose(1, "a")
    group.wire = [*group.wire, *group.wire]
    group.wait_until_idle()
    assert all(group.texts(n, is_committed=True) == ["a"] for n in (1, 2, 3))


def test_5_5_an_answer_that_comes_late_still_counts() -> None:
    """The leader had begun again with an earlier one."""
    group = led()
    for text in "abc":
        group.propose(1, text)
    group.lose_peer(1, 2)
    group.find_peer(1, 2)
    group.wire.clear()
    for match in (0, 3):
        group.step(accepted(2, match), is_run=False)
    state = group.core(1).followers[NodeId(2)]
    assert (state.match, state.next_index) == (3, 4)


def test_5_5_an_answer_about_what_was_never_sent_stops_the_replica() -> None:
    group = led()
    with pytest.raises(InvariantViolation):
        group.step(accepted(2, 9))


def accepted(source: int, match: int) -> AppendAccepted:
    return AppendAccepted(source=NodeId(source), target=NodeId(1), term=Term(1), match=RaftIndex(match))


def test_5_5_an_unsynced_entry_that_a_crash_lost_is_sent_again() -> None:
    group = led()
    group.propose(1, "a")
    group.deliver()
    group.restart(2)
    assert group.texts(2) == []
    group.tick(1, times=2)
    group.wait_until_idle()
    group.tick(1, times=2)
    group.wait_until_idle()
    assert group.texts(2, is_committed=True) == ["a"]


# Flow control.


def test_flow_a_follower_that_does_not_answer_is_sent_a_bounded_amount() -> None:
    group = led(RaftOptions(inflight_messages_max=4))
    for i in range(20):
        group.propose(1, f"{i}")
    assert len(appends(group, 2)) == 4
    group.wait_until_idle()
    assert len(group.texts(2, is_committed=True)) == 20


def test_flow_bytes_in_flight_are_bounded() -> None:
    group = led(RaftOptions(inflight_bytes_max=1000))
    for i in range(20):
        group.propose(1, f"{i}", 3)
    assert sum(e.size for m in appends(group, 2) for e in m.entries) <= 1000 + 300
    group.wait_until_idle()
    assert len(group.texts(2, is_committed=True)) == 20


def test_flow_a_message_has_at_most_so_many_bytes_but_one_batch() -> None:
    group = led(RaftOptions(append_bytes_max=500))
    group.isolate(3)
    for i in range(10):
        group.propose(1, f"{i}", 2)
    group.propose(1, "large", 50)
    group.wait_until_idle()
    group.heal()
    sizes = []

    def measure(message: object) -> bool:
        if isinstance(message, AppendEntries) and message.target == 3:
            sizes.append(sum(e.size for e in message.entries))
        return False

    group.is_cut = measure
    group.tick(1, times=2)
    group.wait_until_idle()
    assert max(sizes) == 5000
    assert sorted(sizes)[-2] <= 500


def test_flow_probing_sends_one_message_at_a_time() -> None:
    group = led()
    group.lose_peer(1, 2)
    group.wire.clear()
    for text in "abc":
        group.propose(1, text)
    assert len(appends(group, 2)) == 0
    assert len(appends(group, 3)) == 3
    assert group.core(1).followers[NodeId(2)].mode is Mode.PROBE


def test_flow_a_lost_acceptance_is_repeated_after_a_heartbeat() -> None:
    group = led(RaftOptions(inflight_messages_max=1))
    group.is_cut = lambda m: isinstance(m, AppendAccepted)
    group.propose(1, "a")
    group.wait_until_idle()
    assert group.core(1).committed == 0
    group.heal()
    group.tick(1, times=2)
    group.wait_until_idle()
    assert group.core(1).committed == 1


def test_flow_a_lost_message_is_found_by_the_next_heartbeat() -> None:
    group = led()
    group.propose(1, "a")
    group.wire.clear()
    group.tick(1, times=2)
    group.wait_until_idle()
    assert group.texts(2, is_committed=True) == ["a"]


def test_flow_what_is_not_in_memory_is_sent_when_it_is() -> None:
    group = led()
    group.isolate(3)
    group.propose(1, "a")
    group.wait_until_idle()
    group.heal()
    group[1].log.is_cold = True
    group.tick(1, times=2)
    group.wait_until_idle()
    assert group.texts(3) == []
    group[1].log.is_cold = False
    group[1].run()
    group.sync()
    group.wait_until_idle()
    assert group.texts(3) == ["a"]


# Conflicts where batches of the two logs overlap.


def with_units(group: Group, node: int, term: int, *units: tuple[int, int, int]) -> None:
    """Give `node` batches (first, last, term)."""
    shell = group[node]
    shell.log.content = Content(
        before=shell.log.content.before,
        membership=shell.log.content.membership,
        units=tuple(Unit(first=f, last=n, term=t, value=f"{f}-{n}@{t}") for f, n, t in units),
    )
    shell.log.sync()
    shell.durable_hard_state = shell.hard_state = HardState(term=Term(term))
    shell.restart()


def test_5_3_a_follower_whose_log_ends_inside_a_batch_of_the_leaders() -> None:
    """The leader never asks from within a batch: it could send nothing from there."""
    group = Group(THREE)
    with_units(group, 1, 9, (0, 1, 1), (2, 3, 2), (4, 9, 2), (10, 10, 8))
    with_units(group, 2, 9, (0, 1, 1), (2, 3, 2), (4, 6, 7))
    with_units(group, 3, 9, (0, 1, 1))
    group.campaign(1)
    assert group.leaders() == [1]
    assert group[2].log.content.units == group[1].log.content.units


def test_7_a_follower_that_has_another_entry_where_the_leaders_log_starts() -> None:
    group = Group(THREE)
    with_units(group, 1, 9, (0, 1, 1), (2, 3, 6), (4, 5, 8))
    with_units(group, 2, 9, (0, 1, 1), (2, 3, 5))
    with_units(group, 3, 9, (0, 1, 1), (2, 3, 6), (4, 5, 8))
    group.isolate(2)
    group.campaign(1)
    group[1].log.drop_before(4)
    group.heal()
    group.tick(1, times=2)
    group.wait_until_idle()
    assert group[2].log.first_index == 4
    assert group[2].log.content.units == group[1].log.content.units


# Section 7: a follower behind the log start.


def behind(*, index: int = 9) -> Group:
    """Node 3 lacks what node 1 dropped."""
    group = led()
    group.isolate(3)
    for i in range(12):
        group.propose(1, f"{i}")
    group.wait_until_idle()
    group[1].log.drop_before(index)
    group.heal()
    return group


def test_7_a_follower_behind_the_log_start_restarts_there() -> None:
    group = behind()
    group.tick(1, times=2)
    group.wait_until_idle()
    assert group[3].log.first_index == 9
    assert group.texts(3, is_committed=True) == ["8", "9", "10", "11"]
    assert group.core(1).followers[NodeId(3)].mode is Mode.REPLICATE


def test_7_what_the_shell_sends_with_a_restart_arrives_unseen() -> None:
    group = behind()
    group.is_cut = lambda m: isinstance(m, RestartLog)
    group.tick(1, times=2)
    group.wait_until_idle()
    restart = RestartLog(
        source=NodeId(1),
        target=NodeId(3),
        term=Term(1),
        index=RaftIndex(8),
        index_term=Term(1),
        membership=THREE,
        payload="snapshot",
    )
    group.step(restart)
    start = group[3].readies[-1].restart
    assert start is not None
    assert start.payload == "snapshot"


def test_7_a_restart_that_comes_late_changes_nothing() -> None:
    group = behind()
    restart = RestartLog(
        source=NodeId(1),
        target=NodeId(2),
        term=Term(1),
        index=RaftIndex(8),
        index_term=Term(1),
        membership=THREE,
    )
    group.step(restart)
    assert group[2].log.first_index == 0
    assert group[2].readies[-1].restart is None


def test_7_a_follower_that_has_the_entry_keeps_its_log() -> None:
    group = led()
    group.propose(1, "a")
    group.deliver()
    assert group.core(2).committed == 0
    restart = RestartLog(
        source=NodeId(1),
        target=NodeId(2),
        term=Term(1),
        index=RaftIndex(1),
        index_term=Term(1),
        membership=THREE,
    )
    group.step(restart)
    assert group.core(2).committed == 1
    assert group[2].log.first_index == 0


def test_7_a_lost_restart_is_repeated() -> None:
    group = behind()
    group.tick(1, times=2)
    group.is_cut = lambda m: isinstance(m, RestartLog)
    group.wait_until_idle()
    assert group[3].log.first_index == 0
    group.heal()
    group.tick(1, times=2)
    group.wait_until_idle()
    assert group[3].log.first_index == 9


def test_7_a_new_leader_finds_a_follower_behind_its_log_start() -> None:
    group = behind()
    group.isolate(3)
    group[2].log.drop_before(7)
    group.transfer(1, 2)
    group.wait_until_idle()
    assert group.leaders() == [2]
    group.heal()
    group.tick(2, times=2)
    group.wait_until_idle()
    assert group[3].log.first_index == 7
    assert group.texts(3, is_committed=True) == group.texts(2)


def test_7_entries_from_before_the_log_start_are_known() -> None:
    group = led()
    group.propose(1, "a")
    old = appends(group, 2)[0]
    group.propose(1, "b")
    group.wait_until_idle()
    group[2].log.drop_before(2)
    group.step(old)
    assert group[2].log.first_index == 2
    assert group.texts(2, is_committed=True) == ["b"]


# Section 8: a leader's first entry.


def test_8_a_leader_begins_its_term_with_a_marker_and_so_commits_what_it_found() -> None:
    group = Group(THREE)
    for node in (1, 2, 3):
        group.load(node, 2, (1, "a"), (2, "b"))
    assert group.core(1).committed == BEFORE_FIRST
    group.campaign(1)
    marker = group[1].log.content.units[-1]
    assert (marker.first, marker.term, marker.is_marker) == (2, 3, True)
    assert group.core(1).committed == 2
    assert group.core(2).committed == 2


def test_what_is_committed_is_so_when_the_entries_come_after_the_word() -> None:
    group = Group(THREE)
    group.bootstrap(1)
    group.wait_until_idle()
    group.propose(1, "a")
    held = [message for message in group.wire if isinstance(message, AppendEntries)]
    group.wire.clear()
    [late] = [message for message in held if message.target == 2]
    beat = Heartbeat(
        source=NodeId(1),
        target=NodeId(2),
        term=late.term,
        committed=late.entries[-1].last,
        sent=late.entries[-1].last,
        accepted=late.prev_index,
    )
    group.step(beat)
    assert group.core(2).committed == late.prev_index
    group.step(late)
    assert group.core(2).committed == late.entries[-1].last


def test_heartbeats_do_not_commit_what_is_not_known_to_match() -> None:
    group = Group(THREE)
    group.load(2, 2, (1, "a"), (2, "other"))
    beat = Heartbeat(
        source=NodeId(1),
        target=NodeId(2),
        term=Term(3),
        committed=RaftIndex(1),
        sent=RaftIndex(1),
        accepted=RaftIndex(1),
    )
    group.step(beat)
    assert group.core(2).committed == BEFORE_FIRST
