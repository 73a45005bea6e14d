"""When a node that hears no leader asks for votes (section 5.2: randomised, against split votes)."""

from chronik.raft.core.options import RaftOptions
from chronik.vocab.seams import Randomness


class ElectionTimer:
    """Made by each role that waits for a leader or for votes."""

    def __init__(self, options: RaftOptions, randomness: Randomness) -> None:
        self._options = options
        self._randomness = randomness
        # Ticks since it was last reset.
        self.elapsed = 0
        # Invariant: election_ticks <= timeout < 2 * election_ticks, unless hastened.
        self.timeout = 0
        self.is_hastened = False
        self.reset()

    def reset(self) -> None:
        self.elapsed = 0
        self.is_hastened = False
        ticks = self._options.election_ticks
        self.timeout = self._randomness.randrange(ticks, 2 * ticks)

    def hasten(self) -> None:
        """Fire within a few ticks, not at the same one as the others who lost the leader."""
        jitter = self._randomness.randrange(0, self._options.peer_lost_jitter_ticks + 1)
        self.timeout = min(self.timeout, self.elapsed + 1 + jitter)
        self.is_hastened = True

    def calm(self) -> None:
        """Take `hasten` back."""
        if self.is_hastened:
            ticks = self._options.election_ticks
            self.timeout = self._randomness.randrange(ticks, 2 * ticks)
            self.is_hastened = False

    def tick(self) -> bool:
        """Whether it fired."""
        self.elapsed += 1
        return self.elapsed >= self.timeout
