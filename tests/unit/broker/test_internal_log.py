"""Internal topics: appends that are told when they are committed, and replays."""

import asyncio
import errno

import pytest

from chronik.broker.coordinator.log import EndOfTransaction, KeyValues, ProducerStamp
from chronik.broker.internal_log import InternalLog
from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.errors import ErrorCode, KafkaError
from tests.support.broker_room import BrokerRoom
from tests.support.held_disk import HeldDisk
from tests.unit.broker.cluster_stage import ClusterStage

BROKEN = OSError(errno.EIO, "Input/output error")
LOG = "t-0/00000000000000000000.log"


async def stage(disk: HeldDisk | None = None) -> tuple[BrokerRoom, InternalLog]:
    room = await BrokerRoom(disk).open()
    await room.create("t")
    replicas = room.broker.replicas
    return room, InternalLog(lambda index: replicas.replica("t", index), replicas.load, room.clock)


async def read_all(log: InternalLog) -> list[KeyValues]:
    return [batch.records async for batch in log.read(0)]


@virtual
async def test_an_append_is_done_when_it_is_committed() -> None:
    disk = HeldDisk()
    room, log = await stage(disk)
    disk.hold_syncs()
    first, second = (log.append(0, [(b"k", b"%d" % number)]) for number in range(2))
    await wait_until_idle()
    assert not first.done()
    assert list(log.replay(0)) == []
    disk.let_go()
    await first
    await second
    assert list(log.replay(0)) == [[(b"k", b"0")], [(b"k", b"1")]]
    await room.close()


@virtual
async def test_a_failed_append_fails_all_that_come_after_it() -> None:
    room, log = await stage()
    await log.append(0, [(b"k", b"kept")])
    room.disk.fail("sync", LOG, BROKEN)
    lost = log.append(0, [(b"k", b"lost")])
    with pytest.raises(KafkaError) as refused:
        await lost
    assert refused.value.code is ErrorCode.KAFKA_STORAGE_ERROR
    room.disk.heal()
    with pytest.raises(KafkaError):
        log.append(0, [(b"k", b"late")])
    await room.close()


@virtual
async def test_an_append_that_was_not_begun_leaves_the_next_its_chance() -> None:
    room, log = await stage()
    room.disk.fail("write", LOG, OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(KafkaError) as refused:
        log.append(0, [(b"k", b"v")])
    assert refused.value.code is ErrorCode.KAFKA_STORAGE_ERROR
    room.disk.heal()
    await log.append(0, [(b"k", b"w")])
    assert list(log.replay(0)) == [[(b"k", b"w")]]
    await room.close()


@virtual
async def test_a_committed_append_of_a_write_cached_topic_is_done_at_once() -> None:
    room = await BrokerRoom().open()
    await room.create("t", 1, write_caching="true")
    replicas = room.broker.replicas
    log = InternalLog(lambda index: replicas.replica("t", index), replicas.load, room.clock)
    await log.append(0, [(b"k", b"v")])
    await room.close()


@pytest.mark.parametrize("is_cold", [False, True])
@virtual
async def test_both_replays_read_everything_in_order(is_cold: bool) -> None:
    room, log = await stage()
    # More than one read of a replay takes.
    appended: list[KeyValues] = [[(b"%d" % number, b"x" * 300_000), (b"t", None)] for number in range(9)]
    for records in appended:
        await log.append(0, records)
    room.disk.is_cold = is_cold
    assert list(log.replay(0)) == appended
    assert await read_all(log) == appended
    await room.close()


@virtual
async def test_producers_and_ends_of_transactions_are_kept() -> None:
    room, log = await stage()
    committed, aborted = ProducerStamp(7, 2), ProducerStamp(8, 0)
    await log.append(0, [(b"k", b"1")], committed)
    await log.append(0, [(b"k", b"2"), (b"l", None)], aborted)
    await log.append(0, [(b"k", b"3")])
    ends = [EndOfTransaction(committed, True, 5), EndOfTransaction(aborted, False, 6)]
    for end in ends:
        await log.append_marker(0, end)
    read = [batch async for batch in log.read(0)]
    assert [batch.records for batch in read] == [
        [(b"k", b"1")],
        [(b"k", b"2"), (b"l", None)],
        [(b"k", b"3")],
        (),
        (),
    ]
    stamps = [(batch.header.producer_id, batch.header.producer_epoch) for batch in read]
    assert stamps == [committed, aborted, (-1, -1), committed, aborted]
    assert [batch.header.is_transactional for batch in read] == [True, True, False, True, True]
    assert [batch.header.base_offset for batch in read] == [0, 1, 3, 4, 5]
    assert [batch.marker for batch in read] == [None, None, None, *ends]
    # As of any transactions: none is open, one was aborted.
    partition = room.partition("t")
    assert partition.last_stable_offset == partition.high_watermark == 6
    # The metadata's replay sees records only.
    assert list(log.replay(0))[3:] == [(), ()]
    await room.close()


@pytest.mark.parametrize("is_cold", [False, True])
@virtual
async def test_a_log_that_cannot_be_read_says_so(is_cold: bool) -> None:
    room, log = await stage()
    await log.append(0, [(b"k", b"v")])
    room.disk.is_cold = is_cold
    room.disk.fail("read", LOG, BROKEN)
    with pytest.raises(KafkaError) as failed:
        list(log.replay(0))
    assert failed.value.code is ErrorCode.KAFKA_STORAGE_ERROR
    with pytest.raises(KafkaError) as failed:
        await read_all(log)
    assert failed.value.code is ErrorCode.KAFKA_STORAGE_ERROR
    await room.close()


@virtual
async def test_a_topic_that_is_deleted_while_it_is_read_says_so() -> None:
    room, log = await stage()
    for _ in range(9):
        await log.append(0, [(b"k", b"x" * 300_000)])
    replay = log.read(0)
    await anext(replay)
    await room.delete("t")
    with pytest.raises(KafkaError) as gone:
        async for _ in replay:
            pass
    assert gone.value.code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    await room.close()


@virtual
async def test_a_new_leader_reads_when_it_knows_what_was_acknowledged() -> None:
    it = ClusterStage()
    it.create("t")
    log = InternalLog(lambda index: it.replicas.replica("t", index), it.replicas.load, it.clock)
    it.group("t").lead(1)
    for number in range(2):
        log.append(0, [(b"k", b"%d" % number)])
    it.group("t").commit(1)
    it.group("t").lead(2, is_own_term_committed=False)
    reading = asyncio.create_task(read_all(log))
    await wait_until_idle()
    assert not reading.done()
    it.group("t").commit()
    it.group("t").wait_until_idle()
    assert await reading == [[(b"k", b"0")], [(b"k", b"1")]]


@virtual
async def test_who_does_not_lead_reads_nothing() -> None:
    it = ClusterStage()
    it.create("t")
    log = InternalLog(lambda index: it.replicas.replica("t", index), it.replicas.load, it.clock)
    it.group("t").follow(2, 1)
    with pytest.raises(KafkaError) as refused:
        await read_all(log)
    assert refused.value.code is ErrorCode.NOT_LEADER_OR_FOLLOWER


@virtual
async def test_an_append_may_be_committed_by_the_next_leader() -> None:
    it = ClusterStage()
    it.create("t")
    log = InternalLog(lambda index: it.replicas.replica("t", index), it.replicas.load, it.clock)
    it.group("t").lead(1)
    kept, lost = (asyncio.ensure_future(log.append(0, [(b"k", b"v")])) for _ in range(2))
    it.group("t").follow(2, 2)
    await wait_until_idle()
    assert not kept.done()
    it.group("t").truncate(1)
    it.group("t").commit(1)
    await kept
    with pytest.raises(KafkaError) as refused:
        await lost
    assert refused.value.code is ErrorCode.NOT_LEADER_OR_FOLLOWER
