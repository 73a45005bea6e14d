"""Waiters for the commit of what they appended, in the order of the log.

A partition has one. It outlives leadership: records that a leader appended before it lost its term may still
be committed by the next one, and are then acknowledged; only truncation rules that out (decision 0009).
"""

from collections import deque
from typing import TYPE_CHECKING, Protocol

from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import Offset

if TYPE_CHECKING:
    from chronik.broker.gateway import PartitionGateway


class CommitWaiter(Protocol):
    """Waits until the records it appended are committed."""

    def on_committed(self, partition: "PartitionGateway") -> None: ...

    def on_commit_failed(self, partition: "PartitionGateway", code: ErrorCode) -> None: ...


# What those without waiters have in common: an empty deque takes 760 bytes, and a node may have thousands of
# partitions.
_NOBODY: "deque[tuple[Offset, CommitWaiter]]" = deque(maxlen=0)


class CommitWaiters:
    """See the module. Each waiter is called once."""

    __slots__ = ("_partition", "_waiters")

    def __init__(self, partition: "PartitionGateway") -> None:
        self._partition = partition
        # Invariant: end offsets ascend, and all are above the high watermark.
        self._waiters: deque[tuple[Offset, CommitWaiter]] = _NOBODY

    def __len__(self) -> int:
        return len(self._waiters)

    def add(self, end_offset: Offset, waiter: CommitWaiter) -> None:
        """`end_offset` must be above the high watermark."""
        waiters = self._waiters
        if waiters is _NOBODY:
            waiters = self._waiters = deque()
        position = len(waiters)
        # A retried duplicate may wait for less than those before it.
        while position > 0 and waiters[position - 1][0] > end_offset:
            position -= 1
        waiters.insert(position, (end_offset, waiter))

    def on_commit(self, high_watermark: Offset) -> None:
        waiters = self._waiters
        while waiters and waiters[0][0] <= high_watermark:
            waiters.popleft()[1].on_committed(self._partition)
        if not waiters:
            self._waiters = _NOBODY

    def on_truncated(self, end_offset: Offset) -> None:
        """Records from `end_offset` on are gone."""
        waiters = self._waiters
        kept = len(waiters)
        while kept > 0 and waiters[kept - 1][0] > end_offset:
            kept -= 1
        lost = [waiters.pop()[1] for _ in range(len(waiters) - kept)]
        for waiter in reversed(lost):
            waiter.on_commit_failed(self._partition, ErrorCode.NOT_LEADER_OR_FOLLOWER)

    def fail(self, code: ErrorCode) -> None:
        """Nothing will be committed here any more."""
        while self._waiters:
            self._waiters.popleft()[1].on_commit_failed(self._partition, code)
