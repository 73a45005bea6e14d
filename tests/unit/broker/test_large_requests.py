"""Requests with very many elements: what they are answered, that others have turns, and what is refused."""

import asyncio
from functools import partial

import pytest

from chronik.broker.dispatch import FRAME_BYTES_BORROWED, Dispatcher
from chronik.broker.large_fetch import LARGE_PARTITIONS
from chronik.broker.large_requests import LARGE_AT_ONCE, LargeReply
from chronik.broker.portions import AUTO_CREATED_MAX, DECIDED_MAX, FETCHED_MAX, PORTION, UNCUT_MAX, cut
from chronik.sim.frames import cut_frames, decode_response, request
from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.wire.apis import SUPPORTED, ApiKey
from chronik.wire.codec import MalformedMessage
from chronik.wire.messages.create_topics import CreatableTopic, CreateTopicsRequest, CreateTopicsResponse
from chronik.wire.messages.describe_groups import DescribeGroupsRequest, DescribeGroupsResponse
from chronik.wire.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from chronik.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from chronik.wire.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse
from chronik.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from chronik.wire.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from chronik.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from chronik.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
)
from chronik.wire.messages.produce import ProduceResponse
from chronik.wire.schema import Message
from tests.support.broker_room import BrokerRoom, batch_of, produce_request, records_of, values_in
from tests.support.client_session import client_session

pytestmark = pytest.mark.long


class Stopwatch:
    """A timer by which every look takes longer than a slice: work pauses wherever it can."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        self.seconds += 0.01
        return self.seconds


class Room(BrokerRoom):
    """All that can pause does."""

    async def open(self) -> "Room":
        await super().open()
        self.dispatcher = Dispatcher(self.broker, Stopwatch())
        return self


async def open_room() -> Room:
    return await Room().open()


def list_offsets(counts: dict[str, int]) -> ListOffsetsRequest:
    return ListOffsetsRequest(
        replica_id=-1,
        topics=[
            ListOffsetsTopic(
                name=name,
                partitions=[
                    ListOffsetsPartition(partition_index=index, timestamp=-2) for index in range(count)
                ],
            )
            for name, count in counts.items()
        ],
    )


@virtual
async def test_each_partition_is_answered_once_in_its_topic_and_order() -> None:
    room = await open_room()
    await room.create("t", partitions=3)
    counts = {"a": PORTION - 1, "t": 3 * PORTION + 7, "empty": 0, "z": 2}
    response = await room.ask(list_offsets(counts), 6, ListOffsetsResponse)
    assert {topic.name: len(topic.partitions) for topic in response.topics} == counts
    for topic in response.topics:
        assert [one.partition_index for one in topic.partitions] == list(range(counts[topic.name]))
    codes = {one.error_code for one in response.topics[1].partitions[:3]}
    assert codes == {ErrorCode.NONE}
    await room.close()


@virtual
async def test_every_group_keeps_its_topics_and_every_topic_its_partitions() -> None:
    room = await open_room()
    await room.create("t", partitions=2)
    topics = [
        OffsetFetchRequestTopics(name="t", partition_indexes=list(range(2 * PORTION + 3))),
        OffsetFetchRequestTopics(name="u", partition_indexes=[5]),
    ]
    request = OffsetFetchRequest(
        groups=[
            OffsetFetchRequestGroup(group_id="g", topics=topics),
            OffsetFetchRequestGroup(group_id="all", topics=None),
            OffsetFetchRequestGroup(group_id="h", topics=topics),
        ]
    )
    response = await room.ask(request, 8, OffsetFetchResponse)
    assert [group.group_id for group in response.groups] == ["g", "all", "h"]
    for group in (response.groups[0], response.groups[2]):
        assert [topic.name for topic in group.topics] == ["t", "u"]
        indexes = [one.partition_index for one in group.topics[0].partitions]
        assert indexes == list(range(2 * PORTION + 3))
        assert [one.partition_index for one in group.topics[1].partitions] == [5]
    await room.close()


@virtual
async def test_others_have_turns_meanwhile() -> None:
    room = await open_room()
    keys = [f"g{number}" for number in range(20 * PORTION)]
    asked = request(ApiKey.DESCRIBE_GROUPS, 5, DescribeGroupsRequest(groups=keys))
    reply = room.dispatcher.dispatch(memoryview(asked.frame)[4:], client_session())
    assert isinstance(reply, LargeReply)
    turns = 0
    while not reply.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 2 * 20
    parts = reply.result()
    assert parts is not None
    (frame,) = cut_frames(b"".join(parts))
    response = decode_response(asked, frame)
    assert isinstance(response, DescribeGroupsResponse)
    assert [group.group_id for group in response.groups] == keys
    assert room.broker.memory.received_bytes == 0
    await room.close()


@virtual
async def test_a_frame_in_memory_that_is_reused_is_copied() -> None:
    room = await open_room()
    keys = [f"g{number}" for number in range(20 * PORTION)]
    asked = request(ApiKey.DESCRIBE_GROUPS, 5, DescribeGroupsRequest(groups=keys))
    buffer = bytearray(asked.frame)
    assert len(buffer) < FRAME_BYTES_BORROWED
    reply = room.dispatcher.dispatch(memoryview(buffer)[4:], client_session())
    buffer[:] = bytes(len(buffer))
    assert isinstance(reply, LargeReply)
    parts = await reply
    assert parts is not None
    (frame,) = cut_frames(b"".join(parts))
    response = decode_response(asked, frame)
    assert isinstance(response, DescribeGroupsResponse)
    assert [group.group_id for group in response.groups] == keys
    await room.close()


@virtual
async def test_a_large_request_that_is_none_closes_its_connection() -> None:
    room = await open_room()
    asked = request(ApiKey.DESCRIBE_GROUPS, 5, DescribeGroupsRequest(groups=["g"] * 5000))
    reply = room.dispatcher.dispatch(memoryview(asked.frame)[4:-10], client_session())
    assert isinstance(reply, LargeReply)
    with pytest.raises(MalformedMessage):
        await reply
    assert room.broker.memory.received_bytes == 0
    await room.close()


@virtual
async def test_large_requests_take_turns() -> None:
    room = await open_room()
    keys = [f"g{number}" for number in range(5 * PORTION)]
    asked = request(ApiKey.DESCRIBE_GROUPS, 5, DescribeGroupsRequest(groups=keys))
    replies = [room.dispatcher.dispatch(memoryview(asked.frame)[4:], client_session()) for _ in range(6)]
    done: list[int] = []
    for number, reply in enumerate(replies):
        assert isinstance(reply, LargeReply)
        reply.add_done_callback(partial(_note, done, number))
    await asyncio.sleep(0)
    assert room.broker.memory.received_bytes == 6 * (len(asked.frame) - 4), "those that wait are counted"
    await asyncio.gather(*(reply for reply in replies if isinstance(reply, LargeReply)))
    assert set(done[:LARGE_AT_ONCE]) == set(range(LARGE_AT_ONCE))
    await room.close()


def _note(done: list[int], number: int, _: object) -> None:
    done.append(number)


@virtual
async def test_a_client_that_is_gone_ends_its_request() -> None:
    room = await open_room()
    keys = [f"g{number}" for number in range(20 * PORTION)]
    asked = request(ApiKey.DESCRIBE_GROUPS, 5, DescribeGroupsRequest(groups=keys))
    reply = room.dispatcher.dispatch(memoryview(asked.frame)[4:], client_session())
    assert isinstance(reply, LargeReply)
    for _ in range(30):
        await asyncio.sleep(0)
    reply.cancel()
    await wait_until_idle()
    assert room.broker.memory.received_bytes == 0
    small = DescribeGroupsRequest(groups=["g"])
    assert (await room.ask(small, 5, DescribeGroupsResponse)).groups[0].group_id == "g"
    await room.close()


# What one request may do.


@virtual
async def test_one_metadata_request_creates_so_many_topics_and_the_next_ones_the_rest() -> None:
    """Clients ask again for all of them: those that are there do not count, wherever they are named."""
    room = await open_room()
    names = [f"t{number}" for number in range(2 * AUTO_CREATED_MAX + 1)]
    asked = MetadataRequest(topics=[MetadataRequestTopic(name=name) for name in names])
    for created in (AUTO_CREATED_MAX, 2 * AUTO_CREATED_MAX, len(names)):
        response = await room.ask(asked, 12, MetadataResponse)
        assert [topic.name for topic in response.topics] == names
        assert len(response.brokers) == 1
        codes = [ErrorCode(topic.error_code) for topic in response.topics]
        assert set(codes[:created]) == {ErrorCode.NONE}
        assert set(codes[created:]) <= {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}, "clients ask again"
        there = [name for name in names if name in room.broker.metadata.image.topics]
        assert there == names[:created]
    await room.close()


@virtual
async def test_topics_that_are_missing_in_the_middle_are_created_as_far_as_may_be() -> None:
    room = await open_room()
    spread = [f"t{number}" for number in range(3 * AUTO_CREATED_MAX)]
    await room.ask(
        creations(*(name for number, name in enumerate(spread) if number % 3)), 7, CreateTopicsResponse
    )
    asked = MetadataRequest(topics=[MetadataRequestTopic(name=name) for name in spread])
    response = await room.ask(asked, 12, MetadataResponse)
    assert {topic.error_code for topic in response.topics} == {ErrorCode.NONE}, "a third of each portion"
    await room.close()


def creations(*names: str) -> CreateTopicsRequest:
    topics = [CreatableTopic(name=name, num_partitions=1, replication_factor=1) for name in names]
    return CreateTopicsRequest(topics=topics, timeout_ms=30_000)


@virtual
async def test_topics_named_twice_are_refused_in_whatever_portion() -> None:
    room = await open_room()
    names = [f"t{number}" for number in range(300)]
    response = await room.ask(creations(*names, "t0", "t150"), 5, CreateTopicsResponse)
    codes = {topic.name: ErrorCode(topic.error_code) for topic in response.topics}
    assert {name for name, code in codes.items() if code is ErrorCode.INVALID_REQUEST} == {"t0", "t150"}
    assert sum(code is ErrorCode.NONE for code in codes.values()) == 298
    assert not {"t0", "t150"} & set(room.broker.metadata.image.topics)
    await room.close()


@virtual
async def test_more_decisions_than_kafka_takes_are_refused_as_there() -> None:
    room = await open_room()
    names = [f"t{number}" for number in range(DECIDED_MAX + 1)]
    response = await room.ask(creations(*names), 5, CreateTopicsResponse)
    assert [topic.name for topic in response.topics] == names
    assert {ErrorCode(topic.error_code) for topic in response.topics} == {ErrorCode.POLICY_VIOLATION}
    assert not room.broker.metadata.image.topics.keys() & set(names)
    await room.close()


@virtual
async def test_partitions_count_over_the_whole_request_however_it_is_cut() -> None:
    room = await open_room()
    topics = [CreatableTopic(name=f"t{number}", num_partitions=100) for number in range(100)]
    asked = CreateTopicsRequest(topics=topics, timeout_ms=30_000, validate_only=True)
    response = await room.ask(asked, 5, CreateTopicsResponse)
    assert {ErrorCode(topic.error_code) for topic in response.topics} == {ErrorCode.POLICY_VIOLATION}
    await room.close()


@virtual
async def test_elements_that_cannot_be_cut_are_bounded() -> None:
    room = await open_room()
    protocols = [JoinGroupRequestProtocol(name=f"p{number}") for number in range(UNCUT_MAX + 1)]
    join = JoinGroupRequest(group_id="g", protocol_type="consumer", protocols=protocols)
    response = await room.ask(join, 5, JoinGroupResponse)
    assert response.error_code == ErrorCode.INVALID_REQUEST
    await room.close()


@virtual
async def test_many_keys_make_no_task_each() -> None:
    room = await open_room()
    keys = [f"g{number}" for number in range(10 * PORTION)]
    tasks = len(asyncio.all_tasks())
    most = 0

    async def count() -> None:
        nonlocal most
        while True:
            most = max(most, len(asyncio.all_tasks()) - tasks)
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count())
    response = await room.ask(FindCoordinatorRequest(coordinator_keys=keys), 4, FindCoordinatorResponse)
    counting.cancel()
    assert [one.key for one in response.coordinators] == keys
    assert most < 2 * PORTION
    await room.close()


# Groups and records.


@virtual
async def test_a_large_commit_is_whole() -> None:
    room = await open_room()
    count = 3 * PORTION
    await room.create("t", partitions=count)
    partitions = [
        OffsetCommitRequestPartition(partition_index=index, committed_offset=index)
        for index in range(count + 2)
    ]
    commit = OffsetCommitRequest(
        group_id="g",
        generation_id_or_member_epoch=-1,
        topics=[OffsetCommitRequestTopic(name="t", partitions=partitions)],
    )
    response = await room.ask(commit, 8, OffsetCommitResponse)
    codes = [ErrorCode(one.error_code) for one in response.topics[0].partitions]
    assert codes == [ErrorCode.NONE] * count + [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION] * 2
    everything = OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id="g", topics=None)])
    fetched = await room.ask(everything, 8, OffsetFetchResponse)
    (topic,) = fetched.groups[0].topics
    offsets = {one.partition_index: one.committed_offset for one in topic.partitions}
    assert offsets == {index: index for index in range(count)}
    await room.close()


@virtual
async def test_a_large_produce_is_appended_and_answered_in_order() -> None:
    room = await open_room()
    count = 250
    await room.create("t", partitions=count)
    await wait_until_idle()
    batches = {("t", index): batch_of([b"x%d" % index]) for index in range(count)}
    response = await room.ask(produce_request(batches), 9, ProduceResponse)
    answers = [one for topic in response.responses for one in topic.partition_responses]
    assert [one.index for one in answers] == list(range(count))
    assert {ErrorCode(one.error_code) for one in answers} == {ErrorCode.NONE}
    for index in (0, 101, 249):
        assert await room.fetch("t", index=index) == (ErrorCode.NONE, [b"x%d" % index])
    await room.close()


@virtual
async def test_a_large_produce_without_answer_has_none() -> None:
    room = await open_room()
    await room.create("t", partitions=250)
    await wait_until_idle()
    batches = {("t", index): batch_of([b"x"]) for index in range(250)}
    asked = request(ApiKey.PRODUCE, 9, produce_request(batches, acks=0))
    reply = room.dispatcher.dispatch(memoryview(asked.frame)[4:], client_session())
    assert isinstance(reply, LargeReply)
    assert await reply is None
    assert await room.fetch("t", index=249) == (ErrorCode.NONE, [b"x"])
    await room.close()


# Fetches, and answers that are larger than their questions.

MANY = LARGE_PARTITIONS + 100


def fetch_of(
    offsets: dict[int, int], *, session: tuple[int, int] = (0, -1), wait_ms: int = 0
) -> FetchRequest:
    partitions = [
        FetchPartition(partition=index, fetch_offset=offset, partition_max_bytes=1 << 20)
        for index, offset in offsets.items()
    ]
    return FetchRequest(
        max_wait_ms=wait_ms,
        min_bytes=1,
        max_bytes=1 << 20,
        session_id=session[0],
        session_epoch=session[1],
        topics=[FetchTopic(topic="t", partitions=partitions)] if partitions else [],
    )


def fetched(response: FetchResponse) -> dict[int, list[bytes]]:
    found = {}
    for topic in response.responses:
        for one in topic.partitions:
            assert one.error_code == ErrorCode.NONE
            found[one.partition_index] = values_in(records_of(one))
    return found


async def room_of_many() -> Room:
    room = await open_room()
    await room.create("t", partitions=MANY)
    while not all(_leads(room, index) for index in range(MANY)):
        await wait_until_idle()
    await room.produce("t", b"first", index=3)
    await room.produce("t", b"last", index=MANY - 1)
    return room


def _leads(room: Room, index: int) -> bool:
    try:
        return room.partition("t", index).is_leader
    except KafkaError:
        return False


@virtual
async def test_a_large_fetch_is_answered_as_a_small_one() -> None:
    room = await room_of_many()
    response = await room.ask(fetch_of(dict.fromkeys(range(MANY), 0)), 12, FetchResponse)
    found = fetched(response)
    assert list(found) == list(range(MANY))
    assert {index: values for index, values in found.items() if values} == {
        3: [b"first"],
        MANY - 1: [b"last"],
    }
    await room.close()


@virtual
async def test_a_fetch_names_no_more_partitions_than_a_node_can_have() -> None:
    room = await open_room()
    request = fetch_of(dict.fromkeys(range(FETCHED_MAX + 1), 0))
    response = await room.ask(request, 12, FetchResponse)
    assert (response.error_code, response.responses) == (ErrorCode.INVALID_REQUEST, [])
    await room.close()


@virtual
async def test_a_large_fetch_waits_and_a_commit_ends_the_wait() -> None:
    room = await room_of_many()
    offsets = {**dict.fromkeys(range(MANY), 0), 3: 1, MANY - 1: 1}
    waiting = asyncio.ensure_future(room.ask(fetch_of(offsets, wait_ms=30_000), 12, FetchResponse))
    await wait_until_idle()
    assert not waiting.done()
    await room.produce("t", b"news", index=7)
    response = await waiting
    assert asyncio.get_running_loop().time() < 30
    assert {index: values for index, values in fetched(response).items() if values} == {7: [b"news"]}
    await room.close()


@virtual
async def test_a_large_fetch_that_nothing_comes_for_ends_in_time_and_watches_nobody_then() -> None:
    room = await room_of_many()
    offsets = {**dict.fromkeys(range(MANY), 0), 3: 1, MANY - 1: 1}
    before = asyncio.get_running_loop().time()
    await room.ask(fetch_of(offsets, wait_ms=500), 12, FetchResponse)
    assert 0.4 < asyncio.get_running_loop().time() - before < 1
    waiting = asyncio.ensure_future(room.ask(fetch_of(offsets, wait_ms=30_000), 12, FetchResponse))
    await wait_until_idle()
    waiting.cancel()
    await wait_until_idle()
    assert not any(partition._fetch_waiters for partition in room.broker.replicas.partitions())
    await room.close()


@virtual
async def test_a_large_session_is_told_what_is_new() -> None:
    room = await room_of_many()
    opened = await room.ask(fetch_of(dict.fromkeys(range(MANY), 0), session=(0, 0)), 12, FetchResponse)
    assert opened.session_id
    news = await room.ask(fetch_of({3: 1, MANY - 1: 1}, session=(opened.session_id, 1)), 12, FetchResponse)
    assert fetched(news) == {}
    await room.produce("t", b"news", index=7)
    news = await room.ask(fetch_of({}, session=(opened.session_id, 2)), 12, FetchResponse)
    assert fetched(news) == {7: [b"news"]}
    await room.close()


@virtual
async def test_all_topics_are_shown_in_slices() -> None:
    room = await room_of_many()
    asked = request(ApiKey.METADATA, 12, MetadataRequest(topics=None))
    reply = room.dispatcher.dispatch(memoryview(asked.frame)[4:], client_session())
    assert isinstance(reply, LargeReply)
    parts = await reply
    assert parts is not None
    (frame,) = cut_frames(b"".join(parts))
    response = decode_response(asked, frame)
    assert isinstance(response, MetadataResponse)
    (topic,) = response.topics
    assert [one.partition_index for one in topic.partitions] == list(range(MANY))
    await room.close()


class TestCut:
    """Portions by themselves."""

    @pytest.mark.parametrize("sizes", [[0], [1], [499, 1], [500, 1], [1200], [1, 1200, 3], [0] * 1100])
    def test_nothing_is_lost_or_moved(self, sizes: list[int]) -> None:
        whole = list_offsets({f"t{number}": size for number, size in enumerate(sizes)})
        flat = _flat(whole)
        portions = list(cut(ApiKey.LIST_OFFSETS, whole))
        assert [one for portion in portions for one in _flat(portion.request)] == flat
        for portion in portions:
            assert isinstance(portion.request, ListOffsetsRequest)
            assert len(_flat(portion.request)) <= PORTION
            assert portion.request.replica_id == -1
        assert _flat(whole) == flat, "the request is as it was"

    @pytest.mark.parametrize("api_key", [key for key in SUPPORTED if key is not ApiKey.FETCH])
    def test_every_api_has_an_end_to_what_it_does_at_once(self, api_key: ApiKey) -> None:
        from chronik.broker.portions import small_bytes, small_elements

        assert small_elements(api_key) <= PORTION
        assert small_bytes(api_key) <= 4096


def _flat(message: Message) -> list[tuple[str, int | None]]:
    assert isinstance(message, ListOffsetsRequest)
    flat: list[tuple[str, int | None]] = []
    for topic in message.topics:
        flat += [(topic.name, one.partition_index) for one in topic.partitions] or [(topic.name, None)]
    return flat
