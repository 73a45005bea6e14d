"""Segments past retention.ms and retention.bytes. Kafka's rules (UnifiedLog.deleteOldSegments)."""

from collections.abc import Sequence

from chronik.log.config import LogConfig
from chronik.log.segment import Segment
from chronik.records.batch import NO_TIMESTAMP


def count_expired(
    segments: Sequence[Segment], end_offset: int, bound: int, config: LogConfig, now_ms: int
) -> int:
    """Returns how many segments, from the first on, may be removed; all of them when even the active one is
    too old.

    Only whole segments below `bound`, the high watermark, are removed: uncommitted records are not touched.
    The segments must be loaded.
    """
    if not config.deletes:
        return 0
    ends = [*(segment.base_offset for segment in segments[1:]), end_offset]
    committed = sum(end <= bound for end in ends)
    expired = max(_too_old(segments, config, now_ms), _too_much(segments, config))
    expired = min(expired, committed)
    # An empty active segment has nothing to delete.
    return expired if expired < len(segments) or segments[-1].size else len(segments) - 1


def _too_old(segments: Sequence[Segment], config: LogConfig, now_ms: int) -> int:
    if config.retention_ms < 0:
        return 0
    count = 0
    for segment in segments:
        # Kafka falls back to the file's time, which is at least when this process found it.
        newest = segment.max_timestamp if segment.max_timestamp != NO_TIMESTAMP else segment.created_ms
        if now_ms - newest <= config.retention_ms:
            break
        count += 1
    return count


def _too_much(segments: Sequence[Segment], config: LogConfig) -> int:
    if config.retention_bytes < 0:
        return 0
    excess = sum(segment.size for segment in segments) - config.retention_bytes
    count = 0
    for segment in segments:
        excess -= segment.size
        if excess < 0:
            break
        count += 1
    return count
