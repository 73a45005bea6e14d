"""The heartbeat interval between nodes, and the limits of silence."""

from dataclasses import dataclass
from math import ceil

from chronik.vocab.invariant import invariant


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerTimings:
    """All in milliseconds. Set from the node's settings."""

    # A peer that sent nothing for this long is down; the election timeout.
    silence_ms: int
    # A node that has nothing else to send to a peer sends a heartbeat at this interval.
    heartbeat_ms: int
    # Between attempts to reach a peer that is not connected. Short, because a node that returns serves only
    # then; an attempt costs two packets.
    redial_ms: int = 100
    # From a connection's beginning to the end of its handshake. Long against a slow network, and long enough
    # that a process that is stopped for a moment does not find a heap of abandoned attempts when it goes on.
    handshake_ms: int = 3000

    def __post_init__(self) -> None:
        invariant(0 < self.heartbeat_ms * 3 <= self.silence_ms, "heartbeats too rare for {}", self)
        invariant(self.redial_ms > 0 and self.handshake_ms > 0, "no time in {}", self)

    @property
    def tick_seconds(self) -> float:
        """Two to a heartbeat, so that the time between two of them is never above `heartbeat_ms`."""
        return self.heartbeat_ms / 2000

    @property
    def silent_ticks_max(self) -> int:
        """A peer is down after this many ticks without a byte."""
        return ceil(self.silence_ms / 1000 / self.tick_seconds)

    @property
    def unheard_ticks(self) -> int:
        """After this many ticks without a byte two heartbeats were missed. Less than `silent_ticks_max`."""
        return 5
