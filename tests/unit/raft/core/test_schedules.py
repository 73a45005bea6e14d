"""Safety in any run, and liveness after it: the invariants of `invariants.py` under random faults."""

import pytest

from tests.unit.raft.core.group import Group, membership
from tests.unit.raft.core.schedules import OPTIONS, Schedule


@pytest.mark.parametrize("voters", [3, 5])
@pytest.mark.parametrize("seed", range(80))
def test_safe_in_any_run_and_alive_after_it(voters: int, seed: int) -> None:
    group = Group(membership(*range(1, voters + 1)), seed=seed, options=OPTIONS, extra=[voters + 1])
    if seed % 2:
        group.bootstrap(1)
    schedule = Schedule(group, seed)
    for _ in range(4):
        schedule.run(400)
        schedule.recover()
        schedule.check()
