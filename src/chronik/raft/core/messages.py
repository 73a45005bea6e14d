"""Messages between the nodes of a group. All are values; the shell encodes them for the transport.

`term` is the sender's, except where noted. Messages may be lost, duplicated, delayed and reordered. Those
created for every produce are named tuples, which are several times faster to create.
"""

from dataclasses import dataclass
from typing import NamedTuple

from chronik.raft.core.entries import Entries
from chronik.raft.core.types import Membership, RaftIndex, Term
from chronik.vocab.ids import NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class _Message:
    source: NodeId
    target: NodeId
    term: Term


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestPreVote(_Message):
    """Pre-vote request; changes no node's state (thesis 9.6). `term` is the one the sender would campaign
    in.
    """

    last_index: RaftIndex
    last_term: Term


@dataclass(frozen=True, slots=True, kw_only=True)
class PreVoteReply(_Message):
    """`term` is the request's when granted, else the sender's."""

    is_granted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestVote(_Message):
    """Section 5.2."""

    last_index: RaftIndex
    last_term: Term
    # The leader itself requested this election, so its followers' live leader is no reason to refuse.
    is_transfer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteReply(_Message):
    is_granted: bool


class AppendEntries(NamedTuple):
    """Section 5.3. Without entries it probes whether the logs match, or announces a commit."""

    source: NodeId
    target: NodeId
    term: Term
    # Invariant: entries[0].first == prev_index + 1, each piece starts where the one before it ends.
    prev_index: RaftIndex
    prev_term: Term
    # The leader's, which may be beyond these entries.
    committed: RaftIndex
    entries: tuple[Entries, ...] = ()


class AppendAccepted(NamedTuple):
    """The sender's log is the leader's up to `match`, durably."""

    source: NodeId
    target: NodeId
    term: Term
    match: RaftIndex
    # False: the sender may not vote, and this counts for no commit (`RaftCore.may_vote`).
    is_counted: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendRejected(_Message):
    """The sender has no entry of that term at `prev_index`; the logs may match up to `hint_index`."""

    # The request's; by it the leader distinguishes an answer to its probe from an older one.
    prev_index: RaftIndex
    # Invariant: the sender's log has hint_term at hint_index, unless it starts behind it.
    hint_index: RaftIndex
    hint_term: Term


class Heartbeat(NamedTuple):
    source: NodeId
    target: NodeId
    term: Term
    committed: RaftIndex
    # The last index sent to this follower before.
    sent: RaftIndex
    # How far this follower accepted, for all the leader knows; if it did further, the answer was lost.
    accepted: RaftIndex
    # Only announces a commit.
    is_unanswered: bool = False


class HeartbeatReply(NamedTuple):
    """Also the answer to a leader of an old term, which takes the new term from it."""

    source: NodeId
    target: NodeId
    term: Term
    # The sender's log matches the leader's up to here, not necessarily durably: never counts for a commit,
    # only shows whether entries sent before the heartbeat were lost.
    match: RaftIndex
    # The heartbeat's.
    sent: RaftIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartLog(_Message):
    """The entries that the follower lacks are no longer in the leader's log: the follower drops its log and
    starts after `index`. Answered by AppendAccepted.

    Corresponds to section 7's InstallSnapshot. A shell with a state besides its log sends that along.
    """

    # Invariant: committed.
    index: RaftIndex
    index_term: Term
    # The last committed one; may be of a later index, and is then met again in the log.
    membership: Membership
    # The shell's, filled in when it sends this: where the log starts in offsets, and the state. Opaque here.
    payload: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeoutNow(_Message):
    """Leadership transfer (thesis 3.10): campaign at once."""


# What answers another message.
REPLIES = (PreVoteReply, VoteReply, AppendAccepted, AppendRejected, HeartbeatReply)

Message = (
    RequestPreVote
    | PreVoteReply
    | RequestVote
    | VoteReply
    | AppendEntries
    | AppendAccepted
    | AppendRejected
    | Heartbeat
    | HeartbeatReply
    | RestartLog
    | TimeoutNow
)
