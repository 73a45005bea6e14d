"""The header view, splitting, checksums and patching of record batches."""

import pytest

from chronik.records.batch import (
    HEADER_BYTES,
    PREFIX_BYTES,
    Batch,
    Codec,
    TimestampType,
    has_valid_crc,
    pack_header,
    parse_header,
    seal,
    split_batches,
    stamp,
    stamped_prefix,
)
from chronik.records.build import BatchOptions, build_batch
from chronik.records.record import Record
from chronik.vocab.errors import ErrorCode, KafkaError

RECORDS = [Record(b"key", b"value", 1000), Record(None, b"other", 3000), Record(b"k", None, 2000)]

# Written by hand after Kafka's documentation: one record (key "a", value "b") at timestamp 5, CRC by an
# independent bitwise implementation below.
HEADER_FIELDS = (
    "0000000000000000"  # base offset
    "0000003a"  # length
    "ffffffff"  # partition leader epoch
    "02"  # magic
    "{crc:08x}"
    "0000"  # attributes
    "00000000"  # last offset delta
    "0000000000000005"  # base timestamp
    "0000000000000005"  # max timestamp
    "ffffffffffffffff"  # producer id
    "ffff"  # producer epoch
    "ffffffff"  # base sequence
    "00000001"  # records
)
RECORD = "100000000261026200"


def crc32c_bit_by_bit(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def golden() -> bytes:
    unsealed = bytes.fromhex(HEADER_FIELDS.format(crc=0) + RECORD)
    return bytes.fromhex(HEADER_FIELDS.format(crc=crc32c_bit_by_bit(unsealed[21:])) + RECORD)


class TestGoldenBytes:
    def test_builder_writes_them(self) -> None:
        built = build_batch([Record(b"a", b"b", 5)])
        assert bytes(built.data) == golden()

    def test_header_reads_them(self) -> None:
        header = parse_header(golden())
        assert header.base_offset == 0
        assert header.leader_epoch == -1
        assert header.magic == 2
        assert header.base_timestamp == header.max_timestamp == 5
        assert (header.producer_id, header.producer_epoch, header.base_sequence) == (-1, -1, -1)
        assert header.record_count == 1
        assert header.size == len(golden())
        assert has_valid_crc(Batch(header, golden()))


class TestBatchHeader:
    def test_properties(self) -> None:
        batch = build_batch(
            RECORDS,
            BatchOptions(
                base_offset=100,
                leader_epoch=4,
                codec=Codec.ZSTD,
                producer_id=9,
                producer_epoch=1,
                base_sequence=50,
                is_transactional=True,
            ),
        )
        header = batch.header
        assert (header.base_offset, header.last_offset, header.next_offset) == (100, 102, 103)
        assert (header.base_timestamp, header.max_timestamp) == (1000, 3000)
        assert header.codec is Codec.ZSTD
        assert header.codec_id == 4
        assert header.timestamp_type is TimestampType.CREATE_TIME
        assert header.is_transactional
        assert not header.is_control
        assert header.has_producer_id
        assert header.last_sequence == 52
        assert header.leader_epoch == 4
        assert header.size == len(batch.data)
        assert header.delete_horizon_ms is None

    def test_sequences_wrap(self) -> None:
        header = build_batch(
            RECORDS, BatchOptions(producer_id=1, producer_epoch=0, base_sequence=2**31 - 2)
        ).header
        assert header.last_sequence == 0

    def test_no_sequence_has_no_last_one(self) -> None:
        header = build_batch(RECORDS).header
        assert header.last_sequence == -1
        assert not header.has_producer_id

    def test_delete_horizon_stands_in_the_base_timestamp(self) -> None:
        header = build_batch(RECORDS).header
        assert header._replace(attributes=0x40, base_timestamp=77).delete_horizon_ms == 77

    def test_unknown_codec(self) -> None:
        header = build_batch(RECORDS).header._replace(attributes=5)
        assert header.codec_id == 5
        with pytest.raises(ValueError, match="5"):
            _ = header.codec

    def test_packs_to_the_bytes_it_was_parsed_from(self) -> None:
        data = bytes(build_batch(RECORDS).data)
        assert pack_header(parse_header(data)) == data[:HEADER_BYTES]


class TestSplitBatches:
    def test_whole_batches(self) -> None:
        first = build_batch(RECORDS)
        second = build_batch(RECORDS[:1], BatchOptions(base_offset=3))
        batches = split_batches(bytes(first.data) + bytes(second.data))
        assert [batch.header for batch in batches] == [first.header, second.header]
        assert [bytes(batch.data) for batch in batches] == [first.data, second.data]

    def test_nothing(self) -> None:
        assert split_batches(b"") == []

    @pytest.mark.parametrize("cut", [1, 16, 17, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 1])
    def test_cut_short(self, cut: int) -> None:
        with pytest.raises(KafkaError) as error:
            split_batches(bytes(build_batch(RECORDS).data)[:cut])
        assert error.value.code is ErrorCode.CORRUPT_MESSAGE

    @pytest.mark.parametrize("magic", [0, 1])
    def test_older_formats(self, magic: int) -> None:
        data = bytearray(build_batch(RECORDS).data)
        data[16] = magic
        with pytest.raises(KafkaError) as error:
            split_batches(data)
        assert error.value.code is ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT

    @pytest.mark.parametrize("length", [-1, 0, 48])
    def test_impossible_length(self, length: int) -> None:
        data = bytearray(build_batch(RECORDS).data)
        data[8:12] = length.to_bytes(4, "big", signed=True)
        with pytest.raises(KafkaError) as error:
            split_batches(data)
        assert error.value.code is ErrorCode.CORRUPT_MESSAGE

    def test_unknown_magic(self) -> None:
        data = bytearray(build_batch(RECORDS).data)
        data[16] = 3
        with pytest.raises(KafkaError) as error:
            split_batches(data)
        assert error.value.code is ErrorCode.CORRUPT_MESSAGE


class TestPatching:
    def test_stamp_leaves_the_crc_valid(self) -> None:
        data = bytearray(build_batch(RECORDS).data)
        stamp(data, 12345, 6)
        header = parse_header(data)
        assert (header.base_offset, header.leader_epoch) == (12345, 6)
        assert has_valid_crc(Batch(header, data))

    def test_prefix_is_what_stamp_writes(self) -> None:
        batch = build_batch(RECORDS)
        data = bytearray(batch.data)
        stamp(data, 7, 3)
        assert stamped_prefix(7, batch.header.length, 3) == data[:PREFIX_BYTES]

    def test_any_other_change_breaks_the_crc(self) -> None:
        original = bytes(build_batch(RECORDS).data)
        for position in range(PREFIX_BYTES + 1, len(original)):
            data = bytearray(original)
            data[position] ^= 0x10
            assert not has_valid_crc(Batch(parse_header(data), data)), position

    def test_seal_sets_length_and_crc(self) -> None:
        data = bytearray(build_batch(RECORDS).data)
        data += b"\0\0"
        sealed = seal(data)
        assert sealed.header.size == len(data)
        assert has_valid_crc(sealed)
