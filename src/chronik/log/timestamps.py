"""Maps a time to an offset: ListOffsets by timestamp, and by the greatest one (KIP-79, KIP-734)."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from chronik.log.config import LogConfig
from chronik.log.segment import Segment
from chronik.log.source import BLOCKING
from chronik.records.batch import NO_TIMESTAMP, Batch
from chronik.records.record import decode_records


class TimestampOffset(NamedTuple):
    """A record by its time (milliseconds) and place."""

    timestamp: int
    offset: int


def find_timestamp(
    segments: Sequence[Segment], timestamp: int, start_offset: int, config: LogConfig
) -> TimestampOffset | None:
    """Returns the first record from `start_offset` on whose timestamp is at least `timestamp`."""
    for segment in segments:
        segment.load(config)
        if segment.confirm_times(BLOCKING) and segment.max_timestamp < timestamp:
            continue
        for _, batch in _batches_from(segment, timestamp):
            header = batch.header
            if header.max_timestamp < timestamp or header.last_offset < start_offset:
                continue
            for record in decode_records(batch):
                if record.timestamp >= timestamp and record.offset >= start_offset:
                    return TimestampOffset(record.timestamp, record.offset)
    return None


def find_max_timestamp(
    segments: Sequence[Segment], start_offset: int, config: LogConfig
) -> TimestampOffset | None:
    """The first record that has the greatest timestamp of the log; None for a log without timestamps."""
    for segment in segments:
        segment.load(config)
        if not segment.confirm_times(BLOCKING):
            segment.rebuild_indexes(config)
    greatest = max((segment.max_timestamp for segment in segments), default=NO_TIMESTAMP)
    if greatest == NO_TIMESTAMP:
        return None
    return find_timestamp(segments, greatest, start_offset, config)


def _batches_from(segment: Segment, timestamp: int) -> Iterator[tuple[int, Batch]]:
    """Batches from one before which no record can have `timestamp` or a greater one."""
    return segment.batches(segment.position_before_time(timestamp, BLOCKING), BLOCKING)
