"""The trace of a run: a hash of all of it, and a timeline for human readers.

Two runs with the same hash passed the same events in the same order at the same times.
"""

import hashlib
from collections.abc import Callable
from typing import NamedTuple


class Event(NamedTuple):
    """`at` in seconds of virtual time; `who` is a node, a client, or what befalls them."""

    at: float
    who: str
    what: str


class Trace:
    """One per run, created before anything happens. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._hash = hashlib.blake2b(digest_size=16)
        self.events: list[Event] = []

    def feed(self, *facts: object) -> None:
        """Something small, of which there are many: it is in the hash only."""
        self._hash.update(f"{self._clock():.6f} {facts}\n".encode())

    def tell(self, who: str, what: str) -> None:
        """Something for the timeline."""
        self.feed(who, what)
        self.events.append(Event(self._clock(), who, what))

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()
