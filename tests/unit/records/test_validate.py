"""Every way a produced batch can be wrong, and what Kafka answers."""

import struct
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronik.records.batch import (
    Batch,
    BatchHeader,
    Codec,
    TimestampType,
    has_valid_crc,
    pack_header,
    seal,
)
from chronik.records.build import BatchOptions, build_batch
from chronik.records.compression import compress
from chronik.records.record import Record, decode_records, encode_record, read_varint, write_varint
from chronik.records.validate import (
    OPENED_BYTES_MAX,
    RECORD_ERRORS_MAX,
    ProduceRules,
    RejectedRecords,
    check_lengths,
    validate_produce,
)
from chronik.vocab.config.topic import DEFAULT_TOPIC_CONFIG
from chronik.vocab.errors import ErrorCode, KafkaError

NOW_MS = 1_700_000_000_000
RULES = ProduceRules.of(DEFAULT_TOPIC_CONFIG)
RECORDS = [Record(b"k%d" % number, b"value" * number, NOW_MS + number) for number in range(20)]
GOOD = build_batch(RECORDS)

HOUR_MS = 3_600_000


def code_of(data: bytes | bytearray | memoryview, rules: ProduceRules = RULES) -> ErrorCode:
    with pytest.raises(KafkaError) as error:
        validate_produce(data, rules, NOW_MS)
    return error.value.code


def outcome(data: bytes | bytearray | memoryview) -> ErrorCode | None:
    try:
        validate_produce(data, RULES, NOW_MS)
    except KafkaError as error:
        return error.code
    return None


def with_header(change: Callable[[BatchHeader], BatchHeader], batch: Batch = GOOD) -> bytes:
    """`batch` with another header and a CRC that fits it."""
    data = bytearray(pack_header(change(batch.header)) + bytes(batch.data)[61:])
    return bytes(seal(data).data)


class TestGood:
    @pytest.mark.parametrize("codec", Codec)
    def test_batches_pass_untouched(self, codec: Codec) -> None:
        data = bytes(build_batch(RECORDS, BatchOptions(codec=codec)).data)
        batch = validate_produce(data, RULES, NOW_MS)
        assert batch.data is data
        assert batch.header.record_count == 20

    def test_idempotent_and_transactional(self) -> None:
        options = BatchOptions(producer_id=1, producer_epoch=0, base_sequence=0, is_transactional=True)
        assert validate_produce(build_batch(RECORDS, options).data, RULES, NOW_MS).header.is_transactional

    def test_memoryviews_pass(self) -> None:
        assert validate_produce(memoryview(bytes(GOOD.data)), RULES, NOW_MS).header == GOOD.header

    @pytest.mark.parametrize("size", [0, 1, 50, 61, 62, 63, 64, 100, 8185, 8192, 70_000])
    def test_record_sizes_around_the_lengths_of_varints(self, size: int) -> None:
        validate_produce(build_batch([Record(None, bytes(size), NOW_MS)] * 3).data, RULES, NOW_MS)


class TestFrame:
    def test_empty(self) -> None:
        assert code_of(b"") is ErrorCode.INVALID_RECORD

    def test_two_batches(self) -> None:
        assert code_of(bytes(GOOD.data) * 2) is ErrorCode.INVALID_RECORD

    def test_trailing_bytes(self) -> None:
        assert code_of(bytes(GOOD.data) + b"\0") is ErrorCode.INVALID_RECORD

    @pytest.mark.parametrize("cut", [1, 16, 17, 60, 61, 100])
    def test_cut_short(self, cut: int) -> None:
        assert code_of(bytes(GOOD.data)[:cut]) is ErrorCode.INVALID_RECORD

    def test_a_magic_that_no_format_has(self) -> None:
        data = bytearray(GOOD.data)
        data[16] = 3
        assert code_of(data) is ErrorCode.CORRUPT_MESSAGE

    @pytest.mark.parametrize("magic", [0, 1])
    def test_other_formats(self, magic: int) -> None:
        data = bytearray(GOOD.data)
        data[16] = magic
        assert code_of(data) is ErrorCode.INVALID_RECORD
        assert code_of(data[:30]) is ErrorCode.INVALID_RECORD

    @pytest.mark.parametrize("length", [-1, 0, 48])
    def test_impossible_length(self, length: int) -> None:
        data = bytearray(GOOD.data)
        struct.pack_into(">i", data, 8, length)
        assert code_of(data) is ErrorCode.CORRUPT_MESSAGE

    def test_too_large(self) -> None:
        size = len(GOOD.data)
        validate_produce(GOOD.data, replace(RULES, batch_bytes_max=size), NOW_MS)
        assert code_of(GOOD.data, replace(RULES, batch_bytes_max=size - 1)) is ErrorCode.MESSAGE_TOO_LARGE

    def test_larger_than_a_segment(self) -> None:
        assert code_of(GOOD.data, replace(RULES, segment_bytes=100)) is ErrorCode.RECORD_LIST_TOO_LARGE

    def test_every_flipped_byte_after_the_prefix_is_noticed(self) -> None:
        for position in range(16, len(GOOD.data)):
            data = bytearray(GOOD.data)
            data[position] ^= 0x40
            code_of(data)

    def test_wrong_crc(self) -> None:
        data = bytearray(GOOD.data)
        data[-1] ^= 1
        assert code_of(data) is ErrorCode.CORRUPT_MESSAGE


class TestCounts:
    def test_base_offset(self) -> None:
        assert code_of(with_header(lambda h: h._replace(base_offset=1))) is ErrorCode.INVALID_RECORD

    @pytest.mark.parametrize("count", [0, -1, 19, 21])
    def test_record_count_and_last_offset_disagree(self, count: int) -> None:
        assert code_of(with_header(lambda h: h._replace(record_count=count))) is ErrorCode.INVALID_RECORD

    @pytest.mark.parametrize("count", [1, 19, 21, 2**31 - 1])
    def test_header_agrees_with_itself_but_not_with_the_records(self, count: int) -> None:
        data = with_header(lambda h: h._replace(record_count=count, last_offset_delta=count - 1))
        assert code_of(data) is ErrorCode.INVALID_RECORD

    def test_no_records(self) -> None:
        data = with_header(lambda h: h._replace(record_count=0, last_offset_delta=-1))
        assert code_of(data) is ErrorCode.INVALID_RECORD

    @pytest.mark.parametrize(
        "payload",
        ["01", "80", "ff", "0e00", "8080", "0200" + "01", "ffffffff0f"],
        ids=lambda payload: payload,
    )
    def test_lengths_that_do_not_add_up(self, payload: str) -> None:
        data = pack_header(build_batch(RECORDS[:1]).header) + bytes.fromhex(payload)
        assert code_of(seal(bytearray(data)).data) is ErrorCode.INVALID_RECORD

    @settings(max_examples=200, derandomize=True, deadline=None)
    @given(st.binary(max_size=40), st.integers(1, 5))
    def test_random_payloads_never_crash(self, payload: bytes, count: int) -> None:
        header = build_batch(RECORDS[:1]).header._replace(record_count=count, last_offset_delta=count - 1)
        data = seal(bytearray(pack_header(header) + payload)).data
        assert outcome(data) in (None, ErrorCode.INVALID_RECORD)


class TestKind:
    def test_control_batch(self) -> None:
        batch = build_batch(RECORDS[:1], BatchOptions(is_control=True))
        assert code_of(batch.data) is ErrorCode.INVALID_RECORD

    def test_producer_id_without_sequence(self) -> None:
        batch = build_batch(RECORDS, BatchOptions(producer_id=5, producer_epoch=0))
        assert code_of(batch.data) is ErrorCode.INVALID_RECORD

    @pytest.mark.parametrize("codec", [5, 6, 7])
    def test_unknown_codec(self, codec: int) -> None:
        data = with_header(lambda h: h._replace(attributes=codec))
        assert code_of(data) is ErrorCode.UNSUPPORTED_COMPRESSION_TYPE

    def test_clients_do_not_set_log_append_time(self) -> None:
        assert code_of(with_header(lambda h: h._replace(attributes=8))) is ErrorCode.INVALID_TIMESTAMP


class TestTimestamps:
    def test_default_allows_an_hour_ahead_and_any_past(self) -> None:
        late = build_batch([Record(None, b"", NOW_MS + HOUR_MS)])
        validate_produce(late.data, RULES, NOW_MS)
        validate_produce(build_batch([Record(None, b"", 0)]).data, RULES, NOW_MS)
        too_late = build_batch([Record(None, b"", NOW_MS), Record(None, b"", NOW_MS + HOUR_MS + 1)])
        assert code_of(too_late.data) is ErrorCode.INVALID_TIMESTAMP

    def test_before(self) -> None:
        rules = replace(RULES, timestamp_before_max_ms=1000)
        validate_produce(build_batch([Record(None, b"", NOW_MS - 1000)]).data, rules, NOW_MS)
        too_early = build_batch([Record(None, b"", NOW_MS - 1001), Record(None, b"", NOW_MS)])
        assert code_of(too_early.data, rules) is ErrorCode.INVALID_TIMESTAMP

    def test_no_timestamp_is_not_compared(self) -> None:
        rules = replace(RULES, timestamp_before_max_ms=1000)
        validate_produce(build_batch([Record(None, b"", -1)]).data, rules, NOW_MS)

    def test_log_append_time_takes_any_and_sets_its_own(self) -> None:
        rules = replace(RULES, is_log_append_time=True)
        batch = validate_produce(build_batch([Record(b"k", b"v", NOW_MS * 2)]).data, rules, NOW_MS)
        assert batch.header.timestamp_type is TimestampType.LOG_APPEND_TIME
        assert [record.timestamp for record in decode_records(batch)] == [NOW_MS]
        assert has_valid_crc(batch)


class TestCompacted:
    RULES = ProduceRules.of(replace(DEFAULT_TOPIC_CONFIG, cleanup_policy=("compact",)))

    @pytest.mark.parametrize("codec", Codec)
    def test_each_record_needs_a_key(self, codec: Codec) -> None:
        options = BatchOptions(codec=codec)
        validate_produce(build_batch(RECORDS, options).data, self.RULES, NOW_MS)
        keyless = build_batch([*RECORDS, Record(None, b"v", NOW_MS)], options)
        assert code_of(keyless.data, self.RULES) is ErrorCode.INVALID_RECORD

    def test_offset_deltas_ascend(self) -> None:
        payload = bytearray()
        for delta in (0, 2):
            encode_record(payload, delta, 0, b"k", b"v")
        header = build_batch(RECORDS[:2]).header
        data = seal(bytearray(pack_header(header) + payload)).data
        assert code_of(data, self.RULES) is ErrorCode.INVALID_RECORD

    def test_compressed_counts_are_checked(self) -> None:
        header = build_batch(RECORDS[:2], BatchOptions(codec=Codec.LZ4)).header
        payload = bytearray()
        encode_record(payload, 0, 0, b"k", b"v")
        data = seal(bytearray(pack_header(header) + compress(Codec.LZ4, payload))).data
        assert code_of(data, self.RULES) is ErrorCode.INVALID_RECORD


class TestRejectedRecords:
    """KIP-467, with the answers of Kafka 4.4."""

    KEYS = ProduceRules.of(replace(DEFAULT_TOPIC_CONFIG, cleanup_policy=("compact",)))
    TIMES = replace(RULES, timestamp_before_max_ms=2 * HOUR_MS)
    NO_KEY = "Compacted topic cannot accept message without key"

    def rejected(
        self, records: list[Record], rules: ProduceRules, codec: Codec = Codec.NONE
    ) -> RejectedRecords:
        with pytest.raises(RejectedRecords) as caught:
            validate_produce(build_batch(records, BatchOptions(codec=codec)).data, rules, NOW_MS)
        return caught.value

    @pytest.mark.parametrize("codec", Codec)
    def test_records_without_keys_are_named(self, codec: Codec) -> None:
        records = [Record(None if number in (1, 3) else b"k", b"v", NOW_MS) for number in range(5)]
        error = self.rejected(records, self.KEYS, codec)
        assert error.code is ErrorCode.INVALID_RECORD
        assert error.record_errors == [(1, self.NO_KEY), (3, self.NO_KEY)]
        assert error.message == (
            "One or more records have been rejected due to 2 record errors in total, and only showing the "
            f"first three errors at most: [RecordError(batchIndex=1, message='{self.NO_KEY}'), "
            f"RecordError(batchIndex=3, message='{self.NO_KEY}')]"
        )

    @pytest.mark.parametrize("codec", Codec)
    def test_timestamps_out_of_range_are_named(self, codec: Codec) -> None:
        """The past one is neither the first nor the greatest, which are all that the header tells."""
        times = {2: NOW_MS - 3 * HOUR_MS, 4: NOW_MS + 2 * HOUR_MS}
        error = self.rejected([Record(b"k", b"v", times.get(n, NOW_MS)) for n in range(6)], self.TIMES, codec)
        assert error.code is ErrorCode.INVALID_TIMESTAMP
        assert error.message == "One or more records have been rejected due to invalid timestamp"
        within = f"The timestamp should be within [{NOW_MS - 2 * HOUR_MS}, {NOW_MS + HOUR_MS}]"
        assert error.record_errors == [
            (index, f"Timestamp {time} of message with offset {index} is out of range. {within}")
            for index, time in times.items()
        ]

    @pytest.mark.parametrize("codec", Codec)
    def test_without_a_bound_on_the_past_too(self, codec: Codec) -> None:
        records = [Record(b"k", b"v", NOW_MS + (2 * HOUR_MS if number == 2 else 0)) for number in range(3)]
        assert [index for index, _ in self.rejected(records, RULES, codec).record_errors] == [2]

    def test_both_kinds_together_are_an_invalid_timestamp(self) -> None:
        """A record that lacks its key as well is named for the key."""
        records = [
            Record(
                None if number in (0, 3) else b"k", b"v", NOW_MS + (2 * HOUR_MS if number in (2, 3) else 0)
            )
            for number in range(5)
        ]
        error = self.rejected(records, self.KEYS)
        assert error.code is ErrorCode.INVALID_TIMESTAMP
        assert [(index, "Timestamp" in problem) for index, problem in error.record_errors] == [
            (0, False),
            (2, True),
            (3, False),
        ]

    def test_a_wrong_header_alone_names_no_record(self) -> None:
        data = with_header(lambda h: h._replace(max_timestamp=NOW_MS + 2 * HOUR_MS))
        with pytest.raises(KafkaError) as caught:
            validate_produce(data, RULES, NOW_MS)
        assert caught.value.code is ErrorCode.INVALID_TIMESTAMP
        assert not isinstance(caught.value, RejectedRecords)

    def test_the_list_is_bounded_and_its_length_told(self) -> None:
        error = self.rejected([Record(None, b"")] * (RECORD_ERRORS_MAX + 5), self.KEYS)
        assert len(error.record_errors) == RECORD_ERRORS_MAX
        assert f"due to {RECORD_ERRORS_MAX + 5} record errors" in (error.message or "")

    def test_too_many_records_are_not_looked_at_for_their_header_alone(self) -> None:
        late = Record(b"k", b"", NOW_MS + 2 * HOUR_MS)
        with pytest.raises(KafkaError) as caught:
            validate_produce(build_batch([late] * (RECORD_ERRORS_MAX + 1)).data, RULES, NOW_MS)
        assert caught.value.code is ErrorCode.INVALID_TIMESTAMP
        assert not isinstance(caught.value, RejectedRecords)


COMPRESSED = [codec for codec in Codec if codec is not Codec.NONE]


def compressed(codec: Codec, payload: bytes | bytearray, count: int = 3) -> bytes:
    """A batch whose header and CRC fit `payload`, whatever that is."""
    header = build_batch(RECORDS[:count], BatchOptions(codec=codec)).header
    return bytes(seal(bytearray(pack_header(header) + payload)).data)


@pytest.mark.parametrize("codec", COMPRESSED)
class TestCompressedPayload:
    """Whatever does not unpack to its records would stop every reader of the partition."""

    RAW = bytes(build_batch(RECORDS[:3]).data)[61:]

    def test_garbage(self, codec: Codec) -> None:
        assert code_of(compressed(codec, Random(1).randbytes(200))) is ErrorCode.INVALID_RECORD
        assert code_of(compressed(codec, b"")) is ErrorCode.INVALID_RECORD

    def test_a_cut_stream(self, codec: Codec) -> None:
        whole = bytes(compress(codec, self.RAW))
        validate_produce(compressed(codec, whole), RULES, NOW_MS)
        assert code_of(compressed(codec, whole[:-6])) is ErrorCode.INVALID_RECORD

    def test_garbage_within(self, codec: Codec) -> None:
        data = compressed(codec, bytes(compress(codec, Random(1).randbytes(200))))
        assert code_of(data) is ErrorCode.INVALID_RECORD

    def test_too_few_and_too_many_records(self, codec: Codec) -> None:
        raw = bytes(compress(codec, self.RAW))
        assert code_of(compressed(codec, raw, 4)) is ErrorCode.INVALID_RECORD
        assert code_of(compressed(codec, raw, 2)) is ErrorCode.INVALID_RECORD

    def test_bytes_after_the_last(self, codec: Codec) -> None:
        data = compressed(codec, bytes(compress(codec, self.RAW + bytes(4))))
        assert code_of(data) is ErrorCode.INVALID_RECORD

    def test_what_unpacks_to_very_much_stays_closed(self, codec: Codec) -> None:
        """Looking at it would hold up everybody else."""
        payload = bytearray()
        encode_record(payload, 0, 0, b"k", bytes(OPENED_BYTES_MAX))
        rules = replace(RULES, batch_bytes_max=20 * OPENED_BYTES_MAX)
        data = compressed(codec, bytes(compress(codec, payload)), 2)  # one more than there is
        assert validate_produce(data, rules, NOW_MS).data is data


class TestCompressionType:
    @pytest.mark.parametrize(
        ("name", "codec"),
        [
            ("uncompressed", Codec.NONE),
            ("gzip", Codec.GZIP),
            ("snappy", Codec.SNAPPY),
            ("lz4", Codec.LZ4),
            ("zstd", Codec.ZSTD),
        ],
    )
    @pytest.mark.parametrize("source", Codec)
    def test_batches_are_stored_as_the_topic_says(self, name: str, codec: Codec, source: Codec) -> None:
        rules = ProduceRules.of(replace(DEFAULT_TOPIC_CONFIG, compression_type=name))
        original = build_batch(RECORDS, BatchOptions(codec=source))
        batch = validate_produce(original.data, rules, NOW_MS)
        assert batch.header.codec is codec
        assert list(decode_records(batch)) == list(decode_records(original))
        assert has_valid_crc(batch)

    def test_levels_reach_the_codec(self) -> None:
        text = [
            Record(None, b" ".join(Random(1).choices([b"ace", b"blue", b"crane", b"dole"], k=20_000)), NOW_MS)
        ]
        sizes = []
        for level in (1, 9):
            config = replace(DEFAULT_TOPIC_CONFIG, compression_type="gzip", compression_gzip_level=level)
            sizes.append(len(validate_produce(build_batch(text).data, ProduceRules.of(config), NOW_MS).data))
        assert sizes[1] < sizes[0]

    def test_what_cannot_be_decompressed_is_refused(self) -> None:
        header = build_batch(RECORDS, BatchOptions(codec=Codec.GZIP)).header
        data = seal(bytearray(pack_header(header) + b"garbage")).data
        rules = ProduceRules.of(replace(DEFAULT_TOPIC_CONFIG, compression_type="lz4"))
        assert code_of(data, rules) is ErrorCode.INVALID_RECORD


def lengths_walked_plainly(data: bytes, record_count: int) -> bool:
    """What `check_lengths` must find, one record after the other."""
    position, count = 61, 0
    while position < len(data):
        try:
            length, position = read_varint(data, position)
        except IndexError:
            return False
        if length < 0:
            return False
        position += length
        count += 1
    return position == len(data) and count == record_count


runs_of_lengths = st.lists(
    st.tuples(st.integers(1, 300) | st.sampled_from([63, 64, 8191, 8192]), st.integers(1, 200)), max_size=6
)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(
    runs_of_lengths,
    st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), max_size=2),
    st.integers(-1, 1),
)
def test_lengths_are_found_as_by_a_plain_walk(
    runs: list[tuple[int, int]], changes: list[tuple[int, int]], count_is_off_by: int
) -> None:
    records = bytearray(61)
    count = count_is_off_by
    for length, times in runs:
        one = bytearray()
        write_varint(one, length)
        records += (one + bytes(length)) * times
        count += times
    for position, byte in changes:
        if len(records) > 61:
            records[61 + position % (len(records) - 61)] = byte
    data = bytes(records)
    if lengths_walked_plainly(data, count):
        check_lengths(data, count)
    else:
        with pytest.raises(KafkaError):
            check_lengths(data, count)
