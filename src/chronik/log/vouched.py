"""A clean stop's note of each log, so that the next start knows which records must be there.

One file for the node, `clean-stop-checkpoint`, in the text format of Kafka's checkpoints with a CRC after it:
a row for each log that has a directory. It is written before the mark of the clean stop, and stays after the
mark is removed: records durable then are so after a crash, too.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from chronik.log.checkpoint import format_lines, parse_lines, seal, unseal
from chronik.vocab.ids import TopicId

_WHOLE, _DAMAGED = "whole", "damaged"


class VouchedSegment(NamedTuple):
    """Base offset, and bytes in the `.log` file."""

    base_offset: int
    size: int


class VouchedLog(NamedTuple):
    """A log at a clean stop: everything in it was durable."""

    topic_id: TopicId
    start_offset: int
    end_offset: int
    # In order. None are left of a log that is known to have lost its directory.
    segments: tuple[VouchedSegment, ...]
    # Damage was known: the next start looks for it again.
    is_damaged: bool = False
    # How many times the partition's replicas had changed.
    revision: int = 0


def format_vouched(logs: Mapping[str, VouchedLog]) -> bytes:
    """By directory."""
    return seal(format_lines([_row(directory, logs[directory]) for directory in sorted(logs)]))


def parse_vouched(content: bytes) -> dict[str, VouchedLog] | None:
    """Returns None if it is not whole."""
    body = unseal(content)
    rows = None if body is None else parse_lines(body)
    return None if rows is None else {row[0]: _parse(row) for row in rows if row != [""]}


def _row(directory: str, log: VouchedLog) -> Iterable[object]:
    segments = (f"{segment.base_offset}:{segment.size}" for segment in log.segments)
    state = _DAMAGED if log.is_damaged else _WHOLE
    if log.revision:
        state = f"{state}/{log.revision}"
    return [directory, log.topic_id.hex(), log.start_offset, log.end_offset, state, *segments]


def _parse(row: list[str]) -> VouchedLog:
    segments = (text.split(":") for text in row[5:])
    state, _, revision = row[4].partition("/")
    return VouchedLog(
        topic_id=TopicId(bytes.fromhex(row[1])),
        start_offset=int(row[2]),
        end_offset=int(row[3]),
        is_damaged=state == _DAMAGED,
        revision=int(revision or 0),
        segments=tuple(VouchedSegment(base_offset=int(base), size=int(size)) for base, size in segments),
    )
