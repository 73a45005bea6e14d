"""Request and response headers, against kio's."""

import io
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kio.schema.request_header.v1.header import RequestHeader as KioRequestHeaderV1
from kio.schema.request_header.v2.header import RequestHeader as KioRequestHeaderV2
from kio.schema.response_header.v0.header import ResponseHeader as KioResponseHeaderV0
from kio.schema.response_header.v1.header import ResponseHeader as KioResponseHeaderV1
from kio.serial import entity_reader, entity_writer

from chronik.wire.apis import SCHEMAS, ApiKey
from chronik.wire.codec import MalformedMessage
from chronik.wire.header import RequestHeader, parse_request_header, response_frame
from chronik.wire.schema import Buffer

UNKNOWN_KEY = 999


def kio_header(key: int, version: int, correlation_id: int, client_id: str | None, flexible: bool) -> bytes:
    header: Any = KioRequestHeaderV2 if flexible else KioRequestHeaderV1
    values: dict[str, Any] = {
        "request_api_key": key,
        "request_api_version": version,
        "correlation_id": correlation_id,
        "client_id": client_id,
    }
    buffer = io.BytesIO()
    entity_writer(header)(buffer, header(**values))
    return buffer.getvalue()


@pytest.mark.parametrize("key", SCHEMAS, ids=lambda key: key.name)
@pytest.mark.parametrize("client_id", [None, "", "client", "é" * 200], ids=["null", "empty", "short", "long"])
def test_request_headers(key: ApiKey, client_id: str | None) -> None:
    schema = SCHEMAS[key]
    for version in range(schema.versions.first, schema.versions.last + 1):
        flexible = schema.flexible_from is not None and version >= schema.flexible_from
        data = kio_header(key, version, -7, client_id, flexible)
        assert parse_request_header(memoryview(data + b"body")) == RequestHeader(
            api_key=key, api_version=version, correlation_id=-7, client_id=client_id, body=len(data)
        )


def test_tagged_fields_of_a_header_are_skipped() -> None:
    data = kio_header(ApiKey.FETCH, 12, 1, "client", True)[:-1] + b"\x01\x09\x02xy"
    assert parse_request_header(data).body == len(data)


def test_a_version_yet_to_come_has_the_newest_header() -> None:
    data = kio_header(ApiKey.API_VERSIONS, 99, 5, "client", True)
    assert parse_request_header(data) == RequestHeader(18, 99, 5, "client", len(data))


@pytest.mark.parametrize(
    "rest", [b"", b"\0", b"\0\x05ab", b"\0\x02\xff\xff"], ids=["none", "cut", "short", "no text"]
)
def test_an_unknown_key_can_be_answered_whatever_follows(rest: bytes) -> None:
    header = parse_request_header(struct.pack(">hhi", UNKNOWN_KEY, 3, 77) + rest)
    assert (header.api_key, header.correlation_id, header.client_id) == (UNKNOWN_KEY, 77, None)


@pytest.mark.parametrize(
    "rest", [b"", b"\0", b"\0\x05ab", b"\0\x02\xff\xff"], ids=["none", "cut", "short", "no text"]
)
def test_a_known_key_must_have_a_whole_header(rest: bytes) -> None:
    with pytest.raises(MalformedMessage):
        parse_request_header(struct.pack(">hhi", ApiKey.METADATA, 3, 77) + rest)


@settings(max_examples=500, derandomize=True, deadline=None, database=None)
@given(
    key=st.sampled_from([0, 1, 3, 18, UNKNOWN_KEY]), version=st.integers(0, 20), rest=st.binary(max_size=30)
)
def test_garbage_is_a_header_or_malformed(key: int, version: int, rest: bytes) -> None:
    frame = struct.pack(">hh", key, version) + rest
    try:
        header = parse_request_header(frame)
    except MalformedMessage:
        return
    assert 8 <= header.body <= len(frame)


@pytest.mark.parametrize(
    ("key", "version", "kio_class"),
    [
        (ApiKey.FETCH, 11, KioResponseHeaderV0),
        (ApiKey.FETCH, 12, KioResponseHeaderV1),
        (ApiKey.SASL_HANDSHAKE, 1, KioResponseHeaderV0),
        (ApiKey.API_VERSIONS, 2, KioResponseHeaderV0),
        (ApiKey.API_VERSIONS, 4, KioResponseHeaderV0),
        (UNKNOWN_KEY, 4, KioResponseHeaderV0),
    ],
)
def test_response_frames(key: int, version: int, kio_class: Any) -> None:
    records = memoryview(bytes(5000))
    body: list[Buffer] = [b"begin", records, b"end"]
    frame = response_frame(key, version, 42, body)
    assert frame[1] is records
    data = b"".join(frame)
    assert struct.unpack_from(">i", data) == (len(data) - 4,)
    header, size = entity_reader(kio_class)(data, 4)
    assert header.correlation_id == 42
    assert data[4 + size :] == b"begin" + records + b"end"
