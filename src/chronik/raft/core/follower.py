"""The follower: takes entries from its leader, votes, and requests votes when it has no live leader."""

from chronik.raft.core import accepting
from chronik.raft.core.election_timer import ElectionTimer
from chronik.raft.core.messages import (
    AppendAccepted,
    AppendEntries,
    Heartbeat,
    HeartbeatReply,
    Message,
    RequestVote,
    RestartLog,
    TimeoutNow,
)
from chronik.raft.core.replica import Replica
from chronik.raft.core.role_state import RoleState
from chronik.raft.core.roles import BecomeCandidate, BecomePreCandidate, Role, Transition
from chronik.raft.core.types import RaftIndex
from chronik.raft.core.voting import answer_vote, request_pre_vote
from chronik.vocab.ids import NodeId
from chronik.vocab.invariant import invariant


class Follower(RoleState):
    """The state of followers and learners; a learner never requests votes."""

    role = Role.FOLLOWER

    def __init__(self, replica: Replica) -> None:
        super().__init__(replica)
        self._timer = ElectionTimer(replica.options, replica.randomness)
        # Invariant: committed <= _match <= last index. The log is the present leader's up to here.
        self._match = replica.committed
        # The leader's commit index, which may arrive before the entries. Leaders send it once.
        self._leader_committed = replica.committed
        # True if the leader sent a message, and nothing since then suggests that it may lead no more.
        self._is_heard = False

    @property
    def has_live_leader(self) -> bool:
        is_recent = self._timer.elapsed < self.replica.options.election_ticks
        return self.replica.leader is not None and is_recent and not self._timer.is_shortened

    @property
    def is_quiesced(self) -> bool:
        return self._is_heard and self.has_live_leader

    def tick(self) -> Transition | None:
        if self._timer.tick():
            if self.replica.may_campaign:
                return BecomePreCandidate()
            # A learner, or one that was removed, can only wait for a leader to speak to it again.
            self.replica.leader = None
            self._timer.reset()
        return None

    def on_message(self, message: Message) -> Transition | None:
        match message:
            case AppendEntries() | Heartbeat() | RestartLog():
                self._on_leader(message)
            case RequestVote():
                if answer_vote(self.replica, message):
                    self._timer.reset()
            case TimeoutNow():
                self._is_heard = False
                return BecomeCandidate(is_transfer=True) if self.replica.may_campaign else None
            case _:
                pass
        return None

    def on_peer_lost(self, node: NodeId) -> None:
        if node == self.replica.leader:
            self._timer.shorten(self.replica.turn)
            self._is_heard = False

    def on_peer_found(self, node: NodeId, *, is_restarted: bool) -> None:
        """A process that lived on may lead as before, and announces so at once if it does; a new one does
        not.
        """
        if node != self.replica.leader:
            return
        if is_restarted:
            self.on_peer_lost(node)
        else:
            self._timer.restore()

    def on_search(self, node: NodeId) -> None:
        """If this node is quiesced, its leader may have gone without a message. The leader answers if it
        still leads.
        """
        replica = self.replica
        if replica.options.is_quiescence_used and self.is_quiesced and replica.leader not in (None, node):
            replica.send(request_pre_vote(replica, replica.leader))
        self._is_heard = False
        self._timer.extend()

    def on_may_vote(self) -> Transition | None:
        """From now on this replica's log counts: the leader is sent its match again."""
        if self.replica.may_vote and self.replica.leader is not None:
            self._accepted(self.replica.leader, self._match)
        return None

    def on_append_failed(self) -> Transition | None:
        # Not even a truncation is sure to have happened.
        self._match = self.replica.committed
        return None

    def _on_leader(self, message: AppendEntries | Heartbeat | RestartLog) -> None:
        leader = self.replica.leader
        if leader != message.source:
            invariant(leader is None, "two leaders in term {}", message.term)
            self.replica.leader = message.source
        self._timer.reset()
        self._is_heard = True
        if isinstance(message, AppendEntries):
            self._on_append(message)
        elif isinstance(message, Heartbeat):
            self._on_heartbeat(message)
        else:
            accepting.restart(self.replica, message)
            self._accepted(message.source, self.replica.committed)

    def _on_append(self, message: AppendEntries) -> None:
        match = accepting.accept(self.replica, message)
        if match is None:
            self.replica.send(accepting.rejection(self.replica, message))
            return
        self._accepted(message.source, match)
        self._commit(message.committed)

    def _accepted(self, leader: NodeId, match: RaftIndex) -> None:
        self._match = max(self._match, match)
        replica = self.replica
        replica.send_after_persistence(
            AppendAccepted(
                source=replica.node,
                target=leader,
                term=replica.term,
                match=self._match,
                is_counted=replica.may_vote,
            )
        )

    def _on_heartbeat(self, message: Heartbeat) -> None:
        replica = self.replica
        self._commit(message.committed)
        if message.is_unanswered:
            return
        if self._match > message.accepted:
            self._accepted(message.source, self._match)
        replica.send(
            HeartbeatReply(
                source=replica.node,
                target=message.source,
                term=replica.term,
                match=self._match,
                sent=message.sent,
            )
        )

    def _commit(self, leader_committed: RaftIndex) -> None:
        self._leader_committed = max(self._leader_committed, leader_committed)
        self.replica.commit(min(self._leader_committed, self._match))
