"""Reasons why this side closed connections, and their log lines.

Every such closing has a line, but a flood of them has two in `WINDOW_SECONDS` for each reason: the first with
its peer and the problem, then the number of further ones.
"""

import logging
from collections.abc import Callable
from typing import NamedTuple

# Short enough that the count is news, long enough that 5,000 connections a second are not a log of their own.
WINDOW_SECONDS = 10.0


class Reason(NamedTuple):
    """One kind of closing. Lines are `one` for the first and `many` for those that followed."""

    level: int
    one: str
    many: str


def _closed(level: int, why: str) -> Reason:
    return Reason(level, f"connection closed: {why}", f"more connections closed: {why}")


# Of Kafka's clients. Each is also the reason that `Connection` gives its log.
BY_CLIENT = _closed(logging.DEBUG, "by the client")
STOPPING = _closed(logging.DEBUG, "the broker is shutting down")
IDLE = _closed(logging.INFO, "idle")
UNSERVED = _closed(logging.INFO, "it asked for an API or version that is not served")
# A Produce request with acks=0 has no answer for the error.
FAILED_UNANSWERED = _closed(logging.INFO, "a request without an answer failed")
BAD_FRAME = _closed(logging.WARNING, "its frame has no size that is allowed")
NOT_A_REQUEST = _closed(logging.WARNING, "what it sent is no request")
UNENDING = _closed(logging.WARNING, "its request does not end")
DEAF = _closed(logging.WARNING, "it does not read")
TOO_MANY = Reason(logging.WARNING, "connection refused: too many", "connections refused: too many")

# Of HTTP's.
HTTP_UNENDING = Reason(
    logging.WARNING, "HTTP connection closed: its request does not end", "more HTTP connections closed: slow"
)
HTTP_DEAF = Reason(
    logging.WARNING, "HTTP connection closed: it does not read", "more HTTP connections closed: deaf"
)
HTTP_GARBAGE = Reason(
    logging.WARNING,
    "HTTP connection closed: what it sent is no request",
    "more HTTP connections closed: no requests",
)
HTTP_TOO_MANY = Reason(
    logging.WARNING, "HTTP connection closed: too many", "more HTTP connections closed: too many"
)


class ClosingLog:
    """Owned by the code that closes connections, which calls `tell` periodically."""

    def __init__(self, log: logging.Logger, now: Callable[[], float]) -> None:
        self._log = log
        self._now = now
        # When the first one of the window was logged, and how many came after it.
        self._windows: dict[Reason, tuple[float, int]] = {}

    def note(self, reason: Reason, client: str, /, **details: object) -> None:
        """Counts a closed connection; `client`, host and port, and `details` describe it."""
        if not self._log.isEnabledFor(reason.level):
            return
        if reason.level > logging.DEBUG:
            if reason in self._windows:
                began, more = self._windows[reason]
                self._windows[reason] = began, more + 1
                return
            self._windows[reason] = self._now(), 0
        self._log.log(reason.level, reason.one, extra={"client": client, **details})

    def tell(self, **details: object) -> None:
        """Log the counts of windows that have ended."""
        now = self._now()
        for reason, (began, more) in list(self._windows.items()):
            if now - began >= WINDOW_SECONDS:
                del self._windows[reason]
                if more:
                    self._log.log(reason.level, reason.many, extra={"suppressed": more, **details})
