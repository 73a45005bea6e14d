"""Time as a shard sees it: what time it is, when it wants to be woken, and what for.

The host of the shard owns the one loop timer behind it.

A heartbeat moves a deadline back every few seconds for every member, so moving one later costs a dictionary
write only: the heap keeps the old, earlier entry, and the true deadline is looked up when that entry comes
up.
"""

import heapq
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple


class Now(NamedTuple):
    """The time of a command: wall time for what is written, monotonic time for deadlines."""

    wall_ms: int
    monotonic_ms: int


class Timer(IntEnum):
    """What happens at a deadline."""

    # A member, or a pending member, has not been heard of.
    SESSION = 0
    # The join phase ends for those who have joined.
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


class Deadlines:
    """Deadlines in monotonic milliseconds; at most one per key."""

    def __init__(self) -> None:
        self._due_ms: dict[TimerKey, int] = {}
        # The heap entry that counts for a key; any other entry of it is stale.
        # Invariant: for each key in _due_ms it exists and is not later than the deadline.
        self._queued_ms: dict[TimerKey, int] = {}
        self._heap: list[tuple[int, TimerKey]] = []

    def set(self, key: TimerKey, due_ms: int) -> None:
        self._due_ms[key] = due_ms
        queued_ms = self._queued_ms.get(key)
        if queued_ms is None or due_ms < queued_ms:
            self._push(key, due_ms)

    def get(self, key: TimerKey) -> int | None:
        return self._due_ms.get(key)

    def cancel(self, key: TimerKey) -> None:
        self._due_ms.pop(key, None)

    def next_ms(self) -> int | None:
        """The earliest deadline; None when there is none."""
        while self._heap:
            entry_ms, key = self._heap[0]
            due_ms = self._due_ms.get(key)
            is_counted = self._queued_ms.get(key) == entry_ms
            if is_counted and due_ms == entry_ms:
                return due_ms
            heapq.heappop(self._heap)
            if is_counted:
                del self._queued_ms[key]
                if due_ms is not None:
                    self._push(key, due_ms)
        return None

    def pop_due(self, now_ms: int) -> Iterator[TimerKey]:
        """Remove and yield each deadline that has passed, earliest first; those set meanwhile are seen
        too.
        """
        while (due_ms := self.next_ms()) is not None and due_ms <= now_ms:
            _, key = heapq.heappop(self._heap)
            del self._due_ms[key], self._queued_ms[key]
            yield key

    def _push(self, key: TimerKey, due_ms: int) -> None:
        self._queued_ms[key] = due_ms
        heapq.heappush(self._heap, (due_ms, key))
