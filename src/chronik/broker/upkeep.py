"""What a node does by itself, every so often: retention, rolling by time, expiry of producers, offline
partitions.

One task per node. It gives way to requests after each partition.
"""

import asyncio
from collections.abc import Callable

from chronik.broker.replica_manager import ReplicaManager


class Upkeep:
    """Made and ended by the node. `interval_ms` is asked for before each round
    (log.retention.check.interval.ms).
    """

    def __init__(self, replicas: ReplicaManager, interval_ms: Callable[[], int]) -> None:
        self._replicas = replicas
        self._interval_ms = interval_ms
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="upkeep")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def run_once(self) -> int:
        """One round now; how many segments it removed."""
        removed = 0
        self._replicas.retry_offline()
        for partition in self._replicas.partitions():
            removed += await self._replicas.keep_up(partition)
            await asyncio.sleep(0)
        return removed

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval_ms() / 1000)
            await self.run_once()
