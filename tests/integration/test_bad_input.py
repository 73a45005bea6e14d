"""Bytes that are no request, or none that this broker serves: an answer where the protocol has one, else that
connection closes and no other notices.
"""

import struct
from collections.abc import Iterator

import pytest

from chronik.sim.frames import CLIENT_ID, framed, request
from chronik.vocab.errors import ErrorCode
from chronik.wire.apis import SCHEMAS, SUPPORTED, ApiKey
from chronik.wire.codec import decode, encode
from chronik.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from chronik.wire.messages.fetch import FetchRequest
from chronik.wire.messages.metadata import MetadataRequest, MetadataResponse
from tests.support.broker_process import BrokerProcess
from tests.support.protocol.client import RawClient

pytestmark = pytest.mark.integration

UNSUPPORTED = ErrorCode.UNSUPPORTED_VERSION


@pytest.fixture
def bystander(broker: BrokerProcess) -> Iterator[RawClient]:
    """A well-behaved client on a connection of its own, which must still be served in the end."""
    with RawClient(broker.port) as client:
        assert _is_served(client)
        yield client
        assert _is_served(client)


@pytest.fixture
def client(broker: BrokerProcess, bystander: RawClient) -> Iterator[RawClient]:
    with RawClient(broker.port) as connected:
        yield connected


def _is_served(client: RawClient) -> bool:
    return bool(client.ask(ApiKey.METADATA, 9, MetadataRequest(topics=[]), MetadataResponse).brokers)


@pytest.mark.parametrize("length", [-1, -(2**31), 0, 7, 100 * 1024 * 1024 + 1, 2**31 - 1])
def test_an_impossible_frame_length_closes_the_connection(client: RawClient, length: int) -> None:
    client.send(struct.pack(">i", length))

    assert client.is_closed_by_broker()


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10,
        b"\xff" * 64,
    ],
    ids=["http", "tls", "ones"],
)
def test_garbage_first_closes_the_connection(client: RawClient, garbage: bytes) -> None:
    client.send(garbage)

    assert client.is_closed_by_broker()


def test_a_large_length_is_not_believed_before_the_bytes_come(broker: BrokerProcess) -> None:
    before_mb = broker.resident_mb()
    clients = [RawClient(broker.port) for _ in range(50)]
    for client in clients:
        client.send(struct.pack(">i", 100 * 1024 * 1024) + bytes(1000))
    with RawClient(broker.port) as other:
        assert _is_served(other)

    # Announced are 5 GB.
    assert broker.resident_mb() - before_mb < 20
    for client in clients:
        client.close()


def test_a_truncated_request_waits_for_its_rest(client: RawClient) -> None:
    asked = request(ApiKey.METADATA, 9, MetadataRequest(topics=[]))
    client.send(asked.frame[:20])
    client.send(asked.frame[20:])

    assert client.receive(asked, MetadataResponse).brokers


def test_a_request_that_ends_inside_a_field_closes_the_connection(client: RawClient) -> None:
    whole = request(ApiKey.FETCH, 12, FetchRequest()).frame[4:]
    client.send(framed(whole[:-5]))

    assert client.is_closed_by_broker()


@pytest.mark.parametrize("api_key", [4, 7, 93, 999, -1, 2**15 - 1])
def test_an_unknown_api_closes_the_connection(client: RawClient, api_key: int) -> None:
    """As Kafka 4.4 does: no layout of an answer is known that its client could read."""
    client.send(framed(struct.pack(">hhih", api_key, 0, 77, len(CLIENT_ID)) + CLIENT_ID))
    assert client.is_closed_by_broker()


@pytest.mark.parametrize("api_key", sorted(set(SCHEMAS) - set(SUPPORTED)), ids=lambda key: ApiKey(key).name)
def test_an_api_that_is_not_served_closes_the_connection(client: RawClient, api_key: ApiKey) -> None:
    version = SCHEMAS[api_key].versions.last
    client.send(framed(struct.pack(">hhih", api_key, version, 78, len(CLIENT_ID)) + CLIENT_ID + b"\0"))
    assert client.is_closed_by_broker()


def test_an_unknown_version_of_api_versions_is_answered_in_version_0(client: RawClient) -> None:
    """KIP-511: the client learns the ranges and asks again."""
    client.send(framed(struct.pack(">hhih", ApiKey.API_VERSIONS, 99, 5, len(CLIENT_ID)) + CLIENT_ID + b"\0"))
    frame = client.receive_frame()
    answer = decode(ApiVersionsResponse, 0, frame[4:])

    assert answer.error_code == UNSUPPORTED
    assert frame[4:] == encode(answer, 0)
    ranges = {api.api_key: (api.min_version, api.max_version) for api in answer.api_keys}
    assert ranges[ApiKey.API_VERSIONS] == tuple(SUPPORTED[ApiKey.API_VERSIONS])
    again = ApiVersionsRequest(client_software_name="test", client_software_version="1")
    assert client.ask(ApiKey.API_VERSIONS, 4, again, ApiVersionsResponse).error_code == ErrorCode.NONE


def test_every_advertised_api_is_served_in_its_range(client: RawClient) -> None:
    asked = ApiVersionsRequest(client_software_name="test", client_software_version="1")
    answer = client.ask(ApiKey.API_VERSIONS, 4, asked, ApiVersionsResponse)
    ranges = {ApiKey(api.api_key): (api.min_version, api.max_version) for api in answer.api_keys}

    # librdkafka stops compressing when these versions of Produce are missing (KAFKA-18659).
    assert ranges.pop(ApiKey.PRODUCE) == (0, SUPPORTED[ApiKey.PRODUCE].last)
    assert ranges == {key: tuple(served) for key, served in SUPPORTED.items() if key is not ApiKey.PRODUCE}


@pytest.mark.parametrize("api_key", set(SUPPORTED) - {ApiKey.API_VERSIONS}, ids=lambda key: key.name)
def test_a_version_above_the_range_closes_the_connection(client: RawClient, api_key: ApiKey) -> None:
    version = SUPPORTED[api_key].last + 1
    client.send(framed(struct.pack(">hhih", api_key, version, 79, len(CLIENT_ID)) + CLIENT_ID + b"\0"))
    assert client.is_closed_by_broker()


def test_many_requests_in_one_write_are_answered_in_order(client: RawClient) -> None:
    asked = [
        request(ApiKey.METADATA, version, MetadataRequest(topics=[]), correlation_id=number)
        for number, version in enumerate(list(range(14)) * 20)
    ]
    client.send(b"".join(each.frame for each in asked))

    for each in asked:
        client.receive(each, MetadataResponse)


def test_a_request_byte_by_byte_is_answered(client: RawClient) -> None:
    asked = request(ApiKey.METADATA, 12, MetadataRequest(topics=[]))
    for byte in asked.frame:
        client.send(bytes([byte]))

    assert client.receive(asked, MetadataResponse).brokers
