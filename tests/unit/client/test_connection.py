import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from chronik.client.address import Address
from chronik.client.connection import Connection
from chronik.client.errors import ClientError, Unreachable
from chronik.vocab.errors import ErrorCode
from chronik.wire.apis import ApiKey
from chronik.wire.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from chronik.wire.messages.metadata import MetadataRequest, MetadataResponse
from chronik.wire.schema import VersionRange
from tests.unit.client.fake_broker import FakeBroker

TIMEOUT_S = 5.0


@contextmanager
def connected(broker: FakeBroker, timeout_s: float = TIMEOUT_S) -> Iterator[Connection]:
    with closing(Connection(Address("127.0.0.1", broker.port), timeout_s)) as connection:
        yield connection


def ask_metadata(connection: Connection) -> MetadataResponse:
    return connection.ask(ApiKey.METADATA, MetadataRequest(topics=None), MetadataResponse)


def test_the_newest_version_both_know_is_spoken() -> None:
    versions = {ApiKey.METADATA: VersionRange(0, 5)}
    with FakeBroker(versions=versions) as broker, connected(broker) as connection:
        assert ask_metadata(connection).cluster_id == "fake"
        assert broker.version_of(ApiKey.METADATA) == 5


def test_a_newer_broker_is_spoken_to_in_our_newest() -> None:
    with FakeBroker() as broker, connected(broker) as connection:
        ask_metadata(connection)
        assert broker.version_of(ApiKey.METADATA) == 13


def test_versions_that_name_topics_by_id_are_not_used() -> None:
    with FakeBroker({ApiKey.PRODUCE: lambda request: None}) as broker, connected(broker) as connection:
        assert connection.version(ApiKey.PRODUCE) == 12


def test_a_broker_before_api_versions_3() -> None:
    with FakeBroker(knows_api_versions_3=False) as broker, connected(broker) as connection:
        assert ask_metadata(connection).cluster_id == "fake"


def test_an_api_that_is_not_served() -> None:
    with FakeBroker() as broker, connected(broker) as connection:
        assert not connection.serves(ApiKey.LIST_GROUPS)
        with pytest.raises(ClientError, match="LIST_GROUPS") as caught:
            connection.ask(ApiKey.LIST_GROUPS, ListGroupsRequest(), ListGroupsResponse)
        assert caught.value.code is ErrorCode.UNSUPPORTED_VERSION


def test_no_version_in_common() -> None:
    versions = {ApiKey.METADATA: VersionRange(90, 99)}
    with FakeBroker(versions=versions) as broker, connected(broker) as connection:
        assert not connection.serves(ApiKey.METADATA)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(Unreachable, match=f"127.0.0.1:{port}: Connection refused") as caught:
        Connection(Address("127.0.0.1", port), TIMEOUT_S)
    assert "chronik start" in caught.value.hint


def test_a_broker_that_hangs_up() -> None:
    def hang_up(request: object) -> None:
        raise ConnectionResetError

    with FakeBroker({ApiKey.METADATA: hang_up}) as broker, connected(broker) as connection:
        with pytest.raises(Unreachable, match="lost the broker"):
            ask_metadata(connection)
        assert connection.is_closed


def test_a_broker_that_does_not_answer() -> None:
    with (
        FakeBroker({ApiKey.METADATA: lambda request: None}) as broker,
        connected(broker, 0.1) as connection,
        pytest.raises(Unreachable, match="did not answer in time"),
    ):
        ask_metadata(connection)


def test_an_answer_that_is_no_longer_waited_for_is_nobody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeBroker() as broker, connected(broker) as connection:

        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(connection, "_receive_frame", interrupted)
            with pytest.raises(KeyboardInterrupt):
                ask_metadata(connection)
        assert connection.is_closed


def serving(answer: Callable[[socket.socket], None]) -> tuple[socket.socket, int]:
    """A listener that treats its one visitor as told."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(4096)
            answer(connection)

    threading.Thread(target=serve, daemon=True).start()
    return listening, listening.getsockname()[1]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x15\x03\x03\x00\x02\x02\x46",
        b"\x00\x00\x00\x00",
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x06\x00\x00\x00\x63\x00\x00",
        b"\x00\x00\x00\x06\x00\x00\x00\x01\x00\x00",
    ],
)
def test_what_is_no_broker(answer: bytes) -> None:
    listening, port = serving(lambda connection: connection.sendall(answer))
    with listening, pytest.raises(ClientError):
        Connection(Address("127.0.0.1", port), TIMEOUT_S)
