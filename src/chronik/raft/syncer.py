"""Group commit: one round of syncs at a time for all logs of a node.

A log that was written requests a sync. While a round runs, further requests gather; the next round takes them
all. So the number of syncs follows the device's speed, not the number of producers. Created and closed by the
node.
"""

import asyncio
import errno
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from chronik.log.disk import Disk, Syncable
from chronik.raft.latency import Latency, LatencyFigures, Timer
from chronik.vocab.ids import Offset

_log = logging.getLogger(__name__)

_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)
# A few round trips of clients, whose connections take descriptors and give them back.
_RETRY_SECONDS = 0.05


class Synced(Protocol):
    """A log's side of a sync round."""

    def files_to_sync(self) -> tuple[Sequence[Syncable], Offset]:
        """The files written since they were last synced, and the log end offset they reach. Raises
        OSError.
        """
        ...

    def on_synced(self, end_offset: Offset) -> None:
        """Everything below `end_offset` is durable."""
        ...

    def on_sync_failed(self, error: OSError) -> None:
        """The round failed. The content of the files on the device is unknown from now on: never sync them
        again.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncerStatistics:
    """Totals since start."""

    # Of rounds that had a file to sync.
    rounds: int
    files: int
    failures: int
    seconds: float
    # Of the rounds.
    latency: LatencyFigures


class Syncer:
    """Runs the rounds. `request` from the event loop only."""

    def __init__(self, disk: Disk, timer: Timer | None = None) -> None:
        """`timer` measures rounds; without it the loop's clock does, which may count in milliseconds."""
        self._disk = disk
        self._latency = Latency(timer)
        # In order of request; a dict because a log requests many times in a round and is synced once.
        self._waiting: dict[Synced, None] = {}
        # Invariant: not None exactly while a round runs or is scheduled.
        self._task: asyncio.Task[None] | None = None
        # Futures to resolve when the round on the disk ends; None while there is none.
        self._round_watchers: list[asyncio.Future[None]] | None = None
        self._rounds = 0
        self._files = 0
        self._failures = 0

    def request(self, log: Synced) -> None:
        """Sync `log` in the next round, which starts in this turn of the loop if none is running."""
        self._waiting[log] = None
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def forget(self, log: Synced) -> None:
        """Take back a request, because the log is being closed or deleted."""
        self._waiting.pop(log, None)

    async def drain(self) -> None:
        """Wait until every request made so far has been answered."""
        while self._task is not None:
            await asyncio.shield(self._task)

    async def wait_until_drained(self) -> None:
        """Wait until no file is being synced that was requested before; later rounds may run."""
        if self._round_watchers is not None:
            watcher: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._round_watchers.append(watcher)
            await watcher

    def statistics(self) -> SyncerStatistics:
        latency = self._latency.figures()
        return SyncerStatistics(
            rounds=self._rounds,
            files=self._files,
            failures=self._failures,
            seconds=latency.seconds,
            latency=latency,
        )

    async def _run(self) -> None:
        try:
            while self._waiting:
                logs, self._waiting = list(self._waiting), {}
                await self._sync_round(logs)
        finally:
            self._task = None

    async def _sync_round(self, logs: Sequence[Synced]) -> None:
        work = []
        for log in logs:
            try:
                work.append((log, *log.files_to_sync()))
            except OSError as error:
                self._fail(log, error)
            except Exception as error:  # nor must it keep all others from their syncs
                _log.critical(
                    "partition stopped: its log could not be synced; restart this node", exc_info=error
                )
                self._fail(log, OSError(f"the log cannot be synced: {error}"))
        # Once each: the store of terms and markers is among the files of many groups.
        files = list(dict.fromkeys(file for _, log_files, _ in work for file in log_files))
        started = self._latency.now()
        results = await self._sync(files)
        if files:
            # A round without files syncs nothing: counted, it would hide how long the others take.
            self._rounds += 1
            self._files += len(files)
            self._latency.since(started)
        for log, log_files, end_offset in work:
            failure = next((results[file] for file in log_files if file in results), None)
            if failure is None:
                self._tell_synced(log, end_offset)
            else:
                self._fail(log, failure)

    async def _sync(self, files: Sequence[Syncable]) -> Mapping[Syncable, OSError]:
        watchers = self._round_watchers = []
        try:
            return await self._sync_until_answered(files)
        finally:
            self._round_watchers = None
            for watcher in watchers:
                if not watcher.done():
                    watcher.set_result(None)

    async def _sync_until_answered(self, files: Sequence[Syncable]) -> Mapping[Syncable, OSError]:
        """A file that could not be opened was not synced, which says nothing about the device: it is tried
        again until a descriptor is free.
        """
        failures: dict[Syncable, OSError] = {}
        # Also of no file: a round is over when the disk reports it, not before.
        while True:
            results = await self._disk.sync_many(files)
            files = [file for file, error in results.items() if error.errno in _OUT_OF_DESCRIPTORS]
            failures.update((file, error) for file, error in results.items() if file not in files)
            if not files:
                return failures
            await asyncio.sleep(_RETRY_SECONDS)

    def _tell_synced(self, log: Synced, end_offset: Offset) -> None:
        try:
            log.on_synced(end_offset)
        except Exception as error:  # a bug behind one log must not hold the commits of all others
            _log.critical("partition stopped: its commit failed; restart this node", exc_info=error)
            self._fail(log, OSError(f"the commit went wrong: {error}"))

    def _fail(self, log: Synced, error: OSError) -> None:
        self._failures += 1
        log.on_sync_failed(error)
