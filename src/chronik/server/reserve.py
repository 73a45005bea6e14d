"""Room kept for writes that must be possible on a full disk: deleting topics takes a record of the metadata
first.

One file of the data directory, allocated and never written. When a write of the metadata or of Raft's state
finds no room, a piece of it is given back to the file system and the write is tried again. It is allocated
again when there is room.
"""

import os
import threading
from contextlib import suppress

RESERVE_FILE = ".reserve"

# Some thousand records of the metadata.
RESERVE_BYTES = 1024 * 1024
# Size of a piece: a file system's unit of allocation, and room for hundreds of records.
PIECE_BYTES = 64 * 1024
# No room is taken from a disk that has hardly more.
_FREE_BYTES_MIN = 16 * RESERVE_BYTES


class Reserve:
    """Created by the disk. `keep` may run in a thread at the same time as `give`."""

    def __init__(self, root: str) -> None:
        self._path = os.path.join(root, RESERVE_FILE)
        self._lock = threading.Lock()

    def keep(self, free_bytes: int) -> None:
        """Have the whole reserve there, if the disk has room; nothing happens where it cannot be."""
        if not hasattr(os, "posix_fallocate"):
            return
        with self._lock, suppress(OSError):
            size = os.path.getsize(self._path) if os.path.exists(self._path) else 0
            if size >= RESERVE_BYTES or free_bytes < _FREE_BYTES_MIN:
                return
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
            finally:
                os.close(descriptor)

    def give(self) -> bool:
        """Give a piece back to the file system; False when nothing is left."""
        with self._lock, suppress(OSError):
            size = os.path.getsize(self._path)
            if size:
                os.truncate(self._path, max(size - PIECE_BYTES, 0))
                return True
        return False
