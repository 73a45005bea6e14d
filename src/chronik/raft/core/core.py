"""The core as its shell sees it: inputs, `Ready`, and the rules between them."""

from collections.abc import Mapping, Sequence
from typing import assert_never

from chronik.raft.core.candidate import Candidate
from chronik.raft.core.entries import Entries
from chronik.raft.core.follower import Follower
from chronik.raft.core.leader import Leader
from chronik.raft.core.log_view import LogView
from chronik.raft.core.memberships import Memberships
from chronik.raft.core.messages import (
    AppendEntries,
    Heartbeat,
    HeartbeatReply,
    Message,
    PreVoteReply,
    RequestPreVote,
    RequestVote,
    RestartLog,
    VoteReply,
)
from chronik.raft.core.options import RaftOptions
from chronik.raft.core.pre_candidate import PreCandidate
from chronik.raft.core.progress import FollowerState
from chronik.raft.core.ready import Leadership, Ready
from chronik.raft.core.replica import Replica
from chronik.raft.core.role_state import RoleState
from chronik.raft.core.roles import (
    TRANSITIONS,
    BecomeCandidate,
    BecomeFollower,
    BecomeLeader,
    BecomePreCandidate,
    Role,
    Transition,
)
from chronik.raft.core.tail import LogTail
from chronik.raft.core.types import (
    BEFORE_FIRST,
    FIRST_TERM,
    HardState,
    Membership,
    RaftIndex,
    Refusal,
    Refused,
    ReplicaId,
    Term,
)
from chronik.raft.core.voting import answer_pre_vote
from chronik.vocab.ids import NodeId
from chronik.vocab.invariant import invariant
from chronik.vocab.seams import Randomness


class RaftCore:
    """One node's replica of one group, from the opening of its log to its closing.

    The shell gives inputs, takes `ready`, and carries it out in the order of its fields:

    * Between two `ready` there may be any number of inputs. After a `ready`, its restart, truncation and
      appends are written to the log before the next input. If that fails, `on_append_failed` is the next.
    * `messages` leave after these writes, and need no sync. `messages_after_persistence` leave when
      everything handed out so far, log and hard state, is durable; those still held in a crash never do.
    * `on_persisted` reports how far the log is durable. A sync that began before a later truncation or
      restart must not be reported any more.
    * The log is durable up to its end when the core is created: recovery has synced what it found.
    * Peers that are not connected when the core is created are reported with `on_peer_lost`. With
      `RaftOptions.is_quiescence_used` everything depends on these reports: a connection loses nothing while
      it lives, and each one that ends is reported on both sides. A leader `resign`s before it is closed.
    """

    def __init__(
        self,
        *,
        node: NodeId,
        name: ReplicaId | None = None,
        options: RaftOptions,
        randomness: Randomness,
        log: LogView,
        hard_state: HardState,
        memberships: Sequence[tuple[RaftIndex, Membership]],
        committed: RaftIndex = BEFORE_FIRST,
        may_vote: bool = True,
        salt: int = 0,
        first_term: Term = FIRST_TERM,
    ) -> None:
        """`name`: this replica's name in memberships, if they mean it; None for any name they have for it.
        `memberships`: those in the log, after the one in force before its first entry, with their
        indexes. `committed`: a commit index known for certain, if only the log's beginning; one noted
        earlier must not have been beyond `persisted` then, or the log may have other entries there.
        `salt`: the same on all nodes and different between groups; see
        `RaftOptions.peer_lost_turn_ticks`. `first_term`: the same on all nodes; the term that
        `bootstrap` begins, in which no node campaigns.
        """
        tail = LogTail(log)
        known = max(committed, RaftIndex(tail.first_index - 1))
        invariant(known <= tail.last_index, "committed {} beyond the log's end {}", known, tail.last_index)
        self._replica = Replica(
            node=node,
            name=name,
            options=options,
            randomness=randomness,
            hard_state=hard_state,
            log=tail,
            memberships=Memberships(memberships),
            committed=known,
            may_vote=may_vote,
            salt=salt,
            first_term=first_term,
        )
        # Entries of a term may have reached the disk when the term itself had not. No vote was cast in it.
        self._replica.enter_term(max(hard_state.term, tail.last_term), None)
        self._role_state: RoleState = Follower(self._replica)
        # As reported by the last Ready.
        self._told_hard_state: HardState | None = hard_state
        self._told_committed = self._replica.committed
        self._told_membership: Membership | None = self._replica.memberships.current
        self._told_leadership: Leadership | None = self.leadership

    # Queries.

    @property
    def leadership(self) -> Leadership:
        return Leadership(role=self.role, term=self.term, leader=self._replica.leader)

    @property
    def leader(self) -> NodeId | None:
        """Whom this node follows in this term, itself when it leads."""
        return self._replica.leader

    @property
    def role(self) -> Role:
        return self._role_state.role

    @property
    def term(self) -> Term:
        return self._replica.term

    @property
    def hard_state(self) -> HardState:
        """Includes changes that the next `ready` hands out."""
        return self._replica.hard_state

    @property
    def committed(self) -> RaftIndex:
        """The last committed index."""
        return self._replica.committed

    @property
    def persisted(self) -> RaftIndex:
        """The last index that `on_persisted` reported as durable."""
        return self._replica.persisted

    @property
    def last_index(self) -> RaftIndex:
        """The end of the log, including the entries that the next `ready` hands out."""
        return self._replica.log.last_index

    @property
    def membership(self) -> Membership:
        return self._replica.memberships.current

    @property
    def membership_index(self) -> RaftIndex:
        """The index of the membership in force."""
        return self._replica.memberships.current_index

    @property
    def committed_membership(self) -> Membership:
        """The last one that is committed for sure."""
        return self._replica.memberships.certainly_committed(self._replica.committed)

    @property
    def may_vote(self) -> bool:
        """True if this replica remembers every promise it made as a member of this group.

        A replica on a wiped disk does not, though the group still counts it as a voter. It follows and
        catches up; but it neither votes nor campaigns, and marks each acceptance as not counting for a
        commit. Not voting would not be enough: to accept entries of a term is to promise that no later term
        was voted in. An entry that a leader commits with the acceptance of a node that forgot its vote for
        the next leader would be lost. That a leader counted the acceptances of the earlier incarnation is no
        worse than the loss of a disk after a commit; but the leader must forget them (`on_peer_found`), or it
        never sends those entries again.

        Set from `is_replica_committed`. A leader or candidate that loses its vote becomes a follower.
        """
        return self._replica.may_vote

    @may_vote.setter
    def may_vote(self, may_vote: bool) -> None:
        if may_vote != self._replica.may_vote:
            self._absorb_ready()
            self._replica.may_vote = may_vote
            self._change(self._role_state.on_may_vote())

    def is_replica_committed(self, own: ReplicaId) -> bool:
        """True if this node is a member by the last membership that is certainly committed, as `own`, or as a
        founder that the membership does not name: then the promises of an earlier replica of the node can
        do no harm any more. Changes only with `Ready.membership` and `Ready.committed`.

        It is not enough that the membership in force names it: unknown to this node, the leader that proposed
        that membership may have been replaced by one that the lost disk had voted for. Once committed by a
        majority that did not count this node, it has met every majority that did. The first membership of a
        group counts as committed, so it must name the replicas that existed when the group was created, also
        when it is given to a replica created later. A disk that returns after it was replaced is like a
        restored backup: it cannot know better, and no replica can detect it.

        The safe and live order for a leader is to make the voter a learner with its new directory, and a
        voter again when it has caught up: two memberships in a log prove even after a crash that the first is
        committed. A voter whose own log has only one of them cannot vote after a crash of all nodes, so the
        learner should be given both before.
        """
        invariant(own.node == self._replica.node, "a replica of node {} asks", own.node)
        certain = self.committed_membership
        return own.node in certain.members and certain.means(own)

    @property
    def is_quiesced(self) -> bool:
        """True if it need not be ticked (`RaftOptions.is_quiescence_used`)."""
        return self._role_state.is_quiesced

    @property
    def is_own_term_committed(self) -> bool:
        """True if it leads and has committed an entry of its own term, and so all that was before it."""
        return isinstance(self._role_state, Leader) and self._role_state.is_own_term_committed

    @property
    def is_alone(self) -> bool:
        """True if this replica is the only member, and surely so."""
        return self._replica.is_alone

    @property
    def is_term_open(self) -> bool:
        """False on a leader that has not written its term; see `lead_alone`."""
        return not isinstance(self._role_state, Leader) or self._role_state.is_term_open

    @property
    def transferring_to(self) -> NodeId | None:
        """The target of the leadership transfer in progress, if any; nothing can be proposed until it
        ends.
        """
        return self._role_state.transferring_to if isinstance(self._role_state, Leader) else None

    @property
    def followers(self) -> Mapping[NodeId, FollowerState]:
        """Empty unless this node leads."""
        return self._role_state.followers if isinstance(self._role_state, Leader) else {}

    # Inputs.

    def bootstrap(self, first_leader: NodeId) -> None:
        """Starts a new group: every replica is created as having voted for `first_leader` in the first term,
        which that node leads without an election once its own vote is durable. Never for a replica that
        ran before, unless it lost everything before any of it was durable. No-op for a replica that may
        not vote.
        """
        replica = self._replica
        if not replica.may_vote:
            return
        invariant(replica.hard_state == HardState(), "bootstrap in term {}", replica.term)
        invariant(replica.log.last_index == BEFORE_FIRST, "bootstrap of a log with entries")
        invariant(first_leader in replica.memberships.current.voters, "{} does not vote", first_leader)
        if first_leader == replica.node:
            self._change(BecomeCandidate(is_first=True, votes=frozenset(replica.other_voters)))
        else:
            replica.enter_term(replica.first_term, first_leader)

    def lead_alone(self) -> bool:
        """Leads at once if this node is the only member; must be the first input. Returns False, and does
        nothing, otherwise.

        All of the log is durable here, and no other node has a vote, so the log is committed. The vote need
        not be durable before it counts, because no other node could be elected in the same term: entries of
        the term are committed when the term is durable, too. `open_term` writes the term. Where that fails,
        for example because the disk is full, this node leads nevertheless: existing records can be read, and
        no entry carries a term that could come again after a crash.
        """
        replica = self._replica
        if not replica.is_alone or not replica.may_vote:
            return False
        invariant(self.role is Role.FOLLOWER, "it would lead alone as {}", self.role)
        replica.commit(replica.log.last_index)
        is_first = replica.hard_state == HardState() and replica.log.last_index == BEFORE_FIRST
        self._change(BecomeCandidate(is_alone=True, is_first=is_first))
        return True

    def resume_alone(self, start: RaftIndex, committed: RaftIndex) -> None:
        """Lead as its shell did by itself, before there was a core: in the present term, which it opened at
        `start`. The log is durable, or as good as, up to `committed`. The first input.
        """
        replica = self._replica
        replica.persisted = committed
        replica.commit(committed)
        invariant(replica.is_alone and replica.hard_state.voted_for == replica.node, "it does not lead")
        self._role_state = Leader(replica, is_alone=True, start=start)
        self._role_state.enter()

    def open_term(self) -> None:
        """Have the term and the marker that opens it written, if they are not: proposals come behind them."""
        self._absorb_ready()
        if not self.is_term_open:
            self._leader().open_term()

    def begin_own_appends(self) -> bool:
        """True if the shell may append record batches by itself, because this node leads alone, and the entry
        that opened its term and the membership in force are committed: the core would only count to one, and
        the commit of a membership is asked of the core. Until the shell ends this with
        `end_own_appends`, before any other input, it gives no input and takes no `ready`.
        """
        self._absorb_ready()
        role_state = self._role_state
        if not isinstance(role_state, Leader) or not self._replica.is_alone or self._replica.log.has_writes:
            return False
        is_settled = self._replica.memberships.current_index <= self._replica.committed
        return is_settled and role_state.has_committed_start

    def end_own_appends(self, committed: RaftIndex) -> None:
        """The log ends at its present end, all of the present term, durable (or counted as durable) up to
        `committed`.
        """
        replica = self._replica
        replica.log.follow()
        replica.persisted = max(replica.persisted, committed)
        replica.commit(committed)

    def tick(self) -> None:
        """One tick passed."""
        self._absorb_ready()
        self._change(self._role_state.tick())

    def step(self, message: Message) -> None:
        """A message came, or one to this node itself may now leave."""
        replica = self._replica
        if message.target != replica.node:
            invariant(False, "a message to {}", message.target)
        self._absorb_ready()
        replica.lost_peers.discard(message.source)
        if isinstance(message, RequestPreVote):
            self._on_pre_vote_request(message)
        elif message.term == replica.term or self._is_pre_vote(message):
            self._on_present_term(message)
        elif message.term > replica.term:
            self._on_later_term(message)
        else:
            self._on_earlier_term(message)

    def propose(self, *, count: int, payload: object, size: int) -> Entries:
        """Append whole record batches, which take `count` indexes and `size` bytes. Where they go and in
        which term; they are committed when `committed` reaches `last` while the term lasts.

        Raises Refused.
        """
        invariant(count > 0, "{} records", count)
        self._absorb_ready()
        return self._leader().propose(count, payload, size)

    def propose_membership(self, membership: Membership) -> Entries:
        """Change members; in force at once, settled when committed. Raises Refused."""
        self._absorb_ready()
        return self._leader().propose_membership(membership)

    def transfer_leadership(self, to: NodeId) -> None:
        """Transfers leadership to another voter, within an election timeout or not at all. Until it ends
        nothing can be proposed; earlier proposals are committed as usual. Raises Refused.
        """
        self._absorb_ready()
        self._leader().transfer_leadership(to)

    def resign(self) -> None:
        """Gives up leadership, whichever node follows; for a replica that cannot go on or is closed. No-op
        for a replica that does not lead.
        """
        self._absorb_ready()
        if isinstance(self._role_state, Leader):
            self._change(self._role_state.resign())

    def on_persisted(self, last_index: RaftIndex, term: Term) -> None:
        """Reports the log durable up to `last_index`, whose entry is of `term`."""
        self._absorb_ready()
        replica = self._replica
        if last_index > replica.persisted and replica.log.has(last_index, term):
            replica.persisted = last_index
            self._change(self._role_state.on_persisted())

    def on_peer_lost(self, node: NodeId) -> None:
        """The connection to `node` closed, or its heartbeats stopped. A leader sends nothing to it until
        `on_peer_found`, or until a message from it arrives.
        """
        self._absorb_ready()
        self._replica.lost_peers.add(node)
        self._role_state.on_peer_lost(node)

    def on_peer_found(self, node: NodeId, *, is_restarted: bool) -> None:
        """There is a connection to `node` (again). Messages sent before and not answered may be lost.

        `is_restarted`: the connection is to another incarnation of the process than the last reported one.
        That incarnation does not lead, and may have lost accepted entries if it acknowledges before it syncs.
        """
        self._absorb_ready()
        self._replica.lost_peers.discard(node)
        self._role_state.on_peer_found(node, is_restarted=is_restarted)

    def on_append_failed(self) -> None:
        """The last Ready was not, or not wholly, written. None of its messages has left.

        A leader steps down; proposals that it did not write count as never made. The rest of that Ready is
        handed out again. Not for a failed restart of the log: then the replica must be closed.
        """
        replica = self._replica
        replica.forget_unwritten()
        self._told_hard_state = self._told_membership = self._told_leadership = None
        self._told_committed = BEFORE_FIRST
        self._change(self._role_state.on_append_failed())

    @property
    def has_output(self) -> bool:
        """True if a tick led to anything; after other inputs `ready` is to be taken in any case."""
        replica, told = self._replica, self._told_leadership
        return bool(
            replica.messages
            or replica.messages_after_persistence
            or replica.log.has_writes
            or replica.hard_state is not self._told_hard_state
            or told is None
            or told.role is not self._role_state.role
            or told.leader != replica.leader
        )

    def ready(self) -> Ready:
        """Returns the work to do now; see the class."""
        self._absorb_ready()
        self._role_state.flush()
        replica = self._replica
        log, messages, held = replica.log, replica.messages, replica.messages_after_persistence
        restart, truncate_to, appends = log.take() if log.has_writes else (None, None, ())
        if messages:
            replica.messages = []
        if held:
            replica.messages_after_persistence = []
        return Ready(
            restart,
            truncate_to,
            appends,
            self._new_hard_state(),
            tuple(messages),
            tuple(held),
            self._new_committed(),
            self._new_membership(),
            self._new_leadership(),
        )

    # What of a Ready did change. Called once for each.

    def _new_hard_state(self) -> HardState | None:
        hard_state, told = self._replica.hard_state, self._told_hard_state
        if hard_state is told or hard_state == told or not self.is_term_open:
            return None
        self._told_hard_state = hard_state
        return hard_state

    def _new_committed(self) -> RaftIndex | None:
        committed = self._replica.committed
        if committed == self._told_committed:
            return None
        self._told_committed = committed
        return committed

    def _new_membership(self) -> Membership | None:
        membership, told = self._replica.memberships.current, self._told_membership
        if membership is told or membership == told:
            return None
        self._told_membership = membership
        return membership

    def _new_leadership(self) -> Leadership | None:
        replica, told = self._replica, self._told_leadership
        is_same_term = told is not None and told.term == replica.term and told.leader == replica.leader
        if told is not None and is_same_term and told.role is self._role_state.role:
            return None
        self._told_leadership = self.leadership
        return self._told_leadership

    # Terms.

    def _is_pre_vote(self, message: Message) -> bool:
        """True if it grants this node's own pre-vote request for the next term."""
        is_mine = self.role is Role.PRE_CANDIDATE and message.term == self._replica.next_term
        return is_mine and isinstance(message, PreVoteReply) and message.is_granted

    def _on_pre_vote_request(self, message: RequestPreVote) -> None:
        if message.term > self.term:
            self._role_state.on_search(message.source)
        answer_pre_vote(self._replica, message, has_live_leader=self._has_live_leader_against(message.source))

    def _has_live_leader_against(self, candidate: NodeId) -> bool:
        """True if it follows a live leader other than the candidate: a node that requests votes does not lead
        any more.
        """
        return self._role_state.has_live_leader and candidate != self._replica.leader

    def _on_present_term(self, message: Message) -> None:
        """Section 5.2: a candidate that receives a message of the term's leader follows it."""
        if self._role_state.is_candidate and _is_leaders(message):
            self._change(BecomeFollower(term=self.term, leader=message.source))
        self._change(self._role_state.on_message(message))

    def _on_later_term(self, message: Message) -> None:
        """Section 5.1: a node that sees a later term follows in it; but section 6: no vote against a live
        leader.
        """
        if isinstance(message, PreVoteReply) and message.is_granted:
            return
        is_election = isinstance(message, RequestVote) and not message.is_transfer
        if is_election and self._has_live_leader_against(message.source):
            return
        leader = message.source if _is_leaders(message) else None
        self._change(BecomeFollower(term=message.term, leader=leader))
        self._change(self._role_state.on_message(message))

    def _on_earlier_term(self, message: Message) -> None:
        """Section 5.1: rejected, with the present term. An old leader must be sent the new term even if no
        follower would vote for any candidate, or it would go on leading without followers forever.
        """
        replica = self._replica
        match message:
            case AppendEntries() | Heartbeat() | RestartLog():
                reply = HeartbeatReply(
                    source=replica.node,
                    target=message.source,
                    term=replica.term,
                    match=BEFORE_FIRST,
                    sent=BEFORE_FIRST,
                )
                replica.send(reply)
            case RequestVote():
                replica.send(
                    VoteReply(source=replica.node, target=message.source, term=replica.term, is_granted=False)
                )
            case _:
                pass

    # Roles.

    def _absorb_ready(self) -> None:
        """Called before an input: the last Ready was carried out."""
        replica = self._replica
        if replica.log.is_taken:
            replica.log.absorb_appended()
            replica.memberships.on_commit(replica.committed)

    def _leader(self) -> Leader:
        if not isinstance(self._role_state, Leader):
            raise Refused(Refusal.NOT_LEADER)
        return self._role_state

    def _change(self, transition: Transition | None) -> None:
        while transition is not None:
            role_state = self._make(transition)
            allowed = TRANSITIONS[self.role]
            invariant(role_state.role in allowed, "{} after {}", role_state.role, self.role)
            self._role_state = role_state
            transition = role_state.enter()

    def _make(self, transition: Transition) -> RoleState:
        replica = self._replica
        match transition:
            case BecomeFollower():
                replica.enter_term(transition.term, None)
                replica.leader = transition.leader
                return Follower(replica)
            case BecomePreCandidate():
                return PreCandidate(replica)
            case BecomeCandidate():
                return Candidate(replica, transition)
            case BecomeLeader():
                return Leader(replica, is_alone=transition.is_alone)
            case _:
                assert_never(transition)


def _is_leaders(message: Message) -> bool:
    """True if only the leader of its term sends it."""
    return isinstance(message, AppendEntries | Heartbeat | RestartLog)
