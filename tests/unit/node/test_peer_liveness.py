"""Silence and speech, in ticks."""

import pytest

from chronik.node.peer_liveness import Liveness, Verdict
from chronik.node.peer_timings import PeerTimings
from chronik.vocab.invariant import InvariantViolation


def test_silence_is_so_many_ticks_without_a_byte() -> None:
    liveness = Liveness(2, 3)
    liveness.has_spoken = True
    assert liveness.tick() is Verdict.NOTHING
    assert liveness.tick() is Verdict.SPEAK
    liveness.has_heard = True
    assert [liveness.tick() for _ in range(4)] == [Verdict.SPEAK] * 3 + [Verdict.SILENT]


def test_who_misses_heartbeats_is_unheard_until_it_speaks() -> None:
    liveness = Liveness(2, 5)
    seen = []
    for has_heard in (True, False, False, False, True, True, False):
        liveness.has_heard = has_heard
        liveness.tick()
        seen.append((liveness.is_unheard, liveness.has_changed))
    no, yes = (False, False), (True, False)
    assert seen == [no, no, (True, True), yes, (False, True), no, no]


@pytest.mark.parametrize(
    ("silence_ms", "heartbeat_ms", "ticks"), [(1000, 100, 20), (100, 33, 7), (30, 10, 6)]
)
def test_silence_in_ticks_is_not_shorter_than_in_time(silence_ms: int, heartbeat_ms: int, ticks: int) -> None:
    timings = PeerTimings(silence_ms=silence_ms, heartbeat_ms=heartbeat_ms)
    assert timings.silent_ticks_max == ticks
    assert ticks * timings.tick_seconds * 1000 >= silence_ms - 1e-6
    assert timings.unheard_ticks < timings.silent_ticks_max


@pytest.mark.parametrize(
    "wrong", [{"heartbeat_ms": 34}, {"heartbeat_ms": 0}, {"redial_ms": 0}, {"handshake_ms": 0}]
)
def test_timings_that_make_no_sense_are_none(wrong: dict[str, int]) -> None:
    with pytest.raises(InvariantViolation):
        PeerTimings(**{"silence_ms": 100, "heartbeat_ms": 33, **wrong})
