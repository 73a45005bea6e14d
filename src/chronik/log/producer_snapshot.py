"""Producer state as a file: Kafka's `<offset>.snapshot`, which holds the state before the batch at that
offset.

Version 1 of ProducerSnapshot.json: version, CRC-32C of what follows it, and an array of entries. Kafka's
format has room for a producer's last batch only; the four before it are read back from the log
(`recovery.backfill`).
"""

import struct

from crc32c import crc32c

from chronik.log.producer_state import AppendedBatch, ProducerEntry, ProducerState
from chronik.records.batch import NO_SEQUENCE

_VERSION = 1
_START = struct.Struct(">hI")
_COUNT = struct.Struct(">i")
_ENTRY = struct.Struct(">qhiqiqiq")
_NO_OFFSET = -1


def format_snapshot(state: ProducerState) -> bytes:
    entries = [_format_entry(entry) for entry in state]
    body = _COUNT.pack(len(entries)) + b"".join(entries)
    return _START.pack(_VERSION, crc32c(body)) + body


def parse_snapshot(content: bytes) -> ProducerState | None:
    """None for anything but a whole snapshot whose CRC agrees."""
    start = _START.size + _COUNT.size
    if len(content) < start:
        return None
    version, crc = _START.unpack_from(content)
    (count,) = _COUNT.unpack_from(content, _START.size)
    if version != _VERSION or crc != crc32c(memoryview(content)[_START.size :]):
        return None
    if len(content) != start + count * _ENTRY.size:
        return None
    return ProducerState(_parse_entry(values) for values in _ENTRY.iter_unpack(content[start:]))


def _format_entry(entry: ProducerEntry) -> bytes:
    last = entry.batches[-1] if entry.batches else AppendedBatch(NO_SEQUENCE, _NO_OFFSET, 0, 0)
    return _ENTRY.pack(
        entry.producer_id,
        entry.epoch,
        last.last_sequence,
        last.last_offset,
        last.offset_delta,
        entry.last_timestamp,
        entry.coordinator_epoch,
        _NO_OFFSET if entry.txn_first_offset is None else entry.txn_first_offset,
    )


def _parse_entry(values: tuple[int, ...]) -> ProducerEntry:
    producer_id, epoch, last_sequence, last_offset, delta, timestamp, coordinator_epoch, txn_first = values
    has_batch = last_offset != _NO_OFFSET
    return ProducerEntry(
        producer_id,
        epoch=epoch,
        coordinator_epoch=coordinator_epoch,
        last_timestamp=timestamp,
        txn_first_offset=None if txn_first == _NO_OFFSET else txn_first,
        batches=[AppendedBatch(last_sequence, last_offset, delta, timestamp)] if has_batch else (),
    )
