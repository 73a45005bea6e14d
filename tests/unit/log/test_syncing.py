"""Rounds: what a sync must cover, and what it proves when it ends."""

import asyncio
import errno

import pytest

from chronik.log.disk import Syncable
from chronik.log.handle_cache import HandleCache
from chronik.log.partition_log import PartitionLog
from chronik.sim.disk import CrashDisk
from tests.support.manual_clock import ManualClock
from tests.unit.log.drivers import EPOCH, SMALL, batch_of, close_cleanly, open_log, sync

RECOVERY_POINT = "topic-0/recovery-point-offset-checkpoint"


class TestRounds:
    def test_only_what_was_begun_is_covered(self) -> None:
        disk, log = CrashDisk(), None
        log = open_log(disk, ManualClock())
        log.append([batch_of(3)], EPOCH)
        files, end_offset = log.files_to_sync()
        log.append([batch_of(2)], EPOCH)
        asyncio.run(disk.sync_many(files))
        log.on_synced(end_offset)
        assert (log.synced_offset, log.end_offset) == (3, 5)
        assert log.has_unsynced
        sync(log, disk)
        assert log.synced_offset == 5
        assert not log.has_unsynced

    def test_the_first_round_makes_the_names_durable(self) -> None:
        disk = CrashDisk()
        log = open_log(disk, ManualClock())
        log.append([batch_of()], EPOCH)
        files, _ = log.files_to_sync()
        assert len(files) == 3, "the log, its directory, and that one's name"
        sync(log, disk)
        log.append([batch_of()], EPOCH)
        files, _ = log.files_to_sync()
        assert len(files) == 1

    def test_names_wait_for_what_they_name(self) -> None:
        """Thousands of new partitions would otherwise sync thousands of empty directories."""
        disk = CrashDisk()
        log = open_log(disk, ManualClock())
        files, end_offset = log.files_to_sync()
        assert (list(files), log.has_unsynced) == ([], False)
        log.append([batch_of()], EPOCH)
        log.on_synced(end_offset)
        files, _ = log.files_to_sync()
        assert len(files) == 3, "a round without them has not covered them"

    def test_logs_of_one_directory_ask_for_its_names_once(self) -> None:
        disk = CrashDisk()
        files: list[Syncable] = []
        for name in ("topic-0", "topic-1"):
            log = PartitionLog.open(name, disk, SMALL, ManualClock(), was_clean=True)
            log.append([batch_of()], EPOCH)
            files += log.files_to_sync()[0]
        assert (len(files), len(set(files))) == (6, 5)

    def test_nothing_new_nothing_to_sync(self) -> None:
        disk = CrashDisk()
        log = open_log(disk, ManualClock())
        log.append([batch_of()], EPOCH)
        sync(log, disk)
        files, end_offset = log.files_to_sync()
        assert (list(files), end_offset) == ([], 1)

    def test_a_failed_round_proves_nothing_and_is_replaced(self) -> None:
        disk = CrashDisk()
        log = open_log(disk, ManualClock())
        log.append([batch_of()], EPOCH)
        disk.fail("sync", ".log", OSError(errno.EIO, "broken"))
        with pytest.raises(OSError, match="broken"):
            sync(log, disk)
        assert log.synced_offset == 0

    def test_a_cut_during_a_round_is_not_covered_by_it(self) -> None:
        disk = CrashDisk()
        log = open_log(disk, ManualClock())
        log.append([batch_of(2)], EPOCH)
        log.append([batch_of(2)], EPOCH)
        files, end_offset = log.files_to_sync()
        log.truncate(2)
        log.append([batch_of(5)], EPOCH)
        asyncio.run(disk.sync_many(files))
        log.on_synced(end_offset)
        assert log.synced_offset == 2

    def test_an_end_without_a_round_proves_nothing(self) -> None:
        log = open_log(CrashDisk(), ManualClock())
        log.append([batch_of()], EPOCH)
        log.on_synced(log.end_offset)
        assert log.synced_offset == 0


class TestRolled:
    def test_closed_segments_are_synced_before_the_recovery_point_passes(self) -> None:
        disk = CrashDisk()
        log = open_log(disk, ManualClock())
        log.append([batch_of(4)], EPOCH)
        log.roll()
        log.append([batch_of()], EPOCH)
        assert not disk.exists(RECOVERY_POINT)
        files, end_offset = log.files_to_sync()
        log.roll()
        asyncio.run(disk.sync_many(files))
        log.on_synced(end_offset)
        assert disk.content(RECOVERY_POINT) == b"0\n1\ntopic 0 4\n", (
            "the second roll came after the round began"
        )
        sync(log, disk)
        assert disk.content(RECOVERY_POINT) == b"0\n1\ntopic 0 5\n"

    def test_a_roll_alone_asks_for_a_sync(self) -> None:
        disk = CrashDisk()
        log = open_log(disk, ManualClock())
        log.append([batch_of()], EPOCH)
        sync(log, disk)
        log.roll()
        assert log.has_unsynced
        sync(log, disk)
        assert not log.has_unsynced

    def test_truncation_forgets_removed_segments(self) -> None:
        disk = CrashDisk()
        log = open_log(disk, ManualClock())
        for _ in range(3):
            log.append([batch_of(2)], EPOCH)
            log.roll()
        log.truncate(3)
        log.append([batch_of()], EPOCH)
        sync(log, disk)
        assert log.synced_offset == log.end_offset == 3


class TestDescriptors:
    def test_synced_logs_may_be_closed_behind_the_scenes(self) -> None:
        disk, handles = CrashDisk(), HandleCache(4)
        logs = [
            PartitionLog.open(f"topic-{number}", disk, SMALL, ManualClock(), was_clean=True, handles=handles)
            for number in range(20)
        ]
        assert disk.open_files == 0
        for log in logs:
            log.append([batch_of()], EPOCH)
        assert disk.open_files == 4, "unsynced files, too: a round opens what it syncs"
        for log in logs:
            sync(log, disk)
        for number in range(20, 23):
            log = PartitionLog.open(
                f"topic-{number}", disk, SMALL, ManualClock(), was_clean=True, handles=handles
            )
            log.append([batch_of()], EPOCH)
            sync(log, disk)
        assert disk.open_files <= 4
        assert all(log.read(0, 1000, 1) for log in logs), "they open again"

    def test_close_leaves_nothing_open(self) -> None:
        disk = CrashDisk()
        log = open_log(disk, ManualClock())
        for _ in range(30):
            log.append([batch_of(3)], EPOCH)
        close_cleanly(log, disk)
        assert disk.open_files == 0
