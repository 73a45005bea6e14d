"""One command's run over a shard: the state it may read and change, and its results."""

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from chronik.broker.coordinator import shard as coordinator
from chronik.broker.coordinator.deadlines import Deadlines
from chronik.broker.coordinator.log import RECORD_OVERHEAD_BYTES, RECORDS_BYTES_MAX
from chronik.broker.coordinator.shard import Now, Ticket
from chronik.broker.groups import record_format
from chronik.broker.groups.commands import Answer
from chronik.broker.groups.config import GroupConfig
from chronik.broker.groups.group import Group
from chronik.broker.groups.offsets import CommittedOffset
from chronik.broker.groups.timers import Timer, TimerKey
from chronik.broker.groups.topics import Topics
from chronik.vocab.ids import TopicPartition


class StaleOffset(NamedTuple):
    """A committed offset of a topic that is gone, to be removed unless another one took its place."""

    group_id: str
    partition: TopicPartition
    committed: CommittedOffset


Outcome = coordinator.Outcome[Answer]


@dataclass(slots=True, kw_only=True)
class Turn:
    """Made by the shard for each command or tick, gone when its outcome is returned."""

    groups: dict[str, Group]
    deadlines: Deadlines[TimerKey]
    config: GroupConfig
    now: Now
    topics: Topics
    # The shard's: offsets to remove in this turn and later ones.
    stale: deque[StaleOffset]
    outcome: Outcome = field(default_factory=coordinator.Outcome)

    def answer(self, ticket: Ticket, answer: Answer) -> None:
        self.outcome.answers.append((ticket, answer))

    def log(self, group: Group, text: str) -> None:
        self.outcome.events.append(coordinator.Event(f"group {group.group_id}", text))

    # Deadlines

    def wake(self, timer: Timer, group: Group, member_id: str = "", *, after_ms: int) -> None:
        # Never at once: a tick runs until nothing is due.
        due_ms = self.now.monotonic_ms + max(after_ms, 1)
        self.deadlines.set(TimerKey(timer, group.group_id, member_id), due_ms)

    def wake_not_after(self, timer: Timer, group: Group, *, after_ms: int) -> None:
        """Bring a deadline forward; one that is earlier already stays."""
        before_ms = self.deadlines.get(TimerKey(timer, group.group_id))
        if before_ms is None or before_ms > self.now.monotonic_ms + after_ms:
            self.wake(timer, group, after_ms=after_ms)

    def cancel(self, timer: Timer, group: Group, member_id: str = "") -> None:
        self.deadlines.cancel(TimerKey(timer, group.group_id, member_id))

    # Records. State changes first and is written as it is then.

    def write_group(self, group: Group) -> None:
        group.is_written = True
        value = record_format.encode_group_value(group.snapshot())
        self.outcome.records.append((record_format.encode_group_key(group.group_id), value))

    def fits_in_record(self, group: Group) -> bool:
        """True if the group can be written at all."""
        size = len(record_format.encode_group_value(group.snapshot())) + len(group.group_id)
        return size + RECORD_OVERHEAD_BYTES <= RECORDS_BYTES_MAX

    def write_group_tombstone(self, group: Group) -> None:
        if group.is_written:
            group.is_written = False
            self.outcome.records.append((record_format.encode_group_key(group.group_id), None))

    def write_offset(self, group: Group, partition: TopicPartition, committed: CommittedOffset) -> None:
        group.offsets.put(partition, committed)
        key = record_format.encode_offset_key(group.group_id, partition)
        self.outcome.records.append((key, record_format.encode_offset_value(committed)))

    def write_offset_tombstone(self, group: Group, partition: TopicPartition) -> None:
        if group.offsets.remove(partition):
            self.outcome.records.append((record_format.encode_offset_key(group.group_id, partition), None))

    # Groups

    def forget_if_vacant(self, group: Group) -> None:
        """Drop a group that holds nothing and of which the log holds nothing."""
        if group.is_vacant and self.groups.get(group.group_id) is group:
            del self.groups[group.group_id]
            for timer in (Timer.JOIN, Timer.SYNC):
                self.cancel(timer, group)
