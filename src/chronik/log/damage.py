"""Durable records of a log that are damaged or missing: found when the log is opened or read, kept until the
log start has passed them.

A torn write is no damage: recovery drops it, because it was never acknowledged.
"""

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

# Ranges remembered for one log. A disk in ruins has more; they are counted, and each read still finds its
# own.
DAMAGES_MAX = 1_000


class DamageKind(Enum):
    """The values appear in log lines and metrics."""

    CORRUPT_BATCH = "corrupt batch"
    CUT_SEGMENT = "segment cut short"
    MISSING_SEGMENT = "missing segment"
    MISSING_DIRECTORY = "missing directory"
    # The log itself is whole: lookups go by its batches until the index is rebuilt.
    INDEX = "damaged index"


class Damage(NamedTuple):
    """Records in `[first_offset, end_offset)` cannot be read, for all that is known; of an index: lookups."""

    kind: DamageKind
    # The file, or the directory, relative to the data directory.
    path: str
    # In the file; 0 for one that is missing.
    position: int
    first_offset: int
    end_offset: int

    @property
    def is_loss(self) -> bool:
        """True if records are concerned, and not only data that can be derived from them."""
        return self.kind is not DamageKind.INDEX


class Damages:
    """Owned by the PartitionLog. Cold reads report from their threads."""

    __slots__ = ("_found", "_listener", "_start_offset", "total")

    def __init__(self) -> None:
        # Damage below it is irrelevant.
        self._start_offset = 0
        self._found: dict[tuple[str, int], Damage] = {}
        self._listener: Callable[[Damage], None] | None = None
        # Places found so far, forgotten ones included.
        self.total = 0

    def listen(self, listener: Callable[[Damage], None]) -> None:
        """Call `listener` with each damage, those known already first. It may be called in any thread."""
        self._listener = listener
        for damage in self.known():
            listener(damage)

    def report(self, damage: Damage) -> None:
        """Adds a finding; a known place is not reported twice."""
        place = (damage.path, damage.position)
        if place in self._found or damage.end_offset <= self._start_offset:
            return
        self.total += 1
        if len(self._found) < DAMAGES_MAX:
            self._found[place] = damage
        if self._listener is not None:
            self._listener(damage)

    def known(self) -> list[Damage]:
        """Returns all that are not forgotten, by offset."""
        return sorted(self._found.values(), key=lambda damage: (damage.first_offset, damage.position))

    @property
    def has_loss(self) -> bool:
        """True if any records are concerned."""
        return bool(self._found) and any(damage.is_loss for damage in list(self._found.values()))

    def forget_before(self, start_offset: int) -> None:
        """The log starts at `start_offset`: damage below it is gone."""
        self._start_offset = start_offset
        for place, damage in list(self._found.items()):
            if damage.end_offset <= start_offset:
                del self._found[place]

    def forget_from(self, end_offset: int) -> None:
        """The log was cut at `end_offset`: damage from there on is replaced."""
        for place, damage in list(self._found.items()):
            if damage.first_offset >= end_offset:
                del self._found[place]

    def forget_index(self, path: str) -> None:
        """An index was rebuilt."""
        for place, damage in list(self._found.items()):
            if damage.path == path:
                del self._found[place]
