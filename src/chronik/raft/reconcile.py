"""Brings a partition's log and its markers together to one Raft log, when a replica is opened.

Records and markers are written to different files and synced together, so after a crash either may have more
than the other. Nothing was acknowledged that is not in both. The group keeps an order of writes by which each
disagreement can only have come about in one way:

* a truncation cuts the log, durably, before the markers, and after the store's bound of the log's end;
* a restart is durable in the store before the log is reset;
* a membership is durable before a batch that follows it is written;
* a leader start and the batches that follow it are acknowledged when both are durable;
* the log's front is durable no further than its records, and markers are forgotten after it.

Any state that these rules exclude was not caused by a crash: files were lost, and with them records that this
replica acknowledged.

For a partition's only replica the log is the authority: there the markers follow the log (`adopt`).
"""

from enum import Enum
from typing import NamedTuple

from chronik.log.partition_log import PartitionLog
from chronik.raft.core.types import (
    BEFORE_FIRST,
    NO_TERM,
    HardState,
    Membership,
    RaftIndex,
    Term,
)
from chronik.raft.group import GroupId
from chronik.raft.group_state import GroupState
from chronik.raft.markers import MarkerBase, MarkerRecord, Markers
from chronik.raft.state_store import StateStore
from chronik.vocab.ids import Offset
from chronik.vocab.invariant import invariant


class Finding(Enum):
    """What happened to a log since its replica was last open."""

    # Only unacknowledged records may be missing.
    SOUND = "sound"
    # A crash was in the middle of a restart by the leader, and the log is the one before it.
    RESTART_UNFINISHED = "restart unfinished"
    # It ends, or has other records, before an offset up to which it was durable.
    SHORTER = "shorter than it was"
    # It ends before the markers begin.
    BEFORE_MARKERS = "ends before its markers begin"
    # Records between its start and its end are damaged or missing.
    INCOMPLETE = "lacks records before its end"


class Reconciled(NamedTuple):
    """`end_offset`: up to where the log is as it was. `expected_offset`: up to where it was durable."""

    finding: Finding
    end_offset: Offset
    expected_offset: Offset

    @property
    def is_loss(self) -> bool:
        """True if files of the replica were lost, and the replica can go on with the rest."""
        return self.finding in (Finding.SHORTER, Finding.BEFORE_MARKERS)


def judge(log: PartitionLog, state: GroupState, *, may_be_incomplete: bool = False) -> Reconciled:
    """Classifies a log before anything is changed. The first row that applies, the first of all only if the
    log `may_be_incomplete`, which the caller then handles:

    | the log                                                          | finding            |
    | ---------------------------------------------------------------- | ------------------ |
    | lacks records before its end                                     | INCOMPLETE         |
    | is as it was up to an offset below the durable bound in the store | SHORTER            |
    | begins before the base at which a leader restarted it            | RESTART_UNFINISHED |
    | ends before the base                                             | BEFORE_MARKERS     |
    | any other                                                        | SOUND              |
    """
    base_offset = state.markers.base.offset
    contradiction = _first_contradiction(log, state.markers)
    end_offset = log.end_offset if contradiction is None else contradiction
    lacking = None if may_be_incomplete else _first_lacking(log, state)
    if lacking is not None:
        return Reconciled(Finding.INCOMPLETE, lacking, max(log.end_offset, state.log_end))
    if end_offset < state.log_end:
        return Reconciled(Finding.SHORTER, end_offset, state.log_end)
    if state.is_restarted and log.first_offset < base_offset:
        return Reconciled(Finding.RESTART_UNFINISHED, base_offset, base_offset)
    if log.end_offset < base_offset:
        return Reconciled(Finding.BEFORE_MARKERS, end_offset, base_offset)
    return Reconciled(Finding.SOUND, end_offset, state.log_end)


def reconcile(
    log: PartitionLog, store: StateStore, group: GroupId, *, may_be_incomplete: bool = False
) -> Reconciled:
    """Drops from `log` and from `group`'s markers whatever the other does not confirm. Called before the core
    is created.

    A loss is recorded: from now on the replica is another one to its group. Durable on return, because the
    core is created on it. An incomplete log is left unchanged, for it may be the last that has some of its
    records. Raises OSError.
    """
    state = store.get(group)
    invariant(state is not None, "no state of {}", group)
    assert state is not None
    found = judge(log, state, may_be_incomplete=may_be_incomplete)
    if found.finding is Finding.INCOMPLETE:
        return found
    base_offset = state.markers.base.offset
    is_another_log = found.end_offset < base_offset or (state.is_restarted and log.first_offset < base_offset)
    if found.is_loss:
        # First: records that are cut below were promised.
        store.record_loss(group, Offset(0) if is_another_log else found.end_offset)
        store.sync_now()
    if is_another_log or found.finding is Finding.RESTART_UNFINISHED:
        log.reset(base_offset)
    else:
        log.truncate(found.end_offset)
        # Records missing at the end come from the leader: they are reported as the loss, and are no damage of
        # this log.
        log.damages.forget_from(found.end_offset)
    store.truncate_markers(group, RaftIndex(state.markers.index_of(log.end_offset) - 1))
    store.rebase(group, state.markers.index_before(log.first_offset))
    store.sync_now()
    return found


def _first_lacking(log: PartitionLog, state: GroupState) -> Offset | None:
    """The first offset at which the log has nothing that can be read, before its end; None when it is whole,
    and where it is no log of this group's present records, which is dropped anyway.
    """
    base_offset = state.markers.base.offset
    if log.end_offset < base_offset or (state.is_restarted and log.first_offset < base_offset):
        return None
    # What lies before either of them was deleted.
    first = Offset(max(base_offset, log.recovery.log_start_offset))
    if first < log.first_offset:
        return first
    for damage in log.damages.known():
        if damage.is_loss and damage.end_offset > first and damage.first_offset < log.end_offset:
            return Offset(max(first, damage.first_offset))
    return None


def adopt(
    log: PartitionLog,
    store: StateStore,
    group: GroupId,
    membership: Membership,
    least_term: Term,
    revision: int = 0,
) -> Reconciled:
    """Like `reconcile`, for a partition's only replica: nothing in its log is dropped. Where the store does
    not match the log, or does not know the group, its state is derived from the log: after the store was
    lost, or for a log written by a release that kept no state for groups of one. No sync is needed,
    because until there is one the same result is derived again.

    `membership` names this replica as it is now, of `revision`: one that is known by another name, because
    the store was lost and its node is another to its peers, is described again, or it would not be alone.
    `least_term` is not below any term that clients have seen. Raises OSError.
    """
    state = store.get(group)
    expected = Offset(0) if state is None else state.log_end
    is_known = state is not None and state.markers.memberships()[-1][1] == membership
    if state is not None and is_known and log.end_offset >= expected and _is_borne_out(log, state.markers):
        store.rebase(group, state.markers.index_before(log.first_offset))
        return Reconciled(Finding.SOUND, log.end_offset, expected)
    adopted = _describe(log, membership, revision)
    known = HardState() if state is None else state.hard_state
    term = Term(max(known.term, least_term, log.latest_epoch))
    adopted.hard_state = known if term == known.term else HardState(term=term)
    adopted.losses = 0 if state is None else state.losses
    adopted.log_end = log.synced_offset
    store.replace(group, adopted)
    finding = Finding.SHORTER if log.end_offset < expected else Finding.SOUND
    return Reconciled(finding, log.end_offset, expected)


def _is_borne_out(log: PartitionLog, markers: Markers) -> bool:
    """True if the log has every entry that the markers name, in the terms they name."""
    last = markers.base.offset if markers.last is None else markers.last.offset
    return last <= log.end_offset and _first_contradiction(log, markers) is None


def _describe(log: PartitionLog, membership: Membership, revision: int) -> GroupState:
    """A state in which each epoch of the log begins with the start of a leader's term.

    The first epoch may be that of no term, and may have begun before the log does: the description begins
    after an entry of that epoch, so that a follower that lacks it is sent the log from there on.
    """
    if log.end_offset == 0:
        return GroupState(MarkerBase(BEFORE_FIRST, Offset(0), NO_TERM, membership, BEFORE_FIRST), revision)
    starts = log.epoch_starts()
    offset = starts[0].start_offset if starts else log.end_offset
    term = Term(starts[0].epoch if starts else NO_TERM)
    index = RaftIndex(offset)
    state = GroupState(MarkerBase(index, Offset(offset), term, membership, index), revision)
    for epoch, start in starts[1:]:
        at = Offset(start)
        state.markers.append(MarkerRecord(state.markers.index_of(at), at, Term(epoch)))
    return state


def _first_contradiction(log: PartitionLog, markers: Markers) -> Offset | None:
    """Returns the first record whose term differs from the markers'; None when all agree."""
    starts = log.epoch_starts()
    if not starts:
        # An empty log; one that had records and lost them all to retention keeps the last epoch.
        return None
    ends = [start.start_offset for start in starts[1:]] + [log.end_offset]
    for (epoch, start), end in zip(starts, ends, strict=True):
        # Records before the base are not described by markers, and are committed.
        first = Offset(max(start, markers.base.offset))
        if first >= end:
            continue
        index = markers.index_of(first)
        if markers.term_at(index) != epoch:
            return first
        later = markers.next_at_or_after(index)
        while later is not None and later.offset < end:
            if later.term != epoch:
                return later.offset
            later = markers.next_at_or_after(RaftIndex(later.index + 1))
    return None
