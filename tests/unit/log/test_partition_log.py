"""PartitionLog as its callers see it: appends, rolls, cuts, failures."""

import asyncio
import errno
from collections.abc import Callable
from random import Random

import pytest

from chronik.log.config import LogConfig
from chronik.log.partition_log import AppendResult, LogFailed, PartitionLog
from chronik.log.partition_metadata import format_partition_metadata
from chronik.log.reading import ColdRead, LogSlice
from chronik.records.batch import Batch, parse_header, stamp
from chronik.records.build import BatchOptions, build_batch, build_end_txn_marker
from chronik.records.control import ControlType
from chronik.records.record import Record
from chronik.sim.disk import CrashDisk
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import LeaderEpoch, Offset, TopicId
from chronik.vocab.invariant import InvariantViolation
from tests.support.held_disk import HeldDisk
from tests.support.manual_clock import ManualClock
from tests.unit.log.drivers import (
    DIRECTORY,
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

NO_SPACE = OSError(errno.ENOSPC, "no space left on device")
BROKEN = OSError(errno.EIO, "input/output error")
HOUR_MS = 3_600_000


@pytest.fixture
def disk() -> CrashDisk:
    return CrashDisk()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def log(disk: CrashDisk, clock: ManualClock) -> PartitionLog:
    return open_log(disk, clock)


def segments(disk: CrashDisk) -> list[int]:
    return [int(name[:20]) for name in disk.list("topic-0") if name.endswith(".log")]


def stamped(offset: int, count: int, epoch: int, options: BatchOptions | None = None) -> bytearray:
    """A batch as a leader sends it."""
    data = bytearray(batch_of(count, options=options).data)
    stamp(data, offset, epoch)
    return data


def producing(log: PartitionLog) -> BatchOptions:
    """What the next batch of a producer needs."""
    known = log.producers.get(1)
    sequence = 0 if known is None else known.last_sequence + 1
    return BatchOptions(producer_id=1, producer_epoch=0, base_sequence=sequence)


class TestDirectory:
    def test_it_comes_with_the_first_batch(self, disk: CrashDisk, log: PartitionLog) -> None:
        assert not disk.exists(DIRECTORY)
        assert (log.is_on_disk, log.size, read_all(log)) == (False, 0, [])
        log.roll()
        log.flush()
        log.truncate(0)
        assert not disk.exists(DIRECTORY)
        log.append([batch_of()], EPOCH)
        assert (log.is_on_disk, disk.exists(DIRECTORY)) == (True, True)

    @pytest.mark.parametrize("file", ["partition.metadata", ".log"])
    @pytest.mark.parametrize("operation", ["create", "write"])
    def test_what_could_not_be_made_is_made_with_the_next_batch(
        self, disk: CrashDisk, file: str, operation: str
    ) -> None:
        topic_id = TopicId(b"i" * 16)
        log = PartitionLog.open(DIRECTORY, disk, SMALL, ManualClock(), was_clean=True, topic_id=topic_id)
        disk.fail(operation, file, NO_SPACE)
        with pytest.raises(OSError, match="no space"):
            log.append([batch_of()], EPOCH)
        assert (log.is_failed, log.end_offset) == (False, 0)
        disk.heal()
        log.append([batch_of()], EPOCH)
        sync(log, disk)
        disk.crash(Random(1))
        again = PartitionLog.open(DIRECTORY, disk, SMALL, ManualClock(), was_clean=False, topic_id=topic_id)
        assert (again.end_offset, again.topic_id) == (1, topic_id)
        assert disk.content(f"{DIRECTORY}/partition.metadata") == format_partition_metadata(topic_id)

    def test_a_reset_makes_it(self, disk: CrashDisk, log: PartitionLog) -> None:
        log.reset(7)
        assert segments(disk) == [7]
        log.append([batch_of()], EPOCH)
        assert log.end_offset == 8


class TestAppend:
    def test_offsets_start_at_zero_and_have_no_holes(self, log: PartitionLog) -> None:
        first = AppendResult(Offset(0), Offset(2), batch_of(3).header.size)
        assert log.append([batch_of(3)], EPOCH) == first
        result = log.append([batch_of(1), batch_of(4)], EPOCH)
        assert (result.base_offset, result.last_offset, result.end_offset) == (3, 7, 8)
        assert (log.start_offset, log.end_offset, log.synced_offset) == (0, 8, 0)

    def test_only_offset_and_epoch_change(self, log: PartitionLog) -> None:
        log.append([batch_of(3)], EPOCH)
        original = bytes(batch_of(2).data)
        log.append([Batch(parse_header(original), original)], LeaderEpoch(7))
        (stored,) = read(log, 3).batches()
        assert (stored.header.base_offset, stored.header.leader_epoch) == (3, 7)
        assert bytes(stored.data)[16:] == original[16:]
        assert log.latest_epoch == 7
        assert original == batch_of(2).data, "the caller's bytes are left alone"

    def test_one_write_for_one_call(self, disk: CrashDisk, log: PartitionLog) -> None:
        log.append([batch_of()], EPOCH)
        before = disk.steps
        log.append([batch_of(), batch_of(), batch_of()], EPOCH)
        assert disk.steps == before + 1

    def test_stamped_batches_keep_theirs(self, log: PartitionLog) -> None:
        first, second = bytearray(batch_of(2).data), bytearray(batch_of(3).data)
        stamp(first, 0, 4)
        stamp(second, 2, 6)
        result = log.append_stamped([bytes(first + second)])
        assert (result.base_offset, result.end_offset) == (0, 5)
        assert [batch.header.leader_epoch for batch in read_all(log)] == [4, 6]
        assert log.end_offset_for_epoch(LeaderEpoch(5)) == (4, 2)

    def test_stamped_batches_in_several_buffers_are_one_write(
        self, disk: CrashDisk, log: PartitionLog
    ) -> None:
        log.append_stamped([stamped(0, 1, 4)])
        before = disk.steps
        result = log.append_stamped(
            [stamped(1, 2, 4), memoryview(stamped(3, 1, 4) + stamped(4, 3, 5)), bytes(stamped(7, 1, 5))]
        )
        assert disk.steps == before + 1
        assert (result.base_offset, result.end_offset) == (1, 8)
        assert offsets_of(read_all(log)) == [0, 1, 3, 4, 7]
        assert log.epoch_starts() == [(4, 0), (5, 4)]

    @pytest.mark.parametrize("damaged", [21, 61, -1])
    def test_stamped_batches_that_are_not_what_was_sent(self, log: PartitionLog, damaged: int) -> None:
        batch = stamped(2, 2, 4)
        batch[damaged] ^= 1
        with pytest.raises(KafkaError, match="wrong CRC") as raised:
            log.append_stamped([stamped(0, 2, 4), batch])
        assert raised.value.code == ErrorCode.CORRUPT_MESSAGE
        assert (log.end_offset, log.is_failed) == (0, False)

    def test_stamped_batches_of_producers(self, log: PartitionLog) -> None:
        options = BatchOptions(producer_id=1, producer_epoch=0, base_sequence=0, is_transactional=True)
        batch = stamped(0, 2, 4, options)
        abort = bytearray(
            build_end_txn_marker(
                ControlType.ABORT, producer_id=1, producer_epoch=0, coordinator_epoch=0, timestamp=1000
            ).data
        )
        stamp(abort, 2, 4)
        log.append_stamped([batch])
        assert log.last_stable_offset(2) == 0
        log.append_stamped([abort])
        assert log.last_stable_offset(3) == 3
        assert [txn.first_offset for txn in log.aborted_txns(0, 3)] == [0]
        duplicate = log.producers.check(parse_header(batch))
        assert duplicate is not None
        assert duplicate.base_offset == 0

    def test_stamped_batches_must_follow(self, log: PartitionLog) -> None:
        stray = bytearray(batch_of(2).data)
        stamp(stray, 1, 0)
        with pytest.raises(InvariantViolation):
            log.append_stamped([stray])
        with pytest.raises(InvariantViolation):
            log.append_stamped([])
        assert log.end_offset == 0

    def test_epochs_do_not_go_back(self, log: PartitionLog) -> None:
        log.append([batch_of()], LeaderEpoch(3))
        with pytest.raises(InvariantViolation):
            log.append([batch_of()], LeaderEpoch(2))
        older = bytearray(batch_of().data)
        stamp(older, 1, 2)
        with pytest.raises(InvariantViolation):
            log.append_stamped([older])
        log.append([batch_of()], LeaderEpoch(3))
        assert offsets_of(read_all(log)) == [0, 1], "what was refused was not written either"

    def test_duplicates_are_known_as_soon_as_they_are_appended(self, log: PartitionLog) -> None:
        batch = batch_of(2, options=BatchOptions(producer_id=1, producer_epoch=0, base_sequence=0))
        log.append([batch_of()], EPOCH)
        log.append([batch], EPOCH)
        duplicate = log.producers.check(batch.header)
        assert duplicate is not None
        assert (duplicate.base_offset, duplicate.last_offset) == (1, 2)


class TestRoll:
    def test_by_size(self, disk: CrashDisk, log: PartitionLog) -> None:
        size = batch_of(1, size=200).header.size
        for _ in range(1 + 1000 // size):
            log.append([batch_of(1, size=200)], EPOCH)
        assert segments(disk) == [0, 1000 // size]

    def test_by_the_records_time(self, disk: CrashDisk, clock: ManualClock) -> None:
        log = open_log(disk, clock, LogConfig(segment_ms=1000))
        for timestamp in (5000, 6000, 6001, 7001, 7002):
            log.append([batch_of(timestamp=timestamp)], EPOCH)
        assert segments(disk) == [0, 2, 4]

    def test_by_age_when_idle(self, disk: CrashDisk, clock: ManualClock) -> None:
        log = open_log(disk, clock, LogConfig(segment_ms=HOUR_MS))
        clock.advance(2 * HOUR_MS)
        assert not log.maybe_roll(), "an empty one need not roll"
        log.append([batch_of(timestamp=-1)], EPOCH)
        assert log.maybe_roll()
        assert segments(disk) == [0, 1]
        clock.advance(HOUR_MS)
        log.append([batch_of(timestamp=-1)], EPOCH)
        assert not log.maybe_roll()
        clock.advance(1)
        assert log.maybe_roll()

    def test_age_survives_a_restart(self, disk: CrashDisk, clock: ManualClock) -> None:
        config = LogConfig(segment_ms=HOUR_MS)
        log = open_log(disk, clock, config)
        log.append([batch_of(timestamp=clock.now_ms())], EPOCH)
        clock.advance(HOUR_MS + 1)
        close_cleanly(log, disk)
        assert open_log(disk, clock, config, was_clean=True).maybe_roll()

    def test_jitter_spreads_logs(self, disk: CrashDisk, clock: ManualClock) -> None:
        config = LogConfig(segment_ms=HOUR_MS, segment_jitter_ms=HOUR_MS)
        logs = [PartitionLog.open(f"topic-{n}", disk, config, clock, was_clean=True) for n in range(10)]
        for log in logs:
            log.append([batch_of(timestamp=-1)], EPOCH)
        rolled = set()
        for _ in range(9):
            clock.advance(HOUR_MS // 9)
            rolled.add(sum(log.maybe_roll() for log in logs))
        assert len(rolled) > 1

    @pytest.mark.parametrize(("index_bytes", "entry_bytes"), [(80, 8), (96, 12)])
    def test_when_an_index_is_full(
        self, disk: CrashDisk, clock: ManualClock, index_bytes: int, entry_bytes: int
    ) -> None:
        config = LogConfig(index_interval_bytes=1, segment_index_bytes=index_bytes)
        log = open_log(disk, clock, config)
        for number in range(100):
            log.append([batch_of(timestamp=1000 + number)], EPOCH)
        log.flush()
        suffixes = {8: ".index", 12: ".timeindex"}
        for base in segments(disk):
            name = f"topic-0/{base:020d}{suffixes[entry_bytes]}"
            assert not disk.exists(name) or len(disk.content(name)) <= index_bytes

    def test_relative_offsets_fit_in_four_bytes(self, disk: CrashDisk, log: PartitionLog) -> None:
        log.append([batch_of()], EPOCH)
        header = batch_of().header._replace(last_offset_delta=2**31 - 1, record_count=2**31 - 1)
        log.append([Batch(header, batch_of().data)], EPOCH)
        assert segments(disk) == [0, 1]

    def test_an_empty_segment_does_not_roll(self, disk: CrashDisk, log: PartitionLog) -> None:
        log.append([batch_of(3)], EPOCH)
        for _ in range(2):
            log.roll()
        assert segments(disk) == [0, 3]

    def test_a_batch_larger_than_a_segment_gets_its_own(self, disk: CrashDisk, log: PartitionLog) -> None:
        log.append([batch_of(size=5000)], EPOCH)
        log.append([batch_of(size=10)], EPOCH)
        assert segments(disk) == [0, 1]

    @pytest.mark.parametrize("suffix", [".log", ".timeindex", ".snapshot", "checkpoint.tmp"])
    def test_a_roll_that_fails_can_be_repeated(self, disk: CrashDisk, log: PartitionLog, suffix: str) -> None:
        options = BatchOptions(producer_id=1, producer_epoch=0, base_sequence=0)
        log.append([batch_of(options=options)], EPOCH)
        for operation in ("create", "write"):
            disk.fail(operation, suffix, NO_SPACE)
        with pytest.raises(OSError, match="no space"):
            log.append([batch_of(size=5000)], EPOCH)
        disk.heal()
        assert log.end_offset == 1
        assert not log.is_failed
        log.append([batch_of(size=5000)], EPOCH)
        sync(log, disk)
        disk.kill()
        assert offsets_of(read_all(open_log(disk, ManualClock()))) == [0, 1]


class TestFailures:
    def test_a_full_disk_appends_nothing_and_leaves_the_log_well(
        self, disk: CrashDisk, log: PartitionLog
    ) -> None:
        log.append([batch_of(2)], EPOCH)
        size = len(disk.content("topic-0/00000000000000000000.log"))
        disk.fail("write", ".log", NO_SPACE)
        with pytest.raises(OSError, match="no space"):
            log.append([batch_of(3)], EPOCH)
        assert len(disk.content("topic-0/00000000000000000000.log")) == size
        assert read(log, 0).end_offset == log.end_offset == 2
        disk.heal()
        assert log.append([batch_of(3)], EPOCH).base_offset == 2

    def test_an_end_that_is_not_known_fails_the_log(self, disk: CrashDisk, log: PartitionLog) -> None:
        log.append([batch_of(2)], EPOCH)
        disk.fail("write", ".log", BROKEN)
        disk.fail("truncate", ".log", BROKEN)
        with pytest.raises(OSError, match="input/output"):
            log.append([batch_of()], EPOCH)
        disk.heal()
        assert log.is_failed
        with pytest.raises(LogFailed):
            log.append([batch_of()], EPOCH)
        assert read(log, 0).end_offset == 2, "reads go on"

    def test_told_to_fail(self, log: PartitionLog) -> None:
        log.append([batch_of()], EPOCH)
        log.fail(BROKEN)
        log.fail(NO_SPACE)
        with pytest.raises(LogFailed, match="input/output"):
            log.append([batch_of()], EPOCH)

    def test_a_cut_that_fails_fails_the_log(self, disk: CrashDisk, log: PartitionLog) -> None:
        log.append([batch_of(), batch_of()], EPOCH)
        disk.fail("truncate", ".log", BROKEN)
        with pytest.raises(OSError, match="input/output"):
            log.truncate(1)
        assert log.is_failed


class TestTruncate:
    def test_the_batch_that_holds_the_offset_goes_whole(self, log: PartitionLog) -> None:
        for _ in range(20):
            log.append([batch_of(3)], EPOCH)
        log.truncate(31)
        assert log.end_offset == 30
        assert offsets_of(read_all(log)) == list(range(0, 30, 3))
        assert log.append([batch_of()], EPOCH).base_offset == 30

    @pytest.mark.parametrize("cut", [PartitionLog.truncate, PartitionLog.reset])
    def test_descriptors_that_others_took_do_not_end_the_log(
        self, disk: CrashDisk, log: PartitionLog, cut: Callable[[PartitionLog, int], None]
    ) -> None:
        for number in range(40):
            options = BatchOptions(producer_id=1, producer_epoch=0, base_sequence=number)
            log.append([batch_of(options=options)], EPOCH)
        assert len(segments(disk)) > 2
        # Opens all files of the last segment, so that what is missing below is the producers' snapshot.
        log.truncate(39)
        disk.descriptors_max = disk.open_files
        cut(log, 38)
        assert not log.is_failed
        assert log.end_offset == 38
        assert log.append([batch_of()], EPOCH).base_offset == 38

    def test_beyond_the_end_nothing_happens(self, log: PartitionLog) -> None:
        log.append([batch_of(3)], EPOCH)
        log.truncate(3)
        log.truncate(99)
        assert log.end_offset == 3

    def test_not_below_the_start(self, log: PartitionLog) -> None:
        log.append([batch_of(), batch_of()], EPOCH)
        log.advance_start(1)
        with pytest.raises(InvariantViolation):
            log.truncate(0)

    def test_everything(self, disk: CrashDisk, log: PartitionLog) -> None:
        options = BatchOptions(producer_id=1, producer_epoch=0, base_sequence=0)
        log.append([batch_of(options=options)], EPOCH)
        for _ in range(20):
            log.append([batch_of(3)], EPOCH)
        log.truncate(0)
        assert (log.end_offset, log.size, len(log.producers)) == (0, 0, 0)
        assert log.offset_of_max_timestamp() is None
        assert segments(disk) == [0]

    def test_what_follows_from_the_records_follows(self, log: PartitionLog) -> None:
        for number in range(30):
            options = BatchOptions(producer_id=1, producer_epoch=0, base_sequence=number)
            log.append([batch_of(timestamp=1000 + number, options=options)], LeaderEpoch(1 + number // 10))
        log.truncate(15)
        entry = log.producers.get(1)
        assert entry is not None
        assert (entry.last_sequence, len(entry.batches)) == (14, 5)
        assert log.latest_epoch == 2
        assert log.offset_for_timestamp(1015) is None
        assert log.offset_of_max_timestamp() == (1014, 14)


class TestStart:
    def test_deleted_records_are_gone_at_once_and_for_good(self, disk: CrashDisk, log: PartitionLog) -> None:
        for _ in range(40):
            log.append([batch_of(2, size=30)], EPOCH)
        sync(log, disk)
        log.advance_start(41)
        assert log.start_offset == 41
        assert log.size < 40 * 150
        files = len(disk.list("topic-0"))
        asyncio.run(log.tidy())
        assert len(disk.list("topic-0")) < files
        disk.kill()
        assert open_log(disk, ManualClock()).start_offset == 41

    def test_it_only_rises(self, log: PartitionLog) -> None:
        log.append([batch_of(5)], EPOCH)
        log.advance_start(3)
        log.advance_start(1)
        assert log.start_offset == 3
        with pytest.raises(InvariantViolation):
            log.advance_start(6)

    def test_tidying_without_need_does_nothing(self, disk: CrashDisk, log: PartitionLog) -> None:
        before = disk.steps
        asyncio.run(log.tidy())
        assert disk.steps == before

    def test_tidying_that_failed_is_done_the_next_time(self, disk: CrashDisk, log: PartitionLog) -> None:
        log.append([batch_of(5)], EPOCH)
        sync(log, disk)
        log.advance_start(3)
        disk.fail("rename", "", BROKEN)
        with pytest.raises(OSError, match="input/output"):
            asyncio.run(log.tidy())
        disk.heal()
        asyncio.run(log.tidy())
        assert disk.content("topic-0/log-start-offset-checkpoint") == b"0\n1\ntopic 0 3\n"

    def test_two_tidy_at_once(self, disk: CrashDisk, log: PartitionLog) -> None:
        async def both() -> None:
            log.advance_start(1)
            first = asyncio.create_task(log.tidy())
            log.advance_start(2)
            await asyncio.gather(first, log.tidy())

        log.append([batch_of(5)], EPOCH)
        sync(log, disk)
        asyncio.run(both())
        assert disk.content("topic-0/log-start-offset-checkpoint") == b"0\n1\ntopic 0 2\n"

    def test_is_durable_no_further_than_the_records(self, disk: CrashDisk, log: PartitionLog) -> None:
        log.append([batch_of(5)], EPOCH)
        sync(log, disk)
        log.append([batch_of(5)], EPOCH)
        log.advance_start(8)
        asyncio.run(log.tidy())
        assert disk.content("topic-0/log-start-offset-checkpoint") == b"0\n1\ntopic 0 5\n"
        sync(log, disk)
        asyncio.run(log.tidy())
        assert disk.content("topic-0/log-start-offset-checkpoint") == b"0\n1\ntopic 0 8\n"


class TestReset:
    def test_the_log_goes_on_empty_elsewhere(self, disk: CrashDisk, log: PartitionLog) -> None:
        for _ in range(20):
            log.append([batch_of(options=producing(log))], LeaderEpoch(9))
        log.reset(500)
        assert (log.first_offset, log.start_offset, log.end_offset, log.synced_offset) == (500,) * 4
        assert (log.latest_epoch, log.epoch_starts(), len(log.producers)) == (-1, [], 0)
        assert read(log, 500).size == 0
        assert segments(disk) == [500]
        result = log.append([batch_of(2)], EPOCH)
        assert (result.base_offset, log.end_offset) == (500, 502)
        assert offsets_of(read_all(log)) == [500]

    def test_it_is_durable(self, disk: CrashDisk, clock: ManualClock, log: PartitionLog) -> None:
        log.append([batch_of(3, options=producing(log))], EPOCH)
        log.roll()
        sync(log, disk)
        log.reset(2)
        for seed in range(20):
            disk.crash(Random(seed))
            log = open_log(disk, clock)
            assert (log.first_offset, log.start_offset, log.end_offset) == (2, 2, 2)
            assert len(log.producers) == 0

    def test_so_is_a_new_logs_directory(self, clock: ManualClock) -> None:
        for seed in range(20):
            disk = CrashDisk()
            open_log(disk, clock).reset(7)
            disk.crash(Random(seed))
            assert open_log(disk, clock).end_offset == 7

    def test_epochs_of_the_old_log_do_not_come_back(
        self, disk: CrashDisk, clock: ManualClock, log: PartitionLog
    ) -> None:
        log.append([batch_of(3)], LeaderEpoch(9))
        close_cleanly(log, disk)
        log = open_log(disk, clock, was_clean=True)
        # With a cleanup to come there is a recovery point, by which recovery believes the file of epochs.
        log.advance_start(1)
        log.reset(100)
        # The old log was of a leader that was deposed: the committed one may be of an earlier epoch.
        log.append([batch_of(3)], LeaderEpoch(7))
        sync(log, disk)
        disk.crash(Random(1))
        log = open_log(disk, clock)
        assert log.end_offset == 103
        assert log.epoch_starts() == [(7, 100)]
        close_cleanly(log, disk)
        assert open_log(disk, clock, was_clean=True).epoch_starts() == [(7, 100)]

    def test_a_round_that_was_under_way_says_nothing_of_the_new_log(
        self, disk: CrashDisk, log: PartitionLog
    ) -> None:
        log.append([batch_of(5)], EPOCH)
        files, end_offset = log.files_to_sync()
        log.reset(3)
        log.append([batch_of(5)], EPOCH)
        asyncio.run(disk.sync_many(files))
        log.on_synced(end_offset)
        assert log.synced_offset == 3

    def test_a_cleanup_that_was_under_way_does_not_undo_it(self, clock: ManualClock) -> None:
        disk = HeldDisk()
        log = open_log(disk, clock)
        for _ in range(20):
            log.append([batch_of()], EPOCH)
        sync(log, disk)
        log.advance_start(10)

        async def reset_meanwhile() -> None:
            disk.hold_threads()
            tidying = asyncio.create_task(log.tidy())
            await asyncio.sleep(0)
            log.reset(50)
            disk.let_go()
            await tidying

        asyncio.run(reset_meanwhile())
        assert segments(disk) == [50]
        log.append([batch_of()], EPOCH)
        sync(log, disk)
        disk.crash(Random(1))
        log = open_log(disk, clock)
        assert (log.start_offset, log.end_offset) == (50, 51)
        assert disk.content("topic-0/log-start-offset-checkpoint") == b"0\n1\ntopic 0 50\n"

    def test_a_disk_that_fails_fails_the_log(self, disk: CrashDisk, log: PartitionLog) -> None:
        log.append([batch_of()], EPOCH)
        disk.fail("sync", "", BROKEN)
        with pytest.raises(OSError, match="input/output"):
            log.reset(7)
        disk.heal()
        assert log.is_failed
        with pytest.raises(LogFailed):
            log.reset(7)


class TestReplicationReads:
    def test_they_begin_where_the_files_do(self, disk: CrashDisk, log: PartitionLog) -> None:
        for _ in range(20):
            log.append([batch_of()], EPOCH)
        sync(log, disk)
        first = segments(disk)[1]
        log.advance_start(first + 2)
        assert (log.first_offset, log.start_offset) == (first, first + 2)
        found = log.read_for_replication(first, 1)
        assert isinstance(found, LogSlice)
        assert offsets_of(list(found.batches())) == [first]
        found = log.read_for_replication(first, 1 << 20)
        assert isinstance(found, LogSlice)
        assert found.end_offset == 20
        for offset in (first - 1, 20):
            with pytest.raises(InvariantViolation):
                log.read_for_replication(offset, 1)

    def test_from_the_device_they_are_cold(self, disk: CrashDisk, log: PartitionLog) -> None:
        log.append([batch_of()], EPOCH)
        disk.is_cold = True
        found = log.read_for_replication(0, 1)
        assert isinstance(found, ColdRead)
        assert found.load().end_offset == 1


class TestRetention:
    def test_segments_that_are_too_old_go(self, disk: CrashDisk, clock: ManualClock) -> None:
        config = LogConfig(segment_bytes=1000, retention_ms=HOUR_MS)
        log = open_log(disk, clock, config)
        for number in range(60):
            log.append([batch_of(timestamp=clock.now_ms() + number)], EPOCH)
        sync(log, disk)
        before = segments(disk)
        clock.advance(HOUR_MS)
        assert log.apply_retention(clock.now_ms(), 60) == []
        clock.advance(30)
        removed = log.apply_retention(clock.now_ms(), 60)
        assert 0 < len(removed) < len(before)
        assert log.start_offset == before[len(removed)]
        asyncio.run(log.tidy())
        assert segments(disk) == before[len(removed) :]

    def test_all_of_it(self, disk: CrashDisk, clock: ManualClock) -> None:
        log = open_log(disk, clock, LogConfig(segment_bytes=1000, retention_ms=HOUR_MS))
        for _ in range(20):
            log.append([batch_of(timestamp=clock.now_ms())], EPOCH)
        sync(log, disk)
        clock.advance(2 * HOUR_MS)
        log.apply_retention(clock.now_ms(), 20)
        assert (log.start_offset, log.end_offset) == (20, 20)
        sync(log, disk)
        log.apply_retention(clock.now_ms(), 20)
        asyncio.run(log.tidy())
        assert segments(disk) == [20]
        assert log.size == 0
        assert log.append([batch_of()], EPOCH).base_offset == 20

    def test_not_beyond_the_bound(self, disk: CrashDisk, clock: ManualClock) -> None:
        log = open_log(disk, clock, LogConfig(segment_bytes=1000, retention_ms=0))
        for _ in range(40):
            log.append([batch_of()], EPOCH)
        sync(log, disk)
        second = segments(disk)[1]
        assert log.apply_retention(clock.now_ms(), second - 1) == []
        assert log.apply_retention(clock.now_ms(), second) == [0]

    def test_silent_producers_are_forgotten(self, disk: CrashDisk, clock: ManualClock) -> None:
        log = open_log(disk, clock, LogConfig(producer_id_expiration_ms=1000))
        options = BatchOptions(producer_id=1, producer_epoch=0, base_sequence=0)
        log.append([batch_of(timestamp=clock.now_ms(), options=options)], EPOCH)
        clock.advance(999)
        log.apply_retention(clock.now_ms(), 1)
        assert len(log.producers) == 1
        clock.advance(1)
        log.apply_retention(clock.now_ms(), 1)
        assert len(log.producers) == 0

    def test_a_changed_configuration_counts_from_now_on(self, disk: CrashDisk, clock: ManualClock) -> None:
        log = open_log(disk, clock)
        for _ in range(40):
            log.append([batch_of(timestamp=clock.now_ms())], EPOCH)
        sync(log, disk)
        assert log.apply_retention(clock.now_ms(), 40) == []
        log.config = LogConfig(retention_bytes=0)
        assert log.apply_retention(clock.now_ms(), 40)


class TestTransactions:
    def marker(self, kind: ControlType, producer_id: int) -> Batch:
        return build_end_txn_marker(
            kind, producer_id=producer_id, producer_epoch=0, coordinator_epoch=0, timestamp=1000
        )

    def data(self, producer_id: int, sequence: int) -> Batch:
        options = BatchOptions(
            producer_id=producer_id, producer_epoch=0, base_sequence=sequence, is_transactional=True
        )
        return build_batch([Record(b"k", b"v" * 50, 1000)], options)

    def test_the_last_stable_offset_and_aborted_transactions(
        self, log: PartitionLog, disk: CrashDisk
    ) -> None:
        for batch in (
            self.data(1, 0),  # 0
            self.data(2, 0),  # 1
            batch_of(),  # 2
            self.marker(ControlType.ABORT, 1),  # 3
            self.data(1, 1),  # 4
            self.marker(ControlType.COMMIT, 2),  # 5
        ):
            log.append([batch], EPOCH)
        assert log.last_stable_offset(5) == 1, "the commit at 5 is not committed itself yet"
        assert log.last_stable_offset(6) == 4
        for _ in range(30):
            log.append([batch_of()], EPOCH)
        log.append([self.marker(ControlType.ABORT, 1)], EPOCH)
        assert log.last_stable_offset(log.end_offset) == log.end_offset
        aborted = log.aborted_txns(0, log.end_offset)
        assert [(txn.producer_id, txn.first_offset, txn.last_offset) for txn in aborted] == [
            (1, 0, 3),
            (1, 4, 36),
        ]
        assert log.aborted_txns(0, 3) == aborted[:1]
        assert log.aborted_txns(4, 6) == aborted[1:]
        assert log.aborted_txns(37, 37) == []
        close_cleanly(log, disk)
        again = open_log(disk, ManualClock(), was_clean=True)
        assert again.aborted_txns(0, log.end_offset) == aborted


class TestDelete:
    def test_nothing_is_left(self, disk: CrashDisk, log: PartitionLog) -> None:
        log.append([batch_of()], EPOCH)
        log.delete()
        assert not disk.exists("topic-0")
        assert disk.open_files == 0
        with pytest.raises(LogFailed):
            log.append([batch_of()], EPOCH)


class TestSize:
    def test_counts_all_segments(self, disk: CrashDisk, log: PartitionLog) -> None:
        for _ in range(40):
            log.append([batch_of()], EPOCH)
        expected = 40 * batch_of().header.size
        assert log.size == expected
        close_cleanly(log, disk)
        assert open_log(disk, ManualClock(), SMALL, was_clean=True).size == expected
