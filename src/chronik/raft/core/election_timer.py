"""Timer of a node without a live leader before it requests votes (section 5.2: randomised, against split
votes).
"""

from chronik.raft.core.options import RaftOptions
from chronik.vocab.seams import Randomness


class ElectionTimer:
    """Made by each role that waits for a leader or for votes."""

    def __init__(self, options: RaftOptions, randomness: Randomness) -> None:
        self._options = options
        self._randomness = randomness
        # Ticks since it was last reset.
        self.elapsed = 0
        # Invariant: election_ticks <= timeout < 2 * election_ticks, unless shortened. None: not drawn yet.
        # Every message of a leader resets the timer, and few are followed by a tick.
        self._timeout: int | None = None
        self.is_shortened = False

    def reset(self) -> None:
        self.elapsed = 0
        self.is_shortened = False
        self._timeout = None

    def shorten(self, turn: int) -> None:
        """Fires within a few ticks, after the other nodes that lost the leader and have an earlier turn."""
        self._timeout = min(self._drawn(), self.elapsed + 1 + turn * self._options.peer_lost_turn_ticks)
        self.is_shortened = True

    def restore(self) -> None:
        """Take `shorten` back."""
        if self.is_shortened:
            self._timeout = None
            self.is_shortened = False

    def extend(self) -> None:
        """A node with an earlier turn requests votes: let that election end."""
        if self.is_shortened:
            self._timeout = max(self._drawn(), self.elapsed + self._options.peer_lost_turn_ticks)

    def tick(self) -> bool:
        """True if it fired."""
        self.elapsed += 1
        return self.elapsed >= self._drawn()

    def _drawn(self) -> int:
        if self._timeout is None:
            ticks = self._options.election_ticks
            self._timeout = self._randomness.randrange(ticks, 2 * ticks)
        return self._timeout
