"""Each way in which a crash can leave a log and its markers apart, and what becomes of it."""

import asyncio
import copy
import errno
from collections.abc import Callable
from random import Random

import pytest

from chronik.log.partition_log import PartitionLog
from chronik.raft.core.types import BEFORE_FIRST, NO_TERM, Membership, RaftIndex, Term
from chronik.raft.group import GroupId
from chronik.raft.group_state import GroupState
from chronik.raft.markers import MarkerBase, MarkerRecord
from chronik.raft.reconcile import Finding, Reconciled, judge, reconcile
from chronik.raft.state_store import StateStore
from chronik.sim.disk import CrashDisk, PowerLost
from chronik.vocab.ids import LeaderEpoch, NodeId, Offset, TopicId
from chronik.vocab.invariant import InvariantViolation
from tests.support.manual_clock import ManualClock
from tests.unit.log.drivers import batch_of, open_log, sync

ALONE = Membership(voters=frozenset({NodeId(1)}))
THREE = Membership(voters=frozenset({NodeId(1), NodeId(2), NodeId(3)}))
BASE = MarkerBase(BEFORE_FIRST, Offset(0), NO_TERM, ALONE, BEFORE_FIRST)
GROUP = GroupId(TopicId(b"g" * 16), 0)


def start(index: int, offset: int, term: int) -> MarkerRecord:
    return MarkerRecord(RaftIndex(index), Offset(offset), Term(term))


def membership(index: int, offset: int, term: int) -> MarkerRecord:
    return MarkerRecord(RaftIndex(index), Offset(offset), Term(term), THREE)


class Room:
    """A replica on a disk."""

    def __init__(self) -> None:
        self.disk = CrashDisk()
        self.clock = ManualClock()
        self.log: PartitionLog = open_log(self.disk, self.clock)
        self.store = StateStore.open(self.disk)
        self.store.create(GROUP, BASE)

    @property
    def state(self) -> GroupState:
        state = self.store.get(GROUP)
        assert state is not None
        return state

    def write(self, *entries: MarkerRecord | int) -> None:
        """Markers, and batches of one epoch each with two records."""
        for entry in entries:
            if isinstance(entry, int):
                self.log.append([batch_of(2)], LeaderEpoch(entry))
            else:
                self.store.append_markers(GROUP, [entry])

    def reconcile(self) -> None:
        """As at the next start; nothing was lost but what a test took away."""
        sync(self.log, self.disk)
        self.disk.kill()
        self.log, self.store = open_log(self.disk, self.clock), StateStore.open(self.disk)
        reconcile(self.log, self.store, GROUP)
        assert not self.store.files_to_sync()

    def retain(self, offset: int) -> None:
        """Retention up to a segment that begins at `offset`, or before it."""
        self.log.advance_start(offset)
        asyncio.run(self.log.tidy())

    def content(self) -> tuple[int, int, list[MarkerRecord]]:
        return self.log.first_offset, self.log.end_offset, list(self.state.markers.records())


@pytest.fixture
def room() -> Room:
    return Room()


def test_what_agrees_is_left_alone(room: Room) -> None:
    entries = [start(0, 0, 1), membership(3, 2, 1), start(6, 4, 3)]
    room.write(entries[0], 1, entries[1], 1, entries[2], 3, 3)
    steps = room.store.written
    reconcile(room.log, room.store, GROUP)
    assert room.store.written == steps
    room.reconcile()
    assert room.content() == (0, 8, entries)


def test_several_leader_starts_without_records_between(room: Room) -> None:
    entries = [start(0, 0, 1), start(1, 0, 2), start(4, 2, 3), start(5, 2, 5), start(6, 2, 6)]
    room.write(*entries[:2], 2, *entries[2:4])
    room.write(5)
    room.log.truncate(2)
    room.write(entries[4])
    room.reconcile()
    assert room.content() == (0, 2, entries)


def test_a_restart_that_was_not_finished_is(room: Room) -> None:
    room.write(start(0, 0, 1), 1, 1)
    base = MarkerBase(RaftIndex(50), Offset(40), Term(7), THREE, RaftIndex(50))
    room.store.restart(GROUP, base)
    room.reconcile()
    assert room.content() == (40, 40, [])
    assert room.state.markers.base == base
    assert not room.state.losses


def test_a_restart_into_what_the_old_log_had(room: Room) -> None:
    room.write(start(0, 0, 1), *[1] * 30)
    room.store.restart(GROUP, MarkerBase(RaftIndex(11), Offset(9), Term(3), THREE, RaftIndex(11)))
    room.reconcile()
    assert room.content() == (9, 9, [])


def test_a_restart_that_was_finished_is_not_done_again(room: Room) -> None:
    room.store.restart(GROUP, MarkerBase(RaftIndex(50), Offset(40), Term(7), THREE, RaftIndex(50)))
    room.log.reset(40)
    room.write(7, start(53, 42, 8), 8)
    for _ in range(2):
        room.reconcile()
        assert room.content() == (40, 44, [start(53, 42, 8)])


def test_markers_behind_a_lost_tail_go(room: Room) -> None:
    room.write(start(0, 0, 1), 1, start(3, 2, 2), 2, start(6, 4, 3))
    room.log.truncate(2)
    room.reconcile()
    assert room.content() == (0, 2, [start(0, 0, 1), start(3, 2, 2)])


def test_batches_without_their_leader_start_go(room: Room) -> None:
    room.write(start(0, 0, 1), 1, 4, 4)
    room.reconcile()
    assert room.content() == (0, 2, [start(0, 0, 1)])


def test_so_do_those_behind_it_that_have_theirs(room: Room) -> None:
    room.write(start(0, 0, 1), 1, 4, start(5, 4, 5), 5)
    room.reconcile()
    assert room.content() == (0, 2, [start(0, 0, 1)])


def test_batches_before_their_leader_start_go(room: Room) -> None:
    # The start stood at 2 in the log that the batches are of; the markers are of another.
    room.write(start(0, 0, 1), 1, 3, start(5, 4, 3), 3)
    room.reconcile()
    assert room.content() == (0, 2, [start(0, 0, 1)])


def test_batches_of_an_earlier_term_than_the_markers_say_go(room: Room) -> None:
    # A truncation of the leader start, and the batch that took its place, of which only the batch is there.
    room.write(start(0, 0, 1), 1, start(3, 2, 2), 1)
    room.reconcile()
    assert room.content() == (0, 2, [start(0, 0, 1), start(3, 2, 2)])


def test_a_batch_across_a_leader_start_goes(room: Room) -> None:
    room.write(start(0, 0, 1), 1, start(4, 3, 2), 1)
    room.reconcile()
    assert room.content() == (0, 2, [start(0, 0, 1)])


def test_a_later_membership_is_no_contradiction(room: Room) -> None:
    room.write(start(0, 0, 1), 1, membership(3, 2, 1), 1, membership(6, 4, 1))
    room.reconcile()
    assert room.content() == (0, 4, [start(0, 0, 1), membership(3, 2, 1), membership(6, 4, 1)])


def test_nothing_is_left_of_a_log_whose_markers_are_lost(room: Room) -> None:
    room.write(1, 1)
    room.reconcile()
    assert room.content() == (0, 0, [])


def test_markers_follow_retention(room: Room) -> None:
    room.write(start(0, 0, 1), *[1] * 10, membership(21, 20, 1), start(22, 20, 2), *[2] * 10)
    sync(room.log, room.disk)
    room.retain(35)
    first = room.log.first_offset
    assert 20 < first <= 35
    room.reconcile()
    assert room.state.markers.base == MarkerBase(RaftIndex(first + 2), first, Term(2), THREE, RaftIndex(21))
    assert room.content() == (first, 40, [])


def test_markers_where_the_log_begins_stay(room: Room) -> None:
    room.write(start(0, 0, 1), *[1] * 10)
    room.log.roll()
    room.write(start(21, 20, 2))
    sync(room.log, room.disk)
    room.retain(20)
    room.reconcile()
    assert room.content() == (20, 20, [start(21, 20, 2)])
    assert room.state.markers.base == MarkerBase(RaftIndex(20), Offset(20), Term(1), ALONE, BEFORE_FIRST)


def test_records_before_the_base_stay_unless_it_is_a_restart(room: Room) -> None:
    room.write(start(0, 0, 1), *[1] * 10, start(21, 20, 2), 2)
    room.store.rebase(GROUP, RaftIndex(10))
    room.reconcile()
    assert room.content() == (0, 22, [start(21, 20, 2)])


def test_contradictions_before_the_base_are_none(room: Room) -> None:
    room.write(start(0, 0, 1), 1, start(3, 2, 2), 2, 2)
    room.store.rebase(GROUP, RaftIndex(5))
    room.reconcile()
    assert room.content() == (0, 6, [])


def test_a_partition_whose_files_were_lost_must_catch_up(room: Room) -> None:
    room.write(start(0, 0, 1), *[1] * 10, start(21, 20, 2), 2)
    room.store.rebase(GROUP, RaftIndex(10))
    room.log.delete()
    room.disk.kill()
    room.log = open_log(room.disk, room.clock)
    room.reconcile()
    assert room.state.losses == 1
    assert room.content() == (10, 10, [])
    assert room.state.markers.base.index == 10


# The rows of the table of `judge`: what happened, and what a start makes of it. Each log had ten
# records that the store knows of, unless said otherwise.


def as_it_was(room: Room) -> None:
    pass


def longer(room: Room) -> None:
    room.write(1)


def never_known(room: Room) -> None:
    room.store.lower_log_end(GROUP, Offset(0))
    room.log.truncate(4)


def lowered_before_a_truncation(room: Room) -> None:
    room.store.lower_log_end(GROUP, Offset(4))
    room.log.truncate(4)


def lowered_and_not_cut(room: Room) -> None:
    room.store.lower_log_end(GROUP, Offset(4))


def one_batch_short(room: Room) -> None:
    room.log.truncate(8)


def emptied(room: Room) -> None:
    room.log.truncate(0)


def without_directory(room: Room) -> None:
    room.log.delete()
    room.disk.kill()
    room.log = open_log(room.disk, room.clock)


def of_another_term(room: Room) -> None:
    room.log.truncate(6)
    room.write(4, 4)


def restarted_and_not_reset(room: Room) -> None:
    room.store.restart(GROUP, MarkerBase(RaftIndex(50), Offset(40), Term(7), THREE, RaftIndex(50)))


def restarted_inside(room: Room) -> None:
    room.store.restart(GROUP, MarkerBase(RaftIndex(7), Offset(6), Term(7), THREE, RaftIndex(7)))


def restarted_and_reset(room: Room) -> None:
    restarted_and_not_reset(room)
    room.log.reset(40)


def restarted_and_lost(room: Room) -> None:
    restarted_and_reset(room)
    room.store.raise_log_ends({GROUP: Offset(40)})
    without_directory(room)


def begun_later_and_lost(room: Room) -> None:
    room.store.lower_log_end(GROUP, Offset(0))
    room.store.rebase(GROUP, RaftIndex(5))
    without_directory(room)


@pytest.mark.parametrize(
    ("happen", "expected", "content", "losses"),
    [
        (as_it_was, Reconciled(Finding.SOUND, Offset(10), Offset(10)), (0, 10), 0),
        (longer, Reconciled(Finding.SOUND, Offset(12), Offset(10)), (0, 12), 0),
        (never_known, Reconciled(Finding.SOUND, Offset(4), Offset(0)), (0, 4), 0),
        (lowered_before_a_truncation, Reconciled(Finding.SOUND, Offset(4), Offset(4)), (0, 4), 0),
        (lowered_and_not_cut, Reconciled(Finding.SOUND, Offset(10), Offset(4)), (0, 10), 0),
        (one_batch_short, Reconciled(Finding.SHORTER, Offset(8), Offset(10)), (0, 8), 1),
        (emptied, Reconciled(Finding.SHORTER, Offset(0), Offset(10)), (0, 0), 1),
        (without_directory, Reconciled(Finding.SHORTER, Offset(0), Offset(10)), (0, 0), 1),
        (of_another_term, Reconciled(Finding.SHORTER, Offset(6), Offset(10)), (0, 6), 1),
        (
            restarted_and_not_reset,
            Reconciled(Finding.RESTART_UNFINISHED, Offset(40), Offset(40)),
            (40, 40),
            0,
        ),
        (restarted_inside, Reconciled(Finding.RESTART_UNFINISHED, Offset(6), Offset(6)), (6, 6), 0),
        (restarted_and_reset, Reconciled(Finding.SOUND, Offset(40), Offset(0)), (40, 40), 0),
        (restarted_and_lost, Reconciled(Finding.SHORTER, Offset(0), Offset(40)), (40, 40), 1),
        (begun_later_and_lost, Reconciled(Finding.BEFORE_MARKERS, Offset(0), Offset(5)), (5, 5), 1),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_a_start_makes_of_a_log(
    room: Room,
    happen: Callable[[Room], None],
    expected: Reconciled,
    content: tuple[int, int],
    losses: int,
) -> None:
    room.write(start(0, 0, 1), *[1] * 5)
    room.store.raise_log_ends({GROUP: Offset(10)})
    happen(room)
    assert judge(room.log, room.state) == expected
    room.reconcile()
    assert room.content()[:2] == content
    assert room.state.losses == losses
    # What is left is what is known from now on: nothing is lost again by the next start.
    room.reconcile()
    assert room.content()[:2] == content
    assert room.state.losses == losses


def test_a_loss_is_recorded_before_anything_is_cut(room: Room) -> None:
    """Else a start that is cut short there leaves a log that is short, and a store that agrees."""
    room.write(start(0, 0, 1), *[1] * 5)
    room.store.raise_log_ends({GROUP: Offset(10)})
    room.store.sync_now()
    of_another_term(room)
    sync(room.log, room.disk)
    for step in range(1, 40):
        disk = copy.deepcopy(room.disk)
        disk.kill()
        log, store = open_log(disk, room.clock), StateStore.open(disk)
        disk.lose_power_at(step)
        try:
            reconcile(log, store, GROUP)
        except PowerLost:
            disk.crash(Random(step))
            log, store = open_log(disk, room.clock), StateStore.open(disk)
            reconcile(log, store, GROUP)
        else:
            break
        state = store.get(GROUP)
        assert state is not None
        assert state.losses >= 1
    assert step > 2


def test_a_disk_that_fails_is_told(room: Room) -> None:
    room.write(1)
    room.disk.fail("truncate", ".log", OSError(errno.EIO, "input/output error"))
    with pytest.raises(OSError, match="input/output"):
        reconcile(room.log, room.store, GROUP)


def test_a_group_that_is_not_known(room: Room) -> None:
    with pytest.raises(InvariantViolation):
        reconcile(room.log, room.store, GroupId(GROUP.topic_id, 1))
