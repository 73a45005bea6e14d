"""Making a partition's log and its markers one Raft log again, when a replica is opened.

Records and markers are written to different files and synced together, so after a crash either may have more
than the other. Nothing was acknowledged that is not in both. What the group does keeps an order by which each
disagreement can only have come about in one way:

* a truncation cuts the log, durably, before the markers;
* a restart is durable in the store before the log is reset;
* a membership is durable before a batch that follows it is written;
* a leader start and the batches that follow it are acknowledged when both are durable;
* the log's front is durable no further than its records, and markers are forgotten after it.
"""

from chronik.log.partition_log import PartitionLog
from chronik.raft.core.types import RaftIndex
from chronik.raft.group_id import GroupId
from chronik.raft.markers import Markers
from chronik.raft.state_store import StateStore
from chronik.vocab.ids import Offset
from chronik.vocab.invariant import invariant


def reconcile(log: PartitionLog, store: StateStore, group: GroupId) -> None:
    """Drop from `log` and from `group`'s markers what the other does not bear out. Before its core is made.

    Durable when it returns, so that what the core is made on is. Raises OSError.
    """
    state = store.get(group)
    invariant(state is not None, "no state of {}", group)
    assert state is not None
    markers = state.markers
    base_offset = markers.base.offset
    if state.is_restarted and log.first_offset < base_offset:
        # The crash was in the middle of the restart.
        log.reset(base_offset)
    elif log.end_offset < base_offset:
        # No crash does this: the partition's files were lost, and with them what this replica acknowledged.
        store.set_wiped(group, is_wiped=True)
        store.sync_now()
        log.reset(base_offset)
    contradiction = _first_contradiction(log, markers)
    if contradiction is not None:
        log.truncate(contradiction)
    store.truncate_markers(group, RaftIndex(markers.index_of(log.end_offset) - 1))
    store.rebase(group, markers.index_before(log.first_offset))
    store.sync_now()


def _first_contradiction(log: PartitionLog, markers: Markers) -> Offset | None:
    """The first record that is not of the term which the markers say; None when all agree."""
    starts = log.epoch_starts()
    if not starts:
        # An empty log; one that had records and lost them all to retention keeps the last epoch.
        return None
    ends = [start.start_offset for start in starts[1:]] + [log.end_offset]
    for (epoch, start), end in zip(starts, ends, strict=True):
        # What is before the base is not described, and committed.
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
