"""`__meta` on one node: what it applies, snapshots, and whom it tells."""

import asyncio
import logging

import pytest

from chronik.cluster.image_draft import apply_records
from chronik.cluster.metadata.brokers import BrokerFenced
from chronik.cluster.metadata.topics import CreateTopic, DeleteTopic, TopicCreated, TopicImage
from chronik.cluster.record_codec import encode
from chronik.cluster.snapshot import encode_snapshot
from chronik.node.metadata_partition import METADATA_GROUP, MetadataPartition
from chronik.node.metadata_snapshots import MetadataSnapshots
from chronik.node.partition_directories import METADATA_DIRECTORY
from chronik.raft.state_store import STATE_FILE
from chronik.sim.agreement import runtime_of
from chronik.sim.cluster import NODES, SimCluster, SimNode
from chronik.sim.disk import CrashDisk
from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NodeId, Offset, TopicId
from chronik.vocab.invariant import InvariantViolation
from tests.support.broker_room import BrokerRoom

BROKEN = OSError("broken")
NEW = TopicId(b"n" * 16)
FAR = Offset(1_000_000)


def metadata_of(node: SimNode) -> MetadataPartition:
    return node.local.metadata_partition


def controller(room: SimCluster) -> SimNode:
    (leader,) = [node for node in room.nodes.values() if metadata_of(node).partition.is_leader]
    return leader


def snapshots(room: BrokerRoom) -> list[str]:
    return [name for name in room.disk.list(METADATA_DIRECTORY) if name.endswith(".checkpoint")]


def snapshot_with_a_topic(room: BrokerRoom) -> bytes:
    image, _ = apply_records(room.broker.metadata.image, [TopicCreated(name="new", topic_id=NEW)])
    return encode_snapshot(image, FAR)


async def until(is_so: object, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not is_so():  # type: ignore[operator]
            await asyncio.sleep(0.01)


@virtual
async def test_a_snapshot_of_the_leader_is_kept_and_told() -> None:
    room = await BrokerRoom().open()
    partition, told = room.local.metadata_partition, list[TopicImage]()
    room.broker.metadata.subscribe(lambda delta, image: told.extend(delta.topics_created))
    partition.on_restart(Offset(500), snapshot_with_a_topic(room))
    assert [topic.name for topic in told] == ["new"]
    assert snapshots(room) == ["00000000000000000500-0000000000.checkpoint"]
    assert partition.snapshot()[0] == FAR
    await room.close()


@virtual
async def test_a_snapshot_that_comes_in_a_pause_is_told_after_it() -> None:
    room = await BrokerRoom().open()
    partition, told = room.local.metadata_partition, list[TopicImage]()
    room.broker.metadata.subscribe(lambda delta, image: told.extend(delta.topics_created))
    snapshot = snapshot_with_a_topic(room)
    partition.pause()
    partition.on_restart(Offset(500), snapshot)
    assert told == []
    assert snapshots(room) == ["00000000000000000500-0000000000.checkpoint"]
    # Others that lack records are not given the image from before: the log begins behind it.
    assert partition.snapshot() == (500, snapshot)
    partition.resume()
    assert [topic.name for topic in told] == ["new"]
    partition.resume()
    assert len(told) == 1
    await room.close()


@virtual
async def test_a_snapshot_that_came_damaged_is_not_kept() -> None:
    room = await BrokerRoom().open()
    damaged = bytearray(snapshot_with_a_topic(room))
    damaged[-1] ^= 1
    with pytest.raises(OSError, match="cannot be read"):
        room.local.metadata_partition.on_restart(Offset(500), bytes(damaged))
    assert snapshots(room) == []
    assert "new" not in room.broker.metadata.image.topics
    await room.close()


@virtual
async def test_a_log_that_lacks_what_is_committed_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not looked through again and again, by a node that does nothing else any more."""
    room = await BrokerRoom().open()
    partition = room.local.metadata_partition
    end = partition.partition.log.end_offset
    monkeypatch.setattr(partition.partition, "high_watermark", Offset(end + 1))
    with pytest.raises(InvariantViolation, match="nothing to read"):
        list(partition.read(Offset(0)))
    monkeypatch.undo()
    await room.close()


@virtual
async def test_in_a_pause_nothing_is_applied_nor_decided() -> None:
    room = await SimCluster().open()
    node = controller(room)
    partition = metadata_of(node)
    assert partition.can_decide
    partition.pause()
    assert not partition.can_decide
    key, value = encode(BrokerFenced(node=NodeId(3)))
    await node.do(partition.append([(key, value)]))
    assert node.broker.metadata.image.fenced == frozenset()
    await node.do(resumed(partition))
    assert node.broker.metadata.image.fenced == {3}
    assert partition.can_decide
    await room.close()


async def resumed(partition: MetadataPartition) -> None:
    partition.resume()


@virtual
async def test_a_node_that_was_away_takes_over_a_snapshot_and_opens_what_is_in_it() -> None:
    room = await SimCluster(metadata_log_max_record_bytes_between_snapshots="2048").open()
    away = next(node for node in NODES if node != controller(room).node)
    await room.stop(away)
    node = controller(room)
    for number in range(12):
        created = CreateTopic(name=f"t{number}", partitions=1, replication_factor=2)
        await node.do(node.broker.metadata.submit(created))
    for _ in range(40):
        await node.do(node.broker.metadata.submit(CreateTopic(name="gone", partitions=1)))
        await node.do(node.broker.metadata.submit(DeleteTopic(name="gone")))
    log = metadata_of(node).partition.log
    await until(lambda: log.first_offset > 50)
    # Terms that no record is left of are forgotten, too.
    state = runtime_of(node).member.store.get(METADATA_GROUP)
    assert state is not None
    assert state.markers.base.offset > 0
    returned = await room.open_node(away)
    await until(lambda: returned.broker.metadata.snapshot() == node.broker.metadata.snapshot())
    assert metadata_of(returned).partition.log.start_offset > 0
    assert sorted(returned.broker.metadata.image.topics) == sorted(f"t{number}" for number in range(12))
    # And it takes its own when there is enough that is new.
    for number in range(12):
        await node.do(node.broker.metadata.submit(CreateTopic(name=f"u{number}", partitions=1)))
    await until(lambda: returned.broker.metadata.snapshot() == node.broker.metadata.snapshot())
    assert metadata_of(returned).failure is None
    await room.close()


@virtual
async def test_what_restarted_behind_a_snapshot_takes_none_of_its_own_before_it_has_read_more() -> None:
    room = await BrokerRoom().open()
    partition = room.local.metadata_partition
    partition._bytes_since_snapshot = 1 << 40
    partition.on_restart(Offset(500), snapshot_with_a_topic(room))
    partition.on_progress()
    assert snapshots(room) == ["00000000000000000500-0000000000.checkpoint"]
    await room.close()


@virtual
async def test_an_append_whose_node_leads_no_more_ends() -> None:
    room = await SimCluster().open()
    node = controller(room)
    room.network.isolate(node.node)
    key, value = encode(BrokerFenced(node=NodeId(3)))
    with pytest.raises(KafkaError) as ended:
        await node.do(metadata_of(node).append([(key, value)]))
    assert ended.value.code is ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert not metadata_of(node).can_decide
    room.network.heal_all()
    await room.close()


@virtual
async def test_whoever_waits_for_another_leader_goes_on_when_there_is_one_or_in_time() -> None:
    room = await SimCluster().open()
    node = controller(room)
    partition, loop = metadata_of(node), asyncio.get_running_loop()
    started = loop.time()
    await partition.wait_not_leader(started + 0.5)
    assert loop.time() == pytest.approx(started + 0.5, abs=0.01)
    assert partition.partition.is_leader
    waiting = asyncio.ensure_future(partition.wait_not_leader(started + 20))
    await wait_until_idle()
    other = next(one for one in NODES if one != node.node)
    partition.partition.group.transfer(other)
    await waiting
    assert not partition.partition.is_leader
    assert loop.time() < started + 2
    await partition.wait_not_leader(started + 20)
    assert loop.time() < started + 2
    await room.close()


@virtual
async def test_a_failed_log_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    room = await SimCluster().open()
    node = controller(room)
    group = runtime_of(node).host.group(METADATA_GROUP)
    assert group is not None
    group.fail(BROKEN)
    await wait_until_idle()
    partition = metadata_of(node)
    assert partition.failure is BROKEN
    assert not partition.can_decide
    assert "metadata log failed; this node takes no metadata change until a restart" in caplog.text
    await until(lambda: any(metadata_of(other).can_decide for other in room.nodes.values()))
    await room.close()


@virtual
async def test_records_that_cannot_be_removed_are_tried_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = await BrokerRoom().open()
    partition = room.local.metadata_partition
    await room.create("t")

    async def failing() -> None:
        raise BROKEN

    with monkeypatch.context() as patched:
        patched.setattr(partition.partition.log, "tidy", failing)
        partition.take_snapshot()
        await wait_until_idle()
    assert "could not remove old metadata records; the next snapshot tries again" in caplog.text
    await room.create("u")
    partition.take_snapshot()
    await wait_until_idle()
    assert partition.partition.log.first_offset > 0
    await room.close()


@virtual
async def test_a_store_that_takes_nothing_keeps_old_markers(caplog: pytest.LogCaptureFixture) -> None:
    room = await SimCluster().open()
    node = controller(room)
    metadata_of(node).take_snapshot()
    # With it the old segment becomes durable, and may go.
    await node.do(node.broker.metadata.submit(CreateTopic(name="t")))
    await asyncio.sleep(1)
    for suffix in (STATE_FILE, f"{STATE_FILE}.tmp"):
        node.disk.fail("write", suffix, BROKEN)
    metadata_of(node).take_snapshot()
    await asyncio.sleep(0.1)
    assert "could not remove old metadata records; the next snapshot tries again" in caplog.text
    await room.close()


@virtual
async def test_a_snapshot_that_cannot_be_written_is_taken_later(caplog: pytest.LogCaptureFixture) -> None:
    room = await BrokerRoom(metadata_log_max_record_bytes_between_snapshots="2048").open()
    room.disk.fail("create", ".checkpoint.tmp", BROKEN)
    for number in range(30):
        await room.create(f"t{number}")
    assert snapshots(room) == []
    assert "could not write a metadata snapshot; the next one is tried later" in caplog.text
    room.disk.heal()
    for number in range(30, 60):
        await room.create(f"t{number}")
    assert len(snapshots(room)) == 1
    again = await room.restart()
    assert len(again.broker.metadata.image.topics) == 60
    await again.close()


@virtual
async def test_deleted_topics_are_known_as_far_back_as_the_log_goes() -> None:
    room = await BrokerRoom().open()
    await room.create("t")
    topic_id = room.broker.metadata.image.topics["t"].topic_id
    await room.delete("t")
    partition = room.local.metadata_partition
    room.disk.is_cold = True
    assert partition.deleted_topics() == {topic_id}
    room.disk.fail("read", ".log", BROKEN)
    with pytest.raises(KafkaError) as unreadable:
        partition.deleted_topics()
    assert unreadable.value.code is ErrorCode.KAFKA_STORAGE_ERROR
    room.disk.heal()
    await room.close()


@virtual
async def test_while_it_is_not_open_nobody_leads_and_nothing_is_there() -> None:
    room = await BrokerRoom().open()
    partition = room.local.metadata_partition
    assert partition.can_decide
    assert partition.leader == 1
    await room.close()
    closed = room.local.metadata_partition
    assert (closed.can_decide, closed.leader, closed.high_watermark) == (False, None, Offset(0))
    with pytest.raises(KafkaError):
        _ = partition.partition
    assert not await partition.close()
    partition.on_progress()


@virtual
async def test_before_it_is_opened_it_has_nobody_to_tell() -> None:
    room = await BrokerRoom().open()
    unopened = MetadataPartition(
        room.local._partitions, room.broker.replicas, MetadataSnapshots(CrashDisk()), room.clock, 1
    )
    unopened.on_own_term_committed()
    unopened.on_append_failed()
    unopened.on_progress()
    assert unopened.leader is None
    await room.close()


@virtual
async def test_it_closes_when_old_records_are_removed() -> None:
    room = await BrokerRoom().open()
    await room.create("t")
    room.local.metadata_partition.take_snapshot()
    await room.close()
    assert room.disk.list(METADATA_DIRECTORY)
    again = await BrokerRoom(room.disk).open()
    assert "t" in again.broker.metadata.image.topics
    await again.close()


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "chronik")
