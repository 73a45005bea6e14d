"""The operations of every role; each role overrides those that differ."""

from abc import ABC, abstractmethod
from typing import ClassVar

from chronik.raft.core.messages import Message
from chronik.raft.core.replica import Replica
from chronik.raft.core.roles import BecomeFollower, Role, Transition
from chronik.vocab.ids import NodeId


class RoleState(ABC):
    """A role in one term. Made by `core.RaftCore` at a transition, ends at the next; a method that returns a
    transition ends it.
    """

    role: ClassVar[Role]
    # True if it follows the leader of its term, once it knows one.
    is_candidate: ClassVar[bool] = False

    def __init__(self, replica: Replica) -> None:
        self.replica = replica

    @property
    def has_live_leader(self) -> bool:
        """True if it knows a living leader, and so refuses to elect another (section 6; thesis 4.2.3)."""
        return False

    @property
    def is_quiesced(self) -> bool:
        """True if there is nothing to do until an input other than `tick` (see `RaftOptions`)."""
        return False

    def enter(self) -> Transition | None:
        return None

    @abstractmethod
    def tick(self) -> Transition | None: ...

    @abstractmethod
    def on_message(self, message: Message) -> Transition | None:
        """Handles a message of the present term."""

    def on_persisted(self) -> Transition | None:
        """`replica.persisted` moved."""
        return None

    def on_append_failed(self) -> Transition | None:
        """The appends of the last Ready were not written."""
        return None

    def on_peer_lost(self, node: NodeId) -> None:
        """The connection to `node` broke; messages in flight to it may be lost."""
        return

    def on_peer_found(self, node: NodeId, *, is_restarted: bool) -> None:
        """There is a connection to `node`, or a new one."""
        return

    def on_search(self, node: NodeId) -> None:
        """`node` would campaign in a later term: it does not lead, and has no live leader."""
        return

    def on_may_vote(self) -> Transition | None:
        """`replica.may_vote` changed."""
        return None if self.replica.may_vote else BecomeFollower(term=self.replica.term)

    def flush(self) -> None:
        """Called before `Ready` is created: sends what can be sent."""
        return
