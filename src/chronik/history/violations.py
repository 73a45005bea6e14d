"""What the check says, and what it lets pass where less was promised."""

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
    """By default none: producers are idempotent, nothing is deleted, one onlooker asks leaders."""

    # Producers whose records may be there several times: they send again, and are not idempotent.
    repeating: Collection[str] = ()
    # Those among them that have several on the way at once, so that one that is sent again comes late.
    unordered: Collection[str] = ()
    # Where logs begin whose records were deleted by request. What was below may have been read or not.
    starts: Mapping[Place, int] = field(default_factory=dict)
    # Groups whose clients commit by themselves, and do not say when: they may go back to where they were.
    committing: Collection[str] = ()
    # Up to where a group must have read, where that is not the end of the log.
    ends: Mapping[Place, int] = field(default_factory=dict)
    # How long after an acknowledgement an end without its record may be told. None: nobody looked.
    stale_seconds_max: float | None = None
    # An onlooker asks replicas that may not lead, and hears now this one and now that.
    asks_everybody: bool = False


STRICT = Allowances()
