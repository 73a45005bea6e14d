"""Segments on their own: what `PartitionLog` seldom makes happen."""

from chronik.log.config import LogConfig
from chronik.log.handle_cache import HandleCache
from chronik.log.producer_state import ProducerState, apply_to_producer_state
from chronik.log.segment import Segment
from chronik.log.source import BLOCKING
from chronik.records.build import BatchOptions, build_batch
from chronik.records.control import ControlType, control_key
from chronik.records.record import Record
from chronik.sim.disk import CrashDisk
from tests.unit.log.drivers import batch_of

NAME = "topic-0/00000000000000000000"


def make(disk: CrashDisk) -> Segment:
    disk.make_directory("topic-0")
    return Segment(disk, HandleCache(), "topic-0", 0, 1000)


def test_a_new_segment_takes_over_nothing_from_files_of_its_name() -> None:
    disk = CrashDisk()
    segment = make(disk)
    for suffix in (".log", ".index", ".timeindex", ".txnindex"):
        disk.write(NAME + suffix, bytes(48))
    segment.create()
    assert all(disk.content(NAME + suffix) == b"" for suffix in (".log", ".index", ".timeindex", ".txnindex"))
    assert segment.size == len(segment.offsets) == 0


def test_an_entry_for_every_interval_of_bytes() -> None:
    segment = make(CrashDisk())
    segment.create()
    batch = batch_of(size=40)
    size = batch.header.size
    config = LogConfig(index_interval_bytes=3 * size)
    for offset in range(20):
        segment.write([batch.data])
        segment.on_written(offset, batch.header, config)
    # As Kafka: an entry before the batch that follows more than the interval.
    assert segment.offsets.entries(BLOCKING) == [(n, n * size) for n in (4, 8, 12, 16)]
    assert segment.times.entries(BLOCKING) == [(1000, 0)], "a time that does not advance is not repeated"
    assert segment.position_before(3, BLOCKING) == 0
    assert segment.position_before(11, BLOCKING) == 8 * size


def test_control_records_that_end_no_transaction_change_no_producer() -> None:
    record = Record(control_key(ControlType.LEADER_CHANGE), b"", 1000)
    batch = build_batch([record], BatchOptions(producer_id=1, producer_epoch=0, is_control=True))
    producers = ProducerState()
    assert apply_to_producer_state(producers, batch, 0) is None
    assert len(producers) == 0
