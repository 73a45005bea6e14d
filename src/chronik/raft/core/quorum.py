"""Counting, without state."""

from collections.abc import Sequence

from chronik.raft.core.types import RaftIndex


def majority_index(matches: Sequence[RaftIndex]) -> RaftIndex:
    """The highest index that a majority of `matches`, one per voter, has reached."""
    ranked = sorted(matches, reverse=True)
    return ranked[len(ranked) // 2]
