"""From frame to frame: whatever a handler does, its client is answered in form or loses its connection."""

import asyncio
import gc
import logging
import struct
import warnings

import pytest

from chronik.broker import dispatch
from chronik.broker.context import NoAnswer
from chronik.broker.dispatch import Dispatcher, UnservedRequest
from chronik.broker.handlers import describe_log_dirs, list_groups
from chronik.broker.session import SaslState, Session, UnauthenticatedRequest
from chronik.sim.frames import CLIENT_ID, Request, cut_frames, decode_response, request
from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.wire.apis import SUPPORTED, ApiKey
from chronik.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from chronik.wire.messages.describe_log_dirs import DescribeLogDirsRequest, DescribeLogDirsResponse
from chronik.wire.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from chronik.wire.messages.produce import ProduceResponse
from chronik.wire.messages.sasl_handshake import SaslHandshakeRequest
from tests.support.broker_room import BrokerRoom, batch_of, produce_request
from tests.support.client_session import client_session
from tests.support.held_disk import HeldDisk


class Clockwork:
    """A timer that is two seconds on at each look."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        self.seconds += 2
        return self.seconds


# Its handler is replaced, and stands for all.
LIST_GROUPS = request(ApiKey.LIST_GROUPS, 4, ListGroupsRequest())


async def room_and_dispatcher(disk: HeldDisk | None = None) -> tuple[BrokerRoom, Dispatcher]:
    room = await BrokerRoom(disk).open()
    return room, Dispatcher(room.broker, Clockwork())


def send(dispatcher: Dispatcher, asked: Request) -> dispatch.Reply:
    return dispatcher.dispatch(memoryview(asked.frame)[4:], client_session())


def frame_of(parts: dispatch.Parts | None) -> bytes:
    assert parts is not None
    (frame,) = cut_frames(b"".join(parts))
    return frame


async def answered(dispatcher: Dispatcher, asked: Request) -> ListGroupsResponse:
    reply = send(dispatcher, asked)
    assert isinstance(reply, asyncio.Future)
    response = decode_response(asked, frame_of(await reply))
    assert isinstance(response, ListGroupsResponse)
    return response


# What is not served.


@pytest.mark.parametrize("version", [6, 99, -1, 32767])
@virtual
async def test_api_versions_of_tomorrow_is_answered_in_the_oldest_version(version: int) -> None:
    room, dispatcher = await room_and_dispatcher()
    body = Request(ApiKey.API_VERSIONS, 4, 7, b"\x02a\x021\0").frame[4 + 8 :]
    head = struct.pack(">hhi", ApiKey.API_VERSIONS, version, 7)
    reply = dispatcher.dispatch(memoryview(head + body), client_session())
    assert isinstance(reply, list)
    frame = frame_of(reply)
    response = decode_response(Request(ApiKey.API_VERSIONS, 0, 7, b""), frame)
    assert isinstance(response, ApiVersionsResponse)
    assert response.error_code == ErrorCode.UNSUPPORTED_VERSION
    # As Kafka: what helps to choose again.
    served = SUPPORTED[ApiKey.API_VERSIONS]
    assert [(a.api_key, a.min_version, a.max_version) for a in response.api_keys] == [
        (ApiKey.API_VERSIONS, *served)
    ]
    await room.close()


UNSERVED: list[tuple[int, int]] = [
    *((key, SUPPORTED[key].last + 1) for key in SUPPORTED if key is not ApiKey.API_VERSIONS),
    # Below the range Produce is advertised, and answered with an error.
    *((key, served.first - 1) for key, served in SUPPORTED.items() if served.first > 0 and key > 0),
    *((key, 0) for key in ApiKey if key not in SUPPORTED),
    *((key, 0) for key in (4, 7, 95, 12345, -1)),
]


@pytest.mark.parametrize(("api_key", "version"), UNSERVED)
@virtual
async def test_what_is_not_served_closes_the_connection(api_key: int, version: int) -> None:
    """As Kafka 4.4 does. An answer in the layout of another version can read as success."""
    room, dispatcher = await room_and_dispatcher()
    head = struct.pack(">hhih", api_key, version, 7, -1)
    with pytest.raises(UnservedRequest) as caught:
        dispatcher.dispatch(memoryview(head + bytes(20)), client_session())
    assert str(caught.value) == f"version {version} of API {int(api_key)} is not served"
    await room.close()


@virtual
async def test_what_is_no_request_is_a_value_error() -> None:
    room, dispatcher = await room_and_dispatcher()
    head = struct.pack(">hhih", ApiKey.LIST_GROUPS, 4, 7, -1)
    for frame in (head[:6], head, head + b"\0\xff\xff\xff\xff\xff\xff"):
        with pytest.raises(ValueError):  # noqa: PT011  (all there is to say of garbage)
            dispatcher.dispatch(memoryview(frame), client_session())
    await room.close()


# What handlers do.


@virtual
async def test_a_refusal_is_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object) -> None:
        raise KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE)

    monkeypatch.setattr(list_groups, "handle", refuse)
    room, dispatcher = await room_and_dispatcher()
    assert (await answered(dispatcher, LIST_GROUPS)).error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert dispatcher.statistics()[ApiKey.LIST_GROUPS].errors == 1
    await room.close()


@virtual
async def test_a_bug_is_an_unknown_error_and_a_log_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(list_groups, "handle", fail)
    room, dispatcher = await room_and_dispatcher()
    with caplog.at_level(logging.ERROR, "chronik"):
        assert (await answered(dispatcher, LIST_GROUPS)).error_code == ErrorCode.UNKNOWN_SERVER_ERROR
    assert "a bug" in caplog.text
    await room.close()


@pytest.mark.parametrize("is_later", [False, True])
@virtual
async def test_a_response_that_cannot_be_written_down_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, is_later: bool
) -> None:
    broken = ListGroupsResponse(throttle_time_ms="soon")  # type: ignore[arg-type]

    async def answer_later(*_: object) -> ListGroupsResponse:
        return broken

    monkeypatch.setattr(list_groups, "handle", answer_later if is_later else lambda *_: broken)
    room, dispatcher = await room_and_dispatcher()
    with caplog.at_level(logging.ERROR, "chronik"), pytest.raises(NoAnswer):
        await answered(dispatcher, LIST_GROUPS)
    assert "could not be encoded" in caplog.text
    await room.close()


@virtual
async def test_a_client_that_is_gone_ends_its_request(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []

    async def wait(*_: object) -> ListGroupsResponse:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            told.append("cancelled")
            raise
        return ListGroupsResponse()

    monkeypatch.setattr(list_groups, "handle", wait)
    room, dispatcher = await room_and_dispatcher()
    reply = send(dispatcher, LIST_GROUPS)
    assert isinstance(reply, asyncio.Future)
    await wait_until_idle()
    reply.cancel()
    await dispatcher.drain(1.0)
    assert told == ["cancelled"]
    await room.close()


@virtual
async def test_a_node_that_dies_at_once_leaves_nothing_that_never_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the turn of the loop that made a request's task: neither that nor what it was to await runs."""

    async def work(*_: object) -> DescribeLogDirsResponse:
        return DescribeLogDirsResponse()

    monkeypatch.setattr(describe_log_dirs, "handle", work)
    room, dispatcher = await room_and_dispatcher()
    reply = send(dispatcher, request(ApiKey.DESCRIBE_LOG_DIRS, 1, DescribeLogDirsRequest(topics=None)))
    assert isinstance(reply, asyncio.Future)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        del task
        await wait_until_idle()
        gc.collect()
    assert [str(warning.message) for warning in caught] == []
    with pytest.raises(NoAnswer):
        await reply
    await room.close()


@virtual
async def test_a_producer_that_is_gone_leaves_its_records() -> None:
    disk = HeldDisk()
    room, dispatcher = await room_and_dispatcher(disk)
    await room.create("t")
    disk.hold_syncs()
    asked = request(ApiKey.PRODUCE, 9, produce_request({("t", 0): batch_of([b"v"])}))
    reply = send(dispatcher, asked)
    assert isinstance(reply, asyncio.Future)
    reply.cancel()
    disk.let_go()
    await wait_until_idle()
    assert room.partition("t").high_watermark == 1
    await room.close()


@virtual
async def test_draining_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def wait(*_: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(list_groups, "handle", wait)
    room, dispatcher = await room_and_dispatcher()
    reply = send(dispatcher, LIST_GROUPS)
    loop = asyncio.get_running_loop()
    started = loop.time()
    await dispatcher.drain(3.0)
    assert loop.time() - started == 3
    assert isinstance(reply, asyncio.Future)
    reply.cancel()
    await dispatcher.drain(3.0)
    assert loop.time() - started == 3
    await room.close()


@virtual
async def test_requests_are_counted_with_their_time() -> None:
    room, dispatcher = await room_and_dispatcher()
    for _ in range(3):
        await answered(dispatcher, LIST_GROUPS)
    totals = dispatcher.statistics()[ApiKey.LIST_GROUPS]
    assert (totals.requests, totals.errors, totals.seconds) == (3, 0, 6.0)
    asked = request(ApiKey.API_VERSIONS, 0, ApiVersionsRequest())
    reply = send(dispatcher, asked)
    assert isinstance(reply, asyncio.Future)
    await reply
    assert dispatcher.statistics()[ApiKey.API_VERSIONS].requests == 1
    await room.close()


@virtual
async def test_a_produce_that_is_refused_as_a_whole_names_its_partitions() -> None:
    room, dispatcher = await room_and_dispatcher()
    asked = request(ApiKey.PRODUCE, 9, produce_request({("t", 3): batch_of([b"v"])}, acks=7))
    reply = send(dispatcher, asked)
    assert isinstance(reply, list)
    response = decode_response(asked, frame_of(reply))
    assert isinstance(response, ProduceResponse)
    (answer,) = response.responses[0].partition_responses
    assert (answer.index, answer.error_code) == (3, ErrorCode.INVALID_REQUIRED_ACKS)
    await room.close()


# Who asks.


@virtual
async def test_who_has_not_authenticated_is_not_answered() -> None:
    room, dispatcher = await room_and_dispatcher()
    session = Session(connection_id=1, listener="SASL_PLAINTEXT", sasl=SaslState.HANDSHAKE)
    with pytest.raises(UnauthenticatedRequest):
        dispatcher.dispatch(memoryview(LIST_GROUPS.frame)[4:], session)
    assert dispatcher.statistics() == {}
    asked = request(ApiKey.API_VERSIONS, 0, ApiVersionsRequest())
    reply = dispatcher.dispatch(memoryview(asked.frame)[4:], session)
    assert isinstance(reply, asyncio.Future)
    response = decode_response(asked, frame_of(await reply))
    assert isinstance(response, ApiVersionsResponse)
    assert response.error_code == ErrorCode.NONE
    await room.close()


@virtual
async def test_a_session_knows_its_client() -> None:
    room, dispatcher = await room_and_dispatcher()
    session = client_session()
    message = ApiVersionsRequest(client_software_name="kcat", client_software_version="1.7")
    reply = dispatcher.dispatch(memoryview(request(ApiKey.API_VERSIONS, 3, message).frame)[4:], session)
    assert isinstance(reply, asyncio.Future)
    await reply
    assert (session.client_software_name, session.client_software_version) == ("kcat", "1.7")
    assert session.client_id == CLIENT_ID.decode()
    await room.close()


class Strict:
    """Everybody has to wait for so long."""

    is_unlimited = False

    def __init__(self, milliseconds: int) -> None:
        self.milliseconds = milliseconds

    def delay_ms(self, session: Session, api_key: ApiKey) -> int:
        return self.milliseconds


@pytest.mark.parametrize("milliseconds", [0, 250])
@virtual
async def test_who_is_throttled_is_told_and_waits(milliseconds: int) -> None:
    room = await BrokerRoom().open()
    room.broker.quotas = Strict(milliseconds)
    dispatcher = Dispatcher(room.broker, Clockwork())
    session = client_session()
    # At once, in slices, and in a version without a field for it.
    for asked in (
        LIST_GROUPS,
        request(ApiKey.DESCRIBE_LOG_DIRS, 1, DescribeLogDirsRequest(topics=None)),
        request(ApiKey.SASL_HANDSHAKE, 0, SaslHandshakeRequest(mechanism="PLAIN")),
    ):
        reply = dispatcher.dispatch(memoryview(asked.frame)[4:], session)
        parts = await reply if isinstance(reply, asyncio.Future) else reply
        response = decode_response(asked, frame_of(parts))
        assert getattr(response, "throttle_time_ms", milliseconds) == milliseconds
        assert session.take_throttle_ms() == milliseconds
    await room.close()
