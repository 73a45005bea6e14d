"""From timestamps to offsets."""

import pytest

from chronik.log.config import LogConfig
from chronik.log.partition_log import PartitionLog
from chronik.records.batch import Codec
from chronik.records.build import BatchOptions, build_batch, build_end_txn_marker
from chronik.records.control import ControlType
from chronik.records.record import Record
from chronik.sim.disk import CrashDisk
from tests.support.manual_clock import ManualClock
from tests.unit.log.drivers import EPOCH, SMALL, close_cleanly, open_log


def with_timestamps(
    *batches: list[int], codec: Codec = Codec.NONE, config: LogConfig = SMALL
) -> PartitionLog:
    log = open_log(CrashDisk(), ManualClock(), config)
    for timestamps in batches:
        records = [Record(b"k", b"v" * 50, timestamp) for timestamp in timestamps]
        log.append([build_batch(records, BatchOptions(codec=codec))], EPOCH)
    return log


class TestOffsetForTimestamp:
    @pytest.mark.parametrize("codec", Codec)
    def test_the_exact_record_inside_a_batch(self, codec: Codec) -> None:
        log = with_timestamps([10, 20, 30], [40, 50], codec=codec)
        for timestamp, expected in [(0, (10, 0)), (11, (20, 1)), (30, (30, 2)), (31, (40, 3)), (50, (50, 4))]:
            assert log.offset_for_timestamp(timestamp) == expected
        assert log.offset_for_timestamp(51) is None

    def test_first_in_order_of_offsets(self) -> None:
        log = with_timestamps([100], [50], [200], [150])
        assert log.offset_for_timestamp(60) == (100, 0)
        assert log.offset_for_timestamp(120) == (200, 2)

    def test_over_many_segments(self) -> None:
        log = with_timestamps(*([number * 10] for number in range(100)))
        for number in range(0, 100, 7):
            assert log.offset_for_timestamp(number * 10 - 5) == (number * 10, number)

    def test_not_before_the_log_start(self) -> None:
        log = with_timestamps([10, 20, 30], [40])
        log.advance_start(2)
        assert log.offset_for_timestamp(0) == (30, 2)

    def test_empty(self) -> None:
        log = with_timestamps()
        assert log.offset_for_timestamp(0) is None
        assert log.offset_of_max_timestamp() is None


class TestMaxTimestamp:
    def test_the_first_record_that_has_it(self) -> None:
        log = with_timestamps([10, 90, 20], [90], [50])
        assert log.offset_of_max_timestamp() == (90, 1)

    def test_in_a_closed_segment_after_a_restart(self) -> None:
        disk = CrashDisk()
        log = open_log(disk, ManualClock())
        for timestamp in [5, 900, *range(10, 60)]:
            log.append([build_batch([Record(b"k", b"v" * 50, timestamp)])], EPOCH)
        close_cleanly(log, disk)
        log = open_log(disk, ManualClock(), was_clean=True)
        assert log.offset_of_max_timestamp() == (900, 1)

    def test_records_without_timestamps(self) -> None:
        log = with_timestamps([-1], [-1])
        assert log.offset_of_max_timestamp() is None

    def test_markers_count_as_in_kafka(self) -> None:
        log = with_timestamps([10])
        marker = build_end_txn_marker(
            ControlType.ABORT, producer_id=1, producer_epoch=0, coordinator_epoch=0, timestamp=99
        )
        log.append([marker], EPOCH)
        assert log.offset_of_max_timestamp() == (99, 1)
