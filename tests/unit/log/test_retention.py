"""The segments that retention removes."""

import pytest

from chronik.log.config import LogConfig
from chronik.log.handle_cache import HandleCache
from chronik.log.retention import count_expired
from chronik.log.segment import Segment
from chronik.records.batch import NO_TIMESTAMP
from chronik.sim.disk import CrashDisk

NOW_MS = 100_000
KEEP_ALL = LogConfig(retention_ms=-1, retention_bytes=-1)


def segments(*specs: tuple[int, int]) -> list[Segment]:
    """(size, greatest timestamp) of each; 10 offsets in each."""
    made = []
    for number, (size, timestamp) in enumerate(specs):
        segment = Segment(CrashDisk(), HandleCache(), "topic-0", number * 10, NOW_MS)
        segment.size, segment.max_timestamp = size, timestamp
        made.append(segment)
    return made


FOUR = ((100, 10_000), (100, 30_000), (100, 20_000), (50, 90_000))


def count(config: LogConfig, *, bound: int = 40, specs: tuple[tuple[int, int], ...] = FOUR) -> int:
    return count_expired(segments(*specs), len(specs) * 10, bound, config, NOW_MS)


def test_no_limits() -> None:
    assert count(KEEP_ALL) == 0


@pytest.mark.parametrize(
    ("retention_ms", "expected"),
    [
        (90_000, 0),
        (89_999, 1),
        (70_000, 1),
        pytest.param(69_999, 3, id="the third is older than the second"),
        (10_000, 3),
        pytest.param(9_999, 4, id="even the active one"),
    ],
)
def test_by_time(retention_ms: int, expected: int) -> None:
    assert count(LogConfig(retention_ms=retention_ms)) == expected


@pytest.mark.parametrize(
    ("retention_bytes", "expected"),
    [(350, 0), (251, 0), (250, 1), (150, 2), (51, 2), (50, 3), (1, 3), (0, 4)],
)
def test_by_size_whole_segments_beyond_the_limit(retention_bytes: int, expected: int) -> None:
    assert count(LogConfig(retention_ms=-1, retention_bytes=retention_bytes)) == expected


@pytest.mark.parametrize(("bound", "expected"), [(0, 0), (9, 0), (10, 1), (29, 2), (39, 3), (40, 4)])
def test_only_committed_segments_go(bound: int, expected: int) -> None:
    assert count(LogConfig(retention_ms=0), bound=bound) == expected


def test_an_empty_active_segment_stays() -> None:
    specs = (*FOUR[:3], (0, NO_TIMESTAMP))
    assert count(LogConfig(retention_ms=-1, retention_bytes=0), specs=specs) == 3
    assert count(LogConfig(retention_bytes=0), specs=((0, NO_TIMESTAMP),), bound=10) == 0


def test_segments_without_timestamps_count_from_when_they_were_found() -> None:
    specs = ((100, NO_TIMESTAMP), (100, 20_000))
    assert count(LogConfig(retention_ms=1000), specs=specs, bound=20) == 0


def test_compacted_topics_are_not_touched() -> None:
    assert count(LogConfig(retention_ms=0, retention_bytes=0, deletes=False, compacts=True)) == 0
