"""One partition: who is told of commits and failures, in which order, and who is refused."""

import errno

import pytest

from chronik.broker.gateway import PartitionGateway
from chronik.broker.partition import Partition
from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import Offset
from tests.support.broker_room import BrokerRoom, batch_of
from tests.support.held_disk import HeldDisk

BROKEN = OSError(errno.EIO, "Input/output error")


class Waiter:
    """Writes down what it is told."""

    def __init__(self, name: str, told: list[str]) -> None:
        self._name = name
        self._told = told

    def on_committed(self, partition: PartitionGateway) -> None:
        self._told.append(f"{self._name} committed")

    def on_commit_failed(self, partition: PartitionGateway, code: ErrorCode) -> None:
        self._told.append(f"{self._name} {code.name}")

    def on_progress(self) -> None:
        self._told.append(f"{self._name} progress")


async def stage() -> tuple[Partition, HeldDisk, BrokerRoom]:
    """A partition whose commits wait for the disk to be let go."""
    disk = HeldDisk()
    room = await BrokerRoom(disk).open()
    await room.create("t")
    disk.hold_syncs()
    return room.partition("t"), disk, room


def refusal(partition: Partition, epoch: int = -1) -> ErrorCode:
    with pytest.raises(KafkaError) as refused:
        partition.check_leader(epoch)
    return refused.value.code


@virtual
async def test_commits_are_told_in_the_order_of_the_log_whoever_asked_first() -> None:
    partition, disk, room = await stage()
    told: list[str] = []
    ends = [partition.append(batch_of([b"v"])).end_offset for _ in range(3)]
    for number in (2, 0, 1):
        assert partition.wait_committed(ends[number], Waiter(str(number), told))
    partition.add_fetch_waiter(Waiter("fetch", told))
    assert told == []
    disk.let_go()
    await wait_until_idle()
    assert told == ["0 committed", "1 committed", "2 committed", "fetch progress"]
    assert not partition.wait_committed(ends[2], Waiter("late", told))
    await room.close()


@virtual
async def test_each_is_told_of_its_own_commit() -> None:
    partition, _, room = await stage()
    told: list[str] = []
    for number in range(3):
        partition.wait_committed(partition.append(batch_of([b"v"])).end_offset, Waiter(str(number), told))
    partition.on_commit(Offset(2))
    assert told == ["0 committed", "1 committed"]
    assert partition.high_watermark == 2
    partition.close(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    assert told[2:] == ["2 NOT_LEADER_OR_FOLLOWER"]
    room.disk.kill()


@virtual
async def test_a_failure_is_told_to_all_who_wait() -> None:
    partition, disk, room = await stage()
    told: list[str] = []
    partition.wait_committed(partition.append(batch_of([b"v"])).end_offset, Waiter("produce", told))
    fetch = Waiter("fetch", told)
    partition.add_fetch_waiter(fetch)
    disk.fail("sync", "t-0/00000000000000000000.log", BROKEN)
    disk.let_go()
    await wait_until_idle()
    # Fetches are woken when the leader goes, and again when the log is given up.
    assert told == ["fetch progress", "produce KAFKA_STORAGE_ERROR", "fetch progress"]
    assert refusal(partition) is ErrorCode.KAFKA_STORAGE_ERROR
    assert partition.is_open
    partition.remove_fetch_waiter(fetch)
    partition.remove_fetch_waiter(fetch)
    partition.wake_fetchers()
    assert len(told) == 3
    await room.close()


@pytest.mark.parametrize("code", [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.NOT_LEADER_OR_FOLLOWER])
@virtual
async def test_a_closed_partition_says_why(code: ErrorCode) -> None:
    partition, _, room = await stage()
    partition.close(code)
    assert not partition.is_open
    assert refusal(partition) is code
    for work in (lambda: partition.append(batch_of([b"v"])), partition.check_leader):
        with pytest.raises(KafkaError) as refused:
            work()
        assert refused.value.code is code
    with pytest.raises(KafkaError):
        await partition.delete_records(Offset(0))
    room.disk.kill()


@virtual
async def test_the_epoch_a_client_believes_in_is_checked() -> None:
    partition, disk, room = await stage()
    assert refusal(partition, partition.leader_epoch + 1) is ErrorCode.UNKNOWN_LEADER_EPOCH
    partition.check_leader(partition.leader_epoch)
    partition.check_leader(-1)
    disk.let_go()
    again = await room.start_again()
    assert refusal(again.partition("t"), 0) is ErrorCode.FENCED_LEADER_EPOCH
    await again.close()


@virtual
async def test_records_and_bytes_are_counted_once() -> None:
    partition, _, room = await stage()
    batch = batch_of([b"a", b"b"], producer_id=5, producer_epoch=0, base_sequence=0)
    for _ in range(2):
        assert partition.append(batch).base_offset == 0
    assert (partition.traffic.messages_in, partition.traffic.bytes_in) == (2, len(batch))
    room.disk.kill()


@virtual
async def test_bytes_are_counted_as_they_came() -> None:
    # As Kafka does, whatever the broker makes of them.
    room = await BrokerRoom().open()
    await room.create("t", compression_type="gzip")
    partition = room.partition("t")
    batch = batch_of([b"compressible" * 100])
    partition.append(batch)
    assert partition.log.size < len(batch)
    assert partition.traffic.bytes_in == len(batch)
    await room.close()


@virtual
async def test_nobody_waits_for_removals_when_there_are_none() -> None:
    partition, disk, room = await stage()
    await partition.wait_until_idle()
    disk.let_go()
    await room.produce("t", b"v")
    await partition.delete_records(Offset(1))
    await partition.wait_until_idle()
    await room.close()
