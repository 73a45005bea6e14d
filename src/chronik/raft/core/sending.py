"""A leader's side of replication (section 5.3): chooses the messages to a follower by its progress."""

from chronik.raft.core.entries import Entries
from chronik.raft.core.messages import AppendEntries, AppendRejected, Heartbeat, RestartLog
from chronik.raft.core.progress import Mode, Progress
from chronik.raft.core.replica import Replica
from chronik.raft.core.types import RaftIndex
from chronik.vocab.ids import NodeId


def send_to(replica: Replica, node: NodeId, progress: Progress) -> None:
    """Sends everything that may be sent to `node` now."""
    while not progress.is_paused:
        if progress.mode is Mode.RESTART or progress.next_index < replica.log.first_index:
            _send_restart(replica, node, progress)
        elif progress.next_index <= replica.log.last_index:
            entries = replica.log.slice(progress.next_index, replica.options.append_bytes_max)
            if entries is None:
                return
            _send_append(replica, node, progress, entries)
        elif progress.mode is Mode.PROBE:
            _send_append(replica, node, progress, ())
        else:
            return


def send_commit(replica: Replica, node: NodeId, progress: Progress) -> None:
    """Sends the commit index to `node`, if no entries carried it."""
    if progress.mode is Mode.REPLICATE and progress.commit_sent < replica.committed:
        send_heartbeat(replica, node, progress, is_unanswered=True)


def send_heartbeat(replica: Replica, node: NodeId, progress: Progress, *, is_unanswered: bool) -> None:
    replica.send(
        Heartbeat(
            source=replica.node,
            target=node,
            term=replica.term,
            committed=replica.committed,
            sent=RaftIndex(progress.next_index - 1),
            accepted=progress.match,
            is_unanswered=is_unanswered,
        )
    )
    progress.commit_sent = replica.committed


def next_probe(replica: Replica, rejected: AppendRejected) -> RaftIndex:
    """Goes back behind every entry of terms the follower lacks: one probe per term, not per entry.

    Always to where an entry begins. What the follower has at the hint ends an entry of its own log, but may
    be in the middle of one of this log if that is of an earlier term. Then the next probe is at this log's
    last entry of that term; the answer is the follower's last one of it.
    """
    log = replica.log
    nearest = min(rejected.hint_index, log.last_index)
    if nearest < log.first_index - 1:
        return RaftIndex(nearest + 1)
    term = log.term_at(nearest)
    if term < rejected.hint_term:
        return RaftIndex(log.last_at_most(term, log.last_index) + 1)
    match = log.last_at_most(rejected.hint_term, nearest)
    # Where this log starts, the follower has an entry of an earlier term: it must restart its own.
    is_other = log.term_at(match) > rejected.hint_term
    return match if is_other else RaftIndex(match + 1)


def _send_append(replica: Replica, node: NodeId, progress: Progress, entries: tuple[Entries, ...]) -> None:
    prev_index = RaftIndex(progress.next_index - 1)
    replica.send(
        AppendEntries(
            source=replica.node,
            target=node,
            term=replica.term,
            prev_index=prev_index,
            prev_term=replica.log.term_at(prev_index),
            entries=entries,
            committed=replica.committed,
        )
    )
    progress.commit_sent = replica.committed
    last = entries[-1].last if entries else prev_index
    progress.on_sent(last, sum(piece.size for piece in entries))


def _send_restart(replica: Replica, node: NodeId, progress: Progress) -> None:
    index = RaftIndex(replica.log.first_index - 1)
    replica.send(
        RestartLog(
            source=replica.node,
            target=node,
            term=replica.term,
            index=index,
            index_term=replica.log.term_at(index),
            membership=replica.memberships.committed(replica.committed),
        )
    )
    progress.on_restart_sent(index)
