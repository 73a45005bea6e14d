"""Limits of open files and sockets of the process.

Shells start programs with 1024 descriptors although the kernel allows far more, for the sake of programs that
use `select`. A thousand clients would be too many then, so a node's process raises its limit, as a JVM does
for Kafka.
"""

import errno
import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

# More than any node of this kind serves; some systems have no upper bound, and would refuse infinity.
_WANTED = 1_048_576
# macOS names an infinite limit and takes no more than this.
_WANTED_AT_LEAST = 10_240

# Descriptors neither for clients nor for the files of logs: HTTP (64 connections), cold reads, removals, the
# event loop, other nodes.
_RESERVED = 128

OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)

# For the threads that sync directories.
_SPARES = 4


def raise_limit() -> None:
    """Allow this process as many descriptors as it can have. For processes that are the broker's own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ceiling = _WANTED if hard == resource.RLIM_INFINITY else min(hard, _WANTED)
    for wanted in (ceiling, _WANTED_AT_LEAST):
        if soft != resource.RLIM_INFINITY and soft < wanted:
            with suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
                return


class Budget(NamedTuple):
    """Divides a process's descriptors, so that none of the three uses takes those of another."""

    files: int
    connections: int


def budget(files_max: int) -> Budget:
    """`files_max`: more need not be open for logs at once."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return Budget(files_max, _WANTED)
    # A process with very few has a quarter for the rest.
    left = max(soft - _RESERVED, soft * 3 // 4)
    files = min(files_max, left // 2)
    return Budget(files, left - files)


class SpareDescriptors:
    """Descriptors held open to be given up: what needs one for a moment finds it when all others are taken.

    Made and closed by the disk; lent in any thread.
    """

    def __init__(self, count: int = _SPARES) -> None:
        self._held = [os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC) for _ in range(count)]
        self._lock = threading.Lock()

    @contextmanager
    def lend(self) -> Iterator[None]:
        """Inside the context one descriptor more is free, unless another thread was faster."""
        with self._lock:
            spare = self._held.pop() if self._held else None
        if spare is not None:
            os.close(spare)
        try:
            yield
        finally:
            if spare is not None:
                # Where that fails, there is one less.
                with suppress(OSError):
                    self._held.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))

    def close(self) -> None:
        while self._held:
            os.close(self._held.pop())
