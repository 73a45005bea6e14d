"""One replica of a replicated partition: the pure core between its log, the syncs and the other nodes.

Created by the opener of the partition, given to the node's `raft.host.RaftHost`, which calls `step`, `tick`
and `run`. The results of all inputs in a turn of the loop are carried out at its end (`run`), so that many
proposals make one message to each follower, and one sync. Only a proposal is written at once, because its
producer receives the offset. The partition is notified (`raft.notifications`) from `run` only.

The only replica of a partition leads at once when it is opened, and counts to one without a core: it appends,
requests a sync, and has committed when that ends (`_is_appending_alone`). The core is created with the first
input of another kind.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from chronik.log.partition_log import AppendResult, LogFailed, PartitionLog
from chronik.log.reading import ColdRead, LogSlice
from chronik.raft.core.roles import Role
from chronik.raft.core.types import (
    BEFORE_FIRST,
    FIRST_TERM,
    NO_TERM,
    HardState,
    Membership,
    RaftIndex,
    Refusal,
    Refused,
    ReplicaId,
    Term,
)
from chronik.raft.group import GroupId, GroupListener, Replica
from chronik.raft.group_setting import GroupSetting, RestartHooks
from chronik.raft.markers import MarkerRecord, RestartPayload
from chronik.raft.notifications import ListenerNotifier
from chronik.raft.only_member import OnlyMember, is_only_member, next_own_term
from chronik.raft.own_replica import OwnReplica
from chronik.raft.persistence import FlushPolicy, Persistence
from chronik.raft.replicated_log import ReplicatedLog
from chronik.records.batch import Batch, stamp_batches
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import LeaderEpoch, NodeId, Offset
from chronik.vocab.invariant import InvariantViolation, invariant

if TYPE_CHECKING:
    # A node that has only replicas starts sooner without.
    from chronik.raft.core.core import RaftCore
    from chronik.raft.core.messages import Message
    from chronik.raft.core.ready import Ready
    from chronik.raft.follower_status import FollowerStatus
    from chronik.raft.group_state import GroupState

_log = logging.getLogger(__name__)

# A node whose log took no append, because its disk is full for example, does not campaign for this many
# election timeouts, unless it took one since: others can lead, and each try costs the group its leader.
_RESTING_ELECTIONS = 10

# A read that fails this often in a row fails for good: another replica with these records should lead.
_LOADS_MAX = 3


class ReplicatedGroup:
    """See the module. Implements `Group`, `persistence.Persisted` and `notifications.NotifyingGroup`."""

    def __init__(
        self,
        group_id: GroupId,
        log: PartitionLog,
        setting: GroupSetting,
        *,
        write_caching: FlushPolicy | None,
        hooks: RestartHooks | None = None,
        first_epoch: LeaderEpoch = FIRST_TERM,
        on_leader_found: Callable[[], None] | None = None,
    ) -> None:
        """The store knows the group, and agrees with the log (`raft.reconcile`). `first_epoch`: the one its
        designated leader leads without an election.

        `on_leader_found` is for a log that is incomplete: the replica is suspended, and sends nothing. It is
        called once, when the leader of its term or a later one sends something.
        """
        self.id = group_id
        self.first_epoch = first_epoch
        self._log = log
        self._setting = setting
        self._store = setting.store
        self._host = setting.host
        self._hooks = hooks
        self._on_leader_found = on_leader_found
        # Whether the log lacks records: this replica neither votes, accepts nor leads.
        self.is_suspended = on_leader_found is not None
        self._raft_log = ReplicatedLog(group_id, log, setting.store, self._load)
        self._own = OwnReplica(group_id, setting, self._raft_log.last_index)
        commits = setting.commits if hooks is None else setting.metadata_commits
        self._notifier = ListenerNotifier(self, log.start_offset, commits)
        self._persistence = Persistence(self, self._raft_log, setting.store, setting.syncer, write_caching)
        self._failed: OSError | None = None
        self._is_closed = False
        # Inputs other than proposals came since the last Ready.
        self._has_inputs = False
        # Proposals were written that no Ready has handed out yet.
        self._has_proposals = False
        # Proposals go past the core, if there is one, which receives them before its next input
        # (`RaftCore.begin_own_appends`), and are committed up to this offset.
        self._is_appending_alone = False
        self._own_committed = Offset(0)
        # The store's number of the record that has the term, written without a core.
        self._own_term_written = 0
        # Whether the core may allow that: as of its last leadership and membership.
        self._may_append_alone = False
        self._resting_ticks = 0
        # Term and vote could not be written: nothing of this replica leaves until they are.
        self._is_state_unwritten = False
        # Reads from the device that failed, since one went well.
        self._failed_loads = 0
        # The log start offset of the leader, by its last message.
        self._leader_log_start = 0
        # Invariant: it is the core until there is one, and None then.
        self._stand_in: OnlyMember | None = None
        self._following: FollowerStatus | None = None
        state = self._state
        memberships = state.markers.memberships()
        if is_only_member(self._own.id, memberships):
            self._stand_in = OnlyMember(memberships[-1][1], state.hard_state.term)
            # It answers all that is asked of it, and is given no input.
            self._core: RaftCore = cast("RaftCore", self._stand_in)
        else:
            self._make_core()
        # The members whose connections the host reports.
        self._reported_members = self._core.membership.members

    @property
    def _state(self) -> "GroupState":
        state = self._store.get(self.id)
        invariant(state is not None, "no state of {}", self.id)
        assert state is not None
        return state

    def _make_core(self) -> None:
        from chronik.raft.core.core import RaftCore
        from chronik.raft.follower_status import FollowerStatus

        setting, state = self._setting, self._state
        core = RaftCore(
            node=setting.node,
            name=self._own.id,
            options=setting.options,
            randomness=setting.randomness,
            log=self._raft_log,
            hard_state=state.hard_state,
            memberships=state.markers.memberships(),
            salt=self.id.topic_id[-1] + self.id.partition,
            first_term=self.first_epoch,
        )
        core.may_vote = self._own.may_vote(core)
        self._core, self._stand_in = core, None
        self._following = FollowerStatus(core, self._raft_log, setting)

    # Calls of the partition.

    @property
    def leader_epoch(self) -> LeaderEpoch:
        return self._core.term

    @property
    def is_leader(self) -> bool:
        if self._is_appending_alone:
            return True
        return self._core.role is Role.LEADER and self._failed is None and not self.is_suspended

    @property
    def is_own_term_committed(self) -> bool:
        return self._core.is_own_term_committed and self._failed is None and not self.is_suspended

    @property
    def known_leader(self) -> NodeId | None:
        return None if self.is_suspended else self._core.leader

    @property
    def high_watermark(self) -> Offset:
        return self._notifier.high_watermark

    @property
    def committed_offset(self) -> Offset:
        """The coming `high_watermark`; valid once pending writes are done."""
        if self._is_appending_alone:
            return self._own_committed
        committed = self._core.committed
        return self._raft_log.offset_after(committed) if committed > BEFORE_FIRST else Offset(0)

    @property
    def membership(self) -> Membership:
        return self._core.membership

    @property
    def is_membership_pending(self) -> bool:
        """Whether the membership in force is not known to be committed."""
        return self._core.membership_index > self._core.committed

    @property
    def is_handing_over(self) -> bool:
        return self._core.transferring_to is not None

    @property
    def members(self) -> frozenset[NodeId]:
        return self._core.membership.members

    @property
    def voters(self) -> frozenset[NodeId]:
        return self._core.membership.voters

    @property
    def role(self) -> Role:
        return self._core.role

    @property
    def voted_for(self) -> NodeId | None:
        """The candidate that this replica voted for in this term; None without one."""
        state = self._store.get(self.id)
        return None if state is None else state.hard_state.voted_for

    @property
    def losses(self) -> int:
        """How often files of this replica were lost."""
        return self._own.losses

    @property
    def directory(self) -> str:
        """The name of this replica's files in memberships; see `raft.directories`."""
        return self._own.directory

    @property
    def replica_id(self) -> ReplicaId:
        """The name of this replica in memberships."""
        return self._own.id

    @property
    def is_named(self) -> bool:
        """True if the membership in force names this replica, and its files."""
        return self._own.is_named(self._core.membership)

    @property
    def has_vote(self) -> bool:
        """True if this replica's vote counts: a learner, and one that lost files, has none."""
        return (
            not self.is_suspended
            and self._core.may_vote
            and self._setting.node in self._core.membership.voters
        )

    @property
    def synced_offset(self) -> Offset:
        """Exclusive bound of the records that are durable here."""
        return self._log.synced_offset

    @property
    def is_quiesced(self) -> bool:
        if self.is_suspended or self._failed is not None or self._is_appending_alone:
            return True
        return self._core.is_quiesced

    @property
    def is_alone(self) -> bool:
        """True if the partition has no other replica."""
        return self._core.is_alone

    def refusal(self) -> KafkaError:
        """See `raft.group.Group.refusal`."""
        if self._failed is not None:
            return KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"the log failed: {self._failed}")
        return KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER)

    def listen(self, listener: GroupListener) -> None:
        """Sets the listener; once, before the host knows the group."""
        self._notifier.listener = listener

    def bootstrap(self, first_leader: NodeId) -> None:
        """Begin as a new group: see `RaftCore.bootstrap`. Nothing for a replica on a replaced disk."""
        if self._core.may_vote:
            self._input()
            self._core.bootstrap(first_leader)

    def lead_alone(self) -> bool:
        """Lead at once where this is the only replica; before anything else. False where it is not.

        All of the log is durable, and nobody else has a vote, so it is committed. Nor need this replica's own
        vote be durable before it counts: what is written in the term is committed when the term is durable,
        too. Where it cannot be written, because the disk is full for example, this node leads nevertheless:
        what is there can be read, and nothing bears a term that a crash could have come again.
        """
        stand_in, log = self._stand_in, self._raft_log
        if stand_in is None:
            return False
        last_term = log.term_at(log.last_index)
        is_empty = log.last_index == BEFORE_FIRST
        hard_state = self._state.hard_state
        term = next_own_term(hard_state, last_term, self.first_epoch, is_empty=is_empty)
        stand_in.lead(self._setting.node, term)
        self._own_committed = self._notifier.high_watermark = self._log.end_offset
        self._is_appending_alone = self._is_state_unwritten = True
        with suppress(OSError):
            self._write_own_term()
        self._host.mark(self)
        return True

    def _write_own_term(self) -> None:
        """The term, and the marker that opens it. Raises OSError."""
        store, log, term = self._store, self._raft_log, self._core.term
        try:
            if log.term_at(log.last_index) != term:
                start = MarkerRecord(RaftIndex(log.last_index + 1), self._log.end_offset, term)
                store.append_markers(self.id, [start])
            store.set_hard_state(self.id, HardState(term=term, voted_for=self._setting.node))
        except OSError as error:
            if store.failure is not None:
                self.fail(error)
            raise
        self._is_state_unwritten = False
        self._own_term_written = store.written
        self._persistence.on_own_term_written()

    def set_write_caching(self, policy: FlushPolicy | None) -> None:
        """Change the promise for records proposed from now on; earlier ones are synced at once."""
        self._persistence.set_write_caching(policy)

    def propose(self, batches: Sequence[Batch]) -> AppendResult:
        """See `raft.group.Group.propose`."""
        try:
            if self._is_appending_alone:
                if self._is_state_unwritten:
                    self._write_own_term()
                return self._append_alone(batches)
            if self._has_inputs or self._is_state_unwritten:
                # Its pending writes come first.
                self._run_core()
            if self._failed is not None or self.is_suspended:
                raise self.refusal()
            if self._is_state_unwritten and self.is_leader:
                raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, "the leader epoch could not be written")
            return self._append_alone(batches) if self._is_appending_alone else self._propose(batches)
        except OSError as error:
            message = f"the leader epoch could not be written: {error}"
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, message) from error
        except InvariantViolation as violation:
            _log.critical(
                "replica stopped: an unexpected error; restart this node",
                extra={"group": str(self.id)},
                exc_info=violation,
            )
            self.fail(OSError(f"an invariant is violated: {violation}"))
            raise self.refusal() from violation

    def _propose(self, batches: Sequence[Batch]) -> AppendResult:
        core, log = self._core, self._log
        stamped = stamp_batches(batches, log.end_offset, core.term)
        try:
            core.propose(count=stamped.records, payload=stamped.buffers, size=stamped.size)
        except Refused as refused:
            raise KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER, str(refused)) from refused
        try:
            result = log.append(batches, core.term, stamped)
        except OSError as error:
            self._on_append_failed(error)
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"append failed: {error}") from error
        self._persistence.on_proposed(stamped.size)
        self._has_proposals = True
        self._notifier.on_proposed(result.end_offset)
        self._host.mark(self)
        return result

    def _append_alone(self, batches: Sequence[Batch]) -> AppendResult:
        try:
            result = self._log.append(batches, self._core.term)
        except OSError as error:
            # Nothing was appended. A full disk may have room again later, so this replica goes on.
            if self._log.is_failed:
                self.fail(error)
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"append failed: {error}") from error
        if self._persistence.on_appended_alone(result.size):
            # The proposer sees it in `high_watermark`, other waiters are notified at the end of this turn.
            self._own_committed = self._notifier.high_watermark = result.end_offset
            self._host.mark(self)
        return result

    def sync_soon(self) -> None:
        """See `raft.group.Group.sync_soon`."""
        self._persistence.sync_soon()

    def on_tidied(self) -> None:
        """See `raft.group.Group.on_tidied`."""
        state, first = self._store.get(self.id), self._raft_log.first_index
        if self._failed is None and not self._is_closed and state is not None and len(state.markers):
            self._store.rebase(self.id, RaftIndex(first - 1))

    def lagging(self) -> frozenset[NodeId]:
        """See `raft.group.Group.lagging`."""
        return frozenset() if self._following is None else self._following.lagging()

    def replicas(self) -> Sequence[Replica]:
        """See `raft.group.Group.replicas`."""
        if not self.is_leader:
            return ()
        if self._following is None:
            now_ms = self._setting.clock.monotonic_ms()
            return (Replica(self._setting.node, True, self._log.end_offset, now_ms, now_ms),)
        return self._following.replicas()

    def transfer(self, to: NodeId) -> None:
        """See `raft.group.Group.transfer`."""
        if self._failed is not None:
            raise self.refusal()
        if self._stand_in is not None:
            raise KafkaError(ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE, "this node has the only replica")
        self._input()
        try:
            self._core.transfer_leadership(to)
        except Refused as refused:
            is_other = refused.reason is Refusal.NOT_A_VOTER
            code = ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE if is_other else ErrorCode.NOT_LEADER_OR_FOLLOWER
            raise KafkaError(code, str(refused)) from refused
        self._notifier.transfer_target = to

    def suspend(self, on_leader_found: Callable[[], None]) -> bool:
        """Gives up leadership, and takes no part in the group: the log was found to be incomplete. See
        `__init__`.

        Returns False, and does nothing, while the other connected voters with all committed records are no
        majority: the records that this replica can serve would not be served at all.
        """
        if not self.is_leader or self.is_alone:
            return False
        committed = self._core.committed
        # A suspended one has accepted nothing in this term, however short that is.
        others = frozenset(
            node
            for node, state in self._core.followers.items()
            if state.is_counted and not state.is_lost and state.match >= committed
        )
        if committed == BEFORE_FIRST or not self.membership.is_majority(others):
            return False
        self._run_core()
        self._abdicate()
        # From now on it accepts nothing: the next leader must not count on records that are set aside.
        self.is_suspended, self._on_leader_found = True, on_leader_found
        self._persistence.end(LogFailed("the log lacks records"))
        self._host.mark(self)
        return True

    def propose_membership(self, membership: Membership) -> bool:
        """True if it is in the log now; it is not while another change, or the start of the term, is not
        committed, or a new voter lacks more than is on its way to it.
        """
        if self._failed is not None:
            return False
        self._input()
        try:
            self._core.propose_membership(membership)
        except Refused:
            return False
        return True

    def expect(self, replicas: frozenset[NodeId]) -> None:
        """The partition's replicas, of which some may not be members yet: they are not in sync."""
        if self._following is None:
            if replicas <= self.members:
                return
            self._input()
        invariant(self._following is not None, "no core of {}", self.id)
        assert self._following is not None
        self._following.expect(replicas)

    def has_membership(self, node: NodeId) -> bool:
        """On the leader: True if `node` has the membership in force in its log, durably."""
        return self._following is not None and self._following.has_membership(node)

    # The host's side.

    @property
    def elections(self) -> int:
        """How often this replica became leader by an election."""
        return self._notifier.elections

    @property
    def leader_changes(self) -> int:
        """How often it saw a leader other than the last one."""
        return self._notifier.leader_changes

    @property
    def handed_over(self) -> int:
        """How often its leadership was transferred to the requested target."""
        return self._notifier.handed_over

    @property
    def laggards(self) -> frozenset[NodeId]:
        """The result of the last `look_for_laggards`."""
        return frozenset() if self._following is None else self._following.laggards

    def look_for_laggards(self) -> bool:
        """Called periodically; True if the set of in-sync replicas changed."""
        return self._following is not None and self.is_leader and self._following.look()

    def on_leader_changed(self) -> None:
        """See `raft.notifications.NotifyingGroup`."""
        if self._following is not None:
            self._following.begin_term()

    def step(self, message: "Message", log_start: int) -> None:
        """A message of another node, with the leader's log start where it sends one."""
        if self.is_suspended:
            self._step_suspended(message)
            return
        if self._has_proposals:
            # A truncation requires that all proposals are handed out.
            self._run_core()
        if self._failed is not None:
            return
        self._input()
        self._core.step(message)
        if log_start > self._leader_log_start:
            self._leader_log_start = log_start

    def _step_suspended(self, message: "Message") -> None:
        from chronik.raft.core.messages import AppendEntries, Heartbeat, RestartLog

        is_leaders = isinstance(message, AppendEntries | Heartbeat | RestartLog)
        # A leader of an earlier term may lack records that this replica accepted since.
        if is_leaders and message.term >= self._core.term and self._on_leader_found is not None:
            on_leader_found, self._on_leader_found = self._on_leader_found, None
            on_leader_found()

    def tick(self) -> None:
        if self._failed is not None or self.is_suspended or self._is_appending_alone:
            return
        if self._resting_ticks > 0:
            self._resting_ticks -= 1
            if self._is_state_unwritten and self._resting_ticks % self._setting.options.election_ticks == 0:
                self._input()
            if not self.is_leader:
                return
        self._core.tick()
        if self._core.has_output:
            # Most ticks only count: thousands of groups that wait for one answer must not be run for each.
            self._input()

    def campaign_soon(self) -> None:
        """Ends a follower's wait for a leader, and for answers. No effect while the others have a live
        leader: a pre-vote comes first.
        """
        if self.known_leader is None and self._failed is None and not self.is_suspended:
            self._input()
            for _ in range(2 * self._setting.options.election_ticks):
                if self._core.role in (Role.FOLLOWER, Role.PRE_CANDIDATE):
                    self._core.tick()

    def on_peer_lost(self, node: NodeId) -> None:
        if self._failed is None and not self.is_suspended:
            self._input()
            self._core.on_peer_lost(node)

    def on_peer_found(self, node: NodeId, *, is_restarted: bool) -> None:
        if self._failed is None and not self.is_suspended:
            self._input()
            self._core.on_peer_found(node, is_restarted=is_restarted)

    def on_loaded(self, read: LogSlice) -> None:
        """The result of `GroupHost.load`."""
        self._failed_loads = 0
        self._raft_log.on_loaded(read)
        self._input()

    def on_load_failed(self, error: OSError, *, is_gone: bool) -> None:
        """`is_gone`: retention was faster; otherwise the log is damaged or its device. A follower that
        still lacks the records causes another load.
        """
        self._raft_log.on_loaded(None)
        self._failed_loads += not is_gone
        if self._failed_loads >= _LOADS_MAX:
            self.fail(error)
        else:
            self._input()

    def run(self) -> None:
        """Carries out the results of this turn's inputs, and notifies the partition."""
        if self._is_closed:
            return
        is_run = not self.is_suspended and not self._is_appending_alone and self._stand_in is None
        if self._failed is None and is_run:
            self._run_core()
        if self._failed is not None:
            self._notifier.notify_failure(self._failed)
            return
        if self._leader_log_start > self._log.start_offset and not self.is_suspended:
            self._follow_log_start()
        self._notifier.tell()

    def resign(self) -> None:
        """Gives up leadership, because the node stops: other replicas are notified at the end of this
        turn. `close` follows in a later one.
        """
        if self._failed is None and not self._is_closed and not self.is_suspended and not self._core.is_alone:
            self._input()
            self._core.resign()

    def close(self) -> None:
        """Stop for good: no more messages, no more syncs; the log's owner syncs it when it closes the log."""
        self._is_closed = True
        self._persistence.end(LogFailed("the log is closed"))

    def fail(self, error: OSError) -> None:
        """The log, or this code, cannot be trusted any more."""
        if self._failed is None and not self._is_closed:
            self._abdicate()
            self._is_appending_alone = False
            self._failed = error
            self._log.fail(error)
            self._persistence.end(error)
            self._host.mark(self)

    # What became durable.

    def on_round_end(self) -> None:
        """See `raft.persistence.Persisted`."""
        self._input()

    def on_persisted(self, last_index: RaftIndex, term: Term) -> None:
        """See `raft.persistence.Persisted`."""
        self._has_inputs = True
        self._core.on_persisted(last_index, term)

    def on_own_synced(self, end_offset: Offset) -> bool:
        """See `raft.persistence.Persisted`."""
        if self._is_appending_alone and end_offset > self._own_committed:
            self._own_committed = end_offset
            self._notifier.notify_commit(end_offset)
        return self._is_appending_alone

    def release(self, messages: "Sequence[Message]") -> None:
        """See `raft.persistence.Persisted`."""
        for message in messages:
            if message.target == self._setting.node:
                self._has_inputs = True
                self._core.step(message)
            else:
                self._send(message)

    def on_sync_failed(self, error: OSError) -> None:
        """See `raft.persistence.Persisted`."""
        self.fail(error)

    # Carrying out.

    def _input(self) -> None:
        if self._is_appending_alone or self._stand_in is not None:
            self._end_appending_alone()
        self._has_inputs = True
        self._host.mark(self)

    def _end_appending_alone(self) -> None:
        """The core takes over, and is told of what went past it."""
        was_leading, self._is_appending_alone = self._is_appending_alone, False
        stand_in = self._stand_in
        if stand_in is not None:
            self._make_core()
            if was_leading and not self._is_state_unwritten:
                markers = self._state.markers
                found, base = markers.leader_start(stand_in.term), markers.base
                invariant(found or base.term == stand_in.term, "term {} was not opened", stand_in.term)
                # Retention may have reached it.
                start = base.index if found is None else found.index
                committed = self._raft_log.last_before(self._own_committed)
                if self._store.synced < self._own_term_written:
                    committed = min(committed, RaftIndex(start - 1))
                self._core.resume_alone(start, committed)
            elif was_leading:
                # `_run_core` has its term written.
                self._core.lead_alone()
        elif was_leading:
            self._core.end_own_appends(self._raft_log.last_before(self._own_committed))

    def _run_core(self) -> None:
        """Runs until the core has no more output."""
        if self._is_state_unwritten and self._core.role is Role.LEADER:
            # Only one that is alone leads nevertheless.
            self._core.open_term()
        while True:
            self._has_inputs = self._has_proposals = False
            try:
                ready = self._core.ready()
            except (OSError, KafkaError) as error:
                # The records that a follower lacks cannot be read here.
                self.fail(error if isinstance(error, OSError) else OSError(str(error)))
                return
            if not self._carry_out(ready):
                return
            if not self._has_inputs:
                break
        if self._may_append_alone and self._core.begin_own_appends():
            self._own_committed = self._raft_log.offset_after(self._core.committed)
            self._is_appending_alone = True

    def _carry_out(self, ready: "Ready") -> bool:
        """True if it could be."""
        try:
            has_written = self._write(ready)
        except (OSError, KafkaError) as error:
            self._persistence.on_write_failed()
            self._on_write_failed(ready, error)
            return False
        is_judged = ready.membership is not None or (ready.committed is not None and self._own.is_vote_open)
        if is_judged and self._own.judge(self._core, ready, self._raft_log.last_index):
            # The core has output.
            self._has_inputs = True
        if ready.membership is not None:
            self._report_new_members(ready.membership)
        if ready.leadership is not None or ready.membership is not None:
            self._may_append_alone = self._core.is_alone and self._core.role is Role.LEADER
        for message in ready.messages:
            self._send(message)
        self._persistence.hold(ready.messages_after_persistence, has_written=has_written)
        return True

    def _report_new_members(self, membership: Membership) -> None:
        """Tells the core which of the members that it did not have before are connected: the host has not
        reported their connections to this group.
        """
        added = membership.members - self._reported_members - {self._setting.node}
        self._reported_members = membership.members
        for node in sorted(added):
            # The core has something to send.
            self._has_inputs = True
            if self._host.is_up(node):
                self._core.on_peer_found(node, is_restarted=False)
            else:
                self._core.on_peer_lost(node)

    def _write(self, ready: "Ready") -> bool:
        """Writes log, markers, term and vote. True if anything was written that `propose` had not written
        already. Raises OSError, and KafkaError when entries differ from those sent.
        """
        store_written, has_appended = self._store.written, False
        try:
            if ready.restart is not None or ready.truncate_to is not None:
                self._cut(ready)
            if ready.appends:
                has_appended = self._append(ready)
            if ready.hard_state is not None:
                self._store.set_hard_state(self.id, ready.hard_state)
                self._is_state_unwritten = False
        finally:
            # Also when the rest failed: records in the store are part of later acceptances.
            if self._store.written != store_written:
                self._persistence.on_store_written()
        has_cut = ready.truncate_to is not None or ready.restart is not None
        return has_appended or has_cut or ready.hard_state is not None

    def _cut(self, ready: "Ready") -> None:
        self._persistence.on_cut(is_restart=ready.restart is not None)
        if ready.restart is not None:
            payload = ready.restart.payload
            invariant(isinstance(payload, RestartPayload), "a restart without an offset")
            assert isinstance(payload, RestartPayload)
            if self._hooks is not None:
                self._hooks.on_restart(payload.offset, payload.snapshot or b"")
            self._notifier.on_truncated(self._log.start_offset)
            self._raft_log.restart(ready.restart)
        if ready.truncate_to is not None:
            self._notifier.on_truncated(self._raft_log.truncate(ready.truncate_to))

    def _append(self, ready: "Ready") -> bool:
        """True if something was appended; proposals are in the log already."""
        last, has_appended = self._raft_log.last_index, False
        for append in ready.appends:
            if append.last > last:
                has_appended = True
                end_offset = self._log.end_offset
                self._raft_log.append(append)
                if self._hooks is not None:
                    self._hooks.on_received(self._log.end_offset - end_offset)
                self._persistence.on_appended(append.entries.size)
                self._resting_ticks = 0
        return has_appended

    def _send(self, message: "Message") -> None:
        self._host.send(self.id, message, self._log.start_offset)

    def restart_payload(self, index: RaftIndex) -> RestartPayload:
        """Returns the payload of a RestartLog at `index`."""
        snapshot = None if self._hooks is None else self._hooks.snapshot()[1]
        return RestartPayload(self._raft_log.offset_after(index), snapshot)

    def _load(self, cold: ColdRead) -> None:
        self._host.load(self, cold)

    def _follow_log_start(self) -> None:
        """Follows DeleteRecords on the leader; only committed records are removed. Committed records may
        be written at the end of a turn only, in the place of others.
        """
        target = min(self._leader_log_start, self.committed_offset, self._log.end_offset)
        if target > self._log.start_offset and self._hooks is None:
            with suppress(OSError):
                self._log.advance_start(target)

    # Failures.

    def _on_write_failed(self, ready: "Ready", error: OSError | KafkaError) -> None:
        if isinstance(error, KafkaError):
            # Damaged on its way. Nothing is wrong here, and it comes again.
            _log.error(
                "damaged entries refused; the leader sends them again",
                extra={"group": str(self.id), "error": str(error)},
            )
            self._input()
            self._core.on_append_failed()
        elif ready.restart is not None:
            self.fail(error)
        else:
            # The core hands them out again, now and at each `ready`: it is called again in a while.
            self._is_state_unwritten = ready.hard_state is not None
            self._on_append_failed(error)

    def _on_append_failed(self, error: OSError) -> None:
        """Nothing more was appended. Other replicas may have room; this node steps aside, and follows when
        it can. An only replica leads on: each of its producers gets the error.
        """
        if not self._core.is_alone:
            self._rest(error)
        if self._log.is_failed or self._store.failure is not None:
            self.fail(error)
            return
        if self._hooks is not None:
            self._hooks.on_append_failed()
        if not self._is_state_unwritten:
            self._input()
        self._core.on_append_failed()

    def _rest(self, error: OSError) -> None:
        if self._resting_ticks == 0:
            _log.error(
                "could not append; this replica does not lead until it can",
                extra={"group": str(self.id), "error": str(error)},
            )
        self._resting_ticks = self._setting.options.election_ticks * _RESTING_ELECTIONS

    def _abdicate(self) -> None:
        """As `RaftCore.resign`, for a core that cannot go on: the best follower is sent TimeoutNow, and
        the others a pre-vote request, which no leader sends. Quiesced ones would not notice that this
        node leads no more.
        """
        core, source = self._core, self._setting.node
        if self._stand_in is not None or core.role is not Role.LEADER:
            return
        from chronik.raft.core.messages import RequestPreVote, TimeoutNow

        followers = core.followers
        up = [node for node in followers if self._host.is_up(node)]
        voters = [node for node in up if node in self.voters]
        best = max(voters, key=lambda node: followers[node].match, default=None)
        for node in up:
            if node == best:
                self._send(TimeoutNow(source=source, target=node, term=core.term))
            else:
                term = Term(core.term + 1)
                self._send(
                    RequestPreVote(
                        source=source, target=node, term=term, last_index=BEFORE_FIRST, last_term=NO_TERM
                    )
                )
