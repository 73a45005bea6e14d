"""Fetch: what is read, when it is answered, and what a session leaves out."""

import asyncio
import errno
from collections.abc import Mapping

import pytest

from chronik.broker.context import RequestContext
from chronik.broker.handlers import fetch
from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import Offset
from chronik.wire.apis import SUPPORTED, ApiKey
from chronik.wire.messages.fetch import (
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    ForgottenTopic,
    PartitionData,
)
from tests.support.broker_room import BrokerRoom, records_of, values_in
from tests.support.client_session import client_session
from tests.support.held_disk import HeldDisk

FETCH = SUPPORTED[ApiKey.FETCH]
FIRST_BY_ID = 13
# By name, with sessions.
VERSION = 12
LOG = ".log"
BROKEN = OSError(errno.EIO, "Input/output error")

Wanted = Mapping[tuple[str, int], int]


def fetch_request(
    wanted: Wanted,
    *,
    max_wait_ms: int = 0,
    min_bytes: int = 1,
    max_bytes: int = 1 << 20,
    partition_max_bytes: int = 1 << 20,
    leader_epoch: int = -1,
    is_read_committed: bool = False,
    session: tuple[int, int] = (0, -1),
    forget: list[tuple[str, int]] | None = None,
) -> FetchRequest:
    """`wanted` is offsets by topic and partition; a session is its id and epoch."""
    return FetchRequest(
        max_wait_ms=max_wait_ms,
        min_bytes=min_bytes,
        max_bytes=max_bytes,
        isolation_level=int(is_read_committed),
        session_id=session[0],
        session_epoch=session[1],
        topics=[
            FetchTopic(
                topic=topic,
                partitions=[
                    FetchPartition(
                        partition=index,
                        fetch_offset=offset,
                        partition_max_bytes=partition_max_bytes,
                        current_leader_epoch=leader_epoch,
                    )
                ],
            )
            for (topic, index), offset in wanted.items()
        ],
        forgotten_topics_data=[
            ForgottenTopic(topic=topic, partitions=[index]) for topic, index in forget or []
        ],
    )


async def ask(room: BrokerRoom, request: FetchRequest, version: int = VERSION) -> FetchResponse:
    return await room.ask(request, version, FetchResponse)


async def one(room: BrokerRoom, request: FetchRequest, version: int = VERSION) -> PartitionData:
    response = await ask(room, request, version)
    assert response.error_code == ErrorCode.NONE
    ((answer,),) = [topic.partitions for topic in response.responses]
    return answer


def told(response: FetchResponse) -> dict[tuple[str, int], list[bytes]]:
    """What a response has of which partitions."""
    return {
        (topic.topic, answer.partition_index): values_in(records_of(answer))
        for topic in response.responses
        for answer in topic.partitions
    }


def loop_ms() -> int:
    return round(asyncio.get_running_loop().time() * 1000)


async def room_with(*topics: str, disk: HeldDisk | None = None) -> BrokerRoom:
    room = await BrokerRoom(disk).open()
    for topic in topics:
        await room.create(topic)
    return room


# What is read.


@pytest.mark.parametrize("version", range(FETCH.first, FETCH.last + 1))
@virtual
async def test_each_version_reads_whole_batches(version: int) -> None:
    room = await room_with("t")
    await room.produce("t", b"a", b"b")
    await room.produce("t", b"c")
    request = fetch_request({("t", 0): 1})
    if version >= FIRST_BY_ID:
        request.topics[0].topic_id = room.partition("t").topic_id
    answer = await one(room, request, version)
    assert answer.error_code == ErrorCode.NONE
    assert values_in(records_of(answer)) == [b"a", b"b", b"c"]
    assert (answer.high_watermark, answer.last_stable_offset) == (3, 3)
    assert answer.log_start_offset == (0 if version >= 5 else -1)
    await room.close()


@virtual
async def test_nothing_to_read_is_empty_and_not_null() -> None:
    room = await room_with("t")
    answer = await one(room, fetch_request({("t", 0): 0}))
    assert answer.records == b""
    await room.close()


@virtual
async def test_what_is_not_committed_is_not_read() -> None:
    disk = HeldDisk()
    room = await room_with("t", disk=disk)
    await room.produce("t", b"a")
    disk.hold_syncs()
    producing = asyncio.ensure_future(room.produce("t", b"b"))
    await wait_until_idle()
    for offset in (0, 1, 2):
        answer = await one(room, fetch_request({("t", 0): offset}))
        assert answer.error_code == ErrorCode.NONE
        assert values_in(records_of(answer)) == ([b"a"] if offset == 0 else [])
        assert answer.high_watermark == 1
    disk.let_go()
    await producing
    await room.close()


@pytest.mark.parametrize("offset", [-1, 0, 3])
@virtual
async def test_offsets_outside_the_log_say_so(offset: int) -> None:
    room = await room_with("t")
    await room.produce("t", b"a", b"b")
    await room.partition("t").delete_records(Offset(1))
    answer = await one(room, fetch_request({("t", 0): offset}))
    assert answer.error_code == ErrorCode.OFFSET_OUT_OF_RANGE
    assert (answer.records, answer.high_watermark, answer.log_start_offset) == (b"", -1, -1)
    await room.close()


@virtual
async def test_the_leader_epoch_must_be_the_clients() -> None:
    room = await room_with("t")
    room = await room.start_again()
    for epoch, expected in (
        (1, ErrorCode.FENCED_LEADER_EPOCH),
        (2, ErrorCode.NONE),
        (3, ErrorCode.UNKNOWN_LEADER_EPOCH),
        (-1, ErrorCode.NONE),
    ):
        answer = await one(room, fetch_request({("t", 0): 0}, leader_epoch=epoch))
        assert answer.error_code == expected
    await room.close()


@virtual
async def test_absent_partitions_say_so_and_the_others_are_read() -> None:
    room = await room_with("t")
    await room.produce("t", b"a")
    response = await ask(room, fetch_request({("absent", 0): 0, ("t", 7): 0, ("t", 0): 0}, max_wait_ms=9_000))
    codes = {
        (topic.topic, answer.partition_index): answer.error_code
        for topic in response.responses
        for answer in topic.partitions
    }
    assert codes == {
        ("absent", 0): ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ("t", 7): ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ("t", 0): ErrorCode.NONE,
    }
    assert told(response)["t", 0] == [b"a"]
    assert loop_ms() == 0
    unknown = fetch_request({("", 0): 0})
    unknown.topics[0].topic_id = bytes(15) + b"\x09"
    assert (await one(room, unknown, FIRST_BY_ID)).error_code == ErrorCode.UNKNOWN_TOPIC_ID
    await room.close()


@virtual
async def test_byte_limits_hold_but_for_the_first_batch() -> None:
    room = await room_with("t", "u")
    for topic in ("t", "u"):
        for _ in range(3):
            await room.produce(topic, b"x" * 1000)
    size = room.partition("t").log.size // 3
    wanted = {("t", 0): 0, ("u", 0): 0}

    async def counts(max_bytes: int, partition_max_bytes: int) -> list[int]:
        request = fetch_request(wanted, max_bytes=max_bytes, partition_max_bytes=partition_max_bytes)
        return [len(values) for values in told(await ask(room, request)).values()]

    assert await counts(10**6, 10**6) == [3, 3]
    assert await counts(10**6, 2 * size) == [2, 2]
    assert await counts(10**6, 1) == [1, 0]
    assert await counts(1, 10**6) == [1, 0]
    assert await counts(4 * size, 10**6) == [3, 1]
    assert await counts(-5, -5) == [1, 0]
    await room.close()


async def tailing(room: BrokerRoom, wanted: Wanted) -> None:
    """A consumer has read to the ends, so that its place in each file is known, and then records came."""
    assert all(not part.error_code for part in parts_of(await ask(room, fetch_request(wanted))))
    for topic, index in wanted:
        await room.produce(topic, b"x" * 1000, index=index)


def parts_of(response: FetchResponse) -> list[PartitionData]:
    return [part for topic in response.responses for part in topic.partitions]


@pytest.mark.parametrize("version", range(FETCH.first, FETCH.last + 1))
@virtual
async def test_without_bytes_left_a_partition_has_no_records_and_no_error(version: int) -> None:
    room = await room_with("t", "u", "v")
    wanted = {("t", 0): 0, ("u", 0): 0, ("v", 0): 0}
    await tailing(room, wanted)
    size = room.partition("t").log.size
    for max_bytes in (-1, 0, 1, 60, 61, size - 1, size, size + 1, size + 60, 2 * size - 1):
        request = fetch_request(wanted, max_bytes=max_bytes)
        for topic in request.topics:
            topic.topic_id = room.broker.metadata.image.topics[topic.topic].topic_id
        first, *others = parts_of(await ask(room, request, version))
        assert (first.error_code, len(records_of(first))) == (ErrorCode.NONE, size), max_bytes
        for part in others:
            assert part.error_code == ErrorCode.NONE
            assert records_of(part) == b"", "empty, and not null"
            assert (part.high_watermark, part.last_stable_offset) == (1, 1)
    await room.close()


@pytest.mark.parametrize("partition_max_bytes", [-1, 0, 1, 60, 61, 100])
@virtual
async def test_a_partitions_own_limit_is_no_error_either(partition_max_bytes: int) -> None:
    room = await room_with("t", "u")
    wanted = {("t", 0): 0, ("u", 0): 0}
    await tailing(room, wanted)
    response = await ask(room, fetch_request(wanted, partition_max_bytes=partition_max_bytes))
    assert [part.error_code for part in parts_of(response)] == [ErrorCode.NONE] * 2
    assert [len(values) for values in told(response).values()] == [1, 0]
    await room.close()


@virtual
async def test_clients_that_do_not_read_are_no_error_of_others() -> None:
    room = await room_with("t")
    memory = room.broker.memory
    await tailing(room, {("t", 0): 0})
    memory.unsent_bytes = memory.unsent_bytes_max
    request = fetch_request({("t", 0): 0}, max_wait_ms=500)
    response = await ask(room, request)
    assert loop_ms() == 500, "it waits as if there were nothing"
    (part,) = parts_of(response)
    assert (part.error_code, part.high_watermark, records_of(part)) == (ErrorCode.NONE, 1, b"")
    memory.unsent_bytes = 0
    assert told(await ask(room, request))["t", 0] == [b"x" * 1000]
    await room.close()


@virtual
async def test_the_nodes_limit_is_a_clients_limit_too() -> None:
    room = await BrokerRoom(fetch_max_bytes="2000").open()
    await room.create("t")
    for _ in range(5):
        await room.produce("t", b"x" * 900)
    answer = await one(room, fetch_request({("t", 0): 0}, min_bytes=1 << 20, max_wait_ms=9_000))
    assert len(values_in(records_of(answer))) == 2
    assert loop_ms() == 0, "more than the limit will never come"
    await room.close()


@virtual
async def test_a_failed_log_answers_with_what_is_wrong() -> None:
    room = await room_with("t")
    await room.produce("t", b"a")
    room.disk.fail("sync", LOG, BROKEN)
    assert (await room.produce("t", b"b"))[0] is ErrorCode.KAFKA_STORAGE_ERROR
    assert await room.fetch("t") == (ErrorCode.KAFKA_STORAGE_ERROR, [])
    await room.close()


@pytest.mark.parametrize("is_cold", [False, True])
@virtual
async def test_a_read_that_fails_is_one_partitions_trouble(is_cold: bool) -> None:
    room = await room_with("t", "u")
    await room.produce("t", b"a")
    await room.produce("u", b"b")
    room.disk.is_cold = is_cold
    room.disk.fail("read", "t-0/00000000000000000000.log", BROKEN)
    response = await ask(room, fetch_request({("t", 0): 0, ("u", 0): 0}, max_bytes=10**7))
    assert [topic.partitions[0].error_code for topic in response.responses] == [
        ErrorCode.KAFKA_STORAGE_ERROR,
        ErrorCode.NONE,
    ]
    assert told(response)["u", 0] == [b"b"]
    await room.close()


@virtual
async def test_read_committed_is_told_of_aborted_transactions() -> None:
    room = await room_with("t")
    await room.produce("t", b"a")
    committed = await one(room, fetch_request({("t", 0): 0}, is_read_committed=True))
    assert committed.aborted_transactions == []
    uncommitted = await one(room, fetch_request({("t", 0): 0}))
    assert uncommitted.aborted_transactions is None
    await room.close()


@virtual
async def test_only_what_is_sent_counts_as_traffic() -> None:
    room = await room_with("t")
    traffic = room.partition("t").traffic
    fetching = asyncio.ensure_future(room.fetch("t", max_wait_ms=9_000, min_bytes=10_000))
    for _ in range(3):
        await room.produce("t", b"a")
    await fetching
    assert traffic.bytes_out == traffic.bytes_in > 0
    await room.close()


# When it is answered.


@virtual
async def test_a_client_that_can_be_given_no_more_need_not_wait() -> None:
    """Batches seldom end just where a limit does."""
    room = await room_with("t")
    for _ in range(5):
        await room.produce("t", b"x" * 900)
    request = fetch_request({("t", 0): 0}, min_bytes=2000, partition_max_bytes=2000, max_wait_ms=9_000)
    answer = await one(room, request)
    assert len(values_in(records_of(answer))) == 2
    assert loop_ms() == 0
    await room.close()


@virtual
async def test_enough_records_are_answered_at_once_and_too_few_when_the_time_is_up() -> None:
    room = await room_with("t")
    await room.produce("t", b"a")
    assert await room.fetch("t", max_wait_ms=500) == (ErrorCode.NONE, [b"a"])
    assert loop_ms() == 0
    assert await room.fetch("t", max_wait_ms=500, min_bytes=10_000) == (ErrorCode.NONE, [b"a"])
    assert loop_ms() == 500
    assert await room.fetch("t", 1, max_wait_ms=300) == (ErrorCode.NONE, [])
    assert loop_ms() == 800
    await room.close()


@virtual
async def test_a_commit_ends_the_wait() -> None:
    room = await room_with("t")
    fetching = asyncio.ensure_future(room.fetch("t", max_wait_ms=9_000, min_bytes=100))
    await wait_until_idle()
    await room.produce("t", b"a")
    await wait_until_idle()
    assert not fetching.done()
    await room.produce("t", b"b" * 50)
    assert await fetching == (ErrorCode.NONE, [b"a", b"b" * 50])
    assert loop_ms() == 0
    await room.close()


@virtual
async def test_a_write_cached_commit_ends_the_wait() -> None:
    room = await BrokerRoom().open()
    await room.create("t", write_caching="true")
    fetching = asyncio.ensure_future(room.fetch("t", max_wait_ms=9_000))
    await wait_until_idle()
    await room.produce("t", b"a")
    assert await fetching == (ErrorCode.NONE, [b"a"])
    assert loop_ms() == 0
    await room.close()


@virtual
async def test_a_failed_log_ends_the_wait() -> None:
    room = await room_with("t")
    fetching = asyncio.ensure_future(room.fetch("t", max_wait_ms=9_000))
    await wait_until_idle()
    room.disk.fail("sync", LOG, BROKEN)
    await room.produce("t", b"a")
    assert await fetching == (ErrorCode.KAFKA_STORAGE_ERROR, [])
    assert loop_ms() == 0
    await room.close()


@virtual
async def test_the_end_of_the_node_ends_the_wait() -> None:
    room = await room_with("t")
    fetching = asyncio.ensure_future(room.fetch("t", max_wait_ms=9_000))
    await wait_until_idle()
    room.broker.is_stopping = True
    room.broker.replicas.wake_fetchers()
    assert await fetching == (ErrorCode.NONE, [])
    assert loop_ms() == 0
    await room.close()


@virtual
async def test_a_wait_has_an_end_whatever_the_client_says() -> None:
    room = await room_with("t")
    assert await room.fetch("t", max_wait_ms=2**31 - 1) == (ErrorCode.NONE, [])
    assert loop_ms() == 5 * 60 * 1000
    await room.close()


def start_waiting(room: BrokerRoom) -> asyncio.Future[FetchResponse]:
    """A fetch of an empty partition, with nine seconds to wait."""
    context = RequestContext(
        api_key=ApiKey.FETCH,
        api_version=VERSION,
        correlation_id=1,
        client_id=None,
        session=client_session(),
    )
    waiting = fetch.handle(room.broker, context, fetch_request({("t", 0): 0}, max_wait_ms=9_000))
    assert isinstance(waiting, asyncio.Future)
    return waiting


@virtual
async def test_a_wait_cancelled_in_the_turn_that_ends_it_stays_cancelled() -> None:
    room = await room_with("t")
    problems: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    waiting = start_waiting(room)
    partition = room.broker.replicas.replica("t", 0)
    partition.on_commit(partition.high_watermark)
    # The second look is due in this turn, and would answer.
    room.broker.is_stopping = True
    waiting.cancel()
    await wait_until_idle()
    assert waiting.cancelled()
    assert problems == []
    await room.close()


@virtual
async def test_a_cancelled_wait_leaves_nothing_behind() -> None:
    room = await room_with("t")
    waiting = start_waiting(room)
    waiting.cancel()
    await wait_until_idle()
    await room.produce("t", b"a")
    await wait_until_idle()
    await room.close()
    # Its timer would be the only thing left to wait for.
    with pytest.raises(AssertionError, match="nothing will ever happen"):
        asyncio.get_running_loop()._run_once()  # type: ignore[attr-defined]


@virtual
async def test_a_second_look_that_goes_wrong_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    room = await room_with("t")
    fetching = asyncio.ensure_future(ask(room, fetch_request({("t", 0): 0}, max_wait_ms=9_000)))
    await wait_until_idle()

    def fail(*_: object, **__: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(room.partition("t"), "read", fail)
    await room.produce("t", b"a")
    assert (await fetching).error_code == ErrorCode.UNKNOWN_SERVER_ERROR
    assert loop_ms() == 0
    await room.close()


# From the device.


@virtual
async def test_what_the_page_cache_lacks_is_loaded() -> None:
    room = await room_with("t", "u")
    await room.produce("t", b"a")
    await room.produce("u", b"b")
    room.disk.is_cold = True
    wanted = {("t", 0): 0, ("u", 0): 0}
    response = await ask(room, fetch_request(wanted, max_wait_ms=9_000, min_bytes=10**6, max_bytes=10**7))
    assert told(response) == {("t", 0): [b"a"], ("u", 0): [b"b"]}
    assert room.broker.memory.loading_bytes == 0
    await room.close()


@virtual
async def test_loads_share_the_memory_for_responses() -> None:
    disk = HeldDisk()
    room = await room_with("t", disk=disk)
    memory = room.broker.memory
    await room.produce("t", b"a" * 1000)
    disk.is_cold = True
    disk.hold_threads()
    fetching = asyncio.ensure_future(room.fetch("t"))
    await wait_until_idle()
    assert memory.loading_bytes == 1 << 20
    memory.unsent_bytes = memory.unsent_bytes_max - memory.loading_bytes
    assert memory.response_bytes_left == 0
    disk.is_cold = False
    assert await room.fetch("t") == (ErrorCode.NONE, []), "as if there were no records"
    disk.let_go()
    assert await fetching == (ErrorCode.NONE, [b"a" * 1000])
    assert memory.loading_bytes == 0
    memory.unsent_bytes = 0
    await room.close()


@virtual
async def test_a_load_nobody_waits_for_gives_its_memory_back() -> None:
    disk = HeldDisk()
    room = await room_with("t", disk=disk)
    await room.produce("t", b"a")
    disk.is_cold = True
    disk.hold_threads()
    fetching = asyncio.ensure_future(room.fetch("t", max_wait_ms=9_000))
    await wait_until_idle()
    fetching.cancel()
    disk.let_go()
    await wait_until_idle()
    assert room.broker.memory.loading_bytes == 0
    await room.close()


@virtual
async def test_a_topic_deleted_under_a_load_is_not_an_offset_out_of_range() -> None:
    disk = HeldDisk()
    room = await room_with("t", disk=disk)
    await room.produce("t", b"a")
    disk.is_cold = True
    disk.hold_threads()
    fetching = asyncio.ensure_future(room.fetch("t", max_wait_ms=9_000))
    await wait_until_idle()
    assert disk.waiting_threads == 1
    await room.delete("t")
    for path in [path for path in disk.files() if path.endswith(LOG) and path.startswith("t-0")]:
        disk.remove(path)
    disk.let_go()
    assert await fetching == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, [])
    await room.close()


# Sessions.


async def open_session(room: BrokerRoom, wanted: Wanted) -> int:
    response = await ask(room, fetch_request(wanted, session=(0, 0)))
    assert response.session_id != 0
    return response.session_id


@virtual
async def test_a_session_tells_what_is_new() -> None:
    room = await room_with("t", "u")
    await room.produce("t", b"a")
    session = await open_session(room, {("t", 0): 0, ("u", 0): 0})
    moved = await ask(room, fetch_request({("t", 0): 1}, session=(session, 1)))
    assert (moved.session_id, told(moved)) == (session, {})
    await room.produce("u", b"b")
    assert told(await ask(room, fetch_request({}, session=(session, 2)))) == {("u", 0): [b"b"]}
    # Not moved on, so there still is something to read.
    assert told(await ask(room, fetch_request({}, session=(session, 3)))) == {("u", 0): [b"b"]}
    await room.partition("t").delete_records(Offset(1))
    again = await ask(room, fetch_request({("u", 0): 1}, session=(session, 4)))
    assert told(again) == {("t", 0): []}
    assert again.responses[0].partitions[0].log_start_offset == 1
    await room.close()


@virtual
async def test_a_session_waits_for_all_its_partitions() -> None:
    room = await room_with("t", "u")
    session = await open_session(room, {("t", 0): 0, ("u", 0): 0})
    waiting = asyncio.ensure_future(ask(room, fetch_request({}, session=(session, 1), max_wait_ms=9_000)))
    await wait_until_idle()
    await room.produce("u", b"b")
    assert told(await waiting) == {("u", 0): [b"b"]}
    assert loop_ms() == 0
    await room.close()


@virtual
async def test_errors_are_told_until_they_are_gone() -> None:
    room = await room_with("t")
    session = await open_session(room, {("t", 0): 0, ("late", 0): 0})
    for epoch in (1, 2):
        response = await ask(room, fetch_request({}, session=(session, epoch)))
        (answer,) = response.responses[0].partitions
        assert answer.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    await room.create("late")
    response = await ask(room, fetch_request({}, session=(session, 3)))
    assert told(response) == {("late", 0): []}
    assert response.responses[0].partitions[0].error_code == ErrorCode.NONE
    assert told(await ask(room, fetch_request({}, session=(session, 4)))) == {}
    await room.delete("late")
    response = await ask(room, fetch_request({}, session=(session, 5)))
    assert response.responses[0].partitions[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    await room.close()


@virtual
async def test_who_was_read_last_is_read_next() -> None:
    room = await room_with("t", "u")
    for topic in ("t", "u"):
        await room.produce(topic, b"x" * 1000)
    session = await open_session(room, {("t", 0): 0, ("u", 0): 0})
    got = []
    for epoch in range(1, 5):
        response = await ask(room, fetch_request({}, session=(session, epoch), max_bytes=1))
        got += [topic for (topic, _), values in told(response).items() if values]
    assert got == ["t", "u", "t", "u"]
    await room.close()


@virtual
async def test_tailing_partitions_take_turns_in_a_session() -> None:
    room = await room_with("t", "u", "v")
    offsets = {("t", 0): 0, ("u", 0): 0, ("v", 0): 0}
    session = await open_session(room, offsets)
    for _ in range(3):
        for topic, _ in offsets:
            await room.produce(topic, b"x" * 1000)
    got: list[str] = []
    moved: dict[tuple[str, int], int] = {}
    for epoch in range(1, 10):
        response = await ask(room, fetch_request(moved, session=(session, epoch), max_bytes=300))
        assert all(part.error_code == ErrorCode.NONE for part in parts_of(response))
        ((key, _),) = [(key, values) for key, values in told(response).items() if values]
        offsets[key] += 1
        moved = {key: offsets[key]}
        got.append(key[0])
    assert got == ["t", "u", "v"] * 3
    await room.close()


@virtual
async def test_a_partition_that_fails_when_loaded_does_not_starve_the_next() -> None:
    room = await room_with("t", "u")
    for topic in ("t", "u"):
        await room.produce(topic, b"x" * 1000)
    session = await open_session(room, {("t", 0): 0, ("u", 0): 0})
    room.disk.is_cold = True
    room.disk.fail("read", "t-0/00000000000000000000.log", BROKEN)
    got = []
    for epoch in range(1, 3):
        response = await ask(room, fetch_request({}, session=(session, epoch), max_bytes=300))
        got += [topic for (topic, _), values in told(response).items() if values]
    assert got == ["u"]
    await room.close()


@virtual
async def test_forgotten_partitions_are_not_read() -> None:
    room = await room_with("t", "u")
    session = await open_session(room, {("t", 0): 0, ("u", 0): 0})
    await room.produce("t", b"a")
    await room.produce("u", b"b")
    response = await ask(room, fetch_request({}, session=(session, 1), forget=[("t", 0)]))
    assert told(response) == {("u", 0): [b"b"]}
    emptied = await ask(room, fetch_request({}, session=(session, 2), forget=[("u", 0)], max_wait_ms=9_000))
    assert (emptied.session_id, told(emptied), loop_ms()) == (0, {}, 0)
    gone = await ask(room, fetch_request({}, session=(session, 3)))
    assert gone.error_code == ErrorCode.FETCH_SESSION_ID_NOT_FOUND
    await room.close()


@pytest.mark.parametrize(
    ("other", "epoch", "code"),
    [
        (0, 2, ErrorCode.INVALID_FETCH_SESSION_EPOCH),
        (1, 1, ErrorCode.FETCH_SESSION_ID_NOT_FOUND),
    ],
)
@virtual
async def test_a_session_that_is_none_is_refused(other: int, epoch: int, code: ErrorCode) -> None:
    room = await room_with("t")
    session = await open_session(room, {("t", 0): 0})
    response = await ask(room, fetch_request({}, session=(session + other, epoch)))
    assert (response.error_code, response.session_id, response.responses) == (code, 0, [])
    await room.close()


@virtual
async def test_a_session_keeps_to_names_or_ids() -> None:
    room = await room_with("t")
    session = await open_session(room, {("t", 0): 0})
    response = await ask(room, fetch_request({}, session=(session, 1)), FIRST_BY_ID)
    assert response.error_code == ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR
    await room.close()


@virtual
async def test_a_full_request_ends_the_session_it_names() -> None:
    room = await room_with("t")
    first = await open_session(room, {("t", 0): 0})
    response = await ask(room, fetch_request({("t", 0): 0}, session=(first, 0)))
    assert response.session_id not in (0, first)
    last = await ask(room, fetch_request({("t", 0): 0}, session=(response.session_id, -1)))
    assert (last.session_id, told(last)) == (0, {("t", 0): []})
    assert len(room.broker.fetch_sessions) == 0
    await room.close()


@virtual
async def test_versions_without_sessions_get_none() -> None:
    room = await room_with("t")
    await ask(room, fetch_request({("t", 0): 0}), FETCH.first)
    assert len(room.broker.fetch_sessions) == 0
    await room.close()


# Counting.


@virtual
async def test_requests_are_counted_once_each_and_failures_where_kafka_counts_them() -> None:
    room = await room_with("t")
    traffic = room.partition("t").traffic
    waiting = asyncio.ensure_future(one(room, fetch_request({("t", 0): 0}, max_wait_ms=60_000)))
    await wait_until_idle()
    await room.produce("t", b"a")
    await waiting
    assert (traffic.fetches, traffic.failed_fetches) == (1, 0)
    answer = await one(room, fetch_request({("t", 0): 99}))
    assert answer.error_code == ErrorCode.OFFSET_OUT_OF_RANGE
    assert (traffic.fetches, traffic.failed_fetches) == (2, 0)
    # The batch's length.
    room.disk.rot(f"t-0/{'0' * 20}.log", 8, 0x40)
    answer = await one(room, fetch_request({("t", 0): 0}))
    assert answer.error_code == ErrorCode.CORRUPT_MESSAGE
    assert (traffic.fetches, traffic.failed_fetches) == (3, 1)
    await room.close()
