"""The candidate (section 5.2): votes for itself in a new term and requests the votes of the others."""

from chronik.raft.core.election_timer import ElectionTimer
from chronik.raft.core.messages import (
    Message,
    RequestVote,
    VoteReply,
)
from chronik.raft.core.replica import Replica
from chronik.raft.core.role_state import RoleState
from chronik.raft.core.roles import (
    BecomeCandidate,
    BecomeFollower,
    BecomeLeader,
    BecomePreCandidate,
    Role,
    Transition,
)
from chronik.raft.core.voting import answer_vote
from chronik.vocab.ids import NodeId


class Candidate(RoleState):
    """Its own vote counts, and the other votes are requested, once the vote is durable: a node that forgot
    its term in a crash must not be able to win that term with another log.
    """

    role = Role.CANDIDATE
    is_candidate = True

    def __init__(self, replica: Replica, origin: BecomeCandidate) -> None:
        super().__init__(replica)
        self._timer = ElectionTimer(replica.options, replica.randomness)
        self._origin = origin
        self._granted: set[NodeId] = set(origin.votes)
        self._refused: set[NodeId] = set()

    def enter(self) -> Transition | None:
        replica = self.replica
        term = replica.first_term if self._origin.is_first else replica.next_term
        replica.enter_term(term, replica.node)
        if self._origin.is_alone:
            return BecomeLeader(is_alone=True)
        replica.send_after_persistence(
            VoteReply(source=replica.node, target=replica.node, term=replica.term, is_granted=True)
        )
        for voter in replica.other_voters:
            if voter not in self._granted:
                self._ask(voter)
        return None

    def tick(self) -> Transition | None:
        if not self._timer.tick():
            return None
        return BecomePreCandidate() if self.replica.may_campaign else BecomeFollower(term=self.replica.term)

    def on_message(self, message: Message) -> Transition | None:
        match message:
            case VoteReply():
                (self._granted if message.is_granted else self._refused).add(message.source)
                return self._count()
            case RequestVote():
                answer_vote(self.replica, message)
                return None
            case _:
                return None

    def _ask(self, voter: NodeId) -> None:
        replica = self.replica
        replica.send_after_persistence(
            RequestVote(
                source=replica.node,
                target=voter,
                term=replica.term,
                last_index=replica.log.last_index,
                last_term=replica.log.last_term,
                is_transfer=self._origin.is_transfer,
            )
        )

    def _count(self) -> Transition | None:
        membership = self.replica.memberships.current
        if self.replica.node in self._granted and membership.is_majority(frozenset(self._granted)):
            return BecomeLeader()
        if membership.is_majority(frozenset(self._refused)):
            return BecomeFollower(term=self.replica.term)
        return None
