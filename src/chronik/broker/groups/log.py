"""The seam between the coordinator and `__consumer_offsets`."""

from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Protocol

KeyValues = Sequence[tuple[bytes, bytes | None]]


class CoordinatorLog(Protocol):
    """Keys and values of the partitions this node leads. A value of None is a tombstone."""

    def append(self, partition: int, records: KeyValues, /) -> Awaitable[None]:
        """Append `records` as one batch, in the order of calls; the awaitable is done when they are
        committed.

        Raises KafkaError, at once or when awaited. After a failure the coordinator waits until all its
        appends are settled, and reads the partition anew: by then no append that failed may still come to be
        committed.
        """
        ...

    def read(self, partition: int, /) -> AsyncIterator[KeyValues]:
        """All committed records from the log start to the high watermark, in order, in pieces of bounded
        size.

        Whatever earlier leaders appended is settled when the read begins: a new leader's high watermark
        counts once a record of its own epoch is committed. Gives way to the loop between pieces. Raises
        KafkaError or OSError.
        """
        ...
