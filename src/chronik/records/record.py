"""Single records inside a batch: varints, deltas, headers (org.apache.kafka.common.record.DefaultRecord).

Only for code that needs record contents: a timestamp's exact offset, keys on a compacted topic, our own
internal topics. The data path leaves records as bytes.
"""

from collections.abc import Iterator
from typing import NamedTuple

from chronik.records.batch import HEADER_BYTES, NO_TIMESTAMP, Batch, BatchHeader, Codec, TimestampType
from chronik.records.compression import DECOMPRESSED_BYTES_MAX, decompress
from chronik.vocab.errors import ErrorCode, KafkaError

Headers = tuple[tuple[str, bytes | None], ...]


class Record(NamedTuple):
    """One record with its own offset and timestamp (milliseconds)."""

    key: bytes | None
    value: bytes | None
    timestamp: int = NO_TIMESTAMP
    headers: Headers = ()
    # Set when read; building a batch numbers its records itself.
    offset: int = 0


def decode_records(batch: Batch, bytes_max: int = DECOMPRESSED_BYTES_MAX) -> Iterator[Record]:
    """Yields the records of a batch, decompressed if need be.

    Raises KafkaError INVALID_RECORD where the bytes are no records, or more or fewer than in the header;
    CORRUPT_MESSAGE where they do not decompress; UNSUPPORTED_COMPRESSION_TYPE for an unknown codec.
    """
    header = batch.header
    stamped = header.max_timestamp if header.timestamp_type is TimestampType.LOG_APPEND_TIME else None
    data = decode_payload(batch, bytes_max)
    position = 0
    for _ in range(header.record_count):
        try:
            length, start = read_varint(data, position)
            position = start + length
            record = _decode_body(data, start, position, header, stamped)
        except (IndexError, UnicodeDecodeError) as error:
            raise _invalid("a record ends before its fields do") from error
        yield record
    if position != len(data):
        raise _invalid(f"{len(data) - position} bytes after the last record")


def decode_payload(batch: Batch, bytes_max: int = DECOMPRESSED_BYTES_MAX) -> bytes:
    """The records' bytes, decompressed to at most `bytes_max`."""
    codec_id = batch.header.codec_id
    payload = memoryview(batch.data)[HEADER_BYTES:]
    if codec_id == Codec.NONE:
        return bytes(payload)
    if codec_id > Codec.ZSTD:
        raise KafkaError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, f"unknown compression type {codec_id}")
    return bytes(decompress(Codec(codec_id), payload, bytes_max=bytes_max))


def _decode_body(data: bytes, start: int, end: int, header: BatchHeader, stamped: int | None) -> Record:
    if end > len(data) or end <= start:
        raise _invalid("a record's length goes beyond its batch")
    # One byte of attributes, of which none is in use.
    timestamp_delta, position = read_varint(data, start + 1)
    offset_delta, position = read_varint(data, position)
    key, position = _read_bytes(data, position)
    value, position = _read_bytes(data, position)
    headers, position = _read_headers(data, position)
    if position != end:
        raise _invalid("a record's length disagrees with its fields")
    timestamp = header.base_timestamp + timestamp_delta if stamped is None else stamped
    return Record(key, value, timestamp, headers, header.base_offset + offset_delta)


def _read_headers(data: bytes, position: int) -> tuple[Headers, int]:
    count, position = read_varint(data, position)
    if count == 0:
        return (), position
    if count < 0 or count > len(data):
        raise _invalid(f"{count} headers")
    headers = []
    for _ in range(count):
        key, position = _read_bytes(data, position)
        value, position = _read_bytes(data, position)
        if key is None:
            raise _invalid("a header without a key")
        headers.append((key.decode(), value))
    return tuple(headers), position


def _read_bytes(data: bytes, position: int) -> tuple[bytes | None, int]:
    length, position = read_varint(data, position)
    if length < 0:
        if length != -1:
            raise _invalid(f"a field of {length} bytes")
        return None, position
    end = position + length
    if end > len(data):
        raise _invalid("a field goes beyond its batch")
    return data[position:end], end


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """A zig-zag varint of up to 64 bits, and the position after it. IndexError at the end of the data."""
    byte = data[position]
    position += 1
    if byte < 0x80:
        return (byte >> 1) ^ -(byte & 1), position
    value = byte & 0x7F
    shift = 7
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), position
        shift += 7
        if shift > 63:
            raise _invalid("a varint of more than 64 bits")


def write_varint(out: bytearray, value: int) -> None:
    """Append a zig-zag varint."""
    value = (value << 1) ^ (value >> 63)
    while value > 0x7F:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)


def encode_record(
    out: bytearray,
    offset_delta: int,
    timestamp_delta: int,
    key: bytes | None,
    value: bytes | None,
    headers: Headers = (),
) -> None:
    """Append one record, with its length."""
    body = bytearray(b"\0")
    write_varint(body, timestamp_delta)
    write_varint(body, offset_delta)
    _write_bytes(body, key)
    _write_bytes(body, value)
    write_varint(body, len(headers))
    for name, content in headers:
        _write_bytes(body, name.encode())
        _write_bytes(body, content)
    write_varint(out, len(body))
    out += body


def _write_bytes(out: bytearray, value: bytes | None) -> None:
    if value is None:
        write_varint(out, -1)
        return
    write_varint(out, len(value))
    out += value


def _invalid(message: str) -> KafkaError:
    return KafkaError(ErrorCode.INVALID_RECORD, message)
