"""Shorthands for driving a PartitionLog in tests."""

import asyncio
from collections.abc import Sequence

from chronik.log.config import LogConfig
from chronik.log.partition_log import PartitionLog
from chronik.log.reading import ColdRead, LogSlice
from chronik.log.vouched import VouchedLog
from chronik.records.batch import Batch
from chronik.records.build import BatchOptions, build_batch
from chronik.records.record import Record
from chronik.sim.disk import CrashDisk
from chronik.vocab.ids import LeaderEpoch
from tests.support.manual_clock import ManualClock

DIRECTORY = "topic-0"
EPOCH = LeaderEpoch(1)

# Small enough that some dozens of batches make several segments with several index entries each.
SMALL = LogConfig(segment_bytes=1000, index_interval_bytes=150)


def open_log(
    disk: CrashDisk,
    clock: ManualClock,
    config: LogConfig = SMALL,
    *,
    was_clean: bool = False,
    vouched: VouchedLog | None = None,
) -> PartitionLog:
    return PartitionLog.open(DIRECTORY, disk, config, clock, was_clean=was_clean, vouched=vouched)


def batch_of(
    count: int = 1, *, timestamp: int = 1000, size: int = 20, options: BatchOptions | None = None
) -> Batch:
    records = [Record(b"key", b"v" * size, timestamp + number) for number in range(count)]
    return build_batch(records, options or BatchOptions())


def sync(log: PartitionLog, disk: CrashDisk) -> None:
    files, end_offset = log.files_to_sync()
    failures = asyncio.run(disk.sync_many(files))
    for error in failures.values():
        raise error
    log.on_synced(end_offset)


def close_cleanly(log: PartitionLog, disk: CrashDisk) -> None:
    log.flush()
    sync(log, disk)
    log.close()


def read(
    log: PartitionLog,
    offset: int,
    max_bytes: int = 1 << 20,
    end_offset: int | None = None,
    *,
    at_least_one: bool = True,
) -> LogSlice:
    end_offset = log.end_offset if end_offset is None else end_offset
    found = log.read(offset, max_bytes, end_offset, at_least_one=at_least_one)
    return found.load() if isinstance(found, ColdRead) else found


def read_all(log: PartitionLog, max_bytes: int = 300) -> list[Batch]:
    batches: list[Batch] = []
    offset: int = log.start_offset
    while offset < log.end_offset:
        found = read(log, offset, max_bytes)
        assert found.size, f"nothing at {offset}, before the end {log.end_offset}"
        batches += found.batches()
        offset = found.end_offset
    return batches


def offsets_of(batches: Sequence[Batch]) -> list[int]:
    return [batch.header.base_offset for batch in batches]
