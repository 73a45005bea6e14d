"""An immutable mapping whose next version shares nearly everything with it.

Images of thousands of topics follow each other for every topic created, so a version must cost less than a
copy (0.1 ms and more for 10,000 entries). Each is a large dictionary, shared by many versions, and a small
one of changes on top, which is folded into a new large one when it has grown to about the square root of it.
"""

from collections.abc import Iterator, Mapping
from math import isqrt
from typing import Generic, TypeVar, cast, overload

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")

# Folding so small a dictionary costs about as much as copying the changes.
_CHANGES_MIN = 32


class SharedMap(Mapping[K, V]):
    """Begins empty; `edit` makes the next version. Values are never None."""

    __slots__ = ("_base", "_changes", "_count")

    def __init__(self) -> None:
        # Shared: never written to.
        self._base: dict[K, V] = {}
        # Goes before _base; None: this key was removed.
        self._changes: dict[K, V | None] = {}
        self._count = 0

    def __getitem__(self, key: K) -> V:
        value = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    @overload
    def get(self, key: K, /) -> V | None: ...
    @overload
    def get(self, key: K, default: V | D, /) -> V | D: ...
    def get(self, key: K, default: V | D | None = None, /) -> V | D | None:
        if key in self._changes:
            value = self._changes[key]
            return default if value is None else value
        return self._base.get(key, default)

    def __contains__(self, key: object) -> bool:
        return self.get(cast("K", key)) is not None

    def __iter__(self) -> Iterator[K]:
        base, changes = self._base, self._changes
        yield from (key for key in base if key not in changes or changes[key] is not None)
        yield from (key for key, value in changes.items() if value is not None and key not in base)

    def __len__(self) -> int:
        return self._count

    def __repr__(self) -> str:
        return repr(dict(self))

    def edit(self) -> "MapEdit[K, V]":
        """Returns the builder of the next version."""
        return MapEdit(self)

    def changed(self, changes: Mapping[K, V | None], count: int) -> "SharedMap[K, V]":
        """The next version, which will have `count` entries. For `MapEdit`."""
        following: SharedMap[K, V] = SharedMap()
        following._count = count
        merged = {**self._changes, **changes}
        if len(merged) <= max(_CHANGES_MIN, isqrt(len(self._base))):
            following._base, following._changes = self._base, merged
        else:
            following._base = _folded(self._base, merged)
        return following


class MapEdit(Generic[K, V]):
    """The next version of a map in the making: reads as it will be. Of no use after `finish`."""

    __slots__ = ("_before", "_changes", "_count")

    def __init__(self, before: SharedMap[K, V]) -> None:
        self._before = before
        self._changes: dict[K, V | None] = {}
        self._count = len(before)

    def get(self, key: K) -> V | None:
        return self._changes[key] if key in self._changes else self._before.get(key)

    def __contains__(self, key: K) -> bool:
        return self.get(key) is not None

    def __setitem__(self, key: K, value: V) -> None:
        if key not in self:
            self._count += 1
        self._changes[key] = value

    def remove(self, key: K) -> None:
        """No-op for a missing key."""
        if key in self:
            self._changes[key] = None
            self._count -= 1

    def finish(self) -> SharedMap[K, V]:
        """The map that was edited itself when nothing changed."""
        return self._before.changed(self._changes, self._count) if self._changes else self._before


def _folded(base: Mapping[K, V], changes: Mapping[K, V | None]) -> dict[K, V]:
    folded = dict(base)
    for key, value in changes.items():
        if value is None:
            folded.pop(key, None)
        else:
            folded[key] = value
    return folded
