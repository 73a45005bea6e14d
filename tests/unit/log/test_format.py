"""The files of a log, read by decoders that share no code with it."""

import struct

from aiokafka.record.memory_records import MemoryRecords

from chronik.log.config import LogConfig
from chronik.records.batch import Codec
from chronik.records.build import BatchOptions, build_batch
from chronik.records.record import Record
from chronik.sim.disk import CrashDisk
from chronik.vocab.ids import LeaderEpoch
from tests.support.manual_clock import ManualClock
from tests.unit.log.drivers import close_cleanly, open_log

CONFIG = LogConfig(segment_bytes=10_000, index_interval_bytes=1000)
RECORDS = 200


def written() -> CrashDisk:
    """Batches of all codecs in several segments and two epochs."""
    disk = CrashDisk()
    log = open_log(disk, ManualClock(), CONFIG)
    for number in range(RECORDS):
        options = BatchOptions(codec=Codec(number % 5), producer_id=9, producer_epoch=0, base_sequence=number)
        record = Record(b"key%d" % number, b"%04d" % number * 100, 1000 + number * 10, (("h", b"x"),))
        log.append([build_batch([record], options)], LeaderEpoch(1 if number < 100 else 4))
    close_cleanly(log, disk)
    return disk


def files(disk: CrashDisk, suffix: str) -> list[tuple[int, bytes]]:
    names = [name for name in disk.list("topic-0") if name.endswith(suffix)]
    return [(int(name[:20]), disk.content(f"topic-0/{name}")) for name in names]


def test_segments_are_what_clients_read() -> None:
    seen = []
    for _, content in files(written(), ".log"):
        batches = MemoryRecords(content)
        while batches.has_next():
            batch = batches.next_batch()
            assert batch is not None
            assert batch.validate_crc()
            seen += [
                (record.offset, record.timestamp, record.key, record.value, record.headers)
                for record in batch
            ]
    assert seen == [
        (number, 1000 + number * 10, b"key%d" % number, b"%04d" % number * 100, [("h", b"x")])
        for number in range(RECORDS)
    ]


def test_offset_index_entries_point_at_batches() -> None:
    disk = written()
    indexes = dict(files(disk, ".index"))
    logs = dict(files(disk, ".log"))
    assert len(logs) > 2
    assert indexes
    for base, index in indexes.items():
        entries = list(struct.iter_unpack(">ii", index))
        assert entries == sorted(set(entries))
        for relative, position in entries:
            # A batch of one record: its base offset is its last offset.
            assert struct.unpack_from(">q", logs[base], position) == (base + relative,)


def test_time_index_entries_bound_the_records_up_to_them() -> None:
    for base, index in files(written(), ".timeindex"):
        entries = list(struct.iter_unpack(">qi", index))
        assert entries == sorted(set(entries))
        assert all(timestamp == 1000 + (base + relative) * 10 for timestamp, relative in entries)


def test_the_last_time_index_entry_is_the_segments_greatest() -> None:
    disk = written()
    logs = [base for base, _ in files(disk, ".log")]
    for (_, index), following in zip(files(disk, ".timeindex"), [*logs[1:], RECORDS], strict=True):
        timestamp, _ = struct.unpack(">qi", index[-12:])
        assert timestamp == 1000 + (following - 1) * 10


def test_checkpoints() -> None:
    disk = written()
    last = files(disk, ".log")[-1][0]
    assert disk.content("topic-0/leader-epoch-checkpoint") == b"0\n2\n1 0\n4 100\n"
    point = disk.content("topic-0/recovery-point-offset-checkpoint")
    assert point == f"0\n1\ntopic 0 {last}\n".encode()


def test_snapshots_stand_at_segments_and_at_the_end() -> None:
    disk = written()
    snapshots = dict(files(disk, ".snapshot"))
    assert sorted(snapshots) == [*(base for base, _ in files(disk, ".log") if base), RECORDS]
    for offset, content in snapshots.items():
        _, _, count, producer_id, epoch, last_sequence, last_offset = struct.unpack_from(">hIiqhiq", content)
        assert (count, producer_id, epoch, last_sequence, last_offset) == (1, 9, 0, offset - 1, offset - 1)
