"""The leader: appends, replicates, counts, and steps down when a majority is out of reach."""

from collections.abc import Iterable, Mapping

from chronik.raft.core.entries import Entries
from chronik.raft.core.memberships import majority_index
from chronik.raft.core.messages import (
    AppendAccepted,
    AppendEntries,
    AppendRejected,
    Heartbeat,
    HeartbeatReply,
    Message,
    RequestVote,
    RestartLog,
    TimeoutNow,
)
from chronik.raft.core.progress import FollowerState, Mode, Progress
from chronik.raft.core.replica import Replica
from chronik.raft.core.role_state import RoleState
from chronik.raft.core.roles import BecomeFollower, Role, Transition
from chronik.raft.core.sending import next_probe, send_commit, send_heartbeat, send_to
from chronik.raft.core.types import Membership, RaftIndex, Refusal, Refused
from chronik.raft.core.voting import answer_vote, request_pre_vote
from chronik.vocab.ids import NodeId
from chronik.vocab.invariant import invariant


class Leader(RoleState):
    """Lives from election to the end of the term, or until a majority no longer responds."""

    role = Role.LEADER

    def __init__(self, replica: Replica, *, is_alone: bool = False, start: RaftIndex | None = None) -> None:
        """`start`: where its term was opened, if it was."""
        super().__init__(replica)
        self._is_elected_alone = is_alone
        # Invariant: one for each other member of the membership in force.
        self._progress: dict[NodeId, Progress] = {}
        # Ticks since CheckQuorum last looked, and since the last heartbeat.
        self._check_elapsed = 0
        self._heartbeat_elapsed = 0
        # The marker that opens the term.
        self._start = RaftIndex(replica.log.last_index + 1) if start is None else start
        # Invariant: while it is false this node is alone, and all of its log is committed.
        self.is_term_open = start is not None
        # Target of the leadership transfer, and for how many ticks it has been tried. Invariant: another
        # voter.
        self._transfer_to: NodeId | None = None
        self._transfer_elapsed = 0
        self._is_told_to_time_out = False

    @property
    def has_live_leader(self) -> bool:
        return True

    @property
    def is_quiesced(self) -> bool:
        """True if all reachable followers have everything, and are a majority with this node. Without a
        majority, ticks let CheckQuorum end the leadership.
        """
        replica = self.replica
        last = replica.log.last_index
        if replica.committed != last or self._transfer_to is not None:
            return False
        for _, progress in self._reachable():
            if not progress.is_complete(last):
                return False
        return not self._is_cut_off()

    @property
    def is_own_term_committed(self) -> bool:
        """True if an entry of its own term is committed, or all that was there before it is in any case."""
        return self._is_elected_alone or self.has_committed_start

    @property
    def has_committed_start(self) -> bool:
        return self.replica.committed >= self._start

    @property
    def is_alone(self) -> bool:
        """True if this node leads without an election because no other node had a vote, and none has one
        since.
        """
        return self._is_elected_alone and self.replica.is_alone

    @property
    def transferring_to(self) -> NodeId | None:
        return self._transfer_to

    @property
    def followers(self) -> Mapping[NodeId, FollowerState]:
        lost = self.replica.lost_peers
        return {node: progress.state(is_lost=node in lost) for node, progress in self._progress.items()}

    def enter(self) -> Transition | None:
        replica = self.replica
        replica.leader = replica.node
        self._follow_membership()
        if not self._is_elected_alone:
            # Section 8: an entry of its own term lets it commit what earlier terms left.
            self.open_term()
        return None

    def open_term(self) -> None:
        """Append the marker that opens the term."""
        invariant(not self.is_term_open, "term {} is open", self.replica.term)
        self.is_term_open = True
        self.replica.append_own(1, marker=True, membership=None, payload=None, size=0)

    def tick(self) -> Transition | None:
        if self.replica.options.is_quiescence_used and self.is_quiesced:
            self._start_check()
            return None
        self._heartbeat_elapsed += 1
        if self._heartbeat_elapsed >= self.replica.options.heartbeat_ticks:
            self._heartbeat_elapsed = 0
            for node, progress in self._reachable():
                send_heartbeat(self.replica, node, progress, is_unanswered=False)
        self._tick_transfer()
        return self._tick_check()

    def on_message(self, message: Message) -> Transition | None:
        match message:
            case AppendAccepted() | AppendRejected() | HeartbeatReply():
                progress = self._progress.get(message.source)
                return None if progress is None else self._on_reply(message, progress)
            case RequestVote():
                answer_vote(self.replica, message)
            case AppendEntries() | Heartbeat() | RestartLog():
                invariant(False, "two leaders in term {}", message.term)
            case _:
                pass
        return None

    def on_persisted(self) -> Transition | None:
        return self._maybe_commit() if self.replica.persisted > self.replica.committed else None

    def on_append_failed(self) -> Transition | None:
        if not self.is_alone:
            return self.resign()
        # No other node could do better, and existing records can still be read.
        self.is_term_open = self.replica.log.last_index >= self._start
        return None

    def on_peer_lost(self, node: NodeId) -> None:
        progress = self._progress.get(node)
        if progress is not None:
            progress.on_lost()
        if node == self._transfer_to:
            self._transfer_to = None

    def on_peer_found(self, node: NodeId, *, is_restarted: bool) -> None:
        progress = self._progress.get(node)
        if progress is None:
            return
        progress.on_lost()
        if is_restarted:
            progress.forget_match()

    def on_search(self, node: NodeId) -> None:
        """`node` does not receive this leader's messages, perhaps because the group was long quiesced: send
        to it.
        """
        progress = self._progress.get(node)
        if progress is not None:
            progress.probe_again()

    def on_may_vote(self) -> Transition | None:
        return None if self.replica.may_vote else self.resign()

    def flush(self) -> None:
        replica = self.replica
        last = replica.log.last_index
        is_told_at_once = replica.options.is_commit_sent_at_once
        for node, progress in self._reachable():
            if progress.next_index <= last or progress.mode is not Mode.REPLICATE:
                send_to(replica, node, progress)
            if is_told_at_once and progress.commit_sent < replica.committed:
                send_commit(replica, node, progress)

    def propose(self, count: int, payload: object, size: int) -> Entries:
        if self._transfer_to is not None:
            raise Refused(Refusal.IS_TRANSFERRING)
        if not self.is_term_open:
            invariant(False, "a proposal before term {} is open", self.replica.term)
        return self.replica.append_own(count, marker=False, membership=None, payload=payload, size=size)

    def propose_membership(self, membership: Membership) -> Entries:
        if not self.is_term_open:
            self.open_term()
        refusal = self._refusal(membership)
        if refusal is not None:
            raise Refused(refusal)
        entries = self.replica.append_own(1, marker=True, membership=membership, payload=None, size=0)
        self._follow_membership()
        return entries

    def transfer_leadership(self, to: NodeId) -> None:
        if to == self.replica.node or to not in self.replica.memberships.current.voters:
            raise Refused(Refusal.NOT_A_VOTER)
        if to in self.replica.lost_peers:
            raise Refused(Refusal.NOT_CONNECTED)
        self._transfer_to = to
        self._transfer_elapsed = 0
        self._is_told_to_time_out = False
        self._maybe_transfer()

    def resign(self) -> Transition:
        """Gives up leadership; the best other voter is sent TimeoutNow. Quiesced followers must learn of it,
        too, and do by a pre-vote request, which no leader sends.
        """
        replica = self.replica
        reachable = [node for node, _ in self._reachable()]
        voters = [node for node in reachable if node in replica.memberships.current.voters]
        best = max(voters, key=self._match, default=None)
        for node in reachable:
            if node == best:
                self._send_timeout_now(node)
            elif replica.options.is_quiescence_used:
                replica.send(request_pre_vote(replica, node))
        return BecomeFollower(term=replica.term)

    def _reachable(self) -> Iterable[tuple[NodeId, Progress]]:
        lost = self.replica.lost_peers
        items = self._progress.items()
        return [item for item in items if item[0] not in lost] if lost else items

    def _refusal(self, membership: Membership) -> Refusal | None:
        replica = self.replica
        current = replica.memberships.current
        added = membership.voters - current.voters
        if self._transfer_to is not None:
            return Refusal.IS_TRANSFERRING
        if not membership.voters:
            return Refusal.NO_VOTERS
        if len(membership.voters ^ current.voters) > 1:
            return Refusal.MORE_THAN_ONE_VOTER
        if not self.has_committed_start or replica.memberships.current_index > replica.committed:
            return Refusal.CHANGE_PENDING
        return None if all(self._is_caught_up(node) for node in added) else Refusal.NOT_CAUGHT_UP

    def _is_caught_up(self, node: NodeId) -> bool:
        """True if all it lacks is on the way to it, which flow control bounds."""
        progress = self._progress.get(node)
        if progress is None or node in self.replica.lost_peers or progress.mode is not Mode.REPLICATE:
            return False
        return progress.next_index > self.replica.log.last_index

    def _follow_membership(self) -> None:
        """Have a progress for each member, and for no other."""
        replica = self.replica
        members = replica.memberships.current.members - {replica.node}
        next_index = RaftIndex(replica.log.last_index + 1)
        self._progress = {
            node: self._progress.get(node) or Progress(next_index, replica.options)
            for node in sorted(members)
        }

    def _on_reply(
        self, message: AppendAccepted | AppendRejected | HeartbeatReply, progress: Progress
    ) -> Transition | None:
        progress.is_active = True
        if isinstance(message, AppendAccepted):
            return self._on_accepted(message, progress)
        if isinstance(message, AppendRejected):
            progress.on_rejected(message.prev_index, next_probe(self.replica, message))
        else:
            progress.on_heartbeat_reply(message.match, message.sent)
        return None

    def _on_accepted(self, message: AppendAccepted, progress: Progress) -> Transition | None:
        last = self.replica.log.last_index
        if message.match > last:
            invariant(False, "{} accepted beyond {}", message.match, last)
        progress.on_accepted(message.match, is_counted=message.is_counted)
        self._maybe_transfer()
        return self._maybe_commit() if progress.counted_match > self.replica.committed else None

    def _maybe_commit(self) -> Transition | None:
        """Section 5.4.2: counting commits only entries of the present term, and with them all before."""
        replica = self.replica
        index = majority_index([self._match(node) for node in replica.memberships.current.voters])
        if index <= replica.committed or index < self._start:
            return None
        replica.commit(index)
        is_removed = replica.memberships.current_index <= index and not replica.is_voter
        return self._leave() if is_removed else None

    def _match(self, node: NodeId) -> RaftIndex:
        """The index that counts for a commit."""
        return self.replica.persisted if node == self.replica.node else self._progress[node].counted_match

    def _leave(self) -> Transition:
        """Thesis 4.2.2: a leader that was removed leads until its removal is committed, then hands over."""
        self.flush()
        return self.resign()

    def _maybe_transfer(self) -> None:
        to = self._transfer_to
        if to is None or self._is_told_to_time_out:
            return
        if self._progress[to].match == self.replica.log.last_index:
            self._is_told_to_time_out = True
            self._send_timeout_now(to)

    def _send_timeout_now(self, node: NodeId) -> None:
        replica = self.replica
        replica.send(TimeoutNow(source=replica.node, target=node, term=replica.term))

    def _tick_transfer(self) -> None:
        if self._transfer_to is not None:
            self._transfer_elapsed += 1
            if self._transfer_elapsed >= self.replica.options.election_ticks:
                self._transfer_to = None

    def _tick_check(self) -> Transition | None:
        """CheckQuorum (section 6.2 of the thesis): a leader that reaches no majority steps down. Lost
        followers send nothing, and no longer wait themselves before they elect another leader.
        """
        if self._is_cut_off():
            return BecomeFollower(term=self.replica.term)
        self._check_elapsed += 1
        if self._check_elapsed < self.replica.options.election_ticks:
            return None
        active = {node for node, progress in self._progress.items() if progress.is_active}
        if not self.replica.memberships.current.is_majority(frozenset(active | {self.replica.node})):
            return BecomeFollower(term=self.replica.term)
        self._start_check()
        return None

    def _is_cut_off(self) -> bool:
        """True if the connected nodes are no majority with this node."""
        replica = self.replica
        lost = replica.lost_peers
        return bool(lost) and not replica.memberships.current.is_majority(
            frozenset(self._progress.keys() - lost | {replica.node})
        )

    def _start_check(self) -> None:
        self._check_elapsed = 0
        for progress in self._progress.values():
            progress.is_active = False
