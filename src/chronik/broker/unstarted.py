"""Coroutines that are handed on, and may be dropped before they are awaited."""

from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

R = TypeVar("R")


class Unstarted(Generic[R]):
    """A coroutine in the hands of another one that may never start: its client can be gone, or its node dead,
    in the turn of the loop that made it. It is closed then, where Python would report it as forgotten.
    """

    __slots__ = ("_work",)

    def __init__(self, work: Coroutine[Any, Any, R]) -> None:
        self._work = work

    def __await__(self) -> Generator[Any, Any, R]:
        return self._work.__await__()

    def __del__(self) -> None:
        # Nothing happens to one that has ended.
        self._work.close()
