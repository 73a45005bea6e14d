"""OffsetCommit, OffsetFetch, OffsetDelete, and what becomes of the offsets of deleted topics."""

from chronik.broker.coordinator.log import RECORD_OVERHEAD_BYTES, RECORDS_BYTES_MAX
from chronik.broker.coordinator.shard import Ticket
from chronik.broker.groups.commands import (
    NO_GENERATION,
    UNKNOWN_MEMBER_ID,
    Commit,
    CommitAnswer,
    DeleteOffsets,
    DeleteOffsetsAnswer,
    FetchOffsets,
    ForgetTopics,
    ForgetTopicsAnswer,
    OffsetsAnswer,
    OffsetToCommit,
)
from chronik.broker.groups.config import FORGOTTEN_OFFSETS_PER_TURN
from chronik.broker.groups.group import Group
from chronik.broker.groups.offsets import CommittedOffset
from chronik.broker.groups.rebalance import renew_session
from chronik.broker.groups.state import GroupState
from chronik.broker.groups.timers import Timer, TimerKey
from chronik.broker.groups.topics import is_of_deleted_topic, is_of_earlier_topic
from chronik.broker.groups.turn import StaleOffset, Turn
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import NO_TOPIC_ID, TopicId, TopicPartition

# An offset record without its strings: key version, value version, lengths, numbers, tagged fields.
_OFFSET_RECORD_BYTES = RECORD_OVERHEAD_BYTES + 76

FORGET_KEY = TimerKey(Timer.FORGET)

_TIMESTAMP_MS_MAX = 2**63 - 1


def commit(turn: Turn, command: Commit, ticket: Ticket) -> None:
    """A member's commit needs its generation; one without member and generation needs a group without
    members.
    """
    group = turn.groups.get(command.group_id)
    if group is None:
        if command.generation >= 0:
            turn.answer(ticket, CommitAnswer(error=ErrorCode.GROUP_ID_NOT_FOUND))
            return
        group = turn.groups[command.group_id] = Group(command.group_id, state_timestamp_ms=turn.now.wall_ms)
    error = _check_commit(group, command)
    if error is not ErrorCode.NONE:
        turn.answer(ticket, CommitAnswer(error=error))
        turn.forget_if_vacant(group)
        return
    member = group.members.get(command.member_id)
    if member is not None:
        renew_session(turn, group, member)
    errors = tuple(_commit_one(turn, group, command, offset) for offset in command.offsets)
    turn.answer(ticket, CommitAnswer(errors=errors))
    turn.forget_if_vacant(group)


def _check_commit(group: Group, command: Commit) -> ErrorCode:
    if commit_bytes_bound(command) > RECORDS_BYTES_MAX:
        return ErrorCode.INVALID_COMMIT_OFFSET_SIZE
    if command.generation < 0 and group.state is GroupState.EMPTY:
        # A consumer that assigns itself its partitions, or an administrator who resets offsets.
        return ErrorCode.NONE
    is_member = command.member_id != UNKNOWN_MEMBER_ID or command.instance_id is not None
    if command.generation == NO_GENERATION and not is_member:
        return ErrorCode.UNKNOWN_MEMBER_ID
    error = group.check_member(command.member_id, command.instance_id)
    if error is not ErrorCode.NONE:
        return error
    if command.generation != group.generation:
        return ErrorCode.ILLEGAL_GENERATION
    if group.state is GroupState.COMPLETING_REBALANCE:
        # The member knows the new generation, but not its assignment in it.
        return ErrorCode.REBALANCE_IN_PROGRESS
    return ErrorCode.NONE


def commit_bytes_bound(command: Commit) -> int:
    """Returns an upper bound of the size of the commit's batch."""
    per_record = _OFFSET_RECORD_BYTES + len(command.group_id.encode())
    strings = sum(len(o.partition.topic) + len(o.metadata.encode()) for o in command.offsets)
    return per_record * len(command.offsets) + strings


def _commit_one(turn: Turn, group: Group, command: Commit, offset: OffsetToCommit) -> ErrorCode:
    if len(offset.metadata.encode()) > turn.config.offset_metadata_max:
        return ErrorCode.OFFSET_METADATA_TOO_LARGE
    topic_id = _topic_meant(turn, offset)
    if topic_id is None:
        return ErrorCode.UNKNOWN_TOPIC_ID
    now_ms = turn.now.wall_ms
    committed = CommittedOffset(
        offset=offset.offset,
        leader_epoch=offset.leader_epoch,
        metadata=offset.metadata,
        commit_timestamp_ms=now_ms,
        expire_timestamp_ms=_expiry(now_ms, command.retention_ms),
        topic_id=topic_id,
        metadata_offset=turn.topics.metadata_offset,
    )
    turn.write_offset(group, offset.partition, committed)
    return ErrorCode.NONE


def _topic_meant(turn: Turn, offset: OffsetToCommit) -> TopicId | None:
    """Returns the id of the topic that the commit means; None when that topic is deleted. A consumer of
    the old topic may commit late, by a name that another topic has by now: the epoch of its last record
    shows it.
    """
    topic_id = turn.topics.id_of(offset.partition.topic)
    if offset.topic_id not in (NO_TOPIC_ID, topic_id):
        return None
    if is_of_earlier_topic(turn.topics, offset.partition, offset.leader_epoch):
        return None
    return topic_id


def _expiry(now_ms: int, retention_ms: int | None) -> int | None:
    """A retention that does not fit the record's 64 bits is forever."""
    return None if retention_ms is None else min(now_ms + retention_ms, _TIMESTAMP_MS_MAX)


def fetch_offsets(turn: Turn, command: FetchOffsets, ticket: Ticket) -> None:
    """A group that does not exist has no offsets, and that is no error. Offsets committed for a deleted
    topic are not returned for a new one with its name.
    """
    group = turn.groups.get(command.group_id)
    offsets: dict[TopicPartition, CommittedOffset] = {}
    if group is not None and command.partitions is None:
        offsets = dict(group.offsets)
    elif group is not None and command.partitions is not None:
        found = ((partition, group.offsets.get(partition)) for partition in command.partitions)
        offsets = {partition: committed for partition, committed in found if committed is not None}
    valid = {
        partition: committed
        for partition, committed in offsets.items()
        if not is_of_deleted_topic(turn.topics, partition, committed)
    }
    turn.answer(ticket, OffsetsAnswer(offsets=valid))


def delete_offsets(turn: Turn, command: DeleteOffsets, ticket: Ticket) -> None:
    """A group with nothing left is there, empty, until the next pass over expired offsets, as in Kafka."""
    group = turn.groups.get(command.group_id)
    if group is None:
        turn.answer(ticket, DeleteOffsetsAnswer(error=ErrorCode.GROUP_ID_NOT_FOUND))
    elif group.state is not GroupState.EMPTY and not group.uses_consumer_protocol:
        # The offsets that such members use are not known.
        turn.answer(ticket, DeleteOffsetsAnswer(error=ErrorCode.NON_EMPTY_GROUP))
    else:
        errors = tuple(_delete_one(turn, group, partition) for partition in command.partitions)
        turn.answer(ticket, DeleteOffsetsAnswer(errors=errors))


def _delete_one(turn: Turn, group: Group, partition: TopicPartition) -> ErrorCode:
    if group.is_subscribed_to(partition.topic):
        return ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC
    turn.write_offset_tombstone(group, partition)
    return ErrorCode.NONE


def forget_topics(turn: Turn, command: ForgetTopics, ticket: Ticket) -> None:
    """A topic created later under the same name must not inherit the offsets."""
    found = [
        StaleOffset(group.group_id, TopicPartition(topic, partition), committed)
        for group in turn.groups.values()
        for topic in command.topics & group.offsets.by_topic.keys()
        for partition, committed in group.offsets.by_topic[topic].items()
        if committed.topic_id == NO_TOPIC_ID or committed.topic_id != turn.topics.id_of(topic)
    ]
    turn.stale.extend(found)
    forget_stale(turn)
    turn.answer(ticket, ForgetTopicsAnswer(offsets_removed=len(found)))


def forget_stale(turn: Turn) -> None:
    """Remove offsets of deleted topics, as many as one turn may; the rest in turns of their own."""
    for _ in range(min(len(turn.stale), FORGOTTEN_OFFSETS_PER_TURN)):
        group_id, partition, committed = turn.stale.popleft()
        group = turn.groups.get(group_id)
        if group is not None and group.offsets.get(partition) is committed:
            turn.write_offset_tombstone(group, partition)
    if turn.stale:
        turn.deadlines.set(FORGET_KEY, turn.now.monotonic_ms + 1)
