"""Limits the time in which connections read and are served in one turn of the event loop.

libuv reads every socket that is ready before anything else has a turn: 5,000 connections that had 300 KB to
read each held the loop for 1.8 s. When connections have used up their time in a turn, each further one reads
no more than a few bytes, stops reading, and queues; when these alone are too many, all reading is stopped.
The next turns take up some of the queue each. A connection that is served in time notices nothing: the hot
path compares two times.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

# What connections may take of a turn, from the first time it is looked at: a fifth of the 50 ms that are the
# aim. It is looked at once in as long, so a turn may have twice that. Some hundred connections with a produce
# request each are served within it.
READ_SECONDS_MAX = 0.010

# Of the queue in one turn. Each may read a megabyte, which takes 0.1 to 0.3 ms, and is to find time for it.
RESUMED_MAX = 32

# Connections that read late in one turn, at 10 microseconds each. Then all that read are stopped, whether
# they have something to read or not: a microsecond each, and one more for the next turns.
LATE_MAX = 512

# Bytes that a connection reads when there is no time left. A read cannot be refused, and one of no bytes
# would be taken for the end. Most requests of clients are no larger; the node holds it uncounted.
LATE_BYTES_MAX = 512


class Reader(Protocol):
    """A connection."""

    def stop(self) -> None:
        """Stop reading, and `queue`, if it does neither already."""
        ...

    def resume(self) -> None:
        """Handles data read late, and reads on. Raises nothing."""
        ...


class ReadTurns:
    """Owned by the listeners of a node, called by each of their connections at each read."""

    __slots__ = ("_is_scheduled", "_late", "_late_count", "_now", "_queue", "_readers", "began", "is_spent")

    def __init__(self, now: Callable[[], float], readers: Iterable[Reader]) -> None:
        """`readers` are all there are, whenever it is iterated over."""
        self._now = now
        self._readers = readers
        self._late = memoryview(bytearray(LATE_BYTES_MAX))
        # Invariant: `_next` is scheduled while the queue is not empty and while the time of the turn is used
        # up.
        self._queue: deque[Reader] = deque()
        self._is_scheduled = False
        # Connections that have read late in this turn.
        self._late_count = 0
        # The turn began no later than this while `_next` is scheduled, and a few turns ago otherwise.
        self.began = 0.0
        # True when connections have used up their time in this turn.
        self.is_spent = False

    @property
    def late_buffer(self) -> memoryview:
        """The buffer for connections when the time is used up."""
        return self._late

    def read_late(self, reader: Reader, count: int) -> bytes:
        """Returns the data that the reader has read into `late_buffer`; it is resumed in a later turn, and
        others stop.
        """
        late = bytes(self._late[:count])
        self.queue(reader)
        self._late_count += 1
        if self._late_count == LATE_MAX:
            for other in self._readers:
                other.stop()
        return late

    def note(self, now: float) -> None:
        """A connection is served, READ_SECONDS_MAX after `began` at the earliest."""
        if self._is_scheduled:
            self.is_spent = True
        else:
            # Long enough ago for another turn: it counts from here.
            self.began = now
            self._schedule()

    def queue(self, reader: Reader) -> None:
        """Have it resumed in a later turn. Only while the time is spent."""
        self._queue.append(reader)

    def _schedule(self) -> None:
        self._is_scheduled = True
        asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        """A turn has begun."""
        self.began = self._now()
        self._is_scheduled = self.is_spent = False
        self._late_count = 0
        queue = self._queue
        for _ in range(min(RESUMED_MAX, len(queue))):
            if self._now() - self.began > READ_SECONDS_MAX / 2:
                break
            queue.popleft().resume()
        if queue and not self._is_scheduled:
            self._schedule()
