"""Building batches: for the broker's own topics, control records, tools and tests."""

from collections.abc import Sequence
from dataclasses import dataclass

from chronik.records.batch import (
    CONTROL_BIT,
    MAGIC,
    NO_EPOCH,
    NO_SEQUENCE,
    TRANSACTIONAL_BIT,
    Batch,
    BatchHeader,
    Codec,
    pack_header,
    seal,
)
from chronik.records.compression import compress
from chronik.records.control import ControlType, control_key, end_txn_value
from chronik.records.record import Record, encode_record
from chronik.vocab.ids import NO_PRODUCER
from chronik.vocab.invariant import invariant

NO_PRODUCER_EPOCH = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions:
    """The header fields of a batch that do not follow from its records."""

    base_offset: int = 0
    leader_epoch: int = NO_EPOCH
    codec: Codec = Codec.NONE
    # None is the codec's default.
    level: int | None = None
    producer_id: int = NO_PRODUCER
    producer_epoch: int = NO_PRODUCER_EPOCH
    base_sequence: int = NO_SEQUENCE
    is_transactional: bool = False
    is_control: bool = False


PLAIN = BatchOptions()


def build_batch(records: Sequence[Record], options: BatchOptions = PLAIN) -> Batch:
    """Builds a batch of at least one record. Offsets follow from `base_offset`; those of the records are
    ignored.
    """
    invariant(records, "a batch needs a record")
    base_timestamp = records[0].timestamp
    payload = bytearray()
    for delta, record in enumerate(records):
        encode_record(
            payload, delta, record.timestamp - base_timestamp, record.key, record.value, record.headers
        )
    header = BatchHeader(
        base_offset=options.base_offset,
        length=0,
        leader_epoch=options.leader_epoch,
        magic=MAGIC,
        crc=0,
        attributes=_attributes(options),
        last_offset_delta=len(records) - 1,
        base_timestamp=base_timestamp,
        max_timestamp=max(record.timestamp for record in records),
        producer_id=options.producer_id,
        producer_epoch=options.producer_epoch,
        base_sequence=options.base_sequence,
        record_count=len(records),
    )
    data = bytearray(pack_header(header))
    data += compress(options.codec, payload, options.level)
    return seal(data)


def build_end_txn_marker(
    kind: ControlType, *, producer_id: int, producer_epoch: int, coordinator_epoch: int, timestamp: int
) -> Batch:
    """The control batch that commits or aborts a producer's transaction on a partition."""
    record = Record(control_key(kind), end_txn_value(coordinator_epoch), timestamp)
    return build_batch(
        [record],
        BatchOptions(
            producer_id=producer_id, producer_epoch=producer_epoch, is_transactional=True, is_control=True
        ),
    )


def _attributes(options: BatchOptions) -> int:
    transactional = TRANSACTIONAL_BIT if options.is_transactional else 0
    control = CONTROL_BIT if options.is_control else 0
    return options.codec | transactional | control
