"""The seam between the metadata and the log that holds it: `__meta` on this node."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from chronik.vocab.ids import NodeId, Offset

KeyValue = tuple[bytes, bytes]


class MetadataLog(Protocol):
    """One per node. Its owner notifies `MetadataService`:

    `on_committed` after each move of the high watermark, on leaders and followers, before waiters for an
    append are woken; `on_leadership` after `leader` or `can_decide` changed in any other way.
    """

    @property
    def can_decide(self) -> bool:
        """True if this node leads, and all records of earlier leaders are committed and were reported by
        `on_committed`.

        It may be False while an append is in progress. After an `append` that failed it is False until the
        records that it left in the log are committed or gone.
        """
        ...

    @property
    def leader(self) -> NodeId | None:
        """The node to ask when this node cannot decide; None while no leader is known. May be this node,
        which then will soon be able to.
        """
        ...

    @property
    def high_watermark(self) -> Offset:
        """Exclusive bound of committed records."""
        ...

    async def append(self, records: Sequence[KeyValue]) -> None:
        """Appends all of `records` as one record batch, and returns when they are committed.

        Never called again before it returned. Raises KafkaError, at the latest when this node ceases to lead:
        NOT_LEADER_OR_FOLLOWER when the records may still be committed by the next leader.
        """
        ...

    def read(self, offset: Offset) -> Iterable[tuple[Offset, Sequence[KeyValue]]]:
        """Committed batches from `offset` on, up to the high watermark: the end offset of each, its records.

        A batch without records of ours is given as well, empty. Raises KafkaError when it cannot be read.
        """
        ...
