"""What a produced batch must be before it is appended: Kafka's ProduceRequest, UnifiedLog and LogValidator
checks.

The header is checked always, and that records fill the batch as they should, compressed or not. Single
records are decoded where the topic needs it, or where the header says that some are wrong (see
docs/decisions/0003 and 0015).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from chronik.records.batch import (
    CODEC_MASK,
    CONTROL_BIT,
    HEADER_BYTES,
    LENGTH_MIN,
    LOG_APPEND_TIME_BIT,
    MAGIC,
    NO_TIMESTAMP,
    Batch,
    BatchHeader,
    Buffer,
    Codec,
    has_valid_crc,
    parse_header,
)
from chronik.records.compression import DECOMPRESSED_BYTES_MAX, DecompressedTooLarge, decompress
from chronik.records.record import Record, decode_records
from chronik.records.transform import with_codec, with_log_append_time
from chronik.vocab.config.topic import TopicConfig
from chronik.vocab.config.values import LONG_MAX
from chronik.vocab.errors import ErrorCode, KafkaError

_MAGIC_AT = 16

# How many records of one batch are named as rejected: some megabyte of answer. Kafka names all of them.
RECORD_ERRORS_MAX = 10_000

# How much of a compressed batch is unpacked to look at it: some 30 ms of the loop with the slowest codec.
# Batches of at most the default size unpack to more only where they hold next to nothing.
OPENED_BYTES_MAX = 10 * 1024 * 1024

# Index in the batch, and why.
RecordError = tuple[int, str]

# Runs of equally long records are looked for in this many records first, then in four times as many while
# they go on.
_PROBE_MIN = 32
# A shorter run did not pay; then this many records are walked without looking for one, twice as many each
# time.
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

    @property
    def bounds_the_past(self) -> bool:
        """True if a record may be too old. The header has the greatest timestamp and the first, not the
        least, so the records must be read.
        """
        return not self.is_log_append_time and self.timestamp_before_max_ms != LONG_MAX

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


class RejectedRecords(KafkaError):
    """Single records of a batch are at fault, so none is appended. `record_errors` has their indexes, from
    0, and the reasons (KIP-467).
    """

    def __init__(self, code: ErrorCode, record_errors: Sequence[RecordError], count: int) -> None:
        """`count`: how many there are, named or not."""
        message = "One or more records have been rejected due to invalid timestamp"
        if code is not ErrorCode.INVALID_TIMESTAMP:
            shown = ", ".join(f"RecordError(batchIndex={i}, message='{why}')" for i, why in record_errors[:3])
            message = (
                f"One or more records have been rejected due to {count} record errors in total, and only "
                f"showing the first three errors at most: [{shown}]"
            )
        super().__init__(code, message)
        self.record_errors = record_errors


def validate_produce(records: Buffer, rules: ProduceRules, now_ms: int) -> Batch:
    """The one batch of a partition's produce, as it is to be appended. Raises KafkaError with what Kafka
    answers, RejectedRecords where single records are at fault.
    """
    batch = _single_batch(records, rules)
    header = batch.header
    _check_counts(header)
    _check_kind(header)
    if not has_valid_crc(batch):
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, "the batch does not have the CRC it claims")
    is_rewritten = rules.codec is not None and rules.codec != header.codec_id
    if rules.needs_keys or is_rewritten or rules.bounds_the_past:
        _check_records(batch, rules, now_ms, DECOMPRESSED_BYTES_MAX)
    elif _is_header_out_of_range(header, rules, now_ms):
        _check_timestamps(batch, rules, now_ms)
    elif not header.attributes & CODEC_MASK:
        check_lengths(records, header.record_count)
    else:
        _check_compressed(batch)
    if is_rewritten and rules.codec is not None:
        batch = with_codec(batch, rules.codec, rules.level)
    if rules.is_log_append_time:
        batch = with_log_append_time(batch, now_ms)
    return batch


def _single_batch(records: Buffer, rules: ProduceRules) -> Batch:
    size = len(records)
    if size > _MAGIC_AT and records[_MAGIC_AT] != MAGIC:
        problem = f"produce takes record batches with magic {MAGIC} only, not {records[_MAGIC_AT]}"
        if records[_MAGIC_AT] > MAGIC:
            # No format has this magic: the bytes are damaged, and sending them again may help.
            raise KafkaError(ErrorCode.CORRUPT_MESSAGE, problem)
        raise _invalid(problem)
    if size < HEADER_BYTES:
        if not size:
            raise _invalid("produce needs a record batch for each partition")
        raise _invalid(f"{size} bytes are too few for a record batch")
    header = parse_header(records)
    claimed = header.size
    if claimed != size:
        if header.length >= LENGTH_MIN and claimed < size:
            raise _invalid("produce takes exactly one record batch for each partition")
        if claimed > size:
            raise _invalid(f"a batch of {claimed} bytes in {size}")
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, f"a batch of {claimed} bytes in {size}")
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
    if header.attributes & CONTROL_BIT:
        raise _invalid("clients may not write control records")
    if header.producer_id >= 0 and header.base_sequence < 0:
        raise _invalid("a producer id without a sequence")
    codec_id = header.codec_id
    if codec_id > Codec.ZSTD:
        raise KafkaError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, f"unknown compression type {codec_id}")
    if header.attributes & LOG_APPEND_TIME_BIT:
        raise KafkaError(ErrorCode.INVALID_TIMESTAMP, "only the broker sets the timestamp type LogAppendTime")


def _is_header_out_of_range(header: BatchHeader, rules: ProduceRules, now_ms: int) -> bool:
    """The first timestamp and the greatest; neither call nor loop, for nearly all batches get here."""
    if rules.is_log_append_time:
        return False
    latest, earliest = now_ms + rules.timestamp_after_max_ms, now_ms - rules.timestamp_before_max_ms
    first, last = header.base_timestamp, header.max_timestamp
    return not (
        (earliest <= first <= latest or first == NO_TIMESTAMP)
        and (earliest <= last <= latest or last == NO_TIMESTAMP)
    )


def _check_timestamps(batch: Batch, rules: ProduceRules, now_ms: int) -> None:
    """Refuses a batch whose header has timestamps out of range, naming the records concerned unless they
    are so many that decoding them would hold up other requests.
    """
    if batch.header.record_count <= RECORD_ERRORS_MAX:
        _check_records(batch, rules, now_ms, OPENED_BYTES_MAX)
    _check_header_timestamps(batch.header, rules, now_ms)


def _is_out_of_range(timestamp: int, rules: ProduceRules, now_ms: int) -> bool:
    return timestamp != NO_TIMESTAMP and (
        timestamp - now_ms > rules.timestamp_after_max_ms
        or now_ms - timestamp > rules.timestamp_before_max_ms
    )


def _check_compressed(batch: Batch) -> None:
    """Decompresses the batch: one that does not unpack to its records would stop every reader of the
    partition. One that unpacks to more than OPENED_BYTES_MAX is appended unopened.
    """
    payload = memoryview(batch.data)[HEADER_BYTES:]
    try:
        records = decompress(Codec(batch.header.codec_id), payload, bytes_max=OPENED_BYTES_MAX)
    except DecompressedTooLarge:
        return
    except KafkaError as error:
        # Kafka answers UNKNOWN_SERVER_ERROR. After CORRUPT_MESSAGE clients send it again and again: that
        # stands for damage on the way, which the CRC has ruled out.
        raise _invalid(error.message or "cannot decompress") from error
    check_lengths(records, batch.header.record_count, start=0)


def check_lengths(records: Buffer, record_count: int, *, start: int = HEADER_BYTES) -> None:
    """Walk over the lengths of uncompressed records: from `start` on, `record_count` of them must fill the
    buffer exactly.

    The hot loop of produce. Records that are as long as their neighbours, which most small ones are, are
    counted a run at a time; where there are no runs, they are looked for less and less often.
    """
    data = records if isinstance(records, bytes) else bytes(records)
    position, end, count = start, len(data), 0
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
    """Returns how many records from `position` on have the same length field, and the bytes that each
    takes with it.
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


def _check_records(batch: Batch, rules: ProduceRules, now_ms: int, bytes_max: int) -> None:
    """Decodes all records and collects the errors of single ones, as Kafka's LogValidator does."""
    code, count = ErrorCode.INVALID_RECORD, 0
    errors: list[RecordError] = []
    checks_time = not rules.is_log_append_time
    try:
        for index, record in enumerate(decode_records(batch, bytes_max)):
            if record.offset != batch.header.base_offset + index:
                raise _invalid(f"offset delta {record.offset} where {index} follows")
            problem = None
            if rules.needs_keys and record.key is None:
                problem = _NO_KEY
            elif checks_time and _is_out_of_range(record.timestamp, rules, now_ms):
                code = ErrorCode.INVALID_TIMESTAMP
                problem = _timestamp_problem(record, index, rules, now_ms)
            if problem is not None:
                count += 1
                if len(errors) < RECORD_ERRORS_MAX:
                    errors.append((index, problem))
    except KafkaError as error:
        if error.code is not ErrorCode.CORRUPT_MESSAGE:
            raise
        raise _invalid(error.message or "cannot decompress") from error
    if errors:
        raise RejectedRecords(code, errors, count)
    if checks_time:
        _check_header_timestamps(batch.header, rules, now_ms)


_NO_KEY = "Compacted topic cannot accept message without key"


def _timestamp_problem(record: Record, index: int, rules: ProduceRules, now_ms: int) -> str:
    first, last = now_ms - rules.timestamp_before_max_ms, now_ms + rules.timestamp_after_max_ms
    return (
        f"Timestamp {record.timestamp} of message with offset {index} is out of range. "
        f"The timestamp should be within [{first}, {last}]"
    )


def _check_header_timestamps(header: BatchHeader, rules: ProduceRules, now_ms: int) -> None:
    """A header that contradicts its records would mislead lookups by time."""
    for timestamp in (header.base_timestamp, header.max_timestamp):
        if _is_out_of_range(timestamp, rules, now_ms):
            raise KafkaError(
                ErrorCode.INVALID_TIMESTAMP,
                f"the batch's timestamp {timestamp} is too far from the broker's {now_ms}",
            )


def _invalid(message: str) -> KafkaError:
    return KafkaError(ErrorCode.INVALID_RECORD, message)
