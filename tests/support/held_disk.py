"""A disk whose threads can be held, so that a test decides when they come to their work."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from chronik.log.disk import Syncable
from chronik.sim.disk import CrashDisk

_Result = TypeVar("_Result")


class HeldDisk(CrashDisk):
    """Holds what is to be synced, or what is to be done in a thread, until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self._syncs = asyncio.Event()
        self._threads = asyncio.Event()
        self._syncs.set()
        self._threads.set()
        # Files of each round, when it came.
        self.rounds: list[Sequence[Syncable]] = []
        self.waiting_threads = 0

    def hold_syncs(self) -> None:
        self._syncs.clear()

    def hold_threads(self) -> None:
        self._threads.clear()

    def let_go(self) -> None:
        self._syncs.set()
        self._threads.set()

    async def sync_many(self, files: Sequence[Syncable]) -> Mapping[Syncable, OSError]:
        self.rounds.append(files)
        await self._syncs.wait()
        return await super().sync_many(files)

    async def run_blocking(self, work: Callable[[], _Result]) -> _Result:
        self.waiting_threads += 1
        try:
            # Not cancelled with its caller: a thread goes on.
            await asyncio.shield(self._threads.wait())
        finally:
            self.waiting_threads -= 1
        return await super().run_blocking(work)
