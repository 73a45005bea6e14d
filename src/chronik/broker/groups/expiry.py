"""Offsets past their retention, and groups with nothing left (KIP-211).

An offset's time starts when it is no longer in use: for a group without members when it became empty (or at
the commit, if that was later: an administrator may set offsets for an empty group), for a topic that a
group's consumers do not subscribe to at the commit. Offsets in use never expire.
"""

from chronik.broker.groups.config import EXPIRED_OFFSETS_PER_TURN
from chronik.broker.groups.group import Group
from chronik.broker.groups.offsets import CommittedOffset
from chronik.broker.groups.state import GroupState
from chronik.broker.groups.timers import Timer, TimerKey
from chronik.broker.groups.turn import Turn
from chronik.vocab.ids import TopicPartition

EXPIRY_KEY = TimerKey(Timer.EXPIRY)


def on_expiry_deadline(turn: Turn) -> None:
    """Makes one pass over the groups, or the part of it that fits into one turn."""
    next_ms = turn.now.monotonic_ms + turn.config.expiry_interval_ms
    left = EXPIRED_OFFSETS_PER_TURN
    for group in list(turn.groups.values()):
        expired = [
            partition
            for partition, committed in group.offsets
            if _is_expired(turn, group, partition, committed)
        ]
        for partition in expired[:left]:
            turn.write_offset_tombstone(group, partition)
        if len(expired) > left:
            # The rest in a turn of its own, so that commands get in between.
            next_ms = turn.now.monotonic_ms + 1
            break
        left -= len(expired)
        if expired:
            turn.log(group, f"{len(expired)} offsets expired")
        _maybe_delete(turn, group)
    turn.deadlines.set(EXPIRY_KEY, next_ms)


def _maybe_delete(turn: Turn, group: Group) -> None:
    is_unused = group.state is GroupState.EMPTY and not group.pending_members and not group.offsets
    if is_unused and group.is_written:
        turn.write_group_tombstone(group)
        turn.log(group, "deleted: no members and no offsets")
    turn.forget_if_vacant(group)


def _is_expired(turn: Turn, group: Group, partition: TopicPartition, committed: CommittedOffset) -> bool:
    if not group.is_simple and group.is_subscribed_to(partition.topic):
        return False
    unused_since_ms = _unused_since_ms(group, committed)
    if unused_since_ms is None:
        return False
    now_ms = turn.now.wall_ms
    if committed.expire_timestamp_ms is not None:
        return now_ms >= committed.expire_timestamp_ms
    return now_ms - unused_since_ms >= turn.config.offsets_retention_ms


def _unused_since_ms(group: Group, committed: CommittedOffset) -> int | None:
    """Wall time; None while the offset may be in use."""
    if group.is_simple:
        return committed.commit_timestamp_ms
    if group.state is GroupState.EMPTY:
        return max(committed.commit_timestamp_ms, group.state_timestamp_ms or 0)
    if group.state is GroupState.STABLE and group.topics is not None:
        return committed.commit_timestamp_ms
    return None
