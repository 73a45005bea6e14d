"""Differences that are meant, with the reason a user reads in docs/compatibility.md.

Every entry must match a difference on each number of nodes it names: one that matches none is an error.
"""

from tests.parity.differences import Known

INTENDED: tuple[Known, ...] = (
    Known(
        scenarios=("*",),
        paths=("*leader_epoch",),
        kafka=0,
        chronik=1,
        nodes=(3,),
        reason="On three nodes leader epochs are Raft terms, which begin at 1. Clients only compare them.",
    ),
)
