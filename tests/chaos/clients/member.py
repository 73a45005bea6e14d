"""The interface of a group's member, in every library."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from chronik.history.events import Place

# Topic, partition, offset and number of a record.
Given = tuple[str, int, int, int]
Offsets = Mapping[tuple[str, int], int]


class MemberFailed(Exception):
    """A client said that something failed; it may go on."""


class Member(Protocol):
    """Made in its group, subscribed, beginning with the earliest record. All raise MemberFailed."""

    @property
    def assignments(self) -> int:
        """How often it was assigned partitions; each time it begins at what is committed."""
        ...

    def poll(self) -> Sequence[Given]: ...

    def commit(self, offsets: Offsets) -> None:
        """Returns when it is acknowledged."""
        ...

    def committed(self) -> dict[Place, int]:
        """Of what it is assigned; -1 where nothing is."""
        ...

    def close(self) -> None: ...


# Of bootstrap servers, a group and topics.
MakeMember = Callable[[str, str, Sequence[str]], Member]
