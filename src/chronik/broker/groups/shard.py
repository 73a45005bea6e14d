"""The groups of one partition of `__consumer_offsets`, as a pure state machine.

    shard.replay(key, value)                    each committed record, in order
    shard.on_loaded(now) -> Outcome             then once
    shard.handle(command, ticket, now) -> Outcome
    shard.tick(now) -> Outcome                  at shard.next_deadline_ms, and harmless at any other time

State runs ahead of the log: a command changes it when it is handled, and the outcome's answers may be given
only when the outcome's records, and all records of earlier outcomes, are committed. That keeps many commits
in flight and every answer true. If an append fails, the state has seen what never happened: the owner drops
the shard and replays a new one from the log.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from chronik.broker.groups import admin, join, leave, offset_commands, rebalance, record_format, sync
from chronik.broker.groups.commands import (
    Abandon,
    Command,
    Commit,
    DeleteGroup,
    DeleteOffsets,
    DescribeGroup,
    FetchOffsets,
    ForgetTopics,
    Heartbeat,
    Join,
    Leave,
    ListGroups,
    Sync,
    Ticket,
)
from chronik.broker.groups.config import FORGET_AFTER_LOAD_MS, GroupConfig
from chronik.broker.groups.deadlines import Deadlines, Now, Timer, TimerKey
from chronik.broker.groups.expiry import EXPIRY_KEY, on_expiry_deadline
from chronik.broker.groups.group import Group
from chronik.broker.groups.record_format import GroupKey, OffsetKey
from chronik.broker.groups.topics import Topics, is_of_deleted_topic
from chronik.broker.groups.turn import Outcome, StaleOffset, Turn
from chronik.vocab.ids import TopicPartition

# One function per command. The table loses the pairing of types, hence Any; each function states its own
# command.
SERVED_COMMANDS: Final[dict[type, Callable[[Turn, Any, Ticket], None]]] = {
    Abandon: leave.abandon,
    Commit: offset_commands.commit,
    DeleteGroup: admin.delete,
    DeleteOffsets: offset_commands.delete_offsets,
    DescribeGroup: admin.describe,
    FetchOffsets: offset_commands.fetch_offsets,
    ForgetTopics: offset_commands.forget_topics,
    Heartbeat: sync.heartbeat,
    Join: join.join,
    Leave: leave.leave,
    ListGroups: admin.list_groups,
    Sync: sync.sync,
}


class Shard:
    """Made empty for each time this node becomes the partition's leader; ends when it resigns, or an append
    fails.
    """

    def __init__(self, config: GroupConfig, topics: Topics) -> None:
        self.groups: dict[str, Group] = {}
        self._topics = topics
        self._stale: deque[StaleOffset] = deque()
        self._config = config
        self._deadlines = Deadlines()

    @property
    def next_deadline_ms(self) -> int | None:
        """Monotonic time of the next `tick`; None when nothing is waited for."""
        return self._deadlines.next_ms()

    def handle(self, command: Command[object], ticket: Ticket, now: Now) -> Outcome:
        turn = self._turn(now)
        SERVED_COMMANDS[type(command)](turn, command, ticket)
        return turn.outcome

    def tick(self, now: Now) -> Outcome:
        """What is due by now."""
        turn = self._turn(now)
        for key in self._deadlines.pop_due(now.monotonic_ms):
            self._on_deadline(turn, key)
        return turn.outcome

    def _on_deadline(self, turn: Turn, key: TimerKey) -> None:
        if key.timer is Timer.EXPIRY:
            on_expiry_deadline(turn)
            return
        if key.timer is Timer.FORGET:
            offset_commands.forget_stale(turn)
            return
        group = self.groups.get(key.group_id)
        if group is None:
            return
        if key.timer is Timer.SESSION:
            rebalance.on_session_deadline(turn, group, key.member_id)
        elif key.timer is Timer.JOIN:
            rebalance.on_join_deadline(turn, group)
        else:
            rebalance.on_sync_deadline(turn, group)

    # Replay

    def replay(self, key: bytes, value: bytes | None) -> None:
        """Raises MalformedRecord. Records of kinds that are not served here are passed over."""
        decoded = record_format.decode_key(key)
        if isinstance(decoded, OffsetKey):
            self._replay_offset(decoded.group_id, decoded.partition, value)
        elif isinstance(decoded, GroupKey):
            self._replay_group(decoded.group_id, value)

    def _replay_offset(self, group_id: str, partition: TopicPartition, value: bytes | None) -> None:
        if value is not None:
            self._group(group_id).offsets.put(partition, record_format.decode_offset_value(value))
        elif (group := self.groups.get(group_id)) is not None:
            group.offsets.remove(partition)
            self._drop_if_vacant(group)

    def _replay_group(self, group_id: str, value: bytes | None) -> None:
        if value is not None:
            self._group(group_id).restore(record_format.decode_group_value(value))
        elif (group := self.groups.pop(group_id, None)) is not None and group.offsets:
            # Offsets outlive their group here only if someone else wrote the log: keep them as a simple
            # group's.
            self._group(group_id).offsets = group.offsets

    def _group(self, group_id: str) -> Group:
        return self.groups.setdefault(group_id, Group(group_id))

    def _drop_if_vacant(self, group: Group) -> None:
        if group.is_vacant:
            del self.groups[group.group_id]

    def metadata_required(self) -> int:
        """How far the metadata must be applied before `on_loaded`: until then a topic that is not known may
        be one that is not known yet.
        """
        return max((stale.committed.metadata_offset or 0 for stale in self._of_deleted_topics()), default=0)

    def _of_deleted_topics(self) -> list[StaleOffset]:
        return [
            StaleOffset(group.group_id, partition, committed)
            for group in self.groups.values()
            for partition, committed in group.offsets
            if is_of_deleted_topic(self._topics, partition, committed)
        ]

    def on_loaded(self, now: Now) -> Outcome:
        """Members of before have a whole session timeout to be heard of. Offsets of topics that were deleted
        while nobody coordinated are removed.
        """
        turn = self._turn(now)
        self._stale.extend(self._of_deleted_topics())
        if self._stale:
            # Not at once: where the log takes nothing the shard is loaded again, and would be for ever.
            self._deadlines.set(offset_commands.FORGET_KEY, now.monotonic_ms + FORGET_AFTER_LOAD_MS)
        self._deadlines.set(EXPIRY_KEY, now.monotonic_ms + self._config.expiry_interval_ms)
        for group in list(self.groups.values()):
            for member in group.members.values():
                rebalance.renew_session(turn, group, member)
            if len(group.members) > self._config.members_max:
                rebalance.prepare(turn, group, "group.max.size was lowered below its size")
        return turn.outcome

    def _turn(self, now: Now) -> Turn:
        return Turn(
            groups=self.groups,
            deadlines=self._deadlines,
            config=self._config,
            now=now,
            topics=self._topics,
            stale=self._stale,
        )
