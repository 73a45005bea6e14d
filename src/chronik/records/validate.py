"""What a produced batch must be before it is appended: Kafka's ProduceRequest, UnifiedLog and LogValidator
checks.

The header is checked always. Records are decoded only where the topic needs it (see docs/decisions/0003).
"""

from dataclasses import dataclass
from typing import Self

from chronik.records.batch import (
    HEADER_BYTES,
    LENGTH_MIN,
    MAGIC,
    NO_TIMESTAMP,
    Batch,
    BatchHeader,
    Buffer,
    Codec,
    TimestampType,
    has_valid_crc,
    parse_header,
)
from chronik.records.record import decode_records
from chronik.records.transform import with_codec, with_log_append_time
from chronik.vocab.config.topic import TopicConfig
from chronik.vocab.errors import ErrorCode, KafkaError

_MAGIC_AT = 16

# Runs of equally long records are looked for in so many records first, then in four times as many while
# they go on.
_PROBE_MIN = 32
# A shorter run did not pay; then so many records are walked without looking for one, twice as many each time.
_RUN_MIN = 8
_PAUSE_MIN = 64
_PAUSE_MAX = 2048

_CODECS = {
    "uncompressed": Codec.NONE,
    "gzip": Codec.GZIP,
    "snappy": Codec.SNAPPY,
    "lz4": Codec.LZ4,
    "zstd": Codec.ZSTD,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProduceRules:
    """A topic's configuration as far as it decides what may be appended, and how it is stored."""

    batch_bytes_max: int
    segment_bytes: int
    is_log_append_time: bool
    # How far a record's timestamp may be from the broker's clock.
    timestamp_before_max_ms: int
    timestamp_after_max_ms: int
    # Compaction needs keys.
    needs_keys: bool
    # None leaves the producer's.
    codec: Codec | None
    level: int | None

    @classmethod
    def of(cls, config: TopicConfig) -> Self:
        codec = _CODECS.get(config.compression_type)
        return cls(
            batch_bytes_max=config.max_message_bytes,
            segment_bytes=config.segment_bytes,
            is_log_append_time=config.is_log_append_time,
            timestamp_before_max_ms=config.message_timestamp_before_max_ms,
            timestamp_after_max_ms=config.message_timestamp_after_max_ms,
            needs_keys=config.compacts,
            codec=codec,
            level=_level(codec, config),
        )


def _level(codec: Codec | None, config: TopicConfig) -> int | None:
    match codec:
        case Codec.GZIP:
            # Kafka's -1 means the library's default.
            return None if config.compression_gzip_level < 0 else config.compression_gzip_level
        case Codec.LZ4:
            return config.compression_lz4_level
        case Codec.ZSTD:
            return config.compression_zstd_level
        case _:
            return None


def validate_produce(records: Buffer, rules: ProduceRules, now_ms: int) -> Batch:
    """The one batch of a partition's produce, as it is to be appended. Raises KafkaError with what Kafka
    answers.
    """
    batch = _single_batch(records, rules)
    header = batch.header
    _check_counts(header)
    _check_kind(header)
    if not rules.is_log_append_time:
        _check_timestamps(header, rules, now_ms)
    if not has_valid_crc(batch):
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, "the batch does not have the CRC it claims")
    is_rewritten = rules.codec is not None and rules.codec != header.codec_id
    if rules.needs_keys or is_rewritten:
        _check_records(batch, rules)
    elif header.codec_id == Codec.NONE:
        check_lengths(records, header.record_count)
    if is_rewritten and rules.codec is not None:
        batch = with_codec(batch, rules.codec, rules.level)
    if rules.is_log_append_time:
        batch = with_log_append_time(batch, now_ms)
    return batch


def _single_batch(records: Buffer, rules: ProduceRules) -> Batch:
    size = len(records)
    if size > _MAGIC_AT and records[_MAGIC_AT] != MAGIC:
        raise _invalid(f"produce takes record batches with magic {MAGIC} only, not {records[_MAGIC_AT]}")
    if size < HEADER_BYTES:
        if not size:
            raise _invalid("produce needs a record batch for each partition")
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, f"{size} bytes are too few for a record batch")
    header = parse_header(records)
    if header.size != size:
        if header.length >= LENGTH_MIN and header.size < size:
            raise _invalid("produce takes exactly one record batch for each partition")
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, f"a batch of {header.size} bytes in {size}")
    if size > rules.batch_bytes_max:
        raise KafkaError(
            ErrorCode.MESSAGE_TOO_LARGE,
            f"the batch has {size} bytes; max.message.bytes allows {rules.batch_bytes_max}",
        )
    if size > rules.segment_bytes:
        raise KafkaError(
            ErrorCode.RECORD_LIST_TOO_LARGE, f"the batch has {size} bytes, a segment {rules.segment_bytes}"
        )
    return Batch(header, records)


def _check_counts(header: BatchHeader) -> None:
    if header.base_offset != 0:
        raise _invalid(f"the base offset is {header.base_offset}, where producers write 0")
    if header.record_count <= 0:
        raise _invalid(f"a batch of {header.record_count} records")
    if header.last_offset_delta + 1 != header.record_count:
        raise _invalid(f"{header.record_count} records, but the last is {header.last_offset_delta}")


def _check_kind(header: BatchHeader) -> None:
    if header.is_control:
        raise _invalid("clients may not write control records")
    if header.producer_id >= 0 and header.base_sequence < 0:
        raise _invalid("a producer id without a sequence")
    if header.codec_id > Codec.ZSTD:
        raise KafkaError(
            ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, f"unknown compression type {header.codec_id}"
        )
    if header.timestamp_type is TimestampType.LOG_APPEND_TIME:
        raise KafkaError(ErrorCode.INVALID_TIMESTAMP, "only the broker sets the timestamp type LogAppendTime")


def _check_timestamps(header: BatchHeader, rules: ProduceRules, now_ms: int) -> None:
    for timestamp in (header.base_timestamp, header.max_timestamp):
        if timestamp == NO_TIMESTAMP:
            continue
        if (
            timestamp - now_ms > rules.timestamp_after_max_ms
            or now_ms - timestamp > rules.timestamp_before_max_ms
        ):
            raise KafkaError(
                ErrorCode.INVALID_TIMESTAMP,
                f"timestamp {timestamp} is too far from the broker's {now_ms}",
            )


def check_lengths(records: Buffer, record_count: int) -> None:
    """Walk over the lengths of uncompressed records: `record_count` of them must fill the batch exactly.

    The hot loop of produce. Records that are as long as their neighbours, which most small ones are, are
    counted a run at a time; where there are no runs, they are looked for less and less often.
    """
    data = records if isinstance(records, bytes) else bytes(records)
    position, end, count = HEADER_BYTES, len(data), 0
    pause = _PAUSE_MIN
    try:
        if record_count < _PROBE_MIN:
            position, count = _walk_lengths(data, position, end, _PROBE_MIN)
        while position < end:
            run, stride = _equal_run(data, position, end)
            position += run * stride
            count += run
            if run >= _RUN_MIN:
                pause = _PAUSE_MIN
            else:
                position, walked = _walk_lengths(data, position, end, pause)
                count += walked
                pause = min(2 * pause, _PAUSE_MAX)
    except IndexError as error:
        raise _invalid("the batch ends inside a record") from error
    if position != end or count != record_count:
        raise _invalid(f"{count} records where the header says {record_count}")


def _equal_run(data: bytes, position: int, end: int) -> tuple[int, int]:
    """How many records from `position` on have the same length field, and the bytes that each takes with
    it.
    """
    length, size = data[position], 1
    while data[position + size - 1] >= 0x80:
        length += (data[position + size] - 1) << 7 * size
        size += 1
    # Zig-zag: odd numbers are negative.
    if length & 1:
        raise _invalid("a record with a negative length")
    stride = size + (length >> 1)
    field = data[position : position + size]
    run, probe = 0, _PROBE_MIN
    while True:
        limit = min(probe, (end - position) // stride)
        found = limit
        for number in range(size):
            column = data[position + number : position + stride * found : stride]
            found -= len(column.lstrip(field[number : number + 1]))
        run += found
        if found < limit or limit < probe:
            return max(run, 1), stride
        position += stride * found
        probe *= 4


def _walk_lengths(data: bytes, position: int, end: int, count_max: int) -> tuple[int, int]:
    """Step over up to `count_max` records: the position after them, and their number. Unrolled for short
    lengths.
    """
    count, signs = 0, 0
    while position < end and count < count_max:
        length = data[position]
        position += 1
        if length >= 0x80:
            byte = data[position]
            position += 1
            length += (byte << 7) - 0x80
            shift = 14
            while byte >= 0x80:
                byte = data[position]
                position += 1
                length += (byte << shift) - (0x80 << (shift - 7))
                shift += 7
        position += length >> 1
        signs |= length
        count += 1
    if signs & 1:
        raise _invalid("a record with a negative length")
    return position, count


def _check_records(batch: Batch, rules: ProduceRules) -> None:
    expected = batch.header.base_offset
    for record in decode_records(batch):
        if record.offset != expected:
            raise _invalid(f"offset delta {record.offset} where {expected} follows")
        if rules.needs_keys and record.key is None:
            raise _invalid("a compacted topic takes no record without a key")
        expected += 1


def _invalid(message: str) -> KafkaError:
    return KafkaError(ErrorCode.INVALID_RECORD, message)
