"""Built batches, seen by other implementations; control batches; rewriting."""

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from chronik.records.batch import Batch, Codec, TimestampType, has_valid_crc, split_batches
from chronik.records.build import BatchOptions, build_batch, build_end_txn_marker
from chronik.records.control import ControlType, EndTxnMarker, control_key, parse_end_txn_marker
from chronik.records.record import Record, decode_records
from chronik.records.transform import with_codec, with_log_append_time
from chronik.vocab.invariant import InvariantViolation

RECORDS = [
    Record(b"key", b"value", 1_000, (("trace", b"\x01"), ("none", None))),
    Record(None, b"x" * 500, 3_000),
    Record(b"tombstone", None, 2_000),
]
IDEMPOTENT = BatchOptions(producer_id=4000, producer_epoch=3, base_sequence=17, is_transactional=True)


def by_aiokafka(records: list[Record], codec: Codec) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=codec,
        is_transactional=True,
        producer_id=4000,
        producer_epoch=3,
        base_sequence=17,
        batch_size=1 << 20,
    )
    for offset, record in enumerate(records):
        builder.append(
            offset,
            timestamp=record.timestamp,
            key=record.key,
            value=record.value,
            headers=list(record.headers),
        )
    return bytes(builder.build())


class TestAgainstAiokafka:
    def test_uncompressed_bytes_are_the_same(self) -> None:
        assert bytes(build_batch(RECORDS, IDEMPOTENT).data) == by_aiokafka(RECORDS, Codec.NONE)

    @pytest.mark.parametrize("codec", Codec)
    def test_we_read_theirs(self, codec: Codec) -> None:
        (batch,) = split_batches(by_aiokafka(RECORDS, codec))
        assert has_valid_crc(batch)
        assert batch.header.codec is codec
        assert [record._replace(offset=0) for record in decode_records(batch)] == RECORDS

    @pytest.mark.parametrize("codec", Codec)
    def test_they_read_ours(self, codec: Codec) -> None:
        first = build_batch(RECORDS, BatchOptions(base_offset=40, codec=codec))
        second = build_batch(RECORDS[:1], BatchOptions(base_offset=43, codec=codec))
        batches = MemoryRecords(bytes(first.data) + bytes(second.data))
        seen = []
        while batches.has_next():
            batch = batches.next_batch()
            assert batch is not None
            assert batch.validate_crc()
            seen += [(r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in batch]
        assert seen == [
            (40 + number, record.timestamp, record.key, record.value, record.headers)
            for number, record in enumerate([*RECORDS, RECORDS[0]])
        ]


class TestBuildBatch:
    def test_needs_a_record(self) -> None:
        with pytest.raises(InvariantViolation):
            build_batch([])

    def test_greatest_timestamp_need_not_be_the_last(self) -> None:
        assert build_batch(RECORDS).header.max_timestamp == 3_000


class TestControl:
    @pytest.mark.parametrize("kind", [ControlType.ABORT, ControlType.COMMIT])
    def test_markers_come_back(self, kind: ControlType) -> None:
        batch = build_end_txn_marker(
            kind, producer_id=8, producer_epoch=2, coordinator_epoch=5, timestamp=1_000
        )
        assert batch.header.is_control
        assert batch.header.is_transactional
        assert (batch.header.producer_id, batch.header.producer_epoch) == (8, 2)
        marker = parse_end_txn_marker(batch)
        assert marker == EndTxnMarker(kind, 5)
        assert marker.is_abort is (kind is ControlType.ABORT)

    def test_bytes_are_kafkas(self) -> None:
        batch = build_end_txn_marker(
            ControlType.COMMIT, producer_id=8, producer_epoch=2, coordinator_epoch=5, timestamp=1_000
        )
        (record,) = decode_records(batch)
        assert record.key == bytes.fromhex("00000001")
        assert record.value == bytes.fromhex("000000000005")

    @pytest.mark.parametrize(
        "record",
        [
            Record(control_key(ControlType.LEADER_CHANGE), b"\0\0\0\0\0\0", 0),
            Record(control_key(ControlType.COMMIT), b"\0", 0),
            Record(b"\0", b"\0\0\0\0\0\0", 0),
            Record(None, b"\0\0\0\0\0\0", 0),
        ],
    )
    def test_other_control_records_are_no_markers(self, record: Record) -> None:
        assert parse_end_txn_marker(build_batch([record], BatchOptions(is_control=True))) is None

    def test_data_is_no_marker(self) -> None:
        assert (
            parse_end_txn_marker(build_batch([Record(control_key(ControlType.COMMIT), bytes(6), 0)])) is None
        )

    def test_damaged_records_are_no_markers(self) -> None:
        batch = build_batch([Record(b"k", b"v", 0)], BatchOptions(is_control=True))
        damaged = bytearray(batch.data)
        damaged[61] = 0x7E
        assert parse_end_txn_marker(Batch(batch.header, damaged)) is None


class TestTransform:
    @pytest.mark.parametrize("source", Codec)
    @pytest.mark.parametrize("target", Codec)
    def test_recompressed_batches_hold_the_same(self, source: Codec, target: Codec) -> None:
        batch = build_batch(
            RECORDS, BatchOptions(producer_id=1, producer_epoch=0, base_sequence=5, codec=source)
        )
        changed = with_codec(batch, target)
        assert changed.header.codec is target
        assert has_valid_crc(changed)
        assert list(decode_records(changed)) == list(decode_records(batch))
        same = (
            "base_offset",
            "last_offset_delta",
            "producer_id",
            "producer_epoch",
            "base_sequence",
            "max_timestamp",
        )
        assert all(getattr(changed.header, name) == getattr(batch.header, name) for name in same)

    def test_the_same_codec_costs_nothing(self) -> None:
        batch = build_batch(RECORDS, BatchOptions(codec=Codec.LZ4))
        assert with_codec(batch, Codec.LZ4) is batch

    def test_log_append_time(self) -> None:
        batch = build_batch(RECORDS, IDEMPOTENT)
        before = bytes(batch.data)
        changed = with_log_append_time(batch, 9_999)
        assert changed.header.timestamp_type is TimestampType.LOG_APPEND_TIME
        assert changed.header.max_timestamp == 9_999
        assert changed.header.base_timestamp == batch.header.base_timestamp
        assert changed.header.is_transactional
        assert has_valid_crc(changed)
        assert bytes(batch.data) == before
