"""What the stage between decoding and handling does, beside what is recorded of Kafka
(tests/parity/authorization).
"""

import asyncio

import pytest

from chronik.broker.access import AllowAll
from chronik.broker.context import NoAnswer
from chronik.broker.portions import PORTION
from chronik.sim.frames import request
from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.acl import AclOperation, AclResourceType
from chronik.vocab.errors import ErrorCode
from chronik.wire.apis import ApiKey
from chronik.wire.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from chronik.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from chronik.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from chronik.wire.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from chronik.wire.messages.produce import ProduceResponse
from tests.support.acl_table import AclTable, Allowed
from tests.support.broker_room import BrokerRoom, batch_of, produce_request
from tests.support.client_session import client_session

TOPIC, GROUP, CLUSTER = AclResourceType.TOPIC, AclResourceType.GROUP, AclResourceType.CLUSTER
FAILED = ErrorCode.TOPIC_AUTHORIZATION_FAILED


async def room_with(*allowed: Allowed) -> tuple[BrokerRoom, AclTable]:
    room = BrokerRoom()
    room.authorizer = table = AclTable(*allowed)
    return await room.open(), table


def own(*topics: str) -> list[Allowed]:
    return [Allowed(None, TOPIC, topic) for topic in topics]


@virtual
async def test_without_permissions_handlers_are_called_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    """An authorizer that allows everything is never called: authorization costs nothing without ACLs."""

    def fail(*_: object) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr(AllowAll, "authorize", fail)
    monkeypatch.setattr(AllowAll, "authorize_by_type", fail)
    room = await BrokerRoom().open()
    await room.create("t")
    assert await room.produce("t", b"v") == (ErrorCode.NONE, 0)
    assert await room.fetch("t") == (ErrorCode.NONE, [b"v"])
    await room.close()


@virtual
async def test_answers_keep_the_order_of_the_request() -> None:
    room, _ = await room_with(*own("b", "d"))
    for topic in "abcd":
        await room.create(topic)
    batches = {(topic, 0): batch_of([b"v"]) for topic in "abcde"}
    response = await room.ask(produce_request(batches), 9, ProduceResponse)
    answers = [(topic.name, topic.partition_responses[0]) for topic in response.responses]
    assert [(name, answer.error_code, answer.base_offset) for name, answer in answers] == [
        ("a", FAILED, -1),
        ("b", ErrorCode.NONE, 0),
        ("c", FAILED, -1),
        ("d", ErrorCode.NONE, 0),
        ("e", FAILED, -1),
    ]
    assert [room.partition(topic).high_watermark for topic in "abcd"] == [0, 1, 0, 1]
    await room.close()


@virtual
async def test_an_unanswered_produce_that_is_refused_in_part_ends_its_connection() -> None:
    """As in Kafka: its client would never know otherwise."""
    room, _ = await room_with(*own("mine"))
    for topic in ("mine", "theirs"):
        await room.create(topic)
    batches = {(topic, 0): batch_of([b"v"]) for topic in ("theirs", "mine")}
    asked = request(ApiKey.PRODUCE, 9, produce_request(batches, acks=0))
    with pytest.raises(NoAnswer):
        room.dispatcher.dispatch(memoryview(asked.frame)[4:], client_session())
    await wait_until_idle()
    assert [room.partition(topic).high_watermark for topic in ("mine", "theirs")] == [1, 0]
    await room.close()


@virtual
async def test_records_are_appended_before_the_next_request_is_read() -> None:
    """Also where a part of them is refused: Produce requests of a connection overlap, in their order."""
    room, _ = await room_with(*own("mine"))
    await room.create("mine")
    replies = []
    for value in (b"1", b"2", b"3"):
        batches = {(topic, 0): batch_of([value]) for topic in ("theirs", "mine")}
        asked = request(ApiKey.PRODUCE, 9, produce_request(batches))
        replies.append(room.dispatcher.dispatch(memoryview(asked.frame)[4:], client_session()))
    assert room.partition("mine").log.end_offset == 3
    for reply in replies:
        assert isinstance(reply, asyncio.Future)
        await reply
    assert await room.fetch("mine") == (ErrorCode.NONE, [b"1", b"2", b"3"])
    await room.close()


@virtual
async def test_a_request_in_portions_is_refused_in_its_places() -> None:
    room, _ = await room_with(*own("mine"))
    await room.create("mine")
    wanted = [ListOffsetsPartition(partition_index=0, timestamp=-1)]
    many = [ListOffsetsPartition(partition_index=index, timestamp=-1) for index in range(2 * PORTION)]
    topics = [
        ListOffsetsTopic(name=name, partitions=many if name == "theirs" else wanted)
        for name in ("mine", "theirs", "absent", "mine2", "mine")
    ]
    topics[3].name = "mine"
    topics[4].name = "other"
    response = await room.ask(ListOffsetsRequest(topics=topics), 5, ListOffsetsResponse)
    found = [(topic.name, {each.error_code for each in topic.partitions}) for topic in response.topics]
    assert found == [
        ("mine", {ErrorCode.NONE}),
        ("theirs", {FAILED}),
        ("absent", {FAILED}),
        ("mine", {ErrorCode.NONE}),
        ("other", {FAILED}),
    ]
    assert [len(topic.partitions) for topic in response.topics] == [1, 2 * PORTION, 1, 1, 1]
    await room.close()


@virtual
async def test_a_fetch_session_is_authorized_at_each_request() -> None:
    room, table = await room_with(*own("mine", "theirs"))
    for topic in ("mine", "theirs"):
        await room.create(topic)
        await room.produce(topic, b"v")
    topics = [
        FetchTopic(topic=topic, partitions=[FetchPartition(fetch_offset=0, partition_max_bytes=1 << 20)])
        for topic in ("mine", "theirs")
    ]
    first = await room.ask(FetchRequest(max_bytes=1 << 20, session_epoch=0, topics=topics), 11, FetchResponse)
    table.allowed = own("mine")
    again = FetchRequest(max_bytes=1 << 20, session_id=first.session_id, session_epoch=1)
    second = await room.ask(again, 11, FetchResponse)
    codes = [
        {topic.topic: topic.partitions[0].error_code for topic in response.responses}
        for response in (first, second)
    ]
    assert codes == [
        {"mine": ErrorCode.NONE, "theirs": ErrorCode.NONE},
        {"mine": ErrorCode.NONE, "theirs": FAILED},
    ]
    await room.close()


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        ([Allowed(AclOperation.DESCRIBE, TOPIC)], FAILED),
        ([Allowed(AclOperation.DESCRIBE, TOPIC), Allowed(AclOperation.CREATE, TOPIC, "other")], FAILED),
        ([Allowed(AclOperation.DESCRIBE, TOPIC), Allowed(AclOperation.CREATE, TOPIC, "t")], ErrorCode.NONE),
        ([Allowed(AclOperation.DESCRIBE, TOPIC), Allowed(AclOperation.CREATE, CLUSTER)], ErrorCode.NONE),
        ([Allowed(AclOperation.CREATE, CLUSTER)], FAILED),
    ],
)
@virtual
async def test_topics_are_created_for_those_who_may(allowed: list[Allowed], expected: ErrorCode) -> None:
    room, _ = await room_with(*allowed)
    message = MetadataRequest(topics=[MetadataRequestTopic(name="t")], allow_auto_topic_creation=True)
    response = await room.ask(message, 8, MetadataResponse)
    assert [(topic.name, topic.error_code) for topic in response.topics] == [("t", expected)]
    assert ("t" in room.broker.metadata.image.topics) is (expected is ErrorCode.NONE)
    await room.close()


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        ([], 0),
        ([Allowed(AclOperation.CREATE, CLUSTER)], 0),
        ([Allowed(AclOperation.DESCRIBE, CLUSTER)], 1 << AclOperation.DESCRIBE),
    ],
)
@virtual
async def test_metadata_names_operations_on_the_cluster(allowed: list[Allowed], expected: int) -> None:
    """In versions 8 to 10."""
    room, _ = await room_with(*allowed)
    message = MetadataRequest(topics=[], include_cluster_authorized_operations=True)
    response = await room.ask(message, 10, MetadataResponse)
    assert response.cluster_authorized_operations == expected
    await room.close()


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        ([], ErrorCode.CLUSTER_AUTHORIZATION_FAILED),
        ([Allowed(AclOperation.CLUSTER_ACTION, CLUSTER)], ErrorCode.INVALID_REQUEST),
    ],
)
@virtual
async def test_coordinators_of_share_groups_are_for_brokers(
    allowed: list[Allowed], expected: ErrorCode
) -> None:
    room, _ = await room_with(*allowed)
    message = FindCoordinatorRequest(key_type=2, coordinator_keys=["g:1:2"])
    response = await room.ask(message, 6, FindCoordinatorResponse)
    assert [each.error_code for each in response.coordinators] == [expected]
    await room.close()
