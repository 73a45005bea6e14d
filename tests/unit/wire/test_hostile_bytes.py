"""Whatever bytes come: a message or MalformedMessage, nothing else, and soon."""

import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chronik.wire.codec import ARRAY_ELEMENTS_MAX, MalformedMessage, decode, decoder, encode
from chronik.wire.messages.api_versions import ApiVersionsRequest
from chronik.wire.messages.fetch import FetchRequest
from chronik.wire.messages.join_group import JoinGroupRequest
from chronik.wire.messages.metadata import MetadataRequest, MetadataRequestTopic
from chronik.wire.messages.produce import ProduceRequest

from .kio_oracle import Case, all_cases, to_bytes, values

pytestmark = pytest.mark.long

CASES = list(all_cases())

EXAMPLES = settings(
    max_examples=5, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize("case", CASES, ids=str)
@EXAMPLES
@given(data=st.data())
def test_a_message_cut_short_is_malformed(case: Case, data: st.DataObject) -> None:
    encoded = to_bytes(data.draw(values(case.kio)))
    if not encoded:
        return
    for cut in data.draw(st.lists(st.integers(0, len(encoded) - 1), min_size=1, max_size=5)):
        with pytest.raises(MalformedMessage):
            decode(case.ours, case.version, memoryview(encoded)[:cut])


@pytest.mark.parametrize("case", CASES, ids=str)
@EXAMPLES
@given(data=st.data())
def test_a_changed_message_is_read_or_malformed(case: Case, data: st.DataObject) -> None:
    encoded = bytearray(to_bytes(data.draw(values(case.kio))))
    if not encoded:
        return
    places = st.integers(0, len(encoded) - 1)
    edges = st.sampled_from([0, 1, 2, 0x7F, 0x80, 0xFF])
    for place, byte in data.draw(st.lists(st.tuples(places, edges), min_size=1, max_size=4)):
        encoded[place] = byte
    try:
        decoded, end = decoder(case.ours, case.version)(memoryview(encoded), 0)
    except MalformedMessage:
        return
    assert end <= len(encoded)
    encode(decoded, case.version)  # what was read can be written


@settings(max_examples=300, derandomize=True, deadline=None, database=None)
@given(garbage=st.binary(max_size=64), version=st.sampled_from([4, 11, 12, 16, 18]))
def test_garbage_is_read_or_malformed(garbage: bytes, version: int) -> None:
    try:
        decode(FetchRequest, version, garbage)
    except MalformedMessage:
        return


@pytest.mark.parametrize("version", [1, 12])
def test_more_elements_than_bytes(version: int) -> None:
    count = b"\xff\xff\xff\xff\x07" if version == 12 else struct.pack(">i", 2**31 - 1)
    with pytest.raises(MalformedMessage, match="topics has too many elements"):
        decode(MetadataRequest, version, count + bytes(1000))


def test_elements_of_all_arrays_are_counted_together() -> None:
    """Two thirds of the limit pass; two arrays of two thirds do not."""
    count = ARRAY_ELEMENTS_MAX * 2 // 3
    header = struct.pack(">h", 0) + struct.pack(">ii", 0, 0) + struct.pack(">h", 0) + struct.pack(">h", 0)

    join = header + struct.pack(">i", 0)
    assert decode(JoinGroupRequest, 1, join).protocols == []
    # Protocols of a name of two and metadata of four bytes.
    protocols = struct.pack(">i", count) + bytes(6 * count)
    assert len(decode(JoinGroupRequest, 1, header + protocols).protocols) == count
    forgotten_topic = struct.pack(">h", 0) + struct.pack(">i", count) + bytes(4 * count)
    fetch = struct.pack(">iiiibii", -1, 0, 0, 0, 0, 0, 0) + struct.pack(">i", 0)
    with pytest.raises(MalformedMessage, match="too many elements"):
        decode(FetchRequest, 7, fetch + struct.pack(">i", 2) + forgotten_topic * 2)


def test_a_varint_longer_than_five_bytes() -> None:
    with pytest.raises(MalformedMessage, match="longer than 5 bytes"):
        decode(ApiVersionsRequest, 3, b"\xff\xff\xff\xff\xff\x01" + bytes(100))


def test_text_that_is_not_utf8() -> None:
    good = encode(MetadataRequest(topics=[MetadataRequestTopic(name="topic")]), 1)
    with pytest.raises(MalformedMessage, match="MetadataRequest version 1: invalid UTF-8"):
        decode(MetadataRequest, 1, good.replace(b"topic", b"top\xffc"))


def test_a_null_where_there_can_be_none() -> None:
    with pytest.raises(MalformedMessage, match="topics is null"):
        decode(MetadataRequest, 0, struct.pack(">i", -1))
    assert decode(MetadataRequest, 1, struct.pack(">i", -1) + b"\0" * 8).topics is None


def test_a_length_behind_the_end() -> None:
    with pytest.raises(MalformedMessage, match="transactional_id ends behind the message"):
        decode(ProduceRequest, 3, struct.pack(">h", 1000) + bytes(20))


@pytest.mark.parametrize("count", [b"\x01", b"\xff\xff\xff\xff\x7f"], ids=["one", "many"])
def test_tagged_fields_that_are_not_there(count: bytes) -> None:
    start = encode(ApiVersionsRequest(), 3)[:-1]
    with pytest.raises(MalformedMessage):
        decode(ApiVersionsRequest, 3, start + count)
    with pytest.raises(MalformedMessage, match=r"behind the message|too many tagged fields"):
        decode(ApiVersionsRequest, 3, start + count + b"\x05\xff\x01" + bytes(10))


def test_a_known_tagged_field_of_another_length() -> None:
    start = encode(FetchRequest(cluster_id="c"), 12)
    assert start.endswith(b"\x01\x00\x02\x02c")
    with pytest.raises(MalformedMessage, match="cluster_id is not as long as its tag says"):
        decode(FetchRequest, 12, start[:-3] + b"\x03\x02c\0")


def test_the_error_does_not_hold_the_buffer() -> None:
    """Else the connection's buffer could not be resized."""
    buffer = bytearray(encode(MetadataRequest(topics=[MetadataRequestTopic(name="topic")]), 1))
    buffer[6] = 0xFF
    with pytest.raises(MalformedMessage) as caught:
        decode(MetadataRequest, 1, memoryview(buffer))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
