"""The appends of one shard that are on their way, and the outcomes that wait for them."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from chronik.broker.coordinator.log import (
    RECORD_OVERHEAD_BYTES,
    RECORDS_BYTES_MAX,
    CoordinatorLog,
    KeyValue,
    KeyValues,
)
from chronik.broker.coordinator.shard import Outcome


class InFlight:
    """A batch on its way, and the outcomes that are delivered when it is committed."""

    __slots__ = ("committed", "outcomes")

    def __init__(self, committed: asyncio.Future[None]) -> None:
        self.committed = committed
        self.outcomes: list[Outcome[Any]] = []


class AppendQueue:
    """Owned by a host, for its life."""

    def __init__(
        self,
        log: CoordinatorLog,
        partition: int,
        deliver: Callable[[Sequence[Outcome[Any]]], None],
        fail: Callable[[BaseException], None],
    ) -> None:
        """`deliver` is called with outcomes when they are committed, in the order of the log; `fail` when an
        append has failed, and must call `abandon`.
        """
        self._log = log
        self._partition = partition
        self._deliver = deliver
        self._fail = fail
        # In the order of the log.
        self.in_flight: deque[InFlight] = deque()
        # Appends that were in flight when the state they came from was dropped; some may still be committed.
        self._abandoned: list[asyncio.Future[None]] = []

    def append(self, outcome: Outcome[Any]) -> None:
        """Raises KafkaError when the log does not take it."""
        for records in _batches(outcome.records):
            committed = self._log.append(self._partition, records, outcome.transaction)
            self.in_flight.append(InFlight(committed))
            committed.add_done_callback(self._on_done)
        if outcome.marker is not None:
            committed = self._log.append_marker(self._partition, outcome.marker)
            self.in_flight.append(InFlight(committed))
            committed.add_done_callback(self._on_done)

    def _on_done(self, committed: asyncio.Future[None]) -> None:
        """Delivers everything committed by now, in order, up to an append that is not done or has failed."""
        # Retrieved, so that asyncio does not report a failure as unhandled.
        _failure(committed)
        in_flight = self.in_flight
        # A delivery may append, or fail and abandon the rest.
        while in_flight and in_flight[0].committed.done():
            failure = _failure(in_flight[0].committed)
            if failure is not None:
                self._fail(failure)
                return
            self._deliver(in_flight.popleft().outcomes)

    def abandon(self) -> None:
        """Stops the delivery of everything appended so far."""
        self._abandoned += [append.committed for append in self.in_flight]
        self.in_flight.clear()

    async def wait_abandoned(self) -> None:
        """Wait until it is known of each abandoned append whether it is committed."""
        if self._abandoned:
            await asyncio.wait(self._abandoned)
            self._abandoned = []


def _failure(committed: asyncio.Future[None]) -> BaseException | None:
    """Returns the reason why a completed append has failed; None when it has not."""
    return asyncio.CancelledError() if committed.cancelled() else committed.exception()


def _batches(records: list[KeyValue]) -> Iterator[KeyValues]:
    """Pieces that each fit in a batch."""
    batch: list[KeyValue] = []
    size = 0
    for key, value in records:
        record_size = len(key) + len(value or b"") + RECORD_OVERHEAD_BYTES
        if batch and size + record_size > RECORDS_BYTES_MAX:
            yield batch
            batch, size = [], 0
        batch.append((key, value))
        size += record_size
    if batch:
        yield batch
