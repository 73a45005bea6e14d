"""Answers to vote and pre-vote requests; the same in every role."""

from chronik.raft.core.messages import PreVoteReply, RequestPreVote, RequestVote, VoteReply
from chronik.raft.core.replica import Replica
from chronik.vocab.ids import NodeId


def request_pre_vote(replica: Replica, target: NodeId) -> RequestPreVote:
    """Returns a pre-vote request for the next term."""
    return RequestPreVote(
        source=replica.node,
        target=target,
        term=replica.next_term,
        last_index=replica.log.last_index,
        last_term=replica.log.last_term,
    )


def answer_pre_vote(replica: Replica, request: RequestPreVote, *, has_live_leader: bool) -> None:
    """Answers by thesis 9.6: grants it to a candidate it would vote for, if it has no live leader. Promises
    nothing.
    """
    is_free = replica.may_vote and request.term > replica.term and not has_live_leader
    is_granted = is_free and _is_up_to_date(replica, request)
    replica.send(
        PreVoteReply(
            source=replica.node,
            target=request.source,
            term=request.term if is_granted else replica.term,
            is_granted=is_granted,
        )
    )


def answer_vote(replica: Replica, request: RequestVote) -> bool:
    """Sections 5.2 and 5.4.1, for a request of the present term. Whether it was granted."""
    is_free = replica.hard_state.voted_for in (None, request.source) and replica.leader is None
    is_granted = replica.may_vote and is_free and _is_up_to_date(replica, request)
    reply = VoteReply(source=replica.node, target=request.source, term=replica.term, is_granted=is_granted)
    if is_granted:
        replica.vote_for(request.source)
        replica.send_after_persistence(reply)
    else:
        replica.send(reply)
    return is_granted


def _is_up_to_date(replica: Replica, request: RequestPreVote | RequestVote) -> bool:
    """True if the candidate's log is at least as up to date as this node's (section 5.4.1)."""
    own = (replica.log.last_term, replica.log.last_index)
    return (request.last_term, request.last_index) >= own
