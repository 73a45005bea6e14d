"""The groups of one partition of `__consumer_offsets`, as a pure state machine."""

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from chronik.broker.coordinator.deadlines import Deadlines
from chronik.broker.coordinator.log import EndOfTransaction
from chronik.broker.coordinator.shard import NO_TICKET, MetadataChange, Now, Ticket, UnknownRecordKind
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
)
from chronik.broker.groups.config import FORGET_AFTER_LOAD_MS, GroupConfig
from chronik.broker.groups.expiry import EXPIRY_KEY, on_expiry_deadline
from chronik.broker.groups.group import Group
from chronik.broker.groups.record_format import OffsetKey
from chronik.broker.groups.timers import Timer, TimerKey
from chronik.broker.groups.topics import Topics, is_of_deleted_topic
from chronik.broker.groups.turn import Outcome, StaleOffset, Turn
from chronik.records.batch import BatchHeader
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
    """Implements `coordinator.shard.CoordinatorShard`."""

    def __init__(self, config: GroupConfig, topics: Topics) -> None:
        self.groups: dict[str, Group] = {}
        self._topics = topics
        self._stale: deque[StaleOffset] = deque()
        self._config = config
        self._deadlines = Deadlines[TimerKey]()

    @property
    def next_deadline_ms(self) -> int | None:
        """Monotonic time of the next `tick`; None when nothing is waited for."""
        return self._deadlines.next_ms()

    def handle(self, command: Command[object], ticket: Ticket, now: Now) -> Outcome:
        turn = self._turn(now)
        SERVED_COMMANDS[type(command)](turn, command, ticket)
        return turn.outcome

    def abandon(self, command: Command[object], ticket: Ticket, now: Now) -> Outcome:
        return self.handle(Abandon(command.group_id, abandoned=ticket), NO_TICKET, now)

    def on_metadata(self, change: MetadataChange, now: Now) -> Outcome:
        """A whole image changes nothing: `on_loaded` compares every offset with it."""
        deleted = frozenset(topic.name for topic in change.delta.topics_deleted) if change.delta else None
        if not deleted:
            return Outcome()
        # Also of topics that are there again: their offsets belonged to the old ones.
        return self.handle(ForgetTopics(topics=deleted), NO_TICKET, now)

    def tick(self, now: Now) -> Outcome:
        """Does everything due by now."""
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

    def replay(self, key: bytes, value: bytes | None, batch: BatchHeader | None = None) -> None:
        if batch is not None and batch.is_transactional:
            # A marker decides whether they count, and markers are not served yet.
            raise UnknownRecordKind("offsets committed in a transaction")
        decoded = record_format.decode_key(key)
        if isinstance(decoded, OffsetKey):
            self._replay_offset(decoded.group_id, decoded.partition, value)
        else:
            self._replay_group(decoded.group_id, value)

    def replay_marker(self, marker: EndOfTransaction, batch: BatchHeader) -> None:
        """The marker of a transaction without records here: with some, loading has stopped at those."""

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
        """The metadata offset to be applied before `on_loaded`: until then an unknown topic may be one
        that this node has not applied yet.
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
        """Restored members have a whole session timeout for their next request. Offsets of topics that
        were deleted while no node coordinated are removed.
        """
        turn = self._turn(now)
        self._stale.extend(self._of_deleted_topics())
        if self._stale:
            # Not at once: where the log takes nothing the shard is loaded again, and would be forever.
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
