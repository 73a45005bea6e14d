"""Producer state as a file: Kafka's `<offset>.snapshot`, which holds the state before the batch at that
offset.

Version 1 of ProducerSnapshot.json: version, CRC-32C of the rest, an array of entries. Kafka's entries have
room for a producer's last batch only, so that after a restart a retry of one of the four before it would
fail. Those follow the array here, under the same CRC: Kafka's own reader stops after the array.
"""

import struct
from collections import defaultdict
from collections.abc import Iterator

from chronik.log.producer_state import AppendedBatch, ProducerEntry, ProducerState
from chronik.records.batch import NO_SEQUENCE
from chronik.records.crc import crc32c

_VERSION = 1
_START = struct.Struct(">hI")
_COUNT = struct.Struct(">i")
_ENTRY = struct.Struct(">qhiqiqiq")
# Producer id, and a batch: last sequence, last offset, offset delta, timestamp.
_OLDER = struct.Struct(">qiqiq")
_NO_OFFSET = -1


def format_snapshot(state: ProducerState) -> bytes:
    entries = [_format_entry(entry) for entry in state]
    older = [_OLDER.pack(entry.producer_id, *batch) for entry in state for batch in list(entry.batches)[:-1]]
    body = _COUNT.pack(len(entries)) + b"".join(entries) + b"".join(older)
    return _START.pack(_VERSION, crc32c(body)) + body


def parse_snapshot(content: bytes) -> ProducerState | None:
    """Returns None unless the snapshot is whole and its CRC agrees."""
    start = _START.size + _COUNT.size
    if len(content) < start:
        return None
    version, crc = _START.unpack_from(content)
    if version != _VERSION or crc != crc32c(memoryview(content)[_START.size :]):
        return None
    (count,) = _COUNT.unpack_from(content, _START.size)
    end = start + count * _ENTRY.size
    if not start <= end <= len(content) or (len(content) - end) % _OLDER.size:
        return None
    return ProducerState(_parse_entries(content[start:end], content[end:]))


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


def _parse_entries(entries: bytes, older: bytes) -> Iterator[ProducerEntry]:
    batches: dict[int, list[AppendedBatch]] = defaultdict(list)
    for producer_id, *fields in _OLDER.iter_unpack(older):
        batches[producer_id].append(AppendedBatch._make(fields))
    for producer_id, epoch, *last, timestamp, coordinator_epoch, txn_first in _ENTRY.iter_unpack(entries):
        batch = AppendedBatch._make((*last, timestamp))
        if batch.last_offset != _NO_OFFSET:
            batches[producer_id].append(batch)
        yield ProducerEntry(
            producer_id,
            epoch=epoch,
            coordinator_epoch=coordinator_epoch,
            last_timestamp=timestamp,
            txn_first_offset=None if txn_first == _NO_OFFSET else txn_first,
            batches=batches[producer_id],
        )
