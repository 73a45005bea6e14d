"""Produce: what the producer is told, when, and what is kept meanwhile."""

import asyncio
import errno
from collections.abc import Sequence

import pytest

from chronik.broker.context import NoAnswer, RequestContext
from chronik.broker.handlers import produce
from chronik.records.build import build_batch
from chronik.records.record import Record
from chronik.sim.virtual_time import WALL_START_MS, virtual, wait_until_idle
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import CONSUMER_OFFSETS_TOPIC
from chronik.wire.apis import SUPPORTED, ApiKey
from chronik.wire.messages.produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
)
from tests.support.broker_room import BrokerRoom, batch_of, produce_request
from tests.support.client_session import client_session
from tests.support.held_disk import HeldDisk

PRODUCE = SUPPORTED[ApiKey.PRODUCE]
FIRST_BY_ID = 13
BATCH = batch_of([b"v"])
LOG = "t-0/00000000000000000000.log"
BROKEN = OSError(errno.EIO, "Input/output error")


Answers = list[PartitionProduceResponse]


async def answers(room: BrokerRoom, request: ProduceRequest, version: int = 9) -> Answers:
    response = await room.ask(request, version, ProduceResponse)
    return [answer for topic in response.responses for answer in topic.partition_responses]


def codes(found: Sequence[PartitionProduceResponse]) -> list[ErrorCode]:
    return [ErrorCode(answer.error_code) for answer in found]


async def room_with(topic: str, partitions: int = 1, **configs: str) -> BrokerRoom:
    room = await BrokerRoom().open()
    await room.create(topic, partitions, **configs)
    return room


async def held_room() -> tuple[BrokerRoom, HeldDisk]:
    """Topic `t` with two partitions; what is produced from now on waits for the disk."""
    disk = HeldDisk()
    room = await BrokerRoom(disk).open()
    await room.create("t", partitions=2)
    disk.hold_syncs()
    return room, disk


def context(client_id: str, api_version: int = 9) -> RequestContext:
    return RequestContext(
        api_key=ApiKey.PRODUCE,
        api_version=api_version,
        correlation_id=1,
        client_id=client_id,
        session=client_session(),
    )


# What is answered.


@pytest.mark.parametrize("version", range(PRODUCE.first, PRODUCE.last + 1))
@virtual
async def test_each_version_appends_and_says_where(version: int) -> None:
    room = await room_with("t")
    request = produce_request({("t", 0): batch_of([b"a", b"b"])})
    if version >= FIRST_BY_ID:
        request.topic_data[0].topic_id = room.partition("t").topic_id
    for expected in (0, 2):
        (answer,) = await answers(room, request, version)
        assert answer.error_code == ErrorCode.NONE
        assert (answer.index, answer.base_offset, answer.log_append_time_ms) == (0, expected, -1)
        assert answer.log_start_offset == (0 if version >= 5 else -1)
    assert await room.fetch("t") == (ErrorCode.NONE, [b"a", b"b"] * 2)
    await room.close()


@pytest.mark.parametrize("version", range(3))
@virtual
async def test_versions_that_are_only_advertised_are_refused(version: int) -> None:
    room = await room_with("t")
    (answer,) = await answers(room, produce_request({("t", 0): BATCH}), version)
    assert answer.error_code == ErrorCode.UNSUPPORTED_VERSION
    assert room.partition("t").log.end_offset == 0
    await room.close()


@virtual
async def test_a_partition_that_is_not_there_says_so_and_the_others_go_on() -> None:
    room = await room_with("t")
    wanted = {("t", 0): BATCH, ("t", 1): BATCH, ("absent", 0): BATCH}
    found = await answers(room, produce_request(wanted))
    assert codes(found) == [
        ErrorCode.NONE,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ]
    assert [answer.base_offset for answer in found] == [0, -1, -1]
    await room.close()


@virtual
async def test_an_unknown_topic_id_says_so() -> None:
    room = await room_with("t")
    request = produce_request({("t", 0): BATCH})
    request.topic_data[0].topic_id = b"nobody's topic id"[:16]
    assert codes(await answers(room, request, FIRST_BY_ID)) == [ErrorCode.UNKNOWN_TOPIC_ID]
    await room.close()


@virtual
async def test_acks_have_three_values() -> None:
    room = await room_with("t")
    request = produce_request({("t", 0): BATCH}, acks=2)
    assert codes(await answers(room, request)) == [ErrorCode.INVALID_REQUIRED_ACKS]
    assert room.partition("t").log.end_offset == 0
    await room.close()


@virtual
async def test_a_bad_batch_is_explained() -> None:
    room = await room_with("t")
    (answer,) = await answers(room, produce_request({("t", 0): b""}))
    assert answer.error_code == ErrorCode.INVALID_RECORD
    assert answer.error_message
    # It is no single record's fault.
    assert answer.record_errors == []
    await room.close()


@virtual
async def test_rejected_records_are_named() -> None:
    """KIP-467: what is right can be sent again without them."""
    room = await room_with("t", cleanup_policy="compact")
    data = build_batch([Record(None if index in (1, 3) else b"k", b"v", WALL_START_MS) for index in range(5)])
    (answer,) = await answers(room, produce_request({("t", 0): bytes(data.data)}))
    assert answer.error_code == ErrorCode.INVALID_RECORD
    assert (answer.error_message or "").startswith("One or more records have been rejected due to 2 record")
    assert [(error.batch_index, error.batch_index_error_message) for error in answer.record_errors] == [
        (index, "Compacted topic cannot accept message without key") for index in (1, 3)
    ]
    assert room.partition("t").log.end_offset == 0
    await room.close()


@virtual
async def test_the_brokers_time_is_told_where_it_counts() -> None:
    room = await room_with("t", message_timestamp_type="LogAppendTime")
    (answer,) = await answers(room, produce_request({("t", 0): BATCH}))
    assert answer.log_append_time_ms >= WALL_START_MS
    await room.close()


@virtual
async def test_internal_topics_are_for_the_broker_and_kafkas_own_tools() -> None:
    room = await room_with(CONSUMER_OFFSETS_TOPIC)
    request = produce_request({(CONSUMER_OFFSETS_TOPIC, 0): BATCH})
    assert codes(await answers(room, request)) == [ErrorCode.INVALID_TOPIC_EXCEPTION]
    again = produce_request({(CONSUMER_OFFSETS_TOPIC, 0): BATCH})
    admin = produce.handle(room.broker, context("__admin_client"), again)
    assert isinstance(admin, asyncio.Future)
    assert (await admin).responses[0].partition_responses[0].error_code == ErrorCode.NONE
    await room.close()


@virtual
async def test_a_transaction_nobody_opened_is_refused() -> None:
    room = await room_with("t")
    batch = batch_of([b"v"], producer_id=5, producer_epoch=0, base_sequence=0, is_transactional=True)
    assert codes(await answers(room, produce_request({("t", 0): batch}))) == [ErrorCode.INVALID_TXN_STATE]
    assert room.partition("t").last_stable_offset == room.partition("t").high_watermark == 0
    await room.close()


# Without acknowledgements.


@virtual
async def test_without_acks_there_is_no_answer() -> None:
    room = await room_with("t")
    with pytest.raises(AssertionError, match="no answer"):
        await room.ask(produce_request({("t", 0): BATCH}, acks=0), 9, ProduceResponse)
    await wait_until_idle()
    assert room.partition("t").high_watermark == 1
    await room.close()


@pytest.mark.parametrize(
    ("topic", "version"), [("absent", 9), ("t", 2)], ids=["one partition fails", "the request fails"]
)
@virtual
async def test_without_acks_an_error_ends_the_connection(topic: str, version: int) -> None:
    room = await room_with("t")
    with pytest.raises(NoAnswer):
        await room.ask(produce_request({(topic, 0): BATCH}, acks=0), version, ProduceResponse)
    await room.close()


# When.


@pytest.mark.parametrize("acks", [1, -1])
@virtual
async def test_an_acknowledgement_waits_for_the_disk(acks: int) -> None:
    room, disk = await held_room()
    waiting = asyncio.ensure_future(answers(room, produce_request({("t", 0): BATCH}, acks=acks)))
    await wait_until_idle()
    assert not waiting.done()
    disk.let_go()
    assert codes(await waiting) == [ErrorCode.NONE]
    await room.close()


@virtual
async def test_a_write_cached_topic_is_acknowledged_at_once() -> None:
    room = await room_with("t", write_caching="true")
    request = produce_request({("t", 0): BATCH})
    assert isinstance(produce.handle(room.broker, context("c"), request), ProduceResponse)
    await room.close()


@pytest.mark.parametrize(("timeout_ms", "seconds"), [(0, 1), (-5, 1), (5_000, 5), (2**31 - 1, 300)])
@virtual
async def test_a_producer_waits_as_long_as_it_says_within_reason(timeout_ms: int, seconds: int) -> None:
    room, disk = await held_room()
    loop = asyncio.get_running_loop()
    started = loop.time()
    request = produce_request({("t", 0): BATCH, ("t", 1): BATCH}, timeout_ms=timeout_ms)
    found = await answers(room, request)
    assert codes(found) == [ErrorCode.REQUEST_TIMED_OUT] * 2
    assert [answer.base_offset for answer in found] == [-1, -1]
    assert loop.time() - started == seconds
    disk.let_go()
    await wait_until_idle()
    assert room.partition("t").high_watermark == 1
    await room.close()


@virtual
async def test_what_the_device_did_not_take_is_not_acknowledged() -> None:
    room, disk = await held_room()
    waiting = asyncio.ensure_future(answers(room, produce_request({("t", 0): BATCH, ("t", 1): BATCH})))
    await wait_until_idle()
    disk.fail("sync", LOG, BROKEN)
    disk.let_go()
    found = await waiting
    assert codes(found) == [ErrorCode.KAFKA_STORAGE_ERROR, ErrorCode.NONE]
    assert (found[0].base_offset, found[0].log_start_offset) == (-1, -1)
    # It is a failed log from now on, whatever the device says later.
    disk.heal()
    assert codes(await answers(room, produce_request({("t", 0): BATCH}))) == [ErrorCode.KAFKA_STORAGE_ERROR]
    await room.close()


@virtual
async def test_a_full_disk_refuses_and_room_on_it_is_used_again() -> None:
    room = await room_with("t")
    assert await room.produce("t", b"a") == (ErrorCode.NONE, 0)
    room.disk.fail("write", LOG, OSError(errno.ENOSPC, "No space left on device"))
    assert await room.produce("t", b"b") == (ErrorCode.KAFKA_STORAGE_ERROR, -1)
    assert await room.fetch("t") == (ErrorCode.NONE, [b"a"])
    room.disk.heal()
    assert await room.produce("t", b"c") == (ErrorCode.NONE, 1)
    assert await room.fetch("t") == (ErrorCode.NONE, [b"a", b"c"])
    await room.close()


# Duplicates.


@virtual
async def test_a_retry_is_answered_like_the_first_try_and_not_before_it() -> None:
    room, disk = await held_room()
    batch = batch_of([b"a", b"b"], producer_id=5, producer_epoch=0, base_sequence=0)
    request = produce_request({("t", 0): batch})
    first = asyncio.ensure_future(answers(room, request))
    await wait_until_idle()
    again = asyncio.ensure_future(answers(room, produce_request({("t", 0): batch})))
    await wait_until_idle()
    assert not again.done()
    disk.let_go()
    for waiting in (first, again):
        (answer,) = await waiting
        assert (answer.error_code, answer.base_offset) == (ErrorCode.NONE, 0)
    assert room.partition("t").log.end_offset == 2
    await room.close()


@virtual
async def test_a_retry_on_a_failed_log_is_refused_at_once() -> None:
    room, disk = await held_room()
    batch = batch_of([b"a"], producer_id=5, producer_epoch=0, base_sequence=0)
    first = asyncio.ensure_future(answers(room, produce_request({("t", 0): batch})))
    await wait_until_idle()
    disk.fail("sync", LOG, BROKEN)
    disk.let_go()
    assert codes(await first) == [ErrorCode.KAFKA_STORAGE_ERROR]
    started = asyncio.get_running_loop().time()
    assert codes(await answers(room, produce_request({("t", 0): batch}))) == [ErrorCode.KAFKA_STORAGE_ERROR]
    assert asyncio.get_running_loop().time() == started
    await room.close()


@virtual
async def test_a_gap_in_the_sequence_is_refused() -> None:
    room = await room_with("t")
    for sequence, expected in ((0, ErrorCode.NONE), (2, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)):
        batch = batch_of([b"a"], producer_id=5, producer_epoch=0, base_sequence=sequence)
        assert codes(await answers(room, produce_request({("t", 0): batch}))) == [expected]
    await room.close()


@virtual
async def test_a_partition_named_twice_is_acknowledged_for_what_is_committed_only() -> None:
    room, disk = await held_room()
    old = batch_of([b"a"], producer_id=5, producer_epoch=0, base_sequence=0)
    first_try = asyncio.ensure_future(answers(room, produce_request({("t", 0): old})))
    await wait_until_idle()
    request = produce_request({("t", 0): old})
    request.topic_data[0].partition_data.append(PartitionProduceData(index=0, records=BATCH))
    twice = asyncio.ensure_future(answers(room, request))
    await wait_until_idle()
    disk.let_go()
    await first_try
    assert codes(await twice) == [ErrorCode.NONE, ErrorCode.INVALID_REQUEST]
    assert room.partition("t").log.end_offset == 1
    await room.close()


# Memory.


@virtual
async def test_records_are_let_go_while_the_request_waits() -> None:
    room, disk = await held_room()
    request = produce_request({("t", 0): BATCH, ("absent", 0): BATCH})
    waiting = produce.handle(room.broker, context("c"), request)
    assert isinstance(waiting, asyncio.Future)
    assert [data.records for topic in request.topic_data for data in topic.partition_data] == [None, None]
    disk.let_go()
    await waiting
    await room.close()


@virtual
async def test_requests_are_counted_by_topic_and_failures_where_kafka_counts_them() -> None:
    room = await room_with("t", max_message_bytes="1000")
    traffic = room.partition("t").traffic
    for index, batch in ((0, BATCH), (0, batch_of([bytes(2000)])), (7, BATCH)):
        await answers(room, produce_request({("t", index): batch}))
    # One is too large, and one names a partition that is not there.
    assert (traffic.produces, traffic.failed_produces) == (2, 0)
    for sequence in (0, 2):
        batch = batch_of([b"a"], producer_id=5, producer_epoch=0, base_sequence=sequence)
        await answers(room, produce_request({("t", 0): batch}))
    # A gap.
    assert (traffic.produces, traffic.failed_produces) == (4, 1)
    await room.close()
