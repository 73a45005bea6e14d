"""The seam between a coordinator and its internal topic."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Final, NamedTuple, Protocol

from chronik.records.batch import BatchHeader

# The records of one turn fit in one batch, and max.message.bytes of internal topics (Kafka's default
# 1,048,588) bounds a batch; the difference is room for the batch's and the records' headers.
RECORDS_BYTES_MAX: Final = 1_000_000

# The size of a record besides its key and value: lengths, deltas, attributes (at most 26 bytes as varints).
RECORD_OVERHEAD_BYTES: Final = 32

# A value of None is a tombstone.
KeyValue = tuple[bytes, bytes | None]
KeyValues = Sequence[KeyValue]


class ProducerStamp(NamedTuple):
    """The producer of the transaction that a batch belongs to."""

    producer_id: int
    producer_epoch: int


class EndOfTransaction(NamedTuple):
    """The content of a control batch: `producer`'s transaction on the partition was committed, or aborted."""

    producer: ProducerStamp
    is_commit: bool
    # Leader epoch of the transaction coordinator that decided it.
    coordinator_epoch: int


class LoggedBatch(NamedTuple):
    """One batch of the log: records, or, in a control batch, a marker."""

    header: BatchHeader
    records: KeyValues
    marker: EndOfTransaction | None = None


class CoordinatorLog(Protocol):
    """The partitions of one internal topic that this node leads."""

    def append(
        self, partition: int, records: KeyValues, transaction: ProducerStamp | None = None, /
    ) -> asyncio.Future[None]:
        """Append `records` as one batch, in the order of calls; the future is done when they are committed.

        Raises KafkaError, or the future does. After a failure the coordinator waits until all its appends are
        done, and reads the partition again: by then no append that failed may still come to be committed.
        """
        ...

    def append_marker(self, partition: int, marker: EndOfTransaction, /) -> asyncio.Future[None]:
        """Append a control batch that ends a transaction. As `append`."""
        ...

    def read(self, partition: int, /) -> AsyncGenerator[LoggedBatch, None]:
        """Returns all committed batches from the log start to the high watermark, in order; holds a bounded
        part of them in memory. The transactions of the last ones may be open.

        The high watermark is taken when the read begins, and covers the batches of earlier leaders: a new
        leader's counts once a record of its own epoch is committed. Raises KafkaError or OSError.
        """
        ...
