"""Opening logs that were left in every state there is."""

from random import Random

import pytest

from chronik.log.config import LogConfig
from chronik.log.handle_cache import HandleCache
from chronik.log.partition_log import PartitionLog
from chronik.records.batch import Batch, parse_header, stamp
from chronik.records.build import BatchOptions
from chronik.sim.disk import CrashDisk
from chronik.vocab.ids import LeaderEpoch
from tests.support.manual_clock import ManualClock
from tests.unit.log.drivers import (
    EPOCH,
    SMALL,
    batch_of,
    close_cleanly,
    offsets_of,
    open_log,
    read,
    read_all,
    sync,
)

DIRECTORY = "topic-0"
BATCHES = 40


def path(base: int, suffix: str) -> str:
    return f"{DIRECTORY}/{base:020d}{suffix}"


def filled(disk: CrashDisk, count: int = BATCHES) -> PartitionLog:
    """Batches of two records of one producer, over several segments."""
    log = open_log(disk, ManualClock())
    for number in range(count):
        options = BatchOptions(producer_id=1, producer_epoch=0, base_sequence=number * 2)
        log.append([batch_of(2, timestamp=1000 + number, size=30, options=options)], EPOCH)
    return log


def bases(disk: CrashDisk, suffix: str = ".log") -> list[int]:
    return [int(name.split(".")[0]) for name in disk.list(DIRECTORY) if name.endswith(suffix)]


@pytest.fixture
def disk() -> CrashDisk:
    return CrashDisk()


def check_whole(log: PartitionLog, count: int = BATCHES) -> None:
    assert log.end_offset == count * 2
    assert offsets_of(read_all(log)) == list(range(0, count * 2, 2))
    for number in range(count):
        assert read(log, number * 2 + 1, 1).base_offset == number * 2
        assert log.offset_for_timestamp(1000 + number) is not None
    entry = log.producers.get(1)
    assert entry is not None
    assert (entry.last_sequence, len(entry.batches)) == (count * 2 - 1, min(count, 5))
    assert log.end_offset_for_epoch(EPOCH).end_offset == count * 2


class TestClean:
    def test_nothing_is_scanned(self, disk: CrashDisk) -> None:
        close_cleanly(filled(disk), disk)
        disk.crash(Random(0))
        log = open_log(disk, ManualClock(), was_clean=True)
        assert not log.recovery.was_scanned
        assert log.recovery.scanned_bytes == 0
        check_whole(log)

    def test_the_log_goes_on(self, disk: CrashDisk) -> None:
        close_cleanly(filled(disk), disk)
        log = open_log(disk, ManualClock(), was_clean=True)
        log.append([batch_of(2)], EPOCH)
        assert read(log, 80).base_offset == 80

    def test_empty(self, disk: CrashDisk) -> None:
        close_cleanly(open_log(disk, ManualClock()), disk)
        log = open_log(disk, ManualClock(), was_clean=True)
        assert (log.start_offset, log.end_offset) == (0, 0)
        assert not log.recovery.was_scanned

    @pytest.mark.parametrize("content", [b"", b"garbage", b"0\n0\n"])
    def test_epochs_are_worked_out_again(self, disk: CrashDisk, content: bytes) -> None:
        close_cleanly(filled(disk), disk)
        disk.write(f"{DIRECTORY}/leader-epoch-checkpoint", content)
        log = open_log(disk, ManualClock(), was_clean=True)
        assert log.recovery.was_scanned
        check_whole(log)
        close_cleanly(log, disk)
        assert disk.content(f"{DIRECTORY}/leader-epoch-checkpoint") == b"0\n1\n1 0\n"


class TestTornTail:
    @pytest.mark.parametrize("cut", [1, 50, 61, 62, 100])
    def test_is_dropped(self, disk: CrashDisk, cut: int) -> None:
        log = filled(disk)
        size = read(log, 78, 1).size
        last = bases(disk)[-1]
        disk.kill()
        content = disk.content(path(last, ".log"))
        disk.write(path(last, ".log"), content[: len(content) - size + cut])
        log = open_log(disk, ManualClock())
        assert log.recovery.truncated_bytes == cut
        check_whole(log, BATCHES - 1)
        log.append([batch_of(2)], EPOCH)
        assert offsets_of(list(read(log, 78).batches())) == [78]

    def test_zeros_are_dropped(self, disk: CrashDisk) -> None:
        filled(disk)
        last = bases(disk)[-1]
        disk.kill()
        disk.write(path(last, ".log"), disk.content(path(last, ".log")) + bytes(4096))
        log = open_log(disk, ManualClock())
        assert log.recovery.truncated_bytes == 4096
        check_whole(log)

    def test_damage_before_good_batches_ends_the_log_there(self, disk: CrashDisk) -> None:
        filled(disk)
        middle = bases(disk)[2]
        disk.kill()
        content = bytearray(disk.content(path(middle, ".log")))
        content[100] ^= 1
        disk.write(path(middle, ".log"), bytes(content))
        log = open_log(disk, ManualClock())
        assert log.recovery.removed_segments > 0
        assert log.end_offset == middle
        check_whole(log, middle // 2)

    def test_a_batch_at_the_wrong_offset_ends_the_log(self, disk: CrashDisk) -> None:
        filled(disk, 3)
        disk.kill()
        stray = bytearray(batch_of(2).data)
        stamp(stray, 7, 1)
        disk.write(path(0, ".log"), disk.content(path(0, ".log")) + stray)
        log = open_log(disk, ManualClock())
        check_whole(log, 3)

    def test_on_a_compacted_log_offsets_may_be_missing(self, disk: CrashDisk) -> None:
        filled(disk, 3)
        disk.kill()
        later = bytearray(batch_of(2).data)
        stamp(later, 20, 1)
        disk.write(path(0, ".log"), disk.content(path(0, ".log")) + later)
        config = LogConfig(segment_bytes=1000, compacts=True)
        log = open_log(disk, ManualClock(), config)
        assert log.end_offset == 22
        assert offsets_of(read_all(log)) == [0, 2, 4, 20]

    def test_an_older_epoch_ends_the_log(self, disk: CrashDisk) -> None:
        log = open_log(disk, ManualClock())
        log.append([batch_of(2)], LeaderEpoch(5))
        disk.kill()
        older = bytearray(batch_of(2).data)
        stamp(older, 2, 4)
        disk.write(path(0, ".log"), disk.content(path(0, ".log")) + older)
        assert open_log(disk, ManualClock()).end_offset == 2


class TestRecoveryPoint:
    POINT = f"{DIRECTORY}/recovery-point-offset-checkpoint"

    def test_only_what_follows_it_is_read(self, disk: CrashDisk) -> None:
        log = filled(disk)
        sync(log, disk)
        last = bases(disk)[-1]
        assert disk.content(self.POINT) == f"0\n1\ntopic 0 {last}\n".encode()
        disk.kill()
        log = open_log(disk, ManualClock())
        assert log.recovery.scanned_bytes == len(disk.content(path(last, ".log")))
        check_whole(log)

    @pytest.mark.parametrize(
        "content", [b"", b"x", b"0\n1\ntopic 0 0\n", b"0\n1\ntopic 0 7\n", b"0\n1\ntopic 0 99999\n"]
    )
    def test_any_content_is_survived(self, disk: CrashDisk, content: bytes) -> None:
        sync(filled(disk), disk)
        disk.kill()
        disk.write(self.POINT, content)
        check_whole(open_log(disk, ManualClock()))

    def test_missing(self, disk: CrashDisk) -> None:
        sync(filled(disk), disk)
        disk.kill()
        disk.remove(self.POINT)
        log = open_log(disk, ManualClock())
        assert log.recovery.scanned_bytes == log.size
        check_whole(log)

    def test_lost_unsynced_segments_take_the_later_ones_along(self, disk: CrashDisk) -> None:
        filled(disk)
        third = bases(disk)[2]
        disk.kill()
        disk.write(path(third, ".log"), b"")
        log = open_log(disk, ManualClock())
        assert log.end_offset == third
        assert bases(disk) == [0, bases(disk)[1], third]

    def test_lost_first_segments_make_an_empty_log(self, disk: CrashDisk) -> None:
        filled(disk)
        disk.kill()
        disk.remove(path(0, ".log"))
        log = open_log(disk, ManualClock())
        assert (log.start_offset, log.end_offset) == (0, 0)
        assert bases(disk) == [0]


class TestFiles:
    @pytest.mark.parametrize("suffix", [".index", ".timeindex"])
    @pytest.mark.parametrize("content", [None, b"", b"garbage", bytes(24), b"\xff" * 24])
    @pytest.mark.parametrize("was_clean", [False, True])
    def test_indexes_of_closed_segments(
        self, disk: CrashDisk, suffix: str, content: bytes | None, was_clean: bool
    ) -> None:
        close_cleanly(filled(disk), disk)
        for base in bases(disk)[:-1]:
            if content is None:
                disk.remove(path(base, suffix))
            else:
                disk.write(path(base, suffix), content)
        check_whole(open_log(disk, ManualClock(), was_clean=was_clean))

    @pytest.mark.parametrize("suffix", [".index", ".timeindex"])
    @pytest.mark.parametrize("content", [b"", b"garbage", b"\xff" * 24])
    def test_indexes_of_the_active_segment(self, disk: CrashDisk, suffix: str, content: bytes) -> None:
        close_cleanly(filled(disk), disk)
        disk.write(path(bases(disk)[-1], suffix), content)
        check_whole(open_log(disk, ManualClock(), was_clean=True))

    def test_rebuilt_indexes_hold_no_file_open(self, disk: CrashDisk) -> None:
        close_cleanly(filled(disk), disk)
        for base in bases(disk):
            disk.remove(path(base, ".timeindex"))
        handles = HandleCache(2)
        log = PartitionLog.open(DIRECTORY, disk, SMALL, ManualClock(), was_clean=True, handles=handles)
        check_whole(log)
        assert disk.open_files <= 2

    def test_leftovers_and_orphans_go(self, disk: CrashDisk) -> None:
        close_cleanly(filled(disk), disk)
        left = [
            "00000000000000000000.log.deleted",
            "leader-epoch-checkpoint.tmp",
            "00000000000000000000.log.swap",
            "00000000000000000007.index",
            "00000000000000000007.timeindex",
            "00000000000000000007.txnindex",
        ]
        before = disk.list(DIRECTORY)
        for name in left:
            disk.write(f"{DIRECTORY}/{name}", b"left")
        log = open_log(disk, ManualClock(), was_clean=True)
        assert sorted(log.recovery.removed_files) == sorted(left)
        assert disk.list(DIRECTORY) == before

    def test_unknown_files_stay(self, disk: CrashDisk) -> None:
        close_cleanly(filled(disk), disk)
        disk.write(f"{DIRECTORY}/notes.txt", b"mine")
        open_log(disk, ManualClock())
        assert disk.exists(f"{DIRECTORY}/notes.txt")

    @pytest.mark.parametrize("was_clean", [False, True])
    def test_damaged_snapshots(self, disk: CrashDisk, was_clean: bool) -> None:
        close_cleanly(filled(disk), disk)
        for base in bases(disk, ".snapshot"):
            disk.write(path(base, ".snapshot"), b"garbage")
        check_whole(open_log(disk, ManualClock(), was_clean=was_clean))

    def test_no_producers_no_snapshots(self, disk: CrashDisk) -> None:
        log = open_log(disk, ManualClock())
        for _ in range(20):
            log.append([batch_of(2)], EPOCH)
        close_cleanly(log, disk)
        assert bases(disk, ".snapshot") == []
        assert len(open_log(disk, ManualClock(), was_clean=True).producers) == 0

    def test_an_expired_producer_does_not_come_back(self, disk: CrashDisk) -> None:
        log = filled(disk)
        log.apply_retention(1000 + 10**9, 0)
        assert len(log.producers) == 0
        close_cleanly(log, disk)
        assert len(open_log(disk, ManualClock(), was_clean=True).producers) == 0


class TestLogStart:
    START = f"{DIRECTORY}/log-start-offset-checkpoint"

    def test_segments_below_it_go(self, disk: CrashDisk) -> None:
        close_cleanly(filled(disk), disk)
        second = bases(disk)[1]
        disk.write(self.START, f"0\n1\ntopic 0 {second + 3}\n".encode())
        log = open_log(disk, ManualClock(), was_clean=True)
        assert log.start_offset == second + 3
        assert bases(disk)[0] == second
        assert offsets_of(read_all(log))[0] == second + 2

    def test_beyond_the_end_the_log_starts_anew_there(self, disk: CrashDisk) -> None:
        close_cleanly(filled(disk), disk)
        disk.write(self.START, b"0\n1\ntopic 0 1000\n")
        log = open_log(disk, ManualClock())
        assert (log.start_offset, log.end_offset) == (1000, 1000)
        assert bases(disk) == [1000]
        log.append([batch_of()], EPOCH)
        assert read(log, 1000).size

    def test_garbage_is_none(self, disk: CrashDisk) -> None:
        close_cleanly(filled(disk), disk)
        disk.write(self.START, b"garbage")
        check_whole(open_log(disk, ManualClock()))


class TestDurable:
    def test_what_recovery_found_is_synced(self, disk: CrashDisk) -> None:
        filled(disk)
        disk.kill()
        log = open_log(disk, ManualClock())
        assert log.synced_offset == log.end_offset
        for seed in range(20):
            again = CrashDisk()
            filled(again)
            again.kill()
            open_log(again, ManualClock())
            again.crash(Random(seed))
            check_whole(open_log(again, ManualClock()))

    def test_a_failed_write_does_not_come_back_after_a_crash(self, disk: CrashDisk) -> None:
        # The leftover of a failed write of two batches must not join a later, shorter one.
        log = open_log(disk, ManualClock())
        log.append([batch_of()], EPOCH)
        sync(log, disk)
        disk.fail("write", ".log", OSError("full"))
        with pytest.raises(OSError, match="full"):
            log.append([batch_of(), batch_of(), batch_of(), batch_of()], EPOCH)
        disk.heal()
        file = disk.open(path(0, ".log"))
        size = file.size()
        disk.crash(Random(3))
        log = open_log(disk, ManualClock())
        assert len(disk.content(path(0, ".log"))) == size
        assert log.recovery.truncated_bytes == 0


def test_batches_come_back_byte_for_byte(disk: CrashDisk) -> None:
    log = filled(disk)
    before = read_all(log)
    disk.kill()
    after = read_all(open_log(disk, ManualClock()))
    assert [bytes(batch.data) for batch in after] == [bytes(batch.data) for batch in before]
    assert all(Batch(parse_header(batch.data), batch.data) == batch for batch in after)
