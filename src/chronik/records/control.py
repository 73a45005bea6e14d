"""Control batches: the records Kafka writes between the users' (transaction markers, leader changes).

A control batch holds one uncompressed record. Its key has a version and a type, two bytes each
(org.apache.kafka.common.record.ControlRecordType); clients skip all of them.
"""

import struct
from enum import IntEnum
from typing import NamedTuple

from chronik.records.batch import Batch, Codec
from chronik.records.record import decode_records
from chronik.vocab.errors import KafkaError

_KEY = struct.Struct(">hh")
# Version, coordinator epoch (EndTransactionMarker).
_END_TXN_VALUE = struct.Struct(">hi")
_VERSION = 0


class ControlType(IntEnum):
    """Numbers as in the key."""

    ABORT = 0
    COMMIT = 1
    LEADER_CHANGE = 2
    SNAPSHOT_HEADER = 3
    SNAPSHOT_FOOTER = 4
    KRAFT_VERSION = 5
    KRAFT_VOTERS = 6


class EndTxnMarker(NamedTuple):
    """The record that ends a transaction on a partition."""

    type: ControlType
    coordinator_epoch: int

    @property
    def is_abort(self) -> bool:
        return self.type is ControlType.ABORT


def parse_end_txn_marker(batch: Batch) -> EndTxnMarker | None:
    """The marker in a control batch; None for any other control record."""
    if not batch.header.is_control or batch.header.codec_id != Codec.NONE:
        return None
    try:
        record = next(decode_records(batch), None)
    except KafkaError:
        return None
    if record is None or record.key is None or record.value is None:
        return None
    if len(record.key) < _KEY.size or len(record.value) < _END_TXN_VALUE.size:
        return None
    _, kind = _KEY.unpack_from(record.key)
    if kind not in (ControlType.ABORT, ControlType.COMMIT):
        return None
    _, coordinator_epoch = _END_TXN_VALUE.unpack_from(record.value)
    return EndTxnMarker(ControlType(kind), coordinator_epoch)


def control_key(kind: ControlType) -> bytes:
    return _KEY.pack(_VERSION, kind)


def end_txn_value(coordinator_epoch: int) -> bytes:
    return _END_TXN_VALUE.pack(_VERSION, coordinator_epoch)
