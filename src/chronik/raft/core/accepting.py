"""A follower's side of replication (section 5.3): finds the new entries, and the ones they replace."""

from chronik.raft.core.entries import Entries
from chronik.raft.core.messages import AppendEntries, AppendRejected, RestartLog
from chronik.raft.core.ready import LogStart
from chronik.raft.core.replica import Replica
from chronik.raft.core.types import BEFORE_FIRST, RaftIndex
from chronik.vocab.invariant import invariant


def accept(replica: Replica, message: AppendEntries) -> RaftIndex | None:
    """Appends the entries that the log lacks. Returns the index up to which follower and leader are now known
    to have the same log; None if the logs differ before the entries.
    """
    if not _is_joined(replica, message):
        return None
    match = message.prev_index
    for entries in message.entries:
        first = _first_new(replica, entries)
        if first is not None:
            replica.append(entries, first)
        match = entries.last
    return match


def rejection(replica: Replica, message: AppendEntries) -> AppendRejected:
    """Names the last index at which the logs can match, so that the leader goes back by whole terms."""
    log = replica.log
    nearest = min(message.prev_index, log.last_index)
    hint = max(log.last_at_most(message.prev_term, nearest), replica.committed)
    return AppendRejected(
        source=replica.node,
        target=message.source,
        term=replica.term,
        prev_index=message.prev_index,
        hint_index=hint,
        hint_term=log.term_at(hint),
    )


def restart(replica: Replica, message: RestartLog) -> None:
    """Throw the log away for one that starts after `message.index`, unless it has that entry."""
    if message.index <= replica.committed:
        return
    if replica.log.has(message.index, message.index_term):
        replica.commit(message.index)
        return
    start = LogStart(
        index=message.index,
        term=message.index_term,
        membership=message.membership,
        payload=message.payload,
    )
    replica.log.restart(start)
    replica.memberships.restart(message.index, message.membership)
    # Nothing is durable until the shell reports that the restart itself is.
    replica.persisted = BEFORE_FIRST
    replica.commit(message.index)


def _is_joined(replica: Replica, message: AppendEntries) -> bool:
    """True if the log matches the leader's up to `prev_index`; up to the commit index it always does."""
    if message.prev_index > replica.committed:
        return replica.log.has(message.prev_index, message.prev_term)
    if message.prev_index >= replica.log.first_index - 1:
        invariant(
            replica.log.term_at(message.prev_index) == message.prev_term,
            "the leader's term at the committed {} is {}",
            message.prev_index,
            message.prev_term,
        )
    return True


def _first_new(replica: Replica, entries: Entries) -> RaftIndex | None:
    """Returns the first of `entries` that the log lacks or has with another term. Those before it are the
    same.
    """
    if entries.first > replica.log.last_index:
        return entries.first
    for first, last, term in entries.runs():
        known = min(last, replica.log.last_index)
        unsure = RaftIndex(max(first, replica.committed + 1))
        if known >= unsure and not replica.log.has(known, term):
            return replica.log.first_other(term, unsure, known)
        if known < last:
            return RaftIndex(known + 1)
    return None
