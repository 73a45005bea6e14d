"""The pre-candidate: asks for pre-votes, so that a node that could not be elected disturbs no leader (thesis
9.6).
"""

from chronik.raft.core.election_timer import ElectionTimer
from chronik.raft.core.messages import (
    Message,
    PreVoteReply,
    RequestVote,
)
from chronik.raft.core.replica import Replica
from chronik.raft.core.role_state import RoleState
from chronik.raft.core.roles import BecomeCandidate, BecomeFollower, BecomePreCandidate, Role, Transition
from chronik.raft.core.voting import answer_vote, request_pre_vote
from chronik.vocab.ids import NodeId


class PreCandidate(RoleState):
    """Ends as candidate, or as follower of a live leader; otherwise asks again."""

    role = Role.PRE_CANDIDATE
    is_candidate = True

    def __init__(self, replica: Replica) -> None:
        super().__init__(replica)
        self._timer = ElectionTimer(replica.options, replica.randomness)
        self._granted: set[NodeId] = {replica.node}
        self._refused: set[NodeId] = set()

    def enter(self) -> Transition | None:
        replica = self.replica
        replica.leader = None
        for voter in replica.other_voters:
            replica.send(request_pre_vote(replica, voter))
        return self._count()

    def tick(self) -> Transition | None:
        if not self._timer.tick():
            return None
        return BecomePreCandidate() if self.replica.may_campaign else BecomeFollower(term=self.replica.term)

    def on_message(self, message: Message) -> Transition | None:
        """Also takes a granted PreVoteReply, whose term is the next one."""
        match message:
            case PreVoteReply():
                (self._granted if message.is_granted else self._refused).add(message.source)
                return self._count()
            case RequestVote() if answer_vote(self.replica, message):
                return BecomeFollower(term=self.replica.term)
            case _:
                return None

    def _count(self) -> Transition | None:
        membership = self.replica.memberships.current
        if membership.is_majority(frozenset(self._granted)):
            return BecomeCandidate()
        if membership.is_majority(frozenset(self._refused)):
            return BecomeFollower(term=self.replica.term)
        return None
