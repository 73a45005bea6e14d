"""A segment's sparse indexes, byte-compatible with Kafka's.

`.index` maps a relative offset to a position (4 + 4 bytes), `.timeindex` a timestamp to a relative offset
(8 + 4 bytes). Lookups search the file in place.
"""

import struct
from collections.abc import Callable

from chronik.log.disk import Buffer
from chronik.log.entry_file import EntryFile
from chronik.log.source import Source

OFFSET_ENTRY = struct.Struct(">ii")
TIME_ENTRY = struct.Struct(">qi")

# The search stops halving here and reads the rest at once.
_SEARCH_BLOCK_BYTES = 4096


class SparseIndex(EntryFile):
    """Entries (key, value) with ascending keys."""

    __slots__ = ()

    def append(self, key: int, value: int) -> None:
        self._append(key, value)

    def last(self, source: Source) -> tuple[int, int] | None:
        tail, size = self._tail, self._entry.size
        if tail:
            return self._unpack(tail, len(tail) // size - 1)
        if not self._flushed:
            return None
        return self._unpack(source.read(self.file, (self._flushed - 1) * size, size), 0)

    def floor(self, key: int, source: Source) -> tuple[int, int] | None:
        """Returns the last entry whose key is at most `key`."""
        tail = self._tail
        if tail and self._unpack(tail, 0)[0] <= key:
            return self._floor_in(tail, key)
        return self._floor_in_file(key, source) if self._flushed else None

    def is_in_memory(self, key: int) -> bool:
        """True if `floor` takes the entry of `key` from memory, so that no disk can have damaged it."""
        tail = self._tail
        return bool(tail) and self._unpack(tail, 0)[0] <= key

    def entries(self, source: Source) -> list[tuple[int, int]]:
        """Returns all entries, in order."""
        return [(key, value) for key, value in self._entries(source)]

    def keep(self, is_kept: Callable[[int, int], bool], source: Source) -> None:
        """Drops the entries for which `is_kept` is false."""
        entries = self.entries(source)
        self.clear()
        for entry in entries:
            if is_kept(*entry):
                self.append(*entry)
        # Entries read from the file must not be confused with newly written ones.
        self.try_flush()

    def _floor_in_file(self, key: int, source: Source) -> tuple[int, int] | None:
        low, high, size = 0, self._flushed, self._entry.size
        # Invariant: the key at `low` is <= key unless `low` is 0; the keys from `high` on are greater.
        while (high - low) * size > _SEARCH_BLOCK_BYTES:
            middle = (low + high) // 2
            found = source.read(self.file, middle * size, size)
            if len(found) < size:
                # The file is being rewritten, or was cut: it cannot answer.
                return None
            if self._unpack(found, 0)[0] <= key:
                low = middle
            else:
                high = middle
        return self._floor_in(source.read(self.file, low * size, (high - low) * size), key)

    def _floor_in(self, block: Buffer, key: int) -> tuple[int, int] | None:
        low, high = 0, len(block) // self._entry.size
        while low < high:
            middle = (low + high) // 2
            if self._unpack(block, middle)[0] <= key:
                low = middle + 1
            else:
                high = middle
        return self._unpack(block, low - 1) if low else None

    def _unpack(self, block: Buffer, number: int) -> tuple[int, int]:
        key, value = self._entry.unpack_from(block, number * self._entry.size)
        return key, value
