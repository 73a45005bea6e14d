"""The seams through which pure rooms receive time and randomness."""

from typing import Protocol


class Clock(Protocol):
    """Wall and monotonic time. The server passes the real one, the simulator a virtual one."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch; may step backwards."""
        ...

    def monotonic_ms(self) -> int:
        """Milliseconds on a clock that never steps; only differences mean anything."""
        ...


class Randomness(Protocol):
    """Chance from one seed. `random.Random` has this shape."""

    def random(self) -> float: ...

    def randbytes(self, n: int, /) -> bytes: ...

    def randrange(self, start: int, stop: int, /) -> int: ...
