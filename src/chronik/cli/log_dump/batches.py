"""The rows of a segment: its batches, or its records."""

import mmap
import os
from collections.abc import Iterator, Mapping
from enum import IntEnum
from pathlib import Path

from chronik.cli.units import format_time, plain_bytes
from chronik.records.batch import (
    HEADER_BYTES,
    LENGTH_MIN,
    MAGIC,
    Batch,
    BatchHeader,
    Codec,
    has_valid_crc,
    parse_header,
)
from chronik.records.control import ControlType
from chronik.records.record import Record, decode_records
from chronik.vocab.errors import KafkaError

Row = Mapping[str, object]


def batch_rows(path: Path, problems: list[str]) -> Iterator[Row]:
    """Yields one row per batch; ends at the first bytes that are none."""
    for position, batch in _batches(path, problems):
        header = batch.header
        is_valid = has_valid_crc(batch)
        if not is_valid:
            problems.append(
                f"position {position}: the CRC of the batch at offset {header.base_offset} is wrong"
            )
        yield {
            "position": position,
            "base_offset": header.base_offset,
            "last_offset": header.last_offset,
            "records": header.record_count,
            "bytes": header.size,
            "max_time": format_time(header.max_timestamp),
            "codec": _codec(header),
            "epoch": header.leader_epoch,
            "producer": _producer(header),
            "flags": _flags(header),
            "crc": "ok" if is_valid else "WRONG",
        }


def record_rows(path: Path, problems: list[str]) -> Iterator[Row]:
    """Yields one row per record. Batches that cannot be read are problems."""
    for position, batch in _batches(path, problems):
        if not has_valid_crc(batch):
            problems.append(f"position {position}: the CRC of the batch is wrong")
            continue
        try:
            for record in decode_records(batch):
                yield _record_row(record, batch.header)
        except KafkaError as error:
            problems.append(f"position {position}: {error}")


def _batches(path: Path, problems: list[str]) -> Iterator[tuple[int, Batch]]:
    size = os.path.getsize(path)
    if not size:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        position = 0
        while position < size:
            # Kafka preallocates active segments: zeros are no damage.
            if (
                size - position < HEADER_BYTES
                or parse_header(data[position : position + HEADER_BYTES]).length == 0
            ):
                if any(data[position : position + HEADER_BYTES]):
                    problems.append(f"position {position}: {size - position} bytes are no batch")
                return
            header = parse_header(data[position : position + HEADER_BYTES])
            if header.length < LENGTH_MIN or header.magic != MAGIC or header.size > size - position:
                problems.append(f"position {position}: {size - position} bytes are no whole batch")
                return
            yield position, Batch(header, data[position : position + header.size])
            position += header.size


def _record_row(record: Record, header: BatchHeader) -> Row:
    return {
        "offset": record.offset,
        "time": format_time(record.timestamp),
        "key": _control(record.key) if header.is_control else _text(record.key),
        "value": _text(record.value),
        "headers": {name: _text(value) for name, value in record.headers},
    }


def _text(data: bytes | None) -> object:
    return None if data is None else plain_bytes(data)


def _control(key: bytes | None) -> str:
    """Returns the meaning of a control record's key."""
    kind = int.from_bytes((key or b"")[2:4])
    return _name(ControlType, kind)


def _codec(header: BatchHeader) -> str:
    return _name(Codec, header.codec_id)


def _name(numbers: type[IntEnum], number: int) -> str:
    try:
        return numbers(number).name.lower()
    except ValueError:
        return f"unknown ({number})"


def _producer(header: BatchHeader) -> str:
    """Id, epoch and first sequence, as `id/epoch:sequence`."""
    if not header.has_producer_id:
        return ""
    return f"{header.producer_id}/{header.producer_epoch}:{header.base_sequence}"


def _flags(header: BatchHeader) -> str:
    flags = {
        "transactional": header.is_transactional,
        "control": header.is_control,
        "append-time": bool(header.timestamp_type),
        "delete-horizon": header.delete_horizon_ms is not None,
    }
    return " ".join(name for name, is_set in flags.items() if is_set)
