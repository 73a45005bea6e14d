"""A file of fixed-size entries of which the newest wait in memory.

The base of a segment's indexes. Kafka maps these files into memory and preallocates them; here an empty
partition has none, and entries go to the file in blocks.
"""

import struct
from contextlib import suppress
from typing import Any

from chronik.log.handle_cache import LazyFile
from chronik.log.source import Source

# Entries kept in memory before they are written: one 4 KiB write for every 2 MiB of log at Kafka's default
# interval.
TAIL_ENTRIES_MAX = 512


class EntryFile:
    """Entries in order of appending. `file` need not exist until entries are flushed."""

    __slots__ = ("_entry", "_flushed", "_tail", "file")

    def __init__(self, file: LazyFile, entry: struct.Struct) -> None:
        self.file = file
        self._entry = entry
        # Entries in the file. Worker threads read `_tail` before `_flushed`: in the middle of a flush they
        # may see an entry twice, but miss none.
        self._flushed = 0
        self._tail = bytearray()

    def __len__(self) -> int:
        return self._flushed + len(self._tail) // self._entry.size

    @property
    def is_waiting(self) -> bool:
        """True if entries are in memory only."""
        return bool(self._tail)

    def load(self) -> bool:
        """Count the entries in the file; False when it is no whole number of them."""
        size = self.file.open().size() if self.file.exists() else 0
        self._flushed, rest = divmod(size, self._entry.size)
        self._tail = bytearray()
        return not rest

    def flush(self) -> bool:
        """Writes entries buffered in memory; returns whether there were any. OSError leaves them for the
        next flush.
        """
        tail = self._tail
        if not tail:
            return False
        self.file.is_pinned = True
        self.file.open(create=True).write_at(self._flushed * self._entry.size, tail)
        self._flushed += len(tail) // self._entry.size
        self._tail = bytearray()
        return True

    def try_flush(self) -> None:
        """Flush, or not: a full disk only makes entries wait longer in memory."""
        with suppress(OSError):
            self.flush()

    def clear(self) -> None:
        """Forget all entries and empty the file, to rebuild them from the log."""
        self._tail = bytearray()
        self._flushed = 0
        if self.file.exists():
            self.file.is_pinned = True
            self.file.open().truncate(0)

    def _append(self, *values: int) -> None:
        self._tail += self._entry.pack(*values)
        if len(self._tail) >= TAIL_ENTRIES_MAX * self._entry.size:
            self.try_flush()

    def _entries(self, source: Source) -> list[tuple[Any, ...]]:
        tail, flushed = bytes(self._tail), self._flushed
        data = source.read(self.file, 0, flushed * self._entry.size) if flushed else b""
        whole = len(data) // self._entry.size * self._entry.size
        return [*self._entry.iter_unpack(data[:whole]), *self._entry.iter_unpack(tail)]
