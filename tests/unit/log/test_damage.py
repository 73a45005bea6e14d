"""What was durable and is damaged or missing: reported, never dropped, and no obstacle for the rest."""

import asyncio
import re
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chronik.log.damage import Damage, DamageKind
from chronik.log.partition_log import PartitionLog
from chronik.log.reading import CorruptBatch
from chronik.log.vouched import VouchedLog
from chronik.records.batch import Batch
from chronik.records.build import BatchOptions
from chronik.sim.disk import CrashDisk
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import LeaderEpoch
from tests.support.manual_clock import ManualClock
from tests.unit.log.drivers import (
    DIRECTORY,
    SMALL,
    batch_of,
    close_cleanly,
    open_log,
    read,
    read_all,
    sync,
)

EPOCH = LeaderEpoch(1)
BATCHES = 40


def path(base: int, suffix: str = ".log") -> str:
    return f"{DIRECTORY}/{base:020d}{suffix}"


def filled(disk: CrashDisk, count: int = BATCHES) -> PartitionLog:
    """Batches of two records, over several segments."""
    log = open_log(disk, ManualClock())
    for number in range(count):
        options = BatchOptions(producer_id=1, producer_epoch=0, base_sequence=number * 2)
        log.append([batch_of(2, timestamp=1000 + 10 * number, size=30, options=options)], EPOCH)
    return log


def bases(disk: CrashDisk) -> list[int]:
    return [int(name.split(".")[0]) for name in disk.list(DIRECTORY) if name.endswith(".log")]


def stop(log: PartitionLog, disk: CrashDisk) -> VouchedLog:
    """A clean stop, and what it notes."""
    close_cleanly(log, disk)
    vouched = log.vouch()
    assert vouched is not None
    return vouched


def start(
    disk: CrashDisk,
    vouched: VouchedLog | None,
    *,
    was_clean: bool = True,
    has_other_replicas: bool = False,
) -> PartitionLog:
    disk.kill()
    return PartitionLog.open(
        DIRECTORY,
        disk,
        SMALL,
        ManualClock(),
        was_clean=was_clean,
        vouched=vouched,
        has_other_replicas=has_other_replicas,
    )


def flip(disk: CrashDisk, file: str, position: int, mask: int = 1) -> None:
    content = bytearray(disk.content(file))
    content[position] ^= mask
    disk.write(file, bytes(content))


def kinds(log: PartitionLog) -> list[DamageKind]:
    return [damage.kind for damage in log.damages.known() if damage.is_loss]


def check_goes_on(log: PartitionLog, end_offset: int) -> None:
    """The next record takes the next offset, and is found again after a crash."""
    assert log.end_offset == end_offset
    log.append([batch_of(2)], EPOCH)
    assert read(log, end_offset).base_offset == end_offset


@pytest.fixture
def disk() -> CrashDisk:
    return CrashDisk()


class TestNotedStart:
    """A log start that the note of a clean stop knows, and no checkpoint yet."""

    @pytest.mark.parametrize("is_full", [False, True])
    def test_a_crash_after_the_next_start_keeps_what_is_behind_it(
        self, disk: CrashDisk, is_full: bool
    ) -> None:
        log = filled(disk)
        second = bases(disk)[1]
        log.advance_start(second)
        # The stop comes before `tidy`.
        vouched = stop(log, disk)
        assert vouched.start_offset == second
        disk.is_full = is_full
        opened = start(disk, vouched)
        assert (opened.start_offset, opened.end_offset) == (second, log.end_offset)
        # Where there is no room for the start, the segment below it stays as well.
        assert (bases(disk)[0] == second) is not is_full
        disk.is_full = False
        disk.crash(Random(1))
        again = start(disk, None, was_clean=False)
        assert again.end_offset == log.end_offset
        assert kinds(again) == []
        assert read(again, second).base_offset == second


class TestGrownSinceTheNote:
    """The segment that a clean stop noted as the last one has grown since, and others came after it."""

    @pytest.mark.parametrize("has_recovery_point", [True, False])
    @pytest.mark.parametrize("has_other_replicas", [True, False])
    def test_a_crash_loses_nothing_of_it(
        self, disk: CrashDisk, has_recovery_point: bool, has_other_replicas: bool
    ) -> None:
        vouched = stop(filled(disk), disk)
        log = start(disk, vouched, has_other_replicas=has_other_replicas)
        assert bases(disk)[-1] < log.end_offset, "the last segment is not full"
        while len(bases(disk)) < len(vouched.segments) + 3:
            log.append([batch_of(2)], EPOCH)
            sync(log, disk)
        disk.crash(Random(1))
        if not has_recovery_point:
            # A crash may leave it empty: it is written without a sync.
            disk.write(f"{DIRECTORY}/recovery-point-offset-checkpoint", b"")
        again = start(disk, vouched, was_clean=False, has_other_replicas=has_other_replicas)
        assert again.end_offset == log.end_offset
        assert kinds(again) == []
        assert [batch.header.base_offset for batch in read_all(again)] == list(range(0, log.end_offset, 2))


class TestDamagedEnd:
    """The last batch of a log that was stopped cleanly."""

    @pytest.mark.parametrize("has_note", [True, False])
    @pytest.mark.parametrize("at", [-3, -40])
    def test_stays_and_is_reported(self, disk: CrashDisk, has_note: bool, at: int) -> None:
        vouched = stop(filled(disk), disk)
        last = bases(disk)[-1]
        before = disk.content(path(last))
        flip(disk, path(last), len(before) + at)
        log = start(disk, vouched if has_note else None)
        (damage,) = log.damages.known()
        assert damage.kind is DamageKind.CORRUPT_BATCH
        assert (damage.path, damage.first_offset, damage.end_offset) == (path(last), 78, 80)
        assert len(disk.content(path(last))) == len(before), "nothing is dropped"
        with pytest.raises(CorruptBatch):
            read(log, 78)
        assert read(log, 76, 1).base_offset == 76
        check_goes_on(log, 80)

    def test_is_no_torn_end_for_the_crash_after_it(self, disk: CrashDisk) -> None:
        vouched = stop(filled(disk), disk)
        last = bases(disk)[-1]
        flip(disk, path(last), len(disk.content(path(last))) - 3)
        log = start(disk, vouched)
        check_goes_on(log, 80)
        sync(log, disk)
        for seed in range(10):
            disk.crash(Random(seed))
            log = start(disk, None, was_clean=False)
            assert log.end_offset == 82
            assert read(log, 80).base_offset == 80
            assert read(log, 76, 1).base_offset == 76
            with pytest.raises(CorruptBatch):
                read(log, 78)
            assert kinds(log) == [DamageKind.CORRUPT_BATCH]

    @pytest.mark.parametrize("field", [0, 3, 7, 8, 11, 15, 16, 17, 24, 60])
    def test_in_each_field_of_its_header(self, disk: CrashDisk, field: int) -> None:
        """The CRC leaves out base offset, length and epoch."""
        log = filled(disk)
        size = read(log, 78, 1).size
        vouched = stop(log, disk)
        last = bases(disk)[-1]
        flip(disk, path(last), len(disk.content(path(last))) - size + field, 2)
        log = start(disk, vouched)
        assert kinds(log) == [DamageKind.CORRUPT_BATCH]
        with pytest.raises(CorruptBatch):
            read(log, 78)
        check_goes_on(log, 80)

    @pytest.mark.parametrize("cut", [1, 70, 200])
    def test_cut_off(self, disk: CrashDisk, cut: int) -> None:
        vouched = stop(filled(disk), disk)
        last = bases(disk)[-1]
        content = disk.content(path(last))
        disk.write(path(last), content[: max(len(content) - cut, 0)])
        log = start(disk, vouched)
        assert log.damages.known()
        with pytest.raises(CorruptBatch):
            read(log, 79)
        check_goes_on(log, 80)

    def test_is_sent_again_to_one_of_several_replicas(self, disk: CrashDisk) -> None:
        vouched = stop(filled(disk), disk)
        last = bases(disk)[-1]
        flip(disk, path(last), len(disk.content(path(last))) - 3)
        log = start(disk, vouched, has_other_replicas=True)
        assert kinds(log) == [DamageKind.CORRUPT_BATCH]
        assert (log.end_offset, log.recovery.lost_from_offset, log.recovery.vouched_end_offset) == (
            78,
            78,
            80,
        )
        log.append([batch_of(2)], EPOCH)
        assert read(log, 78).base_offset == 78


class TestMissingFiles:
    @pytest.mark.parametrize("was_clean", [True, False])
    @pytest.mark.parametrize("has_note", [True, False])
    def test_a_segment_in_the_middle(self, disk: CrashDisk, was_clean: bool, has_note: bool) -> None:
        log = filled(disk)
        sync(log, disk)
        vouched = stop(log, disk)
        _, second, third, *_ = bases(disk)
        disk.remove(path(second))
        log = start(disk, vouched if has_note else None, was_clean=was_clean)
        (damage,) = log.damages.known()
        assert (damage.first_offset, damage.end_offset) == (second, third)
        assert log.end_offset == 80
        assert read(log, second - 1, 1).end_offset == second
        assert read(log, 0, 10**6).end_offset == second, "the read ends before the gap"
        for offset in range(second, third):
            with pytest.raises(CorruptBatch):
                read(log, offset)
        assert read(log, third).base_offset == third
        check_goes_on(log, 80)

    def test_the_first_segments(self, disk: CrashDisk) -> None:
        vouched = stop(filled(disk), disk)
        first, second, third, *_ = bases(disk)
        disk.remove(path(first))
        disk.remove(path(second))
        log = start(disk, vouched)
        assert kinds(log) == [DamageKind.MISSING_SEGMENT] * 2
        assert (log.start_offset, log.end_offset) == (third, 80)
        with pytest.raises(KafkaError) as error:
            read(log, 0)
        assert error.value.code is ErrorCode.OFFSET_OUT_OF_RANGE
        check_goes_on(log, 80)

    def test_the_last_segment(self, disk: CrashDisk) -> None:
        vouched = stop(filled(disk), disk)
        last = bases(disk)[-1]
        disk.remove(path(last))
        log = start(disk, vouched)
        assert kinds(log) == [DamageKind.MISSING_SEGMENT]
        with pytest.raises(CorruptBatch):
            read(log, last)
        check_goes_on(log, 80)

    def test_all_of_them(self, disk: CrashDisk) -> None:
        vouched = stop(filled(disk), disk)
        for base in bases(disk):
            disk.remove(path(base))
        log = start(disk, vouched)
        assert kinds(log) == [DamageKind.MISSING_SEGMENT]
        assert (log.start_offset, log.end_offset) == (80, 80)
        check_goes_on(log, 80)

    @pytest.mark.parametrize("was_clean", [True, False])
    def test_the_directory(self, disk: CrashDisk, was_clean: bool) -> None:
        vouched = stop(filled(disk), disk)
        disk.remove_tree(DIRECTORY)
        log = start(disk, vouched, was_clean=was_clean)
        (damage,) = log.damages.known()
        assert damage == Damage(DamageKind.MISSING_DIRECTORY, DIRECTORY, 0, 0, 80)
        assert log.vouch() is not None
        check_goes_on(log, 80)

    def test_a_directory_that_never_was_is_none(self, disk: CrashDisk) -> None:
        log = start(disk, None)
        assert (log.damages.known(), log.end_offset) == ([], 0)

    def test_the_segment_at_the_recovery_point(self, disk: CrashDisk) -> None:
        log = filled(disk)
        sync(log, disk)
        last = bases(disk)[-1]
        disk.remove(path(last))
        log = start(disk, None, was_clean=False)
        assert kinds(log) == [DamageKind.MISSING_SEGMENT]
        assert log.end_offset == last

    def test_a_replica_of_several_goes_on_with_what_it_has(self, disk: CrashDisk) -> None:
        vouched = stop(filled(disk), disk)
        disk.remove_tree(DIRECTORY)
        log = start(disk, vouched, has_other_replicas=True)
        assert kinds(log) == [DamageKind.MISSING_DIRECTORY]
        assert (log.end_offset, log.recovery.lost_from_offset) == (0, 0)

    def test_what_the_log_start_has_passed_is_forgotten(self, disk: CrashDisk) -> None:
        vouched = stop(filled(disk), disk)
        _, second, third, *_ = bases(disk)
        disk.remove(path(second))
        log = start(disk, vouched)
        log.advance_start(third - 1)
        assert log.damages.known()
        log.advance_start(third)
        assert not log.damages.known()


class TestFullDisk:
    def test_a_crash_is_recovered_from_without_room(self, disk: CrashDisk) -> None:
        filled(disk)
        disk.kill()
        disk.is_full = True
        for _ in range(2):
            log = start(disk, None, was_clean=False)
            assert (log.end_offset, log.damages.known()) == (80, [])
            assert len(read_all(log)) == BATCHES
            assert log.offset_for_timestamp(1390) is not None
            with pytest.raises(OSError, match="No space"):
                log.append([batch_of()], EPOCH)
        disk.is_full = False
        check_goes_on(log, 80)
        vouched = stop(log, disk)
        log = start(disk, vouched)
        assert not log.recovery.was_scanned
        assert (log.end_offset, log.damages.known()) == (82, [])


class TestBelowTheRecoveryPoint:
    def test_a_cut_segment(self, disk: CrashDisk) -> None:
        sync(filled(disk), disk)
        _, second, third, *_ = bases(disk)
        content = disk.content(path(second))
        disk.write(path(second), content[:-10])
        log = start(disk, None, was_clean=False)
        assert [damage.end_offset for damage in log.damages.known()] == [third]
        with pytest.raises(CorruptBatch):
            read(log, third - 1)
        assert read(log, third).base_offset == third
        assert log.end_offset == 80

    def test_above_it_what_follows_the_damage_goes(self, disk: CrashDisk) -> None:
        filled(disk)
        _, second, *_ = bases(disk)
        flip(disk, path(second), 100)
        log = start(disk, None, was_clean=False)
        assert (log.end_offset, log.damages.known()) == (second, [])
        assert log.recovery.truncated_bytes


class TestLies:
    """Fields that no CRC covers."""

    @pytest.mark.parametrize("mask", [1, 4, 64])
    @pytest.mark.parametrize("byte", [0, 4, 6, 7])
    def test_a_base_offset(self, disk: CrashDisk, byte: int, mask: int) -> None:
        log = filled(disk)
        size = read(log, 0, 1).size
        vouched = stop(log, disk)
        second = bases(disk)[1]
        # Of the third batch in the segment.
        flip(disk, path(second), 2 * size + byte, mask)
        damaged = second + 4
        log = start(disk, vouched)
        for offset in range(80):
            if damaged <= offset < damaged + 2:
                with pytest.raises(CorruptBatch) as error:
                    read(log, offset, 1)
                assert error.value.damage.position == 2 * size
            else:
                found = read(log, offset, 1)
                assert found.base_offset <= offset < found.end_offset
        assert read(log, second).end_offset == damaged

    def test_an_epoch(self, disk: CrashDisk) -> None:
        log = filled(disk)
        size = read(log, 0, 1).size
        vouched = stop(log, disk)
        flip(disk, path(0), size + 14)
        log = start(disk, vouched)
        with pytest.raises(CorruptBatch):
            read(log, 2)
        assert read(log, 4).base_offset == 4


class TestIndexes:
    @pytest.mark.parametrize("seed", range(30))
    @pytest.mark.parametrize("suffix", [".index", ".timeindex"])
    def test_flipped_bits_change_no_answer(self, disk: CrashDisk, suffix: str, seed: int) -> None:
        vouched = stop(filled(disk), disk)
        chance = Random(seed)
        for base in bases(disk):
            if disk.exists(path(base, suffix)):
                content = disk.content(path(base, suffix))
                flip(disk, path(base, suffix), chance.randrange(len(content)), 1 << chance.randrange(8))
        log = start(disk, vouched)
        for offset in chance.sample(range(80), 80):
            assert read(log, offset, 1).base_offset == offset // 2 * 2
        for number in range(BATCHES):
            for timestamp, offset in (
                (1000 + 10 * number, 0),
                (1001 + 10 * number, 1),
                (995 + 10 * number, 0),
            ):
                found = log.offset_for_timestamp(timestamp)
                assert found is not None
                assert found.offset == 2 * number + offset
        found = log.offset_of_max_timestamp()
        assert found is not None
        assert found.offset == 79

    def test_what_disagrees_is_reported_and_rebuilt(self, disk: CrashDisk) -> None:
        vouched = stop(filled(disk), disk)
        second = bases(disk)[1]
        before = disk.content(path(second, ".index"))
        flip(disk, path(second, ".index"), 7)
        log = start(disk, vouched)
        for offset in range(80):
            read(log, offset, 1)
        (damage,) = log.damages.known()
        assert (damage.kind, damage.path) == (DamageKind.INDEX, path(second, ".index"))
        assert asyncio.run(log.mend_indexes()) == 1
        assert disk.content(path(second, ".index")) == before
        assert not log.damages.known()


# What a disk does to a file.
Harm = Callable[[CrashDisk, Random], tuple[str, int, int]]


def _flip_any(disk: CrashDisk, chance: Random) -> tuple[str, int, int]:
    file = path(chance.choice([base for base in bases(disk) if disk.content(path(base))]))
    position = chance.randrange(len(disk.content(file)))
    flip(disk, file, position, 1 << chance.randrange(8))
    return file, position, position + 1


def _cut_any(disk: CrashDisk, chance: Random) -> tuple[str, int, int]:
    file = path(chance.choice([base for base in bases(disk) if disk.content(path(base))]))
    size = len(disk.content(file))
    left = chance.randrange(size)
    disk.write(file, disk.content(file)[:left])
    return file, left, size


def _remove_any(disk: CrashDisk, chance: Random) -> tuple[str, int, int]:
    file = path(chance.choice([base for base in bases(disk) if disk.content(path(base))]))
    size = len(disk.content(file))
    disk.remove(file)
    return file, 0, size


def _places(disk: CrashDisk, log: PartitionLog) -> list[tuple[Batch, str, int]]:
    """Each batch with its file and position."""
    found = []
    position, file = 0, ""
    starts = set(bases(disk))
    for batch in read_all(log):
        if batch.header.base_offset in starts:
            position, file = 0, path(batch.header.base_offset)
        found.append((Batch(batch.header, bytes(batch.data)), file, position))
        position += batch.header.size
    return found


def _fill(chance: Random) -> tuple[CrashDisk, PartitionLog]:
    disk = CrashDisk()
    log = open_log(disk, ManualClock())
    epoch = 1
    for _ in range(chance.randint(5, 60)):
        epoch += chance.random() < 0.1
        count = chance.randint(1, 5)
        log.append([batch_of(count, size=chance.choice([0, 20, 200]))], LeaderEpoch(epoch))
        if chance.random() < 0.2:
            sync(log, disk)
    return disk, log


@pytest.mark.long
@settings(
    max_examples=300,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.integers(0, 2**32), st.sampled_from([_flip_any, _cut_any, _remove_any]))
def test_what_was_durable_is_never_dropped(seed: int, harm: Harm) -> None:
    """Whatever befalls a file after a clean stop: what is intact is served, the rest answered with an error
    and reported, and no offset is given twice. The same after a crash, for what the stop before it noted.
    """
    chance = Random(seed)
    disk, log = _fill(chance)
    end_offset = log.end_offset
    before = _places(disk, log)
    vouched = stop(log, disk)
    file, first, end = harm(disk, chance)
    for was_clean in (True, False):
        log = start(disk, vouched, was_clean=was_clean)
        assert log.end_offset == end_offset
        for batch, its_file, position in before:
            is_hit = its_file == file and first < position + batch.header.size and position < end
            _check_batch(log, batch, is_hit)
        assert log.damages.known(), "reported"
    log.append([batch_of()], LeaderEpoch(99))
    assert read(log, end_offset).base_offset == end_offset


def _check_batch(log: PartitionLog, batch: Batch, is_hit: bool) -> None:
    offset = batch.header.base_offset
    if not is_hit:
        assert bytes(read(log, offset, 1).buffers[0]) == batch.data
        return
    with pytest.raises(KafkaError) as error:
        read(log, offset, 1)
    if error.value.code is ErrorCode.OFFSET_OUT_OF_RANGE:
        assert offset < log.start_offset
    else:
        assert error.value.code is ErrorCode.CORRUPT_MESSAGE


@pytest.mark.long
@settings(
    max_examples=200,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.integers(0, 2**32), st.sampled_from([_flip_any, _cut_any]))
def test_above_the_vouched_end_a_crash_drops_from_the_first_damage_on(seed: int, harm: Harm) -> None:
    chance = Random(seed)
    disk, log = _fill(chance)
    before = _places(disk, log)
    disk.kill()
    point = _recovery_point(disk)
    file, first, _ = harm(disk, chance)
    hit = next(
        batch.header.base_offset
        for batch, its_file, position in before
        if its_file == file and first < position + batch.header.size
    )
    log = start(disk, None, was_clean=False)
    if hit < point:
        assert log.end_offset == before[-1][0].header.next_offset
        return
    is_epoch_of_the_last = hit == before[-1][0].header.base_offset
    assert log.end_offset == hit or is_epoch_of_the_last or harm is _flip_any
    for batch, _, _ in before:
        if batch.header.base_offset < min(hit, log.end_offset):
            _check_batch(log, batch, is_hit=False)


def _recovery_point(disk: CrashDisk) -> int:
    name = f"{DIRECTORY}/recovery-point-offset-checkpoint"
    if not disk.exists(name):
        return 0
    found = re.search(rb"(\d+)\n$", disk.content(name))
    assert found is not None
    return int(found[1])
