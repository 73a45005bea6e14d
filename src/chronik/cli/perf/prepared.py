"""A produce request made once as bytes and sent again and again, so that the client costs next to nothing.

Produce version 7 has no flexible encoding, and every peer speaks it. The layout is that of
ProduceRequest.json and of record batch v2 in Kafka's protocol guide.
"""

import struct

from chronik.cli.perf.client import PARTITION
from chronik.records.crc import crc32c

_PRODUCE_KEY = 0
_PRODUCE_VERSION = 7
_CORRELATION_ID = 7
_ACKS_ALL = -1
_TIMEOUT_MS = 15_000

_SIZE = struct.Struct(">i")


def produce_request(topic: str, value: bytes, timestamp_ms: int) -> bytes:
    """Returns one whole frame, size included, that produces one record to partition 0 with acks=all."""
    batch = record_batch(value, timestamp_ms)
    header = struct.pack(">hhi", _PRODUCE_KEY, _PRODUCE_VERSION, _CORRELATION_ID) + _string("chronik-perf")
    no_transaction = struct.pack(">h", -1)
    body = (
        no_transaction
        + struct.pack(">hi", _ACKS_ALL, _TIMEOUT_MS)
        + struct.pack(">i", 1)
        + _string(topic)
        + struct.pack(">iii", 1, PARTITION, len(batch))
        + batch
    )
    return _SIZE.pack(len(header) + len(body)) + header + body


def error_code_position(topic: str) -> int:
    """Returns the position of the partition's error code in the response frame (size included)."""
    size_and_correlation, topic_count, partition_count, index = 8, 4, 4, 4
    return size_and_correlation + topic_count + len(_string(topic)) + partition_count + index


def record_batch(value: bytes, timestamp_ms: int) -> bytes:
    """A record batch v2 of one record without key or headers, from no particular producer."""
    fields = b"\x00" + _varint(0) + _varint(0) + _varint(-1) + _varint(len(value)) + value + _varint(0)
    record = _varint(len(fields)) + fields
    covered = struct.pack(">hiqqqhii", 0, 0, timestamp_ms, timestamp_ms, -1, -1, -1, 1) + record
    leader_epoch_magic_crc = struct.pack(">ibI", -1, 2, crc32c(covered))
    rest = leader_epoch_magic_crc + covered
    return struct.pack(">qi", 0, len(rest)) + rest


def _string(text: str) -> bytes:
    raw = text.encode()
    return struct.pack(">h", len(raw)) + raw


def _varint(number: int) -> bytes:
    """Zigzag, as records have it."""
    rest = (number << 1) ^ (number >> 63)
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)
