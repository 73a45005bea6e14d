"""Liveness of a connection, counted in ticks. Pure.

Ticks and not time: a process that was stopped, or busy for long, has not read its sockets, and must not
conclude that its peers are silent. It counts one tick for the whole gap.
"""

from enum import Enum


class Verdict(Enum):
    """The action after a tick."""

    NOTHING = 1
    # Send something, or the peer takes this node for lost.
    SPEAK = 2
    # Nothing arrived within the limit: the peer is down.
    SILENT = 3


class Liveness:
    """Made with a connection, ticked by the transport."""

    __slots__ = (
        "_silent_ticks",
        "_silent_ticks_max",
        "_unheard_ticks",
        "has_changed",
        "has_heard",
        "has_spoken",
        "is_unheard",
    )

    def __init__(self, unheard_ticks: int, silent_ticks_max: int) -> None:
        self._unheard_ticks = unheard_ticks
        self._silent_ticks_max = silent_ticks_max
        self._silent_ticks = 0
        # Whether any bytes came, and whether any were sent, since the last tick.
        self.has_heard = False
        self.has_spoken = False
        # As of the last tick: it has missed heartbeats and is not down yet; and whether that tick changed it.
        self.is_unheard = False
        self.has_changed = False

    def tick(self) -> Verdict:
        self._silent_ticks = 0 if self.has_heard else self._silent_ticks + 1
        was_unheard, self.is_unheard = self.is_unheard, self._silent_ticks >= self._unheard_ticks
        self.has_changed = self.is_unheard != was_unheard
        needs_speech = not self.has_spoken
        self.has_heard = self.has_spoken = False
        if self._silent_ticks >= self._silent_ticks_max:
            return Verdict.SILENT
        return Verdict.SPEAK if needs_speech else Verdict.NOTHING
