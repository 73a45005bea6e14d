"""The violations, and the exceptions where less was promised."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from chronik.history.events import Place


class Violation(NamedTuple):
    """`kind` is a word to count by."""

    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowances:
    """By default none: producers are idempotent, nothing is deleted, one observer asks leaders."""

    # Producers whose records may be there several times: they retry, and are not idempotent.
    repeating: Collection[str] = ()
    # Those among them that have several on the way at once, so that one that is sent again comes late.
    unordered: Collection[str] = ()
    # Starts of logs whose records were deleted by request. Records below may have been read or not.
    starts: Mapping[Place, int] = field(default_factory=dict)
    # Groups whose clients commit automatically, at unknown times: they may go back to any earlier position.
    committing: Collection[str] = ()
    # Up to where a group must have read, where that is not the end of the log.
    ends: Mapping[Place, int] = field(default_factory=dict)
    # How long after an acknowledgement an end without its record is allowed. None: not checked.
    stale_seconds_max: float | None = None
    # The observer asks replicas that may not lead, and gets answers of different ones.
    asks_everybody: bool = False


STRICT = Allowances()
