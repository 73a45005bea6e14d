"""The kinds of deadlines of a shard of groups."""

from enum import IntEnum
from typing import NamedTuple


class Timer(IntEnum):
    """The action at a deadline."""

    # A member, or a pending member, sent nothing for its session timeout.
    SESSION = 0
    # The join phase ends for the members that have joined.
    JOIN = 1
    # The sync phase ends: who has not synced is removed.
    SYNC = 2
    # Look for offsets past their retention.
    EXPIRY = 3
    # Go on removing offsets of deleted topics.
    FORGET = 4


class TimerKey(NamedTuple):
    timer: Timer
    group_id: str = ""
    member_id: str = ""
