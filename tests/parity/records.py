"""Record batches: built for produce requests, and read from fetch answers into what can be compared."""

from typing import Any

from chronik.records.batch import Codec, TimestampType, split_batches
from chronik.records.build import BatchOptions, build_batch
from chronik.records.record import Record, decode_records
from chronik.vocab.errors import KafkaError


def batch(
    *values: bytes | None,
    timestamp: int,
    key: bytes | None = b"k",
    headers: tuple[tuple[str, bytes | None], ...] = (),
    codec: Codec = Codec.NONE,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    is_transactional: bool = False,
) -> bytes:
    """One batch with a record for each value, stamped `timestamp`, `timestamp` + 1, and so on."""
    records = [
        Record(key=key, value=value, timestamp=timestamp + index, headers=headers)
        for index, value in enumerate(values)
    ]
    options = BatchOptions(
        codec=codec,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=base_sequence,
        is_transactional=is_transactional,
    )
    return bytes(build_batch(records, options).data)


def readable(data: bytes) -> list[dict[str, Any]] | bytes:
    """Headers and records of batches, without what depends on a compressor; the bytes where they are none."""
    try:
        return [_batch_values(each) for each in split_batches(data)]
    except (KafkaError, ValueError):
        return data


def _batch_values(each: Any) -> dict[str, Any]:
    header = each.header
    return {
        "base_offset": header.base_offset,
        "last_offset": header.last_offset,
        "batch_leader_epoch": header.leader_epoch,
        "codec": header.codec.name,
        "timestamp_type": TimestampType(header.timestamp_type).name,
        "is_transactional": header.is_transactional,
        "is_control": header.is_control,
        "base_timestamp": header.base_timestamp,
        "max_timestamp": header.max_timestamp,
        "producer_id": header.producer_id,
        "producer_epoch": header.producer_epoch,
        "base_sequence": header.base_sequence,
        "records": [_record_values(record) for record in decode_records(each)],
    }


def _record_values(record: Record) -> dict[str, Any]:
    return {
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": record.key,
        "value": record.value,
        "headers": [[name, value] for name, value in record.headers],
    }
