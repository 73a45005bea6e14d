"""The states of a classic group, and which may follow which."""

from enum import Enum
from typing import Final


class GroupState(Enum):
    """Values are the names that clients and tools see."""

    # No members; there may be committed offsets.
    EMPTY = "Empty"
    # Members are to join; those that joined wait for the others.
    PREPARING_REBALANCE = "PreparingRebalance"
    # All have joined; the leader is working out the assignment.
    COMPLETING_REBALANCE = "CompletingRebalance"
    # Every member has an assignment of the current generation.
    STABLE = "Stable"
    # Deleted, or moved to another coordinator.
    DEAD = "Dead"


TRANSITIONS: Final = {
    GroupState.EMPTY: frozenset({GroupState.PREPARING_REBALANCE, GroupState.DEAD}),
    GroupState.PREPARING_REBALANCE: frozenset(
        {GroupState.COMPLETING_REBALANCE, GroupState.EMPTY, GroupState.DEAD}
    ),
    GroupState.COMPLETING_REBALANCE: frozenset(
        {GroupState.STABLE, GroupState.PREPARING_REBALANCE, GroupState.DEAD}
    ),
    GroupState.STABLE: frozenset({GroupState.PREPARING_REBALANCE, GroupState.DEAD}),
    GroupState.DEAD: frozenset(),
}
