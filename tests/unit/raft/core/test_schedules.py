"""Safety in any run, and liveness after it: the invariants of `invariants.py` under random faults."""

import pytest

from tests.unit.raft.core.connected_schedules import CONNECTED, CachedSchedule, ConnectedSchedule
from tests.unit.raft.core.connections import ConnectedGroup
from tests.unit.raft.core.group import Group, membership, with_directories
from tests.unit.raft.core.schedules import OPTIONS, Schedule

pytestmark = pytest.mark.long

COURSES = 3
EVENTS = 1500


def run(schedule: Schedule) -> None:
    for _ in range(COURSES):
        schedule.run(EVENTS)
        schedule.recover()
        schedule.check()


@pytest.mark.parametrize("voters", [3, 5])
@pytest.mark.parametrize("seed", range(40))
def test_safe_in_any_run_and_alive_after_it(voters: int, seed: int) -> None:
    """On a network that loses, doubles and reorders."""
    group = Group(membership(*range(1, voters + 1)), seed=seed, options=OPTIONS, extra=[voters + 1])
    if seed % 2:
        group.bootstrap(1)
    run(Schedule(group, seed))


@pytest.mark.parametrize("kind", [ConnectedSchedule, CachedSchedule])
@pytest.mark.parametrize("voters", [3, 5])
@pytest.mark.parametrize("seed", range(25))
def test_safe_and_alive_as_deployed(kind: type[ConnectedSchedule], voters: int, seed: int) -> None:
    """Connected in pairs, and quiet when there is nothing to do; with disks that are replaced, or that are
    synced only now and then.
    """
    first = with_directories(membership(*range(1, voters + 1)))
    group = ConnectedGroup(first, seed=seed, options=CONNECTED, extra=[voters + 1])
    if seed % 2:
        group.bootstrap(1)
    run(kind(group, first, seed))
