"""The core's output: the work for its shell."""

from dataclasses import dataclass
from typing import NamedTuple

from chronik.raft.core.entries import Append
from chronik.raft.core.messages import Message
from chronik.raft.core.roles import Role
from chronik.raft.core.types import HardState, Membership, RaftIndex, Term
from chronik.vocab.ids import NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class LogStart:
    """The start of a log: after `index`, whose entry was of `term`."""

    index: RaftIndex
    term: Term
    membership: Membership
    # The payload of `RestartLog`.
    payload: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leadership:
    """This node's view of the leadership."""

    role: Role
    term: Term
    leader: NodeId | None


class Ready(NamedTuple):
    """One turn's work, to be done in the order of the fields; `RaftCore` has the rules."""

    # Drop the whole log and start again here; before anything else is written.
    restart: LogStart | None = None
    # Drop everything after this index; before `appends`. Invariant: not below what is committed.
    truncate_to: RaftIndex | None = None
    # Invariant: each starts where the one before it, or the log, ends.
    appends: tuple[Append, ...] = ()
    # Make it durable; None when it did not change.
    hard_state: HardState | None = None
    # May leave as soon as the log is written, before it is synced.
    messages: tuple[Message, ...] = ()
    # May leave when everything written up to and including this Ready, log and hard state, is durable. A
    # message whose target is this node itself is then given to `step`.
    messages_after_persistence: tuple[Message, ...] = ()
    # The last committed index; None when it did not move.
    committed: RaftIndex | None = None
    # The membership in force; None when it did not change.
    membership: Membership | None = None
    # None when neither role, term nor leader changed.
    leadership: Leadership | None = None
