"""One replica of a replicated partition: the pure core between its log, the syncs and the other nodes.

Made by whoever opens the partition, given to the node's `raft.host.RaftHost`, which calls `step`, `tick`
and `run`. Whatever happens in a turn of the loop is carried out at its end (`run`), so that many proposals
make one message to each follower, and one sync. Only a proposal is written at once, because its producer is
told where it went. What the partition is told, it is told from `run`.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from chronik.log.disk import Buffer, Syncable
from chronik.log.partition_log import AppendResult, PartitionLog
from chronik.log.reading import ColdRead, LogSlice
from chronik.raft.core.core import RaftCore
from chronik.raft.core.messages import Message, TimeoutNow
from chronik.raft.core.options import RaftOptions
from chronik.raft.core.progress import FollowerState
from chronik.raft.core.ready import Ready
from chronik.raft.core.refusals import Refusal, Refused
from chronik.raft.core.roles import Role
from chronik.raft.core.types import BEFORE_FIRST, FIRST_TERM, Membership, RaftIndex
from chronik.raft.group import GroupListener, Replica
from chronik.raft.group_id import GroupId
from chronik.raft.held import Durability
from chronik.raft.lag import LagWatch
from chronik.raft.latency import Latency
from chronik.raft.replicated_log import ReplicatedLog
from chronik.raft.solo import FlushPolicy
from chronik.raft.state_store import StateStore
from chronik.raft.syncer import Syncer
from chronik.records.batch import PREFIX_BYTES, Batch, stamped_prefix
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import LeaderEpoch, NodeId, Offset
from chronik.vocab.invariant import invariant
from chronik.vocab.seams import Clock, Randomness

_log = logging.getLogger(__name__)

# A node whose log took no append, because its disk is full for example, does not ask to lead for so many
# election timeouts: others can, and trying again costs everybody a leader.
_RESTING_ELECTIONS = 10


class GroupHost(Protocol):
    """What a group asks of the node's host."""

    def mark(self, group: "ReplicatedGroup") -> None:
        """Have `group.run` called at the end of this turn of the loop."""
        ...

    def send(self, group: GroupId, message: Message, log_start: Offset) -> None: ...

    def load(self, group: "ReplicatedGroup", cold: ColdRead) -> None:
        """Load in a thread; `group.on_loaded` follows."""
        ...

    def is_up(self, node: NodeId) -> bool: ...

    def directory(self, node: NodeId) -> str | None:
        """Names the data directory of a peer that is up."""
        ...


class RestartHooks(Protocol):
    """For a group with a state beside its log: `__meta`."""

    def snapshot(self) -> tuple[Offset, bytes]:
        """What stands for all records below the offset, to be sent to a follower that lacks some of them."""
        ...

    def on_restart(self, offset: Offset, snapshot: bytes) -> None:
        """Take over a snapshot, durably, before the log is restarted behind it. Raises OSError."""
        ...

    def on_append_failed(self) -> None:
        """The log took no entries, because its disk is full for example; it is tried again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSetting:
    """What all groups of a node have in common."""

    node: NodeId
    directory_id: str
    options: RaftOptions
    randomness: Randomness
    clock: Clock
    store: StateStore
    syncer: Syncer
    host: GroupHost
    # replica.lag.time.max.ms, as it is now.
    lag_ms: Callable[[], int]
    # From an append on a leader to its commit: of partitions, and of groups with a state beside their log.
    commits: Latency = field(default_factory=Latency)
    metadata_commits: Latency = field(default_factory=Latency)


class ReplicatedGroup:
    """See the module. Implements `raft.group.Group` and `raft.syncer.Synced`."""

    def __init__(
        self,
        group_id: GroupId,
        log: PartitionLog,
        setting: GroupSetting,
        *,
        write_caching: FlushPolicy | None,
        hooks: RestartHooks | None = None,
    ) -> None:
        """The store knows the group, and agrees with the log (`raft.reconcile`)."""
        self.id = group_id
        self._log = log
        self._setting = setting
        self._store = setting.store
        self._host = setting.host
        self._hooks = hooks
        self._write_caching = write_caching
        self._raft_log = ReplicatedLog(group_id, log, setting.store, self._load)
        self._core = self._make_core()
        self._listener: GroupListener | None = None
        self._failed: OSError | None = None
        self._is_closed = False
        self._durability = Durability()
        # The store's sequence number of this group's last write there.
        self._store_written = 0
        # Inputs other than proposals came since the last Ready.
        self._has_inputs = False
        # Proposals were written that no Ready has handed out yet.
        self._has_proposals = False
        self._resting_ticks = 0
        # How often this replica became leader by an election, saw somebody else become it, and gave its
        # leadership to whom it was asked to.
        self.elections = 0
        self.leader_changes = 0
        self.handed_over = 0
        self._last_leader: NodeId | None = None
        # To whom leadership was last asked to go; None once somebody leads after that.
        self._heir: NodeId | None = None
        # One append at a time is timed: where it ends, and when it was; None while there is none.
        self._commits = setting.commits if hooks is None else setting.metadata_commits
        self._timed_end: Offset | None = None
        self._timed_from = 0.0
        # What was last told to the listener.
        self._high_watermark = log.start_offset
        self._told_leader: tuple[bool, LeaderEpoch, NodeId | None] = (False, LeaderEpoch(-1), None)
        self._is_settled_told = False
        self._truncated_to: Offset | None = None
        # Where the leader's log starts, as far as was heard.
        self._leader_log_start = 0
        self._lag = LagWatch()
        self._unsynced_bytes = 0
        self._flush_timer: asyncio.TimerHandle | None = None

    def _make_core(self) -> RaftCore:
        setting = self._setting
        state = setting.store.get(self.id)
        invariant(state is not None, "no state of {}", self.id)
        assert state is not None
        core = RaftCore(
            node=setting.node,
            options=setting.options,
            randomness=setting.randomness,
            log=self._raft_log,
            hard_state=state.hard_state,
            memberships=state.markers.memberships(),
            salt=self.id.topic_id[-1] + self.id.partition,
        )
        core.may_vote = core.is_directory_settled(setting.directory_id)
        return core

    # What the partition asks.

    @property
    def leader_epoch(self) -> LeaderEpoch:
        return self._core.term

    @property
    def is_leader(self) -> bool:
        return self._core.role is Role.LEADER and self._failed is None

    @property
    def is_settled(self) -> bool:
        return self._core.is_settled and self._failed is None

    @property
    def known_leader(self) -> NodeId | None:
        return self._core.leadership.leader

    @property
    def high_watermark(self) -> Offset:
        return self._high_watermark

    @property
    def members(self) -> frozenset[NodeId]:
        return self._core.membership.members

    @property
    def membership(self) -> Membership:
        return self._core.membership

    @property
    def voters(self) -> frozenset[NodeId]:
        return self._core.membership.voters

    @property
    def is_quiet(self) -> bool:
        return self._failed is not None or self._core.is_quiet

    def refusal(self) -> KafkaError:
        """See `raft.group.Group.refusal`."""
        if self._failed is not None:
            return KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"the log failed: {self._failed}")
        return KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER)

    def listen(self, listener: GroupListener) -> None:
        """Say whom to tell; once, before the host knows the group."""
        self._listener = listener

    def bootstrap(self, first_leader: NodeId) -> None:
        """Begin as a new group: see `RaftCore.bootstrap`. Nothing for a replica on a replaced disk."""
        if self._core.may_vote:
            self._input()
            self._core.bootstrap(first_leader)

    def set_write_caching(self, policy: FlushPolicy | None) -> None:
        """Change the promise for records proposed from now on; earlier ones are synced at once."""
        self._write_caching = policy
        self._setting.syncer.request(self)

    def propose(self, batches: Sequence[Batch]) -> AppendResult:
        """See `raft.group.Group.propose`."""
        if self._failed is not None:
            raise self.refusal()
        if self._has_inputs:
            # What they want written comes first.
            self._run_core()
        core, log = self._core, self._log
        epoch, offset, count, size = core.term, log.end_offset, 0, 0
        payload: list[Buffer] = []
        for header, data in batches:
            payload.append(stamped_prefix(offset + count, header.length, epoch))
            payload.append(memoryview(data)[PREFIX_BYTES:])
            count += header.last_offset_delta + 1
            size += len(data)
        try:
            core.propose(count=count, payload=payload, size=size)
        except Refused as refused:
            raise KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER, str(refused)) from refused
        try:
            result = log.append(batches, epoch)
        except OSError as error:
            self._on_append_failed(error)
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"append failed: {error}") from error
        self._durability.writes += 1
        self._unsynced_bytes += size
        self._has_proposals = True
        if self._timed_end is None:
            self._timed_end, self._timed_from = result.end_offset, self._commits.now()
        self._host.mark(self)
        if self._write_caching is None:
            self._setting.syncer.request(self)
        return result

    def sync_soon(self) -> None:
        """See `raft.group.Group.sync_soon`."""
        if self._failed is None and not self._is_closed:
            self._setting.syncer.request(self)

    def on_tidied(self) -> None:
        """See `raft.group.Group.on_tidied`."""
        state, first = self._store.get(self.id), self._raft_log.first_index
        if self._failed is None and not self._is_closed and state is not None and len(state.markers):
            self._store.rebase(self.id, RaftIndex(first - 1))

    def lagging(self) -> frozenset[NodeId]:
        """See `raft.group.Group.lagging`."""
        if self._core.role is not Role.LEADER:
            return frozenset()
        # Asked for each produce: who follows is not looked at one by one.
        own, is_up = self._setting.node, self._host.is_up
        lost = {node for node in self._core.membership.members if node != own and not is_up(node)}
        return self._lag.lagging | lost if lost else self._lag.lagging

    def replicas(self) -> Sequence[Replica]:
        """See `raft.group.Group.replicas`."""
        if not self.is_leader:
            return ()
        now_ms, node = self._setting.clock.monotonic_ms(), self._setting.node
        own = Replica(node, node in self.voters, self._log.end_offset, now_ms, now_ms)
        return [own, *(self._replica(node, state) for node, state in self._core.followers.items())]

    def _replica(self, node: NodeId, state: FollowerState) -> Replica:
        last = self._raft_log.last_index
        is_known = state.match >= self._raft_log.first_index - 1
        now_ms = self._setting.clock.monotonic_ms()
        is_complete = state.match == last and self._host.is_up(node)
        return Replica(
            node=node,
            is_voter=node in self.voters,
            end_offset=self._raft_log.offset_after(state.match) if is_known else -1,
            caught_up_ms=now_ms if is_complete else self._lag.caught_up_ms(node),
            heard_ms=now_ms if self._host.is_up(node) else -1,
        )

    def transfer(self, to: NodeId) -> None:
        """See `raft.group.Group.transfer`."""
        self._input()
        try:
            self._core.transfer_leadership(to)
        except Refused as refused:
            is_other = refused.reason is Refusal.NOT_A_VOTER
            code = ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE if is_other else ErrorCode.NOT_LEADER_OR_FOLLOWER
            raise KafkaError(code, str(refused)) from refused
        self._heir = to

    def propose_membership(self, membership: Membership) -> bool:
        """Whether it is in the log now; it is not while another change, or the start of the term, is not
        committed.
        """
        self._input()
        try:
            self._core.propose_membership(membership)
        except Refused:
            return False
        return True

    def is_complete(self, node: NodeId) -> bool:
        """On the leader: whether `node` has the whole log."""
        state = self._core.followers.get(node)
        return state is not None and state.match >= self._core.committed

    # The host's side.

    def step(self, message: Message, log_start: int) -> None:
        """A message of another node, with the leader's log start where it sends one."""
        if self._failed is not None:
            return
        if self._has_proposals:
            # A truncation must find handed out what was proposed.
            self._run_core()
        self._input()
        self._core.step(message)
        if log_start > self._leader_log_start:
            self._leader_log_start = log_start

    def tick(self) -> None:
        if self._resting_ticks > 0:
            self._resting_ticks -= 1
            if not self.is_leader:
                return
        self._core.tick()
        if self._core.has_news:
            # Most ticks only count: thousands of groups that wait for one answer must not be run for each.
            self._input()

    def campaign_soon(self) -> None:
        """Let the time pass that a follower waits for a leader. Nothing happens to those who listen to one:
        it asks first (PreVote).
        """
        if self.known_leader is None:
            self._input()
            for _ in range(2 * self._setting.options.election_ticks):
                if self._core.role is Role.FOLLOWER:
                    self._core.tick()

    def on_peer_lost(self, node: NodeId) -> None:
        self._input()
        self._core.on_peer_lost(node)

    def on_peer_found(self, node: NodeId, *, is_restarted: bool) -> None:
        self._input()
        self._core.on_peer_found(node, is_restarted=is_restarted)

    def on_loaded(self, read: LogSlice | None) -> None:
        self._raft_log.on_loaded(read)
        self._input()

    @property
    def laggards(self) -> frozenset[NodeId]:
        """What `look_for_laggards` found last."""
        return self._lag.lagging

    def look_for_laggards(self) -> bool:
        """Every so often; whether the replicas in sync are others than before."""
        if not self.is_leader:
            return False
        now_ms, lag_ms = self._setting.clock.monotonic_ms(), self._setting.lag_ms()
        followers = self._core.followers
        voteless = {node for node in followers if not self._has_vote(node)}
        return self._lag.look(followers, self._raft_log.last_index, now_ms, lag_ms, voteless)

    def _has_vote(self, node: NodeId) -> bool:
        """Whether a majority may count on it: not on a learner, nor on an empty disk in a voter's place."""
        membership, directory = self._core.membership, self._setting.host.directory(node)
        if node not in membership.voters:
            return False
        is_known = directory is None or (node, directory) in membership.directories
        return is_known or not dict(membership.directories).get(node)

    def run(self) -> None:
        """Carry out what the inputs of this turn led to, and tell the partition."""
        if self._is_closed:
            return
        if self._failed is None:
            self._run_core()
        if self._failed is None and self._leader_log_start > self._log.start_offset:
            self._follow_log_start()
        self._tell()

    def close(self) -> None:
        """Stop for good: no more messages, no more syncs; the log's owner syncs it when it closes the log."""
        self._is_closed = True
        self._setting.syncer.forget(self)
        if self._flush_timer is not None:
            self._flush_timer.cancel()

    def fail(self, error: OSError) -> None:
        """The log, or this code, cannot be trusted any more."""
        if self._failed is None:
            self._abdicate()
            self._failed = error
            self._log.fail(error)
            self._host.mark(self)

    # The syncer's side.

    def files_to_sync(self) -> tuple[Sequence[Syncable], Offset]:
        self._unsynced_bytes = 0
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        last = self._raft_log.last_index
        self._durability.begin(last, self._raft_log.term_at(last), self._store.written)
        log = self._log
        files: Sequence[Syncable] = ()
        if log.end_offset > log.first_offset:
            files, _ = log.files_to_sync()
        # Else it has no records: should its directory be lost, nothing is. So a new topic costs no syncs of
        # its own, and the terms of a thousand groups cost one.
        if self._store.synced < self._store_written:
            files = [*files, *self._store.files_to_sync()]
        return files, log.end_offset

    def on_synced(self, end_offset: Offset) -> None:
        done = self._durability.end()
        if self._is_closed or self._failed is not None or done is None:
            return
        if done.restarts == self._durability.restarts:
            # A stale checkpoint only makes the next recovery read more.
            with suppress(OSError):
                self._log.on_synced(end_offset)
        if self._store.synced < self._store_written:
            self._store.on_synced(done.store_written)
        self._input()
        if done.last_index > BEFORE_FIRST:
            self._core.on_persisted(done.last_index, done.term)
        self._release(done.messages)

    def on_sync_failed(self, error: OSError) -> None:
        if not self._is_closed:
            self.fail(error)

    # Carrying out.

    def _input(self) -> None:
        self._has_inputs = True
        self._host.mark(self)

    def _run_core(self) -> None:
        """Until the core has nothing more to say."""
        while True:
            self._has_inputs = self._has_proposals = False
            try:
                ready = self._core.ready()
            except (OSError, KafkaError) as error:
                # What a follower lacks cannot be read here.
                self.fail(error if isinstance(error, OSError) else OSError(str(error)))
                return
            if not self._carry_out(ready) or not self._has_inputs:
                return

    def _carry_out(self, ready: Ready) -> bool:
        """Whether it could be."""
        try:
            has_written = self._write(ready)
        except OSError as error:
            if ready.restart is not None:
                self.fail(error)
            else:
                self._on_append_failed(error)
            return False
        if ready.membership is not None or (ready.committed is not None and not self._core.may_vote):
            self._core.may_vote = self._core.is_directory_settled(self._setting.directory_id)
        for message in ready.messages:
            self._send(message)
        self._durability.waiting.extend(ready.messages_after_persistence)
        if has_written:
            self._durability.writes += 1
        self._persist()
        return True

    def _write(self, ready: Ready) -> bool:
        """Log, markers, term and vote. Whether there was anything to write. Raises OSError."""
        store_written = self._store.written
        if ready.restart is not None:
            payload = ready.restart.payload
            if self._hooks is not None:
                self._hooks.on_restart(payload.offset, payload.snapshot or b"")  # type: ignore[attr-defined]
            self._durability.restarts += 1
            self._truncated_to = self._log.start_offset
            self._raft_log.restart(ready.restart)
        if ready.truncate_to is not None:
            end_offset = self._raft_log.truncate(ready.truncate_to)
            known = self._truncated_to
            self._truncated_to = end_offset if known is None else min(known, end_offset)
        last = self._raft_log.last_index
        for append in ready.appends:
            # Proposals are there already.
            if append.last > last:
                self._raft_log.append(append)
        if ready.hard_state is not None:
            self._store.set_hard_state(self.id, ready.hard_state)
        if self._store.written != store_written:
            self._store_written = self._store.written
        return bool(
            ready.appends or ready.hard_state or ready.truncate_to is not None or ready.restart is not None
        )

    def _persist(self) -> None:
        """See that what was written becomes durable, or count it as such."""
        durability = self._durability
        if durability.is_durable:
            self._release(durability.skip())
            return
        is_caching = self._write_caching is not None and self._store.synced >= self._store_written
        if not is_caching:
            self._setting.syncer.request(self)
            return
        assert self._write_caching is not None
        self._release(durability.skip())
        last = self._raft_log.last_index
        if last > BEFORE_FIRST:
            self._has_inputs = True
            self._core.on_persisted(last, self._raft_log.term_at(last))
        self._flush_later(self._write_caching)

    def _flush_later(self, policy: FlushPolicy) -> None:
        if self._unsynced_bytes >= policy.bytes_max:
            self._setting.syncer.request(self)
        elif self._flush_timer is None:
            loop = asyncio.get_running_loop()
            self._flush_timer = loop.call_later(policy.interval_ms / 1000, self._setting.syncer.request, self)

    def _release(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if message.target == self._setting.node:
                self._has_inputs = True
                self._core.step(message)
            else:
                self._send(message)

    def _send(self, message: Message) -> None:
        self._host.send(self.id, message, self._log.start_offset)

    def restart_payload(self, index: RaftIndex) -> tuple[Offset, bytes | None]:
        """What a RestartLog at `index` carries: the offset where the log goes on, and a snapshot."""
        snapshot = None if self._hooks is None else self._hooks.snapshot()[1]
        return self._raft_log.offset_after(index), snapshot

    def _load(self, cold: ColdRead) -> None:
        self._host.load(self, cold)

    def _follow_log_start(self) -> None:
        """DeleteRecords reached the leader's log; only committed records go. What is committed may be written
        at the end of a turn only, in the place of others.
        """
        target = min(self._leader_log_start, self._committed_offset(), self._log.end_offset)
        if target > self._log.start_offset and self._hooks is None:
            with suppress(OSError):
                self._log.advance_start(target)

    def _on_append_failed(self, error: OSError) -> None:
        """Nothing was appended. Others may have room; this node steps aside, and follows when it can."""
        if self._resting_ticks == 0:
            _log.error("append failed", extra={"group": str(self.id), "error": str(error)})
        self._resting_ticks = self._setting.options.election_ticks * _RESTING_ELECTIONS
        if self._log.is_failed or self._store.failure is not None:
            self.fail(error)
            return
        if self._hooks is not None:
            self._hooks.on_append_failed()
        self._abdicate()
        self._input()
        self._core.on_append_failed()

    def _abdicate(self) -> None:
        """Have the best follower campaign: quiet followers would not notice that this node leads no more."""
        if self._core.role is not Role.LEADER:
            return
        up = [node for node in self._core.followers if self._host.is_up(node) and node in self.voters]
        if up:
            best = max(up, key=lambda node: self._core.followers[node].match)
            self._send(TimeoutNow(source=self._setting.node, target=best, term=self._core.term))

    # Telling the partition.

    def _committed_offset(self) -> Offset:
        committed = self._core.committed
        return self._raft_log.offset_after(committed) if committed > BEFORE_FIRST else Offset(0)

    def _tell(self) -> None:
        listener = self._listener
        if listener is None:
            return
        if self._truncated_to is not None:
            end_offset, self._truncated_to = self._truncated_to, None
            listener.on_truncated(end_offset)
        leader = (self.is_leader, self.leader_epoch, self.known_leader)
        if leader != self._told_leader:
            self._count_leader()
            self._told_leader = leader
            self._lag = LagWatch()
            self._is_settled_told = False
            listener.on_leadership()
        high_watermark = self._committed_offset()
        if high_watermark > self._high_watermark:
            self._high_watermark = high_watermark
            if self._timed_end is not None and high_watermark >= self._timed_end:
                self._timed_end = None
                self._commits.since(self._timed_from)
            listener.on_commit(high_watermark)
        if not self._is_settled_told and self.is_settled:
            self._is_settled_told = True
            listener.on_settled()
        if self._failed is not None:
            error, self._listener = self._failed, None
            listener.on_failure(error)

    def _count_leader(self) -> None:
        """The leader, or the term, is another one than was told."""
        # What another leader commits, or this one in another term, says nothing about this append.
        self._timed_end = None
        leader = self.known_leader
        if self.is_leader and self.leader_epoch > FIRST_TERM:
            self.elections += 1
        if leader is None:
            return
        if self._heir == leader:
            self.handed_over += 1
        self._heir = None
        if self._last_leader not in (None, leader):
            self.leader_changes += 1
        self._last_leader = leader
