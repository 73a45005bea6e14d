"""Group commit: one round of syncs at a time for all logs of a node.

A log that was written requests a sync. While a round runs, further requests gather; the next round takes them
all. So the number of syncs follows the device's speed, not the number of producers. Created and closed by the
node.
"""

import asyncio
import errno
import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from chronik.log.disk import Disk, Syncable
from chronik.raft.latency import Latency, LatencyFigures, Timer
from chronik.vocab.ids import Offset
from chronik.vocab.invariant import invariant

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


class SyncerStatistics(NamedTuple):
    """Totals since start."""

    # Of rounds that had a file to sync.
    rounds: int
    files: int
    failures: int
    seconds: float
    # Of the rounds.
    latency: LatencyFigures


class _Round(NamedTuple):
    """What is synced now, and when it began."""

    # Each log, its files, and the log end offset they reach.
    work: Sequence[tuple[Synced, Sequence[Syncable], Offset]]
    files: int
    started: float


class Syncer:
    """Runs the rounds. `request` from the event loop only.

    Callbacks and no task: logs are notified in the turn of the loop in which the disk reports. A task would
    wait for another turn, in which a busy node first reads all its connections.
    """

    def __init__(self, disk: Disk, timer: Timer | None = None) -> None:
        """`timer` measures rounds; without it the loop's clock does, which may count in milliseconds."""
        self._disk = disk
        self._latency = Latency(timer)
        # In order of request; a dict because a log requests many times in a round and is synced once.
        self._waiting: dict[Synced, None] = {}
        # Whether a round runs or is scheduled.
        self._is_busy = False
        # The round that is on the disk now, None while there is none; and its files that have failed.
        self._round: _Round | None = None
        self._failed: dict[Syncable, OSError] = {}
        # Waiters for the end of that round, and for the end of all rounds.
        self._round_watchers: list[asyncio.Future[None]] = []
        self._idle_watchers: list[asyncio.Future[None]] = []
        self._rounds = 0
        self._files = 0
        self._failures = 0

    def request(self, log: Synced) -> None:
        """Sync `log` in the next round, which starts in the next turn of the loop if none is running."""
        self._waiting[log] = None
        if not self._is_busy:
            self._is_busy = True
            asyncio.get_running_loop().call_soon(self._begin)

    def forget(self, log: Synced) -> None:
        """Take back a request, because the log is being closed or deleted."""
        self._waiting.pop(log, None)

    async def drain(self) -> None:
        """Wait until every request made so far has been answered."""
        while self._is_busy:
            await _watch(self._idle_watchers)

    async def wait_until_drained(self) -> None:
        """Wait until no file is being synced that was requested before; later rounds may run."""
        if self._round is not None:
            await _watch(self._round_watchers)

    def statistics(self) -> SyncerStatistics:
        latency = self._latency.figures()
        return SyncerStatistics(
            rounds=self._rounds,
            files=self._files,
            failures=self._failures,
            seconds=latency.seconds,
            latency=latency,
        )

    def _begin(self) -> None:
        """Begin a round with all that wait, if any do."""
        if not self._waiting:
            self._is_busy = False
            _release(self._idle_watchers)
            return
        logs, self._waiting = list(self._waiting), {}
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
        files = work[0][1] if len(work) == 1 else _distinct(work)
        self._round = _Round(work, len(files), self._latency.now())
        # Also no files: a round is over when the disk reports it, not before.
        self._disk.begin_sync(files, self._on_synced)

    def _on_synced(self, results: Mapping[Syncable, OSError]) -> None:
        # Results are failures: mostly there are none.
        again = self._sort(results) if results else ()
        if again:
            loop = asyncio.get_running_loop()
            loop.call_later(_RETRY_SECONDS, self._disk.begin_sync, again, self._on_synced)
            return
        done, self._round = self._round, None
        invariant(done is not None, "the end of a round that did not begin")
        assert done is not None
        failed, self._failed = self._failed, {}
        if done.files:
            # A round without files syncs nothing: counted, it would hide how long the others take.
            self._rounds += 1
            self._files += done.files
            self._latency.since(done.started)
        if self._round_watchers:
            _release(self._round_watchers)
        for log, log_files, end_offset in done.work:
            failure = next((failed[file] for file in log_files if file in failed), None) if failed else None
            if failure is None:
                self._tell_synced(log, end_offset)
            else:
                self._fail(log, failure)
        self._begin()

    def _sort(self, results: Mapping[Syncable, OSError]) -> Sequence[Syncable]:
        """Notes which files failed; returns those to be synced again. A file that could not be opened was not
        synced, which says nothing about the device: it is tried again until a descriptor is free.
        """
        again = [file for file, error in results.items() if error.errno in _OUT_OF_DESCRIPTORS]
        self._failed.update((file, error) for file, error in results.items() if file not in again)
        return again

    def _tell_synced(self, log: Synced, end_offset: Offset) -> None:
        try:
            log.on_synced(end_offset)
        except Exception as error:  # a bug behind one log must not hold the commits of all others
            _log.critical("partition stopped: its commit failed; restart this node", exc_info=error)
            self._fail(log, OSError(f"the commit went wrong: {error}"))

    def _fail(self, log: Synced, error: OSError) -> None:
        self._failures += 1
        log.on_sync_failed(error)


def _distinct(work: Sequence[tuple[Synced, Sequence[Syncable], Offset]]) -> Sequence[Syncable]:
    """Each file once: the store of terms and markers is among the files of many groups."""
    return list(dict.fromkeys(file for _, log_files, _ in work for file in log_files))


async def _watch(watchers: "list[asyncio.Future[None]]") -> None:
    watcher: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    watchers.append(watcher)
    await watcher


def _release(watchers: "list[asyncio.Future[None]]") -> None:
    for watcher in watchers:
        if not watcher.done():
            watcher.set_result(None)
    watchers.clear()
