"""Producing and fetching."""

from collections.abc import Sequence
from typing import Any

import pytest

from chronik.client.client import Client
from chronik.client.errors import ClientError
from chronik.client.fetching import Fetcher
from chronik.client.partitioner import partition_of
from chronik.client.producing import BATCH_BYTES_MAX, NO_ACKS, Producer
from chronik.records.batch import Codec, split_batches
from chronik.records.build import BatchOptions, build_batch, build_end_txn_marker
from chronik.records.control import ControlType
from chronik.records.record import Record, decode_records
from chronik.vocab.errors import ErrorCode
from chronik.wire.apis import ApiKey
from chronik.wire.messages.fetch import (
    AbortedTransaction,
    FetchableTopicResponse,
    FetchResponse,
    PartitionData,
)
from chronik.wire.messages.produce import PartitionProduceResponse, ProduceResponse, TopicProduceResponse
from tests.unit.client.fake_broker import Answer, FakeBroker

ALL_CODECS = [Codec.NONE, Codec.GZIP, Codec.SNAPPY, Codec.LZ4, Codec.ZSTD]


def accept(request: Any) -> ProduceResponse | None:
    return None if request.acks == 0 else produce_answer(ErrorCode.NONE)


def produce_answer(code: ErrorCode) -> ProduceResponse:
    partition = PartitionProduceResponse(error_code=code)
    return ProduceResponse(responses=[TopicProduceResponse(partition_responses=[partition])])


def produced(broker: FakeBroker) -> list[tuple[int, list[Record]]]:
    """Partition and records of each batch that came."""
    found = []
    for request in broker.asked(ApiKey.PRODUCE):
        for data in request.topic_data[0].partition_data:
            for batch in split_batches(data.records):
                found.append((data.index, list(decode_records(batch))))
    return found


def producing(answer: Answer = accept, leaders: Sequence[int] = (1, 1, 1)) -> FakeBroker:
    return FakeBroker({ApiKey.PRODUCE: answer}, topics={"orders": list(leaders)})


@pytest.mark.parametrize("codec", ALL_CODECS)
def test_a_record_arrives_as_it_was_sent(codec: Codec) -> None:
    with producing() as broker, Client(broker.address) as client:
        producer = Producer(client, "orders", codec=codec, partition=2)
        producer.send(b"value" * 100, key=b"key", headers=(("h", b"1"), ("n", None)), timestamp_ms=5)
        producer.send(None, key=b"tombstone", timestamp_ms=7)
        producer.flush()
        ((partition, records),) = produced(broker)
        assert partition == 2
        assert records[0][:4] == (b"key", b"value" * 100, 5, (("h", b"1"), ("n", None)))
        assert records[1][:3] == (b"tombstone", None, 7)
        assert producer.sent == 2


def test_keys_decide_the_partition() -> None:
    with producing() as broker, Client(broker.address) as client:
        producer = Producer(client, "orders")
        keys = [str(number).encode() for number in range(50)]
        for key in keys:
            producer.send(b"v", key=key)
        producer.flush()
        placed = {record.key: partition for partition, records in produced(broker) for record in records}
        assert placed == {key: partition_of(key, 3) for key in keys}


def test_records_without_key_stay_together() -> None:
    with producing() as broker, Client(broker.address) as client:
        producer = Producer(client, "orders")
        for number in range(50):
            producer.send(str(number).encode())
        producer.flush()
        ((_, records),) = produced(broker)
        assert [record.value for record in records] == [str(number).encode() for number in range(50)]


def test_a_full_batch_is_sent_by_itself() -> None:
    with producing() as broker, Client(broker.address) as client:
        producer = Producer(client, "orders", partition=0)
        producer.send(b"x" * (BATCH_BYTES_MAX // 2))
        assert produced(broker) == []
        producer.send(b"x" * (BATCH_BYTES_MAX // 2))
        assert len(produced(broker)) == 1


def test_without_acks_no_answer_is_waited_for() -> None:
    with producing() as broker, Client(broker.address, timeout_s=5) as client:
        producer = Producer(client, "orders", acks=NO_ACKS)
        producer.send(b"v")
        producer.flush()
        client.metadata(None)  # the connection is in order: the next answer is the next request's
        assert producer.sent == 1


def test_a_refused_batch() -> None:
    with (
        producing(lambda request: produce_answer(ErrorCode.MESSAGE_TOO_LARGE)) as broker,
        Client(broker.address) as client,
    ):
        producer = Producer(client, "orders")
        producer.send(b"v")
        with pytest.raises(ClientError, match="MESSAGE_TOO_LARGE") as caught:
            producer.flush()
        assert "max.message.bytes" in caught.value.hint
        assert producer.sent == 0


def test_a_batch_is_sent_again_when_the_leader_moved() -> None:
    codes = [ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.NONE]
    with producing(lambda request: produce_answer(codes.pop(0))) as broker, Client(broker.address) as client:
        producer = Producer(client, "orders")
        producer.send(b"v")
        producer.flush()
        assert producer.sent == 1


def test_a_partition_that_is_not_there() -> None:
    with (
        producing() as broker,
        Client(broker.address) as client,
        pytest.raises(ClientError, match="partitions 0 to 2"),
    ):
        Producer(client, "orders", partition=3)


def batch(values: Sequence[bytes], base_offset: int = 0, **options: Any) -> bytes:
    records = [Record(None, value, 1) for value in values]
    return bytes(build_batch(records, BatchOptions(base_offset=base_offset, **options)).data)


def fetching(
    records: bytes | None, code: ErrorCode = ErrorCode.NONE, aborted: list[AbortedTransaction] | None = None
) -> FakeBroker:
    def answer(request: Any) -> FetchResponse:
        data = PartitionData(
            partition_index=0,
            error_code=code,
            high_watermark=100,
            last_stable_offset=50,
            aborted_transactions=None if aborted is None else list(aborted),
            records=records,
        )
        return FetchResponse(responses=[FetchableTopicResponse(topic="orders", partitions=[data])])

    return FakeBroker({ApiKey.FETCH: answer}, topics={"orders": [1]})


def fetched(
    broker: FakeBroker, offset: int = 0, *, read_committed: bool = False
) -> tuple[list[bytes | None], int]:
    """The values of one poll, and the position after it."""
    with Client(broker.address) as client:
        fetcher = Fetcher(client, "orders", {0: offset}, read_committed=read_committed)
        values = [record.value for record in fetcher.poll(1)]
        return values, fetcher.positions[0]


@pytest.mark.parametrize("codec", ALL_CODECS)
def test_records_are_read(codec: Codec) -> None:
    with fetching(batch([b"a", b"b"], codec=codec) + batch([b"c"], 2, codec=codec)) as broker:
        assert fetched(broker) == ([b"a", b"b", b"c"], 3)


def test_records_before_the_position_are_skipped() -> None:
    with fetching(batch([b"a", b"b", b"c"])) as broker:
        assert fetched(broker, 2) == ([b"c"], 3)


def test_a_batch_that_is_cut_off_waits_for_the_next_fetch() -> None:
    with fetching(batch([b"a"]) + batch([b"b" * 100], 1)[:80]) as broker:
        assert fetched(broker) == ([b"a"], 1)


@pytest.mark.parametrize("records", [None, b""])
def test_nothing_new(records: bytes | None) -> None:
    with fetching(records) as broker:
        assert fetched(broker, 9) == ([], 9)


def test_a_position_moves_only_past_what_was_taken() -> None:
    with fetching(batch([b"a", b"b", b"c"])) as broker, Client(broker.address) as client:
        fetcher = Fetcher(client, "orders", {0: 0})
        assert next(fetcher.poll(1)).value == b"a"
        assert fetcher.positions == {0: 1}


def marker(kind: ControlType, offset: int, producer_id: int = 9) -> bytes:
    built = build_end_txn_marker(
        kind, producer_id=producer_id, producer_epoch=0, coordinator_epoch=0, timestamp=1
    )
    return offset.to_bytes(8) + bytes(built.data[8:])


def transactional(values: Sequence[bytes], base_offset: int, producer_id: int = 9) -> bytes:
    return batch(
        values, base_offset, producer_id=producer_id, producer_epoch=0, base_sequence=0, is_transactional=True
    )


def test_markers_are_never_shown() -> None:
    data = transactional([b"a"], 0) + marker(ControlType.COMMIT, 1)
    with fetching(data) as broker:
        assert fetched(broker) == ([b"a"], 2)


def test_aborted_records_are_hidden_and_later_ones_of_their_producer_are_not() -> None:
    data = (
        transactional([b"aborted"], 0)
        + transactional([b"other"], 1, producer_id=8)
        + marker(ControlType.ABORT, 2)
        + transactional([b"kept"], 3)
    )
    with fetching(data, aborted=[AbortedTransaction(producer_id=9, first_offset=0)]) as broker:
        assert fetched(broker, read_committed=True) == ([b"other", b"kept"], 4)
        assert broker.asked(ApiKey.FETCH)[-1].isolation_level == 1


def test_an_offset_out_of_range() -> None:
    with (
        fetching(None, ErrorCode.OFFSET_OUT_OF_RANGE) as broker,
        pytest.raises(ClientError, match="orders-0 at offset 5: OFFSET_OUT_OF_RANGE"),
    ):
        fetched(broker, 5)


def test_a_moved_leader_is_no_error() -> None:
    with fetching(None, ErrorCode.NOT_LEADER_OR_FOLLOWER) as broker:
        assert fetched(broker, 5) == ([], 5)


def test_damaged_records() -> None:
    damaged = bytearray(batch([b"a" * 50]))
    damaged[61] = 0xFF
    with (
        fetching(bytes(damaged)) as broker,
        pytest.raises(ClientError, match="cannot read orders-0 at offset 0"),
    ):
        fetched(broker)


def test_a_message_format_of_the_past() -> None:
    old = bytearray(batch([b"a"]))
    old[16] = 1
    with fetching(bytes(old)) as broker, pytest.raises(ClientError, match="message format 1"):
        fetched(broker)
