"""Working out the producers' state from the log, where memory does not have it."""

from bisect import bisect_right

from chronik.log.config import LogConfig
from chronik.log.intake import apply_to_producer_state
from chronik.log.producer_state import ProducerState
from chronik.log.segment import Segment
from chronik.log.snapshots import Snapshots
from chronik.log.source import BLOCKING


def replay_producers(
    segments: list[Segment], snapshots: Snapshots, end_offset: int, config: LogConfig
) -> ProducerState:
    """The producers before `end_offset`: the newest snapshot at or before it, and the batches since."""
    had_any = snapshots.has_any(end_offset)
    loaded = snapshots.load(end_offset)
    bases = [segment.base_offset for segment in segments]
    if loaded is not None:
        start, state = loaded
    else:
        # No snapshot means no producers before the segment; damaged ones mean that the whole log must be
        # read.
        state = ProducerState()
        start = bases[0] if had_any else bases[max(bisect_right(bases, end_offset) - 1, 0)]
    for segment in segments[max(bisect_right(bases, start) - 1, 0) :]:
        if segment.base_offset >= end_offset:
            break
        segment.load(config)
        for _, batch in segment.batches(segment.position_before(start, BLOCKING), BLOCKING):
            if start <= batch.header.base_offset < end_offset:
                apply_to_producer_state(state, batch, batch.header.base_offset)
    return state
