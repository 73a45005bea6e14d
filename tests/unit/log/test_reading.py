"""Reads: bounds, spans, cold ones, damage."""

import pytest

from chronik.log.config import LogConfig
from chronik.log.partition_log import PartitionLog
from chronik.log.reading import ColdRead, CorruptBatch, LogSlice
from chronik.sim.disk import CrashDisk
from chronik.vocab.errors import ErrorCode, KafkaError
from tests.support.manual_clock import ManualClock
from tests.unit.log.drivers import EPOCH, SMALL, batch_of, offsets_of, open_log, read, read_all

FIRST = "topic-0/00000000000000000000.log"
ONE_SEGMENT = LogConfig(index_interval_bytes=150)


def filled(disk: CrashDisk, count: int = 12, config: LogConfig = SMALL) -> PartitionLog:
    """`count` batches of two records, about 150 bytes each, in segments of about six batches."""
    log = open_log(disk, ManualClock(), config)
    for _ in range(count):
        log.append([batch_of(2, size=30)], EPOCH)
    return log


@pytest.fixture
def disk() -> CrashDisk:
    return CrashDisk()


class TestBounds:
    def test_out_of_range(self, disk: CrashDisk) -> None:
        log = filled(disk)
        log.advance_start(5)
        for offset in (-1, 4, log.end_offset + 1):
            with pytest.raises(KafkaError) as error:
                log.read(offset, 1000, log.end_offset)
            assert error.value.code is ErrorCode.OFFSET_OUT_OF_RANGE
        assert read(log, 5, 1).base_offset == 4

    def test_nothing_between_the_bounds(self, disk: CrashDisk) -> None:
        log = filled(disk)
        assert read(log, 24, 1000) == LogSlice(24, 24, [], 0)
        assert read(log, 10, 1000, end_offset=10) == LogSlice(10, 10, [], 0)
        assert read(log, 10, 1000, end_offset=3) == LogSlice(10, 10, [], 0)

    def test_the_end_offset_cuts_at_a_batch(self, disk: CrashDisk) -> None:
        log = filled(disk)
        for end_offset in (2, 3):
            found = read(log, 0, 10_000, end_offset=end_offset)
            assert found.end_offset == 2
        assert read(log, 0, 10_000, end_offset=1).size == 0

    def test_one_batch_comes_whole(self, disk: CrashDisk) -> None:
        log = filled(disk)
        found = read(log, 3, 1)
        assert (found.base_offset, found.end_offset) == (2, 4)
        assert found.size == sum(map(len, found.buffers)) > 1

    def test_unless_the_caller_has_one_already(self, disk: CrashDisk) -> None:
        log = filled(disk)
        found = log.read(0, 1, 24, at_least_one=False)
        assert isinstance(found, LogSlice)
        assert found.size == 0

    @pytest.mark.parametrize("is_cold", [False, True])
    @pytest.mark.parametrize("place_known", [False, True])
    @pytest.mark.parametrize("at_least_one", [False, True])
    def test_no_limit_makes_a_whole_log_corrupt(
        self, disk: CrashDisk, is_cold: bool, place_known: bool, at_least_one: bool
    ) -> None:
        """Every limit from none to two batches, at batches' starts, inside them, and behind index entries."""
        log = filled(disk, config=ONE_SEGMENT)
        size = read(log, 0, 1).size
        for offset in range(24):
            for max_bytes in range(2 * size + 2):
                if place_known:
                    read(log, max(offset - 2, 0), 1)
                disk.is_cold = is_cold
                found = read(log, offset, max_bytes, at_least_one=at_least_one)
                disk.is_cold = False
                batches = min(max_bytes // size, 12 - offset // 2)
                expected = max(batches, 1) if at_least_one else batches
                assert found.size == expected * size, (offset, max_bytes)

    def test_no_bytes_left_costs_no_look_at_the_disk(self, disk: CrashDisk) -> None:
        log = filled(disk)
        disk.reads, disk.is_cold = 0, True
        assert log.read(3, 0, 24, at_least_one=False) == LogSlice(3, 3, [], 0)
        assert log.read(3, 60, 24, at_least_one=False) == LogSlice(3, 3, [], 0)
        assert disk.reads == 0

    @pytest.mark.parametrize("max_bytes", [150, 200, 500, 1000, 2000, 10**6])
    @pytest.mark.parametrize("offset", [0, 1, 11, 13, 22])
    def test_sizes_are_heeded(self, disk: CrashDisk, offset: int, max_bytes: int) -> None:
        log = filled(disk)
        found = read(log, offset, max_bytes)
        assert found.size <= max(max_bytes, read(log, offset, 1).size)
        assert sum(batch.header.size for batch in found.batches()) == found.size
        more = read(log, offset, max_bytes, end_offset=log.end_offset)
        assert more == found, "the place remembered changes nothing"

    def test_a_read_spans_segments(self, disk: CrashDisk) -> None:
        log = filled(disk, 40)
        assert len([name for name in disk.list("topic-0") if name.endswith(".log")]) > 4
        found = read(log, 0, 10**6)
        assert (found.end_offset, len(found.buffers) > 4) == (80, True)
        assert offsets_of(list(found.batches())) == list(range(0, 80, 2))

    def test_a_batch_larger_than_any_chunk(self, disk: CrashDisk) -> None:
        log = open_log(disk, ManualClock(), ONE_SEGMENT)
        log.append([batch_of(size=10)], EPOCH)
        log.append([batch_of(size=200_000)], EPOCH)
        log.append([batch_of(size=10)], EPOCH)
        assert offsets_of(read_all(log, 100)) == [0, 1, 2]
        assert read(log, 1, 100).size > 200_000
        assert read(log, 0, 1000).end_offset == 1


class TestSequential:
    def test_one_read_of_the_file_for_each_of_ours(self, disk: CrashDisk) -> None:
        log = open_log(disk, ManualClock(), ONE_SEGMENT)
        for _ in range(300):
            log.append([batch_of(2, size=30)], EPOCH)
        offset = read(log, 0, 3000).end_offset
        disk.reads = reads = 0
        while offset < log.end_offset:
            offset = read(log, offset, 3000).end_offset
            reads += 1
        assert disk.reads == reads

    def test_a_reader_at_the_tail_reads_only_what_is_new(self, disk: CrashDisk) -> None:
        log = filled(disk, config=ONE_SEGMENT)
        read(log, log.end_offset)
        for _ in range(20):
            before = log.end_offset
            log.append([batch_of(3)], EPOCH)
            disk.reads = 0
            found = read(log, before)
            assert (found.base_offset, found.end_offset) == (before, before + 3)
            assert disk.reads == 1
        log.roll()
        log.append([batch_of()], EPOCH)
        assert offsets_of(list(read(log, log.end_offset - 1).batches())) == [log.end_offset - 1]

    def test_places_are_few(self, disk: CrashDisk) -> None:
        log = filled(disk, 60)
        for offset in range(120):
            read(log, offset, 1)
        disk.reads = 0
        read(log, 119, 1)
        assert disk.reads == 1, "the last places are known"


class TestCold:
    def test_what_is_not_in_memory_is_loaded_elsewhere(self, disk: CrashDisk) -> None:
        log = filled(disk, 30)
        warm = [bytes(batch.data) for batch in read_all(log)]
        disk.is_cold = True
        found = log.read(0, 300, 60)
        assert isinstance(found, ColdRead)
        assert [bytes(batch.data) for batch in read_all(log)] == warm

    def test_loading_leaves_no_file_open(self, disk: CrashDisk) -> None:
        log = filled(disk, 30)
        disk.is_cold = True
        found = log.read(0, 10**6, 60)
        before = disk.open_files
        assert isinstance(found, ColdRead)
        assert found.load().end_offset == 60
        assert disk.open_files == before

    def test_the_log_goes_on_meanwhile(self, disk: CrashDisk) -> None:
        log = filled(disk, 30)
        disk.is_cold = True
        found = log.read(20, 300, 60)
        assert isinstance(found, ColdRead)
        log.append([batch_of()], EPOCH)
        log.roll()
        log.close()
        assert found.load().base_offset == 20

    def test_retention_may_be_faster(self, disk: CrashDisk) -> None:
        log = filled(disk, 30)
        disk.is_cold = True
        found = log.read(0, 300, 60)
        assert isinstance(found, ColdRead)
        disk.remove(FIRST)
        with pytest.raises(KafkaError) as error:
            found.load()
        assert error.value.code is ErrorCode.OFFSET_OUT_OF_RANGE


class TestDamage:
    def damage(self, disk: CrashDisk, position: int) -> None:
        content = bytearray(disk.content(FIRST))
        content[position] ^= 0xFF
        disk.open(FIRST).write_at(0, content)

    @pytest.mark.parametrize("is_cold", [False, True])
    def test_the_batch_says_file_and_position(self, disk: CrashDisk, is_cold: bool) -> None:
        log = filled(disk, 30)
        size = read(log, 0, 1).size
        self.damage(disk, 2 * size + 70)
        disk.is_cold = is_cold
        with pytest.raises(CorruptBatch) as error:
            read(log, 4)
        assert error.value.code is ErrorCode.CORRUPT_MESSAGE
        damage = error.value.damage
        assert (damage.path, damage.position, error.value.offset) == (FIRST, 2 * size, 4)
        assert (damage.first_offset, damage.end_offset) == (4, 6)
        assert FIRST in str(error.value)

    def test_good_batches_before_it_come(self, disk: CrashDisk) -> None:
        log = filled(disk, 30)
        size = read(log, 0, 1).size
        self.damage(disk, 2 * size + 70)
        found = read(log, 0)
        assert (found.end_offset, found.size) == (4, 2 * size)

    def test_and_those_behind_it_too(self, disk: CrashDisk) -> None:
        log = filled(disk, 30)
        size = read(log, 0, 1).size
        self.damage(disk, 2 * size + 70)
        assert read(log, 10).base_offset == 10

    def test_a_destroyed_length(self, disk: CrashDisk) -> None:
        log = filled(disk, 30)
        size = read(log, 0, 1).size
        self.damage(disk, size + 8)
        with pytest.raises(CorruptBatch) as error:
            read(log, 2)
        assert error.value.damage.position == size
        assert read(log, 4).base_offset == 4
        content = bytearray(disk.content(FIRST))
        content[size + 8 : size + 12] = (10**6).to_bytes(4, "big")
        disk.open(FIRST).write_at(0, content)
        with pytest.raises(CorruptBatch):
            read(log, 2)

    @pytest.mark.parametrize("left", [0, 10, 70])
    def test_a_file_that_became_shorter(self, disk: CrashDisk, left: int) -> None:
        log = filled(disk, 30)
        size = read(log, 0, 1).size
        disk.open(FIRST).truncate(size + left)
        assert read(log, 0).end_offset == 2
        with pytest.raises(CorruptBatch):
            read(log, 2)
