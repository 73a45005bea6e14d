"""Record batches that must not be appended: the Kafka error code, and nothing in the log."""

import struct
from collections.abc import Callable

import pytest

from chronik.records.batch import Codec, pack_header, parse_header, seal
from chronik.vocab.errors import ErrorCode
from chronik.wire.apis import ApiKey
from chronik.wire.messages.produce import PartitionProduceResponse, ProduceRequest, ProduceResponse
from tests.integration.producing import batch, create, now_ms, produce, topic_data
from tests.support.broker_process import BrokerProcess
from tests.support.protocol.client import RawClient

pytestmark = pytest.mark.integration

DAY_MS = 86_400_000


def test_a_good_batch_is_appended(broker: BrokerProcess, name: str) -> None:
    answer = send(broker, create(broker, name), batch())

    assert (answer.error_code, answer.base_offset) == (ErrorCode.NONE, 0)


@pytest.mark.parametrize("version", [0, 1, 2])
def test_produce_before_record_batches_is_refused(broker: BrokerProcess, name: str, version: int) -> None:
    create(broker, name)
    with RawClient(broker.port) as client:
        asked = ProduceRequest(acks=1, timeout_ms=1000, topic_data=[topic_data(name, b"\0" * 30)])
        answer = client.ask(ApiKey.PRODUCE, version, asked, ProduceResponse)

    (partition,) = answer.responses[0].partition_responses
    assert partition.error_code == ErrorCode.UNSUPPORTED_VERSION
    assert_still_empty(broker, name)


@pytest.mark.parametrize("position", [21, 60, 61, -1], ids=["attributes", "count", "first", "last"])
def test_a_bad_crc_is_a_corrupt_message(broker: BrokerProcess, name: str, position: int) -> None:
    def spoil(data: bytearray) -> None:
        data[position] ^= 0x40

    refused(broker, name, spoil, {ErrorCode.CORRUPT_MESSAGE, ErrorCode.INVALID_RECORD})


@pytest.mark.parametrize("codec", Codec, ids=lambda codec: codec.name)
def test_a_bit_in_the_records_is_a_corrupt_message(broker: BrokerProcess, name: str, codec: Codec) -> None:
    data = bytearray(batch(codec))
    data[len(data) // 2 + 30] ^= 1
    create(broker, name)

    assert send(broker, name, bytes(data)).error_code == ErrorCode.CORRUPT_MESSAGE
    assert_still_empty(broker, name)


@pytest.mark.parametrize("count", [-1, 0, 2, 4, 2**31 - 1])
def test_wrong_counts_are_an_invalid_record(broker: BrokerProcess, name: str, count: int) -> None:
    def spoil(data: bytearray) -> None:
        _change(data, record_count=count)

    refused(broker, name, spoil, {ErrorCode.INVALID_RECORD})


def test_a_count_and_delta_that_agree_but_lie_are_an_invalid_record(broker: BrokerProcess, name: str) -> None:
    def spoil(data: bytearray) -> None:
        _change(data, record_count=100, last_offset_delta=99)

    refused(broker, name, spoil, {ErrorCode.INVALID_RECORD})


@pytest.mark.parametrize("magic", [0, 1, 3])
def test_another_magic_is_refused(broker: BrokerProcess, name: str, magic: int) -> None:
    def spoil(data: bytearray) -> None:
        data[16] = magic

    refused(
        broker,
        name,
        spoil,
        {ErrorCode.INVALID_RECORD, ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT, ErrorCode.CORRUPT_MESSAGE},
    )


def test_a_message_set_of_magic_1_is_refused(broker: BrokerProcess, name: str) -> None:
    """As a client from before 2017 would send it in a request of today."""
    message = struct.pack(">Ibbqi", 0, 1, 0, 0, -1) + struct.pack(">i", 5) + b"value"
    create(broker, name)

    answer = send(broker, name, struct.pack(">qi", 0, len(message)) + message)

    assert answer.error_code in (ErrorCode.INVALID_RECORD, ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT)
    assert_still_empty(broker, name)


@pytest.mark.parametrize("days", [-2, 2])
def test_a_timestamp_too_far_away_is_an_invalid_timestamp(
    broker: BrokerProcess, name: str, days: int
) -> None:
    limit = {"message.timestamp.before.max.ms": str(DAY_MS), "message.timestamp.after.max.ms": str(DAY_MS)}
    create(broker, name, limit)

    answer = send(broker, name, batch(timestamp=now_ms() + days * DAY_MS))

    assert answer.error_code == ErrorCode.INVALID_TIMESTAMP
    assert_still_empty(broker, name)


@pytest.mark.parametrize("codec", Codec, ids=lambda codec: codec.name)
def test_a_compacted_topic_takes_no_record_without_a_key(
    broker: BrokerProcess, name: str, codec: Codec
) -> None:
    create(broker, name, {"cleanup.policy": "compact"})
    answer = send(broker, name, batch(codec, key=None))

    assert answer.error_code == ErrorCode.INVALID_RECORD
    assert_still_empty(broker, name)
    assert send(broker, name, batch(codec)).error_code == ErrorCode.NONE


def test_a_batch_above_max_message_bytes_is_too_large(broker: BrokerProcess, name: str) -> None:
    create(broker, name, {"max.message.bytes": "200"})

    assert send(broker, name, batch(value=b"x" * 200)).error_code == ErrorCode.MESSAGE_TOO_LARGE
    assert_still_empty(broker, name)


@pytest.mark.parametrize("cut", [0, 10, 60])
def test_half_a_batch_is_refused(broker: BrokerProcess, name: str, cut: int) -> None:
    create(broker, name)
    expected = {ErrorCode.CORRUPT_MESSAGE, ErrorCode.INVALID_RECORD}

    assert send(broker, name, batch()[:cut]).error_code in expected
    assert_still_empty(broker, name)


def test_two_batches_in_one_are_refused(broker: BrokerProcess, name: str) -> None:
    create(broker, name)

    assert send(broker, name, batch() * 2).error_code == ErrorCode.INVALID_RECORD
    assert_still_empty(broker, name)


def test_a_control_batch_from_a_client_is_refused(broker: BrokerProcess, name: str) -> None:
    def spoil(data: bytearray) -> None:
        _change(data, attributes=0x20)

    refused(broker, name, spoil, {ErrorCode.INVALID_RECORD})


def test_an_unknown_codec_is_refused(broker: BrokerProcess, name: str) -> None:
    def spoil(data: bytearray) -> None:
        _change(data, attributes=7)

    refused(broker, name, spoil, {ErrorCode.UNSUPPORTED_COMPRESSION_TYPE})


def test_records_that_unpack_to_more_than_allowed_cost_no_memory(broker: BrokerProcess, name: str) -> None:
    """A bomb on a topic whose records the broker must look into."""
    create(broker, name, {"cleanup.policy": "compact", "compression.type": "gzip"})
    before_mb = broker.resident_mb()
    data = bytearray(batch(Codec.ZSTD, value=bytes(300 * 1024 * 1024)))

    answer = send(broker, name, bytes(seal(data).data))

    assert answer.error_code == ErrorCode.INVALID_RECORD
    assert_still_empty(broker, name)
    assert broker.resident_mb() - before_mb < 120


def refused(
    broker: BrokerProcess, name: str, spoil: Callable[[bytearray], None], codes: set[ErrorCode]
) -> None:
    create(broker, name)
    data = bytearray(batch())
    spoil(data)

    assert send(broker, name, bytes(data)).error_code in codes
    assert_still_empty(broker, name)


def assert_still_empty(broker: BrokerProcess, name: str) -> None:
    """The next good batch is the first."""
    assert send(broker, name, batch(value=b"v")).base_offset == 0


def send(broker: BrokerProcess, topic: str, records: bytes) -> PartitionProduceResponse:
    with RawClient(broker.port) as client:
        return produce(client, topic, records)


def _change(data: bytearray, **fields: int) -> None:
    """Set fields of the header; length and CRC are right again afterwards."""
    header = parse_header(data)._replace(**fields)
    data[:61] = pack_header(header)
    seal(data)
