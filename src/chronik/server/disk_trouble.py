"""A full disk, or a process out of descriptors: the results of the last attempts, for log lines, health and
metrics.

Both pass: refused operations are tried again, and nothing stops for good. Filled by the disk, which sees
every attempt; read on the event loop. A line is written when a trouble begins, once a minute while it lasts,
and when it has passed.
"""

import errno
import logging
import time
from collections.abc import Callable
from enum import Enum

_log = logging.getLogger(__name__)

# Between two lines about the same trouble.
_LINE_SECONDS = 60.0


class Trouble(Enum):
    """The values are labels of the metric, and appear in health."""

    DISK_FULL = "disk full"
    DESCRIPTORS = "file descriptors used up"


_KINDS = {
    errno.ENOSPC: Trouble.DISK_FULL,
    errno.EDQUOT: Trouble.DISK_FULL,
    errno.EFBIG: Trouble.DISK_FULL,
    errno.EMFILE: Trouble.DESCRIPTORS,
    errno.ENFILE: Trouble.DESCRIPTORS,
}

_ADVICE = {
    Trouble.DISK_FULL: "make room, or delete topics; the node goes on by itself when there is some",
    Trouble.DESCRIPTORS: "raise the limit of open files (LimitNOFILE, ulimit -n), or have fewer clients",
}


class DiskTroubles:
    """Owned by the disk. Called in any thread, with the system's result."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        # Present troubles, and whether each was logged. Not to be changed by others: each write asks.
        self.present: dict[Trouble, bool] = {}
        # When a line was last written.
        self._told_at: dict[Trouble, float] = {}
        self._untold: dict[Trouble, int] = {}
        self._last: dict[Trouble, str] = {}
        # Attempts that were refused, since the start.
        self.refused = dict.fromkeys(Trouble, 0)

    def lasting(self) -> list[Trouble]:
        return list(self.present)

    def warnings(self) -> list[str]:
        """Returns the warnings of health; empty when nothing is refused."""
        return [f"{kind.value}: {self._last[kind]}" for kind in self.present]

    def on_error(self, error: OSError, path: str) -> None:
        """An attempt failed. Errors of other kinds are ignored."""
        kind = _KINDS.get(error.errno or 0)
        if kind is None:
            return
        self.refused[kind] += 1
        self._last[kind] = f"{error.strerror} ({path})"
        told_at, now = self._told_at.get(kind), self._now()
        self._untold[kind] = self._untold.get(kind, 0) + 1
        self.present.setdefault(kind, False)
        if told_at is None or now - told_at >= _LINE_SECONDS:
            self._told_at[kind], self.present[kind] = now, True
            extra = {
                "trouble": kind.value,
                "error": str(error.strerror),
                "file": path,
                "refused": self._untold.pop(kind),
                "advice": _ADVICE[kind],
            }
            _log.error("storage exhausted", extra=extra)

    def on_success(self, kind: Trouble) -> None:
        """An operation that was refused succeeds again."""
        if self.present.pop(kind, False):
            _log.info("storage recovered", extra={"trouble": kind.value})
