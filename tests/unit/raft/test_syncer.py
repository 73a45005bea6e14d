"""Rounds of syncs: shared, one at a time, failing by log."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from chronik.log.disk import Syncable
from chronik.raft.syncer import Syncer
from chronik.sim.disk import CrashDisk
from chronik.sim.virtual_time import virtual
from chronik.vocab.ids import Offset

T = TypeVar("T")


class HeldDisk(CrashDisk):
    """Keeps each round until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.rounds: list[Sequence[Syncable]] = []
        self.gate = asyncio.Event()
        self.failures: dict[Syncable, OSError] = {}

    async def sync_many(self, files: Sequence[Syncable]) -> Mapping[Syncable, OSError]:
        self.rounds.append(files)
        await self.gate.wait()
        return {file: self.failures[file] for file in files if file in self.failures}

    async def run_blocking(self, work: Callable[[], T]) -> T:
        return work()


class FakeFile:
    def sync(self) -> None: ...


class FakeLog:
    """Counts what the syncer tells it."""

    def __init__(self, files: int = 1) -> None:
        self.file = FakeFile()
        self.files = [self.file] * files
        self.end_offset = 0
        self.synced = 0
        self.error: OSError | None = None

    def files_to_sync(self) -> tuple[Sequence[Syncable], Offset]:
        return self.files, Offset(self.end_offset)

    def on_synced(self, end_offset: Offset) -> None:
        self.synced = end_offset

    def on_sync_failed(self, error: OSError) -> None:
        self.error = error


async def turn() -> None:
    """Let everything that can run, run."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_requests_during_a_round_share_the_next_one() -> None:
    async def play() -> None:
        disk = HeldDisk()
        syncer = Syncer(disk)
        first, second = FakeLog(), FakeLog()
        first.end_offset = 1
        syncer.request(first)
        await turn()
        first.end_offset, second.end_offset = 5, 7
        for _ in range(10):
            syncer.request(first)
            syncer.request(second)
        await turn()
        assert len(disk.rounds) == 1
        disk.gate.set()
        await syncer.drain()
        assert [len(files) for files in disk.rounds] == [1, 2]
        assert (first.synced, second.synced) == (5, 7)
        assert syncer.statistics().rounds == 2
        assert syncer.statistics().files == 3

    asyncio.run(play())


def test_each_round_is_timed() -> None:
    async def play() -> None:
        disk, now = HeldDisk(), 100.0
        disk.gate.set()
        syncer = Syncer(disk, lambda: now)
        log = FakeLog()
        syncer.request(log)
        await syncer.drain()
        disk.gate.clear()
        syncer.request(log)
        await turn()
        now += 0.75
        disk.gate.set()
        await syncer.drain()
        latency = syncer.statistics().latency
        assert (sum(latency.counts), latency.counts[0]) == (2, 1)
        assert latency.seconds == syncer.statistics().seconds == latency.recent_max == 0.75

    asyncio.run(play())


def test_a_round_without_files_is_not_counted() -> None:
    async def play() -> None:
        disk, now = HeldDisk(), 100.0
        disk.gate.set()
        syncer = Syncer(disk, lambda: now)
        syncer.request(FakeLog(files=0))
        await syncer.drain()
        assert (syncer.statistics().rounds, sum(syncer.statistics().latency.counts)) == (0, 0)
        syncer.request(FakeLog())
        await syncer.drain()
        assert (syncer.statistics().rounds, sum(syncer.statistics().latency.counts)) == (1, 1)

    asyncio.run(play())


def test_a_round_covers_only_what_was_written_before_it_began() -> None:
    async def play() -> None:
        disk = HeldDisk()
        syncer = Syncer(disk)
        log = FakeLog()
        log.end_offset = 3
        syncer.request(log)
        await turn()
        log.end_offset = 9
        disk.gate.set()
        await syncer.drain()
        assert log.synced == 3

    asyncio.run(play())


def test_a_failed_file_fails_its_log_alone() -> None:
    async def play() -> None:
        disk = HeldDisk()
        syncer = Syncer(disk)
        good, bad = FakeLog(), FakeLog()
        good.end_offset = bad.end_offset = 4
        disk.failures[bad.file] = OSError(5, "Input/output error")
        disk.gate.set()
        syncer.request(good)
        syncer.request(bad)
        await syncer.drain()
        assert (good.synced, good.error) == (4, None)
        assert bad.synced == 0
        assert bad.error is disk.failures[bad.file]
        assert syncer.statistics().failures == 1

    asyncio.run(play())


def test_a_bug_behind_one_log_stops_that_one_alone() -> None:
    class Buggy(FakeLog):
        def on_synced(self, end_offset: Offset) -> None:
            raise ValueError("a bug")

    async def play() -> None:
        disk = HeldDisk()
        syncer = Syncer(disk)
        buggy, good = Buggy(), FakeLog()
        buggy.end_offset = good.end_offset = 4
        disk.gate.set()
        syncer.request(buggy)
        syncer.request(good)
        await syncer.drain()
        assert good.synced == 4
        assert buggy.error is not None
        assert "a bug" in str(buggy.error)
        assert syncer.statistics().failures == 1

    asyncio.run(play())


def test_files_that_cannot_be_named_fail_their_log_alone() -> None:
    class Unnameable(FakeLog):
        def files_to_sync(self) -> tuple[Sequence[Syncable], Offset]:
            raise OSError(24, "Too many open files")

    async def play() -> None:
        disk = HeldDisk()
        syncer = Syncer(disk)
        bad, good = Unnameable(), FakeLog()
        good.end_offset = 4
        disk.gate.set()
        syncer.request(bad)
        syncer.request(good)
        await syncer.drain()
        assert good.synced == 4
        assert bad.error is not None

    asyncio.run(play())


def test_a_forgotten_log_is_not_synced() -> None:
    async def play() -> None:
        disk = HeldDisk()
        syncer = Syncer(disk)
        log = FakeLog()
        syncer.request(log)
        syncer.forget(log)
        disk.gate.set()
        await syncer.drain()
        assert disk.rounds == []

    asyncio.run(play())


@virtual
async def test_a_bug_in_one_log_keeps_no_other_from_its_sync() -> None:
    disk = CrashDisk()
    syncer = Syncer(disk)
    failed: list[OSError] = []
    synced: list[Offset] = []

    class Buggy:
        def files_to_sync(self) -> tuple[list[Syncable], Offset]:
            raise ZeroDivisionError("a bug")

        def on_synced(self, end_offset: Offset) -> None:
            raise AssertionError

        def on_sync_failed(self, error: OSError) -> None:
            failed.append(error)

    class Good:
        def files_to_sync(self) -> tuple[list[Syncable], Offset]:
            return [], Offset(7)

        def on_synced(self, end_offset: Offset) -> None:
            synced.append(end_offset)

        def on_sync_failed(self, error: OSError) -> None:
            raise error

    syncer.request(Buggy())
    syncer.request(Good())
    await syncer.drain()
    assert synced == [7]
    assert "a bug" in str(failed[0])
