"""Whether a connection lives, counted in ticks. Pure.

Ticks and not time: a process that was stopped, or busy for long, has not listened, and must not conclude that
nobody spoke. It counts one tick for all that it missed.
"""

from enum import Enum


class Verdict(Enum):
    """What is to be done after a tick."""

    NOTHING = 1
    # Say something, or the peer takes this node for lost.
    SPEAK = 2
    # Nothing came for so long: the peer is down.
    SILENT = 3


class Liveness:
    """Made with a connection, ticked by the transport."""

    __slots__ = ("_silent_ticks", "_silent_ticks_max", "has_heard", "has_spoken")

    def __init__(self, silent_ticks_max: int) -> None:
        self._silent_ticks_max = silent_ticks_max
        self._silent_ticks = 0
        # Whether any bytes came, and whether any were sent, since the last tick.
        self.has_heard = False
        self.has_spoken = False

    def tick(self) -> Verdict:
        self._silent_ticks = 0 if self.has_heard else self._silent_ticks + 1
        needs_speech = not self.has_spoken
        self.has_heard = self.has_spoken = False
        if self._silent_ticks >= self._silent_ticks_max:
            return Verdict.SILENT
        return Verdict.SPEAK if needs_speech else Verdict.NOTHING
