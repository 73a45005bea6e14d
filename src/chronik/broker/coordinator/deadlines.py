"""The deadlines of a shard, by their keys. The host of the shard owns the one loop timer behind them.

A heartbeat moves a deadline back every few seconds for every member, so moving one later costs a dictionary
write only: the heap keeps the old, earlier entry, and the true deadline is looked up when that entry comes
up.
"""

import heapq
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

# Hashable, and ordered: between equal deadlines the smaller key comes first.
K = TypeVar("K", bound=tuple[Any, ...])


class Deadlines(Generic[K]):
    """Deadlines in monotonic milliseconds; at most one per key."""

    def __init__(self) -> None:
        self._due_ms: dict[K, int] = {}
        # The heap entry that counts for a key; any other entry of it is stale.
        # Invariant: for each key in _due_ms it exists and is not later than the deadline.
        self._queued_ms: dict[K, int] = {}
        self._heap: list[tuple[int, K]] = []

    def set(self, key: K, due_ms: int) -> None:
        self._due_ms[key] = due_ms
        queued_ms = self._queued_ms.get(key)
        if queued_ms is None or due_ms < queued_ms:
            self._push(key, due_ms)

    def get(self, key: K) -> int | None:
        return self._due_ms.get(key)

    def cancel(self, key: K) -> None:
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

    def pop_due(self, now_ms: int) -> Iterator[K]:
        """Removes and yields each deadline that has passed, earliest first; those set during the iteration
        included.
        """
        while (due_ms := self.next_ms()) is not None and due_ms <= now_ms:
            _, key = heapq.heappop(self._heap)
            del self._due_ms[key], self._queued_ms[key]
            yield key

    def _push(self, key: K, due_ms: int) -> None:
        self._queued_ms[key] = due_ms
        heapq.heappush(self._heap, (due_ms, key))
