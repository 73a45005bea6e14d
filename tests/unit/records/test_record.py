"""Encoding and decoding of single records."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronik.records.batch import HEADER_BYTES, Batch, Codec, pack_header, parse_header, seal
from chronik.records.build import BatchOptions, build_batch
from chronik.records.record import Record, decode_records, encode_record, read_varint, write_varint
from chronik.records.transform import with_log_append_time
from chronik.vocab.errors import ErrorCode, KafkaError

field = st.none() | st.binary(max_size=300)
headers = st.lists(st.tuples(st.text(max_size=5), field), max_size=3).map(tuple)
records = st.lists(
    st.builds(Record, key=field, value=field, timestamp=st.integers(0, 2**42), headers=headers),
    min_size=1,
    max_size=5,
)


def with_payload(payload: bytes, count: int = 1, attributes: int = 0) -> Batch:
    header = build_batch([Record(None, None, 0)]).header._replace(record_count=count, attributes=attributes)
    return seal(bytearray(pack_header(header) + payload))


def code_of(batch: Batch) -> ErrorCode:
    with pytest.raises(KafkaError) as error:
        list(decode_records(batch))
    return error.value.code


def outcome(batch: Batch) -> ErrorCode | None:
    try:
        list(decode_records(batch))
    except KafkaError as error:
        return error.code
    return None


class TestVarint:
    @pytest.mark.parametrize(
        ("value", "encoded"),
        [
            (0, "00"),
            (-1, "01"),
            (1, "02"),
            (63, "7e"),
            (-64, "7f"),
            (64, "8001"),
            (8191, "fe7f"),
            (8192, "808001"),
            (2**31 - 1, "feffffff0f"),
            (-(2**31), "ffffffff0f"),
            (2**63 - 1, "feffffffffffffffff01"),
            (-(2**63), "ffffffffffffffffff01"),
        ],
    )
    def test_known_values(self, value: int, encoded: str) -> None:
        out = bytearray()
        write_varint(out, value)
        assert out.hex() == encoded
        assert read_varint(bytes(out), 0) == (value, len(out))

    def test_endless(self) -> None:
        with pytest.raises(KafkaError):
            read_varint(b"\xff" * 11, 0)

    def test_cut_short(self) -> None:
        with pytest.raises(IndexError):
            read_varint(b"\x80", 0)


class TestRoundTrip:
    @settings(max_examples=200, derandomize=True, deadline=None)
    @given(records, st.sampled_from(Codec), st.integers(0, 2**40))
    def test_records_come_back(self, originals: Sequence[Record], codec: Codec, base_offset: int) -> None:
        batch = build_batch(originals, BatchOptions(base_offset=base_offset, codec=codec))
        decoded = list(decode_records(batch))
        expected = [record._replace(offset=base_offset + i) for i, record in enumerate(originals)]
        assert decoded == expected

    def test_log_append_time_overrides_timestamps(self) -> None:
        batch = with_log_append_time(build_batch([Record(b"a", b"b", 5), Record(b"c", b"d", 9)]), 777)
        assert [record.timestamp for record in decode_records(batch)] == [777, 777]


class TestDamage:
    @settings(max_examples=300, derandomize=True, deadline=None)
    @given(st.data())
    def test_mutated_payload_decodes_or_is_refused(self, data: st.DataObject) -> None:
        original = build_batch([Record(b"key", b"value", 1, (("h", b"x"),)), Record(None, None, 2)])
        mutated = bytearray(original.data)
        position = data.draw(st.integers(HEADER_BYTES, len(mutated) - 1))
        mutated[position] = data.draw(st.integers(0, 255))
        assert outcome(Batch(parse_header(mutated), mutated)) in (None, ErrorCode.INVALID_RECORD)

    def test_more_bytes_than_records(self) -> None:
        out = bytearray()
        encode_record(out, 0, 0, b"k", b"v")
        assert code_of(with_payload(bytes(out) + b"\0")) is ErrorCode.INVALID_RECORD

    def test_fewer_records_than_said(self) -> None:
        out = bytearray()
        encode_record(out, 0, 0, b"k", b"v")
        assert code_of(with_payload(bytes(out), count=2)) is ErrorCode.INVALID_RECORD

    @pytest.mark.parametrize(
        "payload",
        [
            pytest.param("01", id="negative length"),
            pytest.param("7e00", id="length beyond the batch"),
            pytest.param("0e000000010102" + "00", id="header count without headers"),
            pytest.param("0c000000030100", id="key of -2 bytes"),
            pytest.param("0c000000400100", id="key beyond the batch"),
            pytest.param("10000000010100" + "00", id="length beyond its fields"),
            pytest.param("10000000010102" + "0101", id="header without a key"),
            pytest.param("0c000000010101", id="-1 headers"),
            pytest.param("14000000010102" + "02ff01", id="header key is not UTF-8"),
        ],
    )
    def test_no_records(self, payload: str) -> None:
        assert code_of(with_payload(bytes.fromhex(payload))) is ErrorCode.INVALID_RECORD

    def test_unknown_codec(self) -> None:
        assert code_of(with_payload(b"", attributes=6)) is ErrorCode.UNSUPPORTED_COMPRESSION_TYPE

    def test_not_compressed_as_said(self) -> None:
        assert code_of(with_payload(b"garbage", attributes=Codec.ZSTD)) is ErrorCode.CORRUPT_MESSAGE
