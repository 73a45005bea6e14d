"""Runs all replicated groups of a node: their ticks, their messages, their peers.

Created by the server with the transport, for the node's life. Groups are ticked only while they are not
quiesced; messages of all groups in one turn of the loop leave in one frame for each peer. Connections that
open and close are reported to every group that has the peer as a member.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from chronik.log.reading import ColdRead, LogSlice
from chronik.raft.codec import decode, encode
from chronik.raft.core.messages import REPLIES, AppendEntries, Heartbeat, Message, RestartLog
from chronik.raft.group import GroupId
from chronik.raft.replicated import ReplicatedGroup
from chronik.raft.transport import Buffer, FrameKind, PeerInfo, Transport
from chronik.raft.unknown_group_buffer import UnknownGroupBuffer
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NodeId, Offset

_log = logging.getLogger(__name__)

_NO_LOG_START = -1

# A frame is sent when it has grown so large: frames are bounded, and the peer begins to work on it sooner.
_FRAME_BYTES = 1024 * 1024

# How often leaders look who lags: a tenth of a second is far below replica.lag.time.max.ms, and three
# thousand groups are looked at in some milliseconds.
_LAG_LOOK_SECONDS = 0.5


# Before a read that failed is tried again: a device, or a lack of descriptors, may recover.
_RELOAD_SECONDS = 0.5


class HostStatistics(NamedTuple):
    """Values at one moment, and totals since start."""

    groups: int
    # Groups that are ticked.
    active: int
    led: int
    # Those in which this node's replica has no vote (`ReplicatedGroup.has_vote`).
    voteless: int
    # Won by this node's replicas.
    elections: int
    # How often a replica here saw a leader other than the last one it knew.
    leader_changes: int
    # Leadership transfers that succeeded.
    handed_over: int
    # How often a replica of a led group fell out of sync, or came to be in sync again.
    shrinks: int
    expands: int
    ticks: int


@dataclass(slots=True)
class ChannelCounters:
    """Counters for the messages of one group, as Kafka's raft-channel-metrics count those of the
    metadata's. Only increased.
    """

    bytes_in: int = 0
    bytes_out: int = 0
    # Sent by this node, and received for them.
    requests: int = 0
    responses: int = 0


class RaftHost:
    """See the module. Implements `raft.group_setting.GroupHost`."""

    def __init__(
        self,
        node: NodeId,
        transport: Transport,
        *,
        tick_ms: int,
        load_cold: Callable[[ColdRead], Awaitable[LogSlice]],
        on_lag: Callable[[ReplicatedGroup], None],
        metered: GroupId | None = None,
    ) -> None:
        """`on_lag` is called with led groups whose in-sync replicas changed; `channel` counts the messages
        that `metered` sends and receives.
        """
        self.channel = ChannelCounters()
        self._metered = metered
        self._node = node
        self._transport = transport
        self._tick_seconds = tick_ms / 1000
        self._load_cold = load_cold
        self._on_lag = on_lag
        self._groups: dict[GroupId, ReplicatedGroup] = {}
        self._up: dict[NodeId, PeerInfo] = {}
        # The last incarnation of each peer that was ever up.
        self._incarnations: dict[NodeId, int] = {}
        # Those to run at the end of this turn; dicts, for an order that a simulation can repeat.
        self._marked: dict[ReplicatedGroup, None] = {}
        self._is_scheduled = False
        # Invariant: every group that is not quiet.
        self._active: dict[ReplicatedGroup, None] = {}
        # Buffers to send to each peer at the end of this turn, and their size in bytes.
        self._outboxes: dict[NodeId, list[Buffer]] = {}
        self._outbox_bytes: dict[NodeId, int] = {}
        # Peers that a frame was not queued for, since this was last made up for.
        self._refused: set[NodeId] = set()
        self._early = UnknownGroupBuffer()
        self._timer: asyncio.TimerHandle | None = None
        self._lag_timer: asyncio.TimerHandle | None = None
        self._loads: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._ticks = 0
        self._shrinks = 0
        self._expands = 0
        # Elections, leader changes and hand-overs of groups that are gone: totals do not fall.
        self._past = (0, 0, 0)

    # Groups.

    def start(self) -> None:
        """Begin to tick."""
        self._tick_later()
        self._look_later()

    def add(self, group: ReplicatedGroup) -> None:
        """Registers a group: from now on it receives ticks and messages, first those that arrived before
        it existed.
        """
        self._groups[group.id] = group
        for node in group.members - self._up.keys() - {self._node}:
            self._guard(group, lambda node=node: group.on_peer_lost(node))  # type: ignore[misc]
        self.mark(group)
        for message, log_start in self._early.take(group.id):
            self._step(group, message, log_start)

    def remove(self, group: ReplicatedGroup) -> None:
        if self._groups.get(group.id) is group:
            del self._groups[group.id]
            self._past = self._totals([group])
        self._marked.pop(group, None)
        self._active.pop(group, None)

    @property
    def node(self) -> NodeId:
        return self._node

    def group(self, group_id: GroupId) -> ReplicatedGroup | None:
        return self._groups.get(group_id)

    def groups(self) -> list[ReplicatedGroup]:
        return list(self._groups.values())

    def statistics(self) -> HostStatistics:
        groups = self._groups.values()
        elections, leader_changes, handed_over = self._totals(groups)
        return HostStatistics(
            groups=len(groups),
            active=len(self._active),
            led=sum(group.is_leader for group in groups),
            voteless=sum(not group.has_vote for group in groups),
            elections=elections,
            leader_changes=leader_changes,
            handed_over=handed_over,
            shrinks=self._shrinks,
            expands=self._expands,
            ticks=self._ticks,
        )

    def _totals(self, groups: Iterable[ReplicatedGroup]) -> tuple[int, int, int]:
        """Elections, leader changes and transfers of `groups` and of those that were removed."""
        elections, leader_changes, handed_over = self._past
        for group in groups:
            elections += group.elections
            leader_changes += group.leader_changes
            handed_over += group.handed_over
        return elections, leader_changes, handed_over

    async def close(self) -> None:
        """Stops ticks and frames; groups are closed by their owners."""
        self._is_closed = True
        for timer in (self._timer, self._lag_timer):
            if timer is not None:
                timer.cancel()
        for load in self._loads:
            load.cancel()
        if self._loads:
            await asyncio.wait(self._loads)

    # Services for groups.

    def mark(self, group: ReplicatedGroup) -> None:
        """See `GroupHost.mark`."""
        self._marked[group] = None
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._run_scheduled)

    def send(self, group: GroupId, message: Message, log_start: Offset) -> None:
        """See `GroupHost.send`."""
        target = message.target
        if target not in self._up:
            return
        if isinstance(message, RestartLog):
            message = self._with_payload(group, message)
        is_leaders = isinstance(message, AppendEntries | Heartbeat)
        outbox = self._outboxes.get(target)
        if outbox is None:
            outbox = self._outboxes[target] = []
            self._outbox_bytes[target] = 0
        size = encode(group, message, log_start if is_leaders else _NO_LOG_START, outbox)
        self._outbox_bytes[target] += size
        if group == self._metered:
            self.channel.bytes_out += size
            self.channel.requests += not isinstance(message, REPLIES)
        if self._outbox_bytes[target] >= _FRAME_BYTES:
            del self._outboxes[target]
            self._send_frame(target, outbox)

    def is_up(self, node: NodeId) -> bool:
        """See `GroupHost.is_up`."""
        return node in self._up

    def directory(self, node: NodeId) -> str | None:
        """See `GroupHost.directory`."""
        peer = self._up.get(node)
        return None if peer is None else peer.directory_id

    def load(self, group: ReplicatedGroup, cold: ColdRead) -> None:
        """See `GroupHost.load`."""
        task = asyncio.get_running_loop().create_task(self._load(group, cold))
        self._loads.add(task)
        task.add_done_callback(self._loads.discard)

    def _with_payload(self, group_id: GroupId, message: RestartLog) -> RestartLog:
        return replace(message, payload=self._groups[group_id].restart_payload(message.index))

    async def _load(self, group: ReplicatedGroup, cold: ColdRead) -> None:
        try:
            read = await self._load_cold(cold)
        except Exception as error:  # whatever the error, the follower must not wait forever
            is_gone = isinstance(error, KafkaError) and error.code is ErrorCode.OFFSET_OUT_OF_RANGE
            if not is_gone:
                extra = {"group": str(group.id), "error": str(error)}
                _log.error("could not read records for a follower; it is tried again", extra=extra)
                await asyncio.sleep(_RELOAD_SECONDS)
            group.on_load_failed(OSError(f"a follower's records cannot be read: {error}"), is_gone=is_gone)
        else:
            group.on_loaded(read)

    # The transport's side.

    def on_peer_up(self, peer: PeerInfo) -> None:
        known = self._incarnations.get(peer.node)
        is_restarted = known is not None and known != peer.incarnation
        self._up[peer.node] = peer
        self._incarnations[peer.node] = peer.incarnation
        for group in self._members_of(peer.node):
            self._guard(group, lambda group=group: self._found(group, peer.node, is_restarted))  # type: ignore[misc]

    def _found(self, group: ReplicatedGroup, node: NodeId, is_restarted: bool) -> None:
        group.on_peer_found(node, is_restarted=is_restarted)
        # With another disk it is not in sync, from the moment it no longer counts as lost.
        self._look_at(group, returned=node)
        self._expands += group.is_leader and node not in group.laggards

    def on_peer_down(self, node: NodeId) -> None:
        self._up.pop(node, None)
        self._outboxes.pop(node, None)
        self._early.forget(node)
        for group in self._members_of(node):
            self._shrinks += group.is_leader and node not in group.laggards
            self._guard(group, lambda group=group: group.on_peer_lost(node))  # type: ignore[misc]

    def on_frame(self, node: NodeId, payload: memoryview) -> None:
        """Raises MalformedFrame."""
        for group_id, message, log_start, size in decode(payload, node, self._node):
            if group_id == self._metered:
                self.channel.bytes_in += size
                self.channel.responses += isinstance(message, REPLIES)
            group = self._groups.get(group_id)
            if group is None:
                self._early.keep(group_id, message, log_start)
            else:
                self._step(group, message, log_start)

    def on_turn_end(self) -> None:
        if self._marked:
            self._run()

    def _members_of(self, node: NodeId) -> list[ReplicatedGroup]:
        return [group for group in self._groups.values() if node in group.members]

    def _step(self, group: ReplicatedGroup, message: Message, log_start: int) -> None:
        try:
            group.step(message, log_start)
        except Exception as error:
            _stop(group, error)

    # Turns.

    def _run_scheduled(self) -> None:
        self._is_scheduled = False
        self._run()

    def _run(self) -> None:
        """Runs every marked group, then sends all their messages. A group's work can mark others."""
        while self._marked and not self._is_closed:
            marked, self._marked = self._marked, {}
            for group in marked:
                try:
                    group.run()
                    self._follow_activity(group)
                except Exception as error:
                    _stop(group, error)
        self._flush()

    def _follow_activity(self, group: ReplicatedGroup) -> None:
        if group.is_quiesced:
            if group in self._active:
                del self._active[group]
                self._look_at(group)
        elif self._groups.get(group.id) is group:
            self._active[group] = None

    def _flush(self) -> None:
        if not self._outboxes:
            return
        outboxes, self._outboxes = self._outboxes, {}
        for node, buffers in outboxes.items():
            self._send_frame(node, buffers)

    def _send_frame(self, node: NodeId, buffers: list[Buffer]) -> None:
        if not self._transport.send(node, FrameKind.RAFT, buffers):
            self._refused.add(node)

    def _make_up_for_refused(self) -> None:
        """Frames were dropped because too much waited for a peer. Groups rely on connections that lose
        nothing, so to them it is as if this one had ended, and another had begun.
        """
        refused, self._refused = self._refused & self._up.keys(), set()
        for node in sorted(refused):
            for group in self._members_of(node):
                self._guard(group, lambda group=group, node=node: _reconnect(group, node))  # type: ignore[misc]

    def _guard(self, group: ReplicatedGroup, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            _stop(group, error)

    # Time.

    def _tick_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._tick_seconds, self._tick)

    def _tick(self) -> None:
        # One tick however late: after a pause of this process the messages of peers must be read first.
        self._tick_later()
        self._ticks += 1
        self._early.tick()
        for group in list(self._active):
            self._guard(group, group.tick)

    def _look_later(self) -> None:
        self._lag_timer = asyncio.get_running_loop().call_later(_LAG_LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self._look_later()
        if self._refused:
            self._make_up_for_refused()
        for group in list(self._active):
            self._guard(group, lambda group=group: self._look_at(group))  # type: ignore[misc]

    def expect(self, group: ReplicatedGroup, replicas: frozenset[NodeId]) -> None:
        """The replicas of a group are to be these, of which some may not be members yet."""
        group.expect(replicas)
        self._look_at(group)

    def _look_at(self, group: ReplicatedGroup, returned: NodeId | None = None) -> None:
        """`returned` was not connected and so counts as not in sync until now, whatever the check finds."""
        before = group.laggards
        if group.look_for_laggards():
            # Peers that are not connected fell out of sync when their connection was lost.
            counted = self._up.keys() - {returned}
            self._shrinks += len((group.laggards - before) & counted)
            self._expands += len((before - group.laggards) & counted)
            self._on_lag(group)


def _reconnect(group: ReplicatedGroup, node: NodeId) -> None:
    group.on_peer_lost(node)
    group.on_peer_found(node, is_restarted=False)


def _stop(group: ReplicatedGroup, error: Exception) -> None:
    """A bug, or a message that cannot be, stops its group loudly, and no other."""
    _log.critical(
        "replica stopped: an unexpected error; restart this node",
        extra={"group": str(group.id)},
        exc_info=error,
    )
    group.fail(OSError(f"a group stopped: {error}"))
