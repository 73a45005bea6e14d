"""What shall befall the cluster, and when: all of it is drawn from a seed before anything runs.

What cannot be done where it runs is drawn all the same and left out, so that a seed means the same plan
everywhere. The clients' timing is their own: a plan is repeated exactly, a run is not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import exp, log
from random import Random

NODES = (1, 2, 3)
# The one with a disk of its own, which can be filled.
NODE_WITH_SMALL_DISK = 3


class Kind(Enum):
    """`amount` of a fault is seconds: by which a link is late, or a clock is wrong."""

    KILL = "kill -9, one node"
    KILL_TWO = "kill -9, two nodes at once"
    KILL_ALL = "kill -9, all nodes at once"
    PAUSE = "SIGSTOP"
    RESTART = "SIGTERM and start"
    ISOLATE = "one node cut off"
    CUT_PAIR = "two nodes cut apart"
    CUT_ONE_WAY = "one direction cut"
    DELAY = "one node's links slow"
    DISK_FULL = "disk full"
    CLOCK = "clock jumps"


# How often each is drawn, against the others.
WEIGHTS = {
    Kind.KILL: 5,
    Kind.KILL_TWO: 2,
    Kind.KILL_ALL: 1,
    Kind.PAUSE: 5,
    Kind.RESTART: 3,
    Kind.ISOLATE: 4,
    Kind.CUT_PAIR: 3,
    Kind.CUT_ONE_WAY: 4,
    Kind.DELAY: 4,
    Kind.DISK_FULL: 3,
    Kind.CLOCK: 3,
}

# Seconds from the beginning of a fault to its end. Around an election timeout (1 s) and well beyond it; none
# beyond what clients wait for an answer (30 s), so that every waiting client is answered in the end.
_LENGTHS = {
    Kind.KILL: (0.2, 8.0),
    Kind.KILL_TWO: (0.2, 6.0),
    Kind.KILL_ALL: (0.2, 4.0),
    Kind.PAUSE: (0.1, 12.0),
    Kind.RESTART: (0.01, 2.0),
    Kind.ISOLATE: (0.3, 12.0),
    Kind.CUT_PAIR: (0.3, 12.0),
    Kind.CUT_ONE_WAY: (0.3, 12.0),
    Kind.DELAY: (3.0, 12.0),
    Kind.DISK_FULL: (2.0, 8.0),
    Kind.CLOCK: (1.0, 10.0),
}
# From what nobody notices to more than an election timeout.
_DELAY_SECONDS = (0.005, 1.5)
# Longer would expire records and producers rightly: a day is `producer.id.expiration.ms`.
_CLOCK_SECONDS = (0.05, 12 * 3600.0)
# Between the end of a fault and the next; negative when the next shall begin before.
_PAUSES = (1.0, 6.0)
_OVERLAPS = (-4.0, 0.0)
_OVERLAP_SHARE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """`start` is seconds from the beginning; `nodes` are those concerned, for one direction sender first."""

    number: int
    start: float
    seconds: float
    kind: Kind
    nodes: tuple[int, ...]
    amount: float = 0.0

    @property
    def end(self) -> float:
        return self.start + self.seconds


def draw(seed: int, seconds: float) -> list[Fault]:
    """By start; all of them end within `seconds`."""
    chance = Random(seed)
    faults: list[Fault] = []
    at = chance.uniform(*_PAUSES)
    while True:
        fault = _draw_one(chance, len(faults), at)
        if fault.end > seconds:
            return sorted(faults, key=lambda each: each.start)
        faults.append(fault)
        gap = _OVERLAPS if chance.random() < _OVERLAP_SHARE else _PAUSES
        # Never before the beginning of the last one.
        at = max(at, fault.end + chance.uniform(*gap))


def _draw_one(chance: Random, number: int, start: float) -> Fault:
    kind = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    return Fault(
        number=number,
        start=round(start, 3),
        seconds=round(_skewed(chance, *_LENGTHS[kind]), 3),
        kind=kind,
        nodes=_nodes(chance, kind),
        amount=_amount(chance, kind),
    )


def _nodes(chance: Random, kind: Kind) -> tuple[int, ...]:
    match kind:
        case Kind.KILL_ALL:
            return NODES
        case Kind.KILL_TWO | Kind.CUT_PAIR | Kind.CUT_ONE_WAY:
            return tuple(chance.sample(NODES, 2))
        case Kind.DISK_FULL:
            return (NODE_WITH_SMALL_DISK,)
        case _:
            return (chance.choice(NODES),)


def _amount(chance: Random, kind: Kind) -> float:
    if kind is Kind.DELAY:
        return round(_skewed(chance, *_DELAY_SECONDS), 4)
    if kind is Kind.CLOCK:
        return round(_skewed(chance, *_CLOCK_SECONDS) * chance.choice((1, -1)), 3)
    return 0.0


def _skewed(chance: Random, low: float, high: float) -> float:
    """Each order of magnitude as likely as another."""
    return exp(chance.uniform(log(low), log(high)))


def counts(faults: Sequence[Fault]) -> dict[Kind, int]:
    """Of every kind, also of those that were not drawn."""
    return {kind: sum(fault.kind is kind for fault in faults) for kind in Kind}
