"""Counting, without state."""

from collections.abc import Iterable

from chronik.raft.core.types import RaftIndex


def majority_index(matches: Iterable[RaftIndex]) -> RaftIndex:
    """The highest index that a majority of `matches`, one per voter, has reached."""
    ranked = sorted(matches, reverse=True)
    return ranked[len(ranked) // 2]
