"""Periodic work of a node: retention, rolling by time, expiry of producers, offline partitions.

Two tasks per node. They yield to requests after each partition, and survive any exception of one partition.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine

from chronik.broker.partition import Partition
from chronik.broker.replica_manager import ReplicaManager

_log = logging.getLogger(__name__)

# A log that could not be opened, because the disk was full for example, is tried again after this time, then
# after twice as long each time: trying costs reads, and most causes need an operator.
OFFLINE_RETRY_SECONDS = 5.0
OFFLINE_RETRY_SECONDS_MAX = 300.0


class LogMaintenance:
    """Created and stopped by the node. `interval_ms` is called before each round
    (log.retention.check.interval.ms).
    """

    def __init__(self, replicas: ReplicaManager, interval_ms: Callable[[], int]) -> None:
        self._replicas = replicas
        self._interval_ms = interval_ms
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._start(self._maintain(), "maintenance")
        self._start(self._retry_offline(), "maintenance-offline")

    def _start(self, work: Coroutine[None, None, None], name: str) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def run_once(self) -> int:
        """Runs one round now; returns how many segments it removed."""
        removed = 0
        for partition in self._replicas.partitions():
            removed += await self._maintain_one(partition)
            await asyncio.sleep(0)
        return removed

    async def _maintain_one(self, partition: Partition) -> int:
        try:
            return await self._replicas.run_maintenance(partition)
        except Exception as error:  # one partition's trouble must not end the retention of all others
            _log.critical(
                "log maintenance failed; the next run tries again",
                extra={"partition": str(partition.name)},
                exc_info=error,
            )
            return 0

    async def _maintain(self) -> None:
        while True:
            await asyncio.sleep(self._interval_ms() / 1000)
            await self.run_once()

    async def _retry_offline(self) -> None:
        seconds = OFFLINE_RETRY_SECONDS
        while True:
            await asyncio.sleep(seconds)
            is_any_left = self._replicas.retry_offline()
            seconds = min(2 * seconds, OFFLINE_RETRY_SECONDS_MAX) if is_any_left else OFFLINE_RETRY_SECONDS
