"""The prepared request, read by a codec that is not ours."""

from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st
from kio.schema.produce.v7.request import ProduceRequest
from kio.schema.request_header.v1.header import RequestHeader
from kio.serial import entity_reader

from chronik.cli.perf.prepared import error_code_position, produce_request, record_batch

_NOW_MS = 1_700_000_000_000


def test_request_is_a_whole_produce_request_for_one_record() -> None:
    frame = produce_request("topic", b"value", _NOW_MS)
    assert int.from_bytes(frame[:4]) == len(frame) - 4
    header, header_end = entity_reader(RequestHeader)(frame, 4)
    request, size = entity_reader(ProduceRequest)(frame, 4 + header_end)
    assert (header.request_api_key, header.request_api_version) == (0, 7)
    assert request.acks == -1
    (topic,) = request.topic_data
    (partition,) = topic.partition_data
    assert (topic.name, partition.index) == ("topic", 0)
    assert partition.records == record_batch(b"value", _NOW_MS)
    assert 4 + header_end + size == len(frame)


@given(value=st.binary(max_size=20_000))
def test_batch_has_one_record_with_the_value_and_a_right_crc(value: bytes) -> None:
    batch = record_batch(value, _NOW_MS)
    length, crc, count = (int.from_bytes(batch[a:b]) for a, b in ((8, 12), (17, 21), (57, 61)))
    assert length == len(batch) - 12
    assert crc == crc32c(batch[21:])
    assert count == 1
    record_length, fields = _varint(batch, 61)
    assert fields + record_length == len(batch)
    position = fields + 1
    numbers = []
    for _ in range(4):
        number, position = _varint(batch, position)
        numbers.append(number)
    assert numbers == [0, 0, -1, len(value)]
    assert batch[position : position + len(value)] == value
    assert batch[position + len(value) :] == b"\x00"


def test_error_code_is_where_a_response_has_it() -> None:
    # size, correlation id, one topic "abc", one partition 0, error 6
    response = bytes(8) + b"\0\0\0\1" + b"\0\3abc" + b"\0\0\0\1" + b"\0\0\0\0" + b"\0\6"
    assert error_code_position("abc") == len(response) - 2


def _varint(data: bytes, position: int) -> tuple[int, int]:
    raw = shift = 0
    while True:
        byte = data[position]
        position += 1
        raw |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return (raw >> 1) ^ -(raw & 1), position
