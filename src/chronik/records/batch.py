"""Record batches as they lie on the wire and on disk: the header view, splitting, checksums, patching.

Layout (KIP-98; org.apache.kafka.common.record.DefaultRecordBatch): 61 bytes of header, then the records,
compressed or not. The CRC-32C covers everything from the attributes on, so base offset and leader epoch
change without touching it.
"""

import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from chronik.records.crc import crc32c
from chronik.vocab.errors import ErrorCode, KafkaError

Buffer = bytes | bytearray | memoryview

MAGIC = 2
HEADER_BYTES = 61
# Base offset and length: what stands before the bytes that `length` counts.
LOG_OVERHEAD = 12
# The least `length` there is: a header without records.
LENGTH_MIN = HEADER_BYTES - LOG_OVERHEAD
# Base offset, length, leader epoch: the part before magic that the broker writes and the CRC leaves out.
PREFIX_BYTES = 16

NO_SEQUENCE = -1
NO_TIMESTAMP = -1
SEQUENCE_MAX = 2**31 - 1
NO_EPOCH = -1

_LENGTH_AT = 8
_MAGIC_AT = 16
_CRC_AT = 17
_ATTRIBUTES_AT = 21

# Bits of the attributes.
CODEC_MASK = 0x07
LOG_APPEND_TIME_BIT = 0x08
TRANSACTIONAL_BIT = 0x10
CONTROL_BIT = 0x20
DELETE_HORIZON_BIT = 0x40

_HEADER = struct.Struct(">qiibIhiqqqhii")
_PREFIX = struct.Struct(">qii")
_unpack_header = _HEADER.unpack_from
# What `_make` of a named tuple calls, which counts the fields again.
_new_tuple = tuple.__new__
_unpack_start = struct.Struct(">qi").unpack_from


class Codec(IntEnum):
    """The compression of a batch's records; numbers as in the attributes."""

    NONE = 0
    GZIP = 1
    SNAPPY = 2
    LZ4 = 3
    ZSTD = 4


class TimestampType(IntEnum):
    """The clock that stamped the records."""

    CREATE_TIME = 0
    LOG_APPEND_TIME = 1


class BatchHeader(NamedTuple):
    """The 61 bytes before the records, field by field, in their order."""

    base_offset: int
    # Counts the bytes after itself, so the batch has LOG_OVERHEAD more.
    length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int

    @property
    def size(self) -> int:
        """Bytes of the whole batch."""
        return self.length + LOG_OVERHEAD

    @property
    def last_offset(self) -> int:
        return self.base_offset + self.last_offset_delta

    @property
    def next_offset(self) -> int:
        return self.base_offset + self.last_offset_delta + 1

    @property
    def codec_id(self) -> int:
        """As in the attributes; may be a number that is no Codec."""
        return self.attributes & CODEC_MASK

    @property
    def codec(self) -> Codec:
        """Raises ValueError for an unknown codec."""
        return Codec(self.attributes & CODEC_MASK)

    @property
    def timestamp_type(self) -> TimestampType:
        if self.attributes & LOG_APPEND_TIME_BIT:
            return TimestampType.LOG_APPEND_TIME
        return TimestampType.CREATE_TIME

    @property
    def is_transactional(self) -> bool:
        return self.attributes & TRANSACTIONAL_BIT != 0

    @property
    def is_control(self) -> bool:
        return self.attributes & CONTROL_BIT != 0

    @property
    def has_producer_id(self) -> bool:
        return self.producer_id >= 0

    @property
    def delete_horizon_ms(self) -> int | None:
        """When tombstones and markers of a compacted batch may be removed (KIP-534); it then stands in the
        base timestamp.
        """
        return self.base_timestamp if self.attributes & DELETE_HORIZON_BIT else None

    @property
    def last_sequence(self) -> int:
        """The sequence of the last record; sequences wrap after 2^31-1 to 0."""
        if self.base_sequence == NO_SEQUENCE:
            return NO_SEQUENCE
        return (self.base_sequence + self.last_offset_delta) & SEQUENCE_MAX


class Batch(NamedTuple):
    """A header and the bytes it was read from, header included."""

    header: BatchHeader
    data: Buffer


def parse_header(buffer: Buffer, position: int = 0) -> BatchHeader:
    """The header at `position`; there must be HEADER_BYTES. Checks nothing."""
    return _new_tuple(BatchHeader, _unpack_header(buffer, position))


def split_batches(buffer: Buffer) -> list[Batch]:
    """Whole batches that fill `buffer` exactly, as views into it.

    Raises KafkaError CORRUPT_MESSAGE when lengths disagree with the buffer, UNSUPPORTED_FOR_MESSAGE_FORMAT
    for the formats before magic 2. Checks neither CRC nor counts.
    """
    view = memoryview(buffer)
    end = len(view)
    batches = []
    position = 0
    while position < end:
        size = _size_at(view, position, end)
        if size > end - position:
            raise KafkaError(ErrorCode.CORRUPT_MESSAGE, f"a batch of {size} bytes in {end - position}")
        data = view[position : position + size]
        batches.append(Batch(parse_header(data), data))
        position += size
    return batches


def _size_at(view: memoryview, position: int, end: int) -> int:
    if end - position > _MAGIC_AT and view[position + _MAGIC_AT] in (0, 1):
        magic = view[position + _MAGIC_AT]
        raise KafkaError(ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT, f"message format {magic} is not supported")
    if end - position < HEADER_BYTES:
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, f"{end - position} bytes are too few for a batch header")
    _, length = _unpack_start(view, position)
    if length < LENGTH_MIN or view[position + _MAGIC_AT] != MAGIC:
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, f"not a record batch: length {length}")
    return int(length) + LOG_OVERHEAD


def compute_crc(data: Buffer) -> int:
    """The CRC-32C a batch should carry; `data` is one whole batch."""
    return int(crc32c(memoryview(data)[_ATTRIBUTES_AT:]))


def has_valid_crc(batch: Batch) -> bool:
    return compute_crc(batch.data) == batch.header.crc


def stamped_prefix(base_offset: int, length: int, leader_epoch: int) -> bytes:
    """The first PREFIX_BYTES of a batch; written before the rest of it, they spare a copy of the batch."""
    return _PREFIX.pack(base_offset, length, leader_epoch)


class Stamped(NamedTuple):
    """Batches as a log has them: offsets and epoch in front, the rest uncopied."""

    # Two for each batch.
    buffers: list[Buffer]
    # Bytes, and records.
    size: int
    records: int


def stamp_batches(batches: Sequence[Batch], base_offset: int, leader_epoch: int) -> Stamped:
    """Gives the batches offsets from `base_offset` on, and this epoch."""
    buffers: list[Buffer] = []
    offset, size = base_offset, 0
    for header, data in batches:
        buffers.append(stamped_prefix(offset, header.length, leader_epoch))
        buffers.append(memoryview(data)[PREFIX_BYTES:])
        offset += header.last_offset_delta + 1
        size += len(data)
    return Stamped(buffers, size, offset - base_offset)


def stamp(data: bytearray | memoryview, base_offset: int, leader_epoch: int) -> None:
    """Write the two fields outside the CRC in place. `data` is one whole batch and writable."""
    _, length = _unpack_start(data)
    _PREFIX.pack_into(data, 0, base_offset, length, leader_epoch)


def seal(data: bytearray) -> Batch:
    """Set length and CRC of a batch that is otherwise complete."""
    struct.pack_into(">i", data, _LENGTH_AT, len(data) - LOG_OVERHEAD)
    struct.pack_into(">I", data, _CRC_AT, compute_crc(data))
    return Batch(parse_header(data), data)


def pack_header(header: BatchHeader) -> bytes:
    """The header's bytes; `seal` sets length and CRC."""
    return _HEADER.pack(*header)
