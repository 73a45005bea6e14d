"""Lookups in logs whose indexes are damaged, or that lack a segment: as the nodes do them, and as planted
faults do.
"""

import pytest

from chronik.log.partition_log import PartitionLog
from chronik.records.record import decode_records
from chronik.sim.checks.lookups import check_log
from chronik.sim.checks.problems import Problems
from chronik.sim.disk import CrashDisk
from chronik.sim.mutants import MUTANTS
from chronik.sim.trace import Trace
from chronik.sim.workload.history import Kept
from chronik.vocab.ids import LeaderEpoch, Offset
from tests.support.manual_clock import ManualClock
from tests.unit.log.drivers import DIRECTORY, batch_of, close_cleanly, open_log, read_all

BATCHES = 40


def stopped(disk: CrashDisk) -> list[Kept]:
    """Several segments with several index entries each, after a clean stop; what is in them."""
    log = open_log(disk, ManualClock())
    for number in range(BATCHES):
        log.append([batch_of(2, timestamp=1000 + 10 * number)], LeaderEpoch(1))
    records = [record for batch in read_all(log) for record in decode_records(batch)]
    close_cleanly(log, disk)
    return [Kept(Offset(each.offset), each.timestamp, each.value or b"") for each in records]


def opened(disk: CrashDisk) -> PartitionLog:
    return open_log(disk, ManualClock(), was_clean=True)


def problems_of(log: PartitionLog, kept: list[Kept], *, is_rotten: bool = False) -> list[str]:
    problems = Problems(Trace(lambda: 0.0))
    check_log("here", log, kept, problems, is_rotten=is_rotten)
    return problems.found


def files(disk: CrashDisk, suffix: str) -> list[str]:
    return [path for path in disk.files() if path.startswith(DIRECTORY) and path.endswith(suffix)]


def damage(disk: CrashDisk, suffix: str) -> None:
    """The last byte of every entry: of a position, of an offset."""
    size = 8 if suffix == ".index" else 12
    for path in files(disk, suffix):
        for position in range(size - 1, len(disk.content(path)), size):
            disk.rot(path, position, 0b101)


@pytest.mark.parametrize("suffix", [".index", ".timeindex"])
def test_damaged_indexes_mislead_nobody(suffix: str) -> None:
    disk = CrashDisk()
    kept = stopped(disk)
    damage(disk, suffix)
    assert problems_of(opened(disk), kept) == []


def test_who_believes_them_is_found() -> None:
    disk = CrashDisk()
    kept = stopped(disk)
    damage(disk, ".index")
    with MUTANTS["believe-indexes"].planted():
        assert problems_of(opened(disk), kept)


def test_a_missing_segment_is_told_to_readers() -> None:
    disk = CrashDisk()
    kept = stopped(disk)
    disk.lose(files(disk, ".log")[1])
    log = opened(disk)
    assert problems_of(log, kept, is_rotten=True) == []
    assert "cannot be read, and its disk is whole" in problems_of(log, kept)[0]


def test_who_passes_over_it_is_found() -> None:
    disk = CrashDisk()
    kept = stopped(disk)
    disk.lose(files(disk, ".log")[1])
    with MUTANTS["step-over-gaps"].planted():
        assert "passes over it" in problems_of(opened(disk), kept, is_rotten=True)[0]


def test_other_records_are_found() -> None:
    disk = CrashDisk()
    first, *kept = stopped(disk)
    assert "finds" in problems_of(opened(disk), [first._replace(value=b"another"), *kept])[0]
    assert "is so new" in problems_of(opened(disk), [first._replace(timestamp=1_000_000), *kept])[0]
