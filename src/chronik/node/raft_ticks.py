"""The timings of consensus in its own unit."""

from typing import NamedTuple

from chronik.vocab.config.broker import BrokerConfig

TICK = "raft.tick.ms"
ELECTION = "controller.quorum.election.timeout.ms"
HEARTBEAT = "raft.heartbeat.interval.ms"


class RaftTicks(NamedTuple):
    """The length of a tick, and the numbers of ticks before an election and between heartbeats."""

    tick_ms: int
    # A follower waits between this and twice as many.
    election: int
    heartbeat: int


def raft_ticks(config: BrokerConfig) -> RaftTicks:
    """Returns the election timeout rounded down and the heartbeat up; three of these are less than that."""
    tick_ms = config.int(TICK)
    return RaftTicks(tick_ms, config.int(ELECTION) // tick_ms, -(-config.int(HEARTBEAT) // tick_ms))
