"""The group of one: when it commits, what it does when the disk fails."""

import asyncio
import errno
from collections.abc import Awaitable, Callable

import pytest

from chronik.log.config import LogConfig
from chronik.log.partition_log import PartitionLog
from chronik.raft.solo import FlushPolicy, SoloGroup
from chronik.raft.syncer import Syncer
from chronik.records.batch import Batch
from chronik.records.build import build_batch
from chronik.records.record import Record
from chronik.sim.disk import CrashDisk
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import LeaderEpoch, NodeId
from tests.support.manual_clock import ManualClock

CACHING = FlushPolicy(bytes_max=1_000_000, interval_ms=1_000_000)


class Listener:
    """Remembers what the group said."""

    def __init__(self) -> None:
        self.commits: list[int] = []
        self.failures: list[OSError] = []

    def on_commit(self, high_watermark: int) -> None:
        self.commits.append(high_watermark)

    def on_failure(self, error: OSError) -> None:
        self.failures.append(error)

    def on_truncated(self, end_offset: int) -> None:
        raise AssertionError("a group of one truncates nothing")

    def on_leadership(self) -> None:
        raise AssertionError("nobody else can lead")

    def on_own_term_committed(self) -> None:
        raise AssertionError("it was settled before it had a listener")


class Scene:
    """One group on a disk that can fail."""

    def __init__(self, write_caching: FlushPolicy | None) -> None:
        self.disk = CrashDisk()
        self.log = PartitionLog.open("t-0", self.disk, LogConfig(), ManualClock(), was_clean=False)
        self.syncer = Syncer(self.disk)
        self.group = SoloGroup(
            self.log, self.syncer, LeaderEpoch(3), node=NodeId(1), write_caching=write_caching
        )
        self.listener = Listener()
        self.group.listen(self.listener)


def batch(count: int = 1) -> Batch:
    return build_batch([Record(key=None, value=b"v", timestamp=1) for _ in range(count)])


def play(scene: Callable[[Scene], Awaitable[None]], write_caching: FlushPolicy | None = None) -> None:
    async def run() -> None:
        await scene(Scene(write_caching))

    asyncio.run(run())


def test_a_commit_comes_after_the_sync_and_never_inside_propose() -> None:
    async def scene(it: Scene) -> None:
        result = it.group.propose([batch(3)])
        assert (result.base_offset, result.end_offset) == (0, 3)
        assert it.group.high_watermark == 0
        assert it.listener.commits == []
        await it.syncer.drain()
        assert it.listener.commits == [3]
        assert it.group.high_watermark == 3
        assert it.log.synced_offset == 3

    play(scene)


def test_write_caching_commits_from_memory_and_tells_once() -> None:
    async def scene(it: Scene) -> None:
        it.group.propose([batch()])
        it.group.propose([batch()])
        assert it.group.high_watermark == 2
        assert it.listener.commits == []
        await asyncio.sleep(0)
        assert it.listener.commits == [2]
        assert it.log.synced_offset == 0
        it.group.close()

    play(scene, CACHING)


def test_write_caching_syncs_once_enough_bytes_wait() -> None:
    async def scene(it: Scene) -> None:
        it.group.propose([batch()])
        await it.syncer.drain()
        assert it.log.synced_offset == 1
        it.group.close()

    play(scene, FlushPolicy(bytes_max=1, interval_ms=1_000_000))


def test_write_caching_syncs_once_its_time_has_come() -> None:
    async def scene(it: Scene) -> None:
        it.group.propose([batch()])
        # The timer is due at once; the loop runs it in its next turn.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await it.syncer.drain()
        assert it.log.synced_offset == 1

    play(scene, FlushPolicy(bytes_max=1_000_000, interval_ms=0))


def test_turning_write_caching_off_makes_the_next_append_wait() -> None:
    async def scene(it: Scene) -> None:
        it.group.propose([batch()])
        it.group.set_write_caching(None)
        await it.syncer.drain()
        assert it.log.synced_offset == 1
        it.group.propose([batch()])
        assert it.group.high_watermark == 1
        await it.syncer.drain()
        assert it.group.high_watermark == 2

    play(scene, CACHING)


def test_a_failed_sync_ends_the_group_and_is_never_tried_again() -> None:
    async def scene(it: Scene) -> None:
        it.disk.fail("sync", ".log", OSError(errno.EIO, "Input/output error"))
        it.group.propose([batch()])
        await it.syncer.drain()
        assert it.listener.commits == []
        assert len(it.listener.failures) == 1
        assert not it.group.is_leader
        it.disk.heal()
        with pytest.raises(KafkaError) as refused:
            it.group.propose([batch()])
        assert refused.value.code is ErrorCode.KAFKA_STORAGE_ERROR
        assert it.syncer.statistics().rounds == 1

    play(scene)


def test_a_log_that_breaks_inside_propose_is_told_of_after_it() -> None:
    async def scene(it: Scene) -> None:
        # The write fails, and so does the attempt to take back what arrived of it.
        it.disk.fail("write", ".log", OSError(errno.EIO, "Input/output error"))
        it.disk.fail("truncate", ".log", OSError(errno.EIO, "Input/output error"))
        with pytest.raises(KafkaError) as refused:
            it.group.propose([batch()])
        assert refused.value.code is ErrorCode.KAFKA_STORAGE_ERROR
        assert not it.group.is_leader
        assert it.group.refusal().code is ErrorCode.KAFKA_STORAGE_ERROR
        assert it.listener.failures == []
        await asyncio.sleep(0)
        assert len(it.listener.failures) == 1

    play(scene)


def test_a_group_closed_before_it_told_a_commit_or_a_failure_tells_neither() -> None:
    async def scene(it: Scene) -> None:
        it.group.propose([batch()])
        it.group.on_sync_failed(OSError(errno.EIO, "Input/output error"))
        it.group.close()
        await asyncio.sleep(0)
        assert it.listener.commits == []
        assert it.listener.failures == []

    play(scene, CACHING)


def test_a_full_disk_refuses_the_append_and_lets_the_next_one_pass() -> None:
    async def scene(it: Scene) -> None:
        it.disk.fail("write", ".log", OSError(errno.ENOSPC, "No space left on device"))
        with pytest.raises(KafkaError) as refused:
            it.group.propose([batch()])
        assert refused.value.code is ErrorCode.KAFKA_STORAGE_ERROR
        assert it.group.is_leader
        it.disk.heal()
        assert it.group.propose([batch()]).base_offset == 0
        await it.syncer.drain()
        assert it.listener.commits == [1]

    play(scene)


def test_what_recovery_found_is_committed() -> None:
    async def scene(it: Scene) -> None:
        it.group.propose([batch(5)])
        await it.syncer.drain()
        again = PartitionLog.open("t-0", it.disk, LogConfig(), ManualClock(), was_clean=False)
        group = SoloGroup(again, it.syncer, LeaderEpoch(4), node=NodeId(1), write_caching=None)
        assert group.high_watermark == 5
        assert group.leader_epoch == 4

    play(scene)


def test_a_full_disk_during_the_checkpoint_does_not_hold_a_commit_back() -> None:
    async def scene(it: Scene) -> None:
        it.log.config = LogConfig(segment_bytes=100)
        it.group.propose([batch()])
        it.group.propose([batch()])
        it.disk.fail("write", "checkpoint", OSError(errno.ENOSPC, "No space left on device"))
        it.disk.fail("write", "checkpoint.tmp", OSError(errno.ENOSPC, "No space left on device"))
        await it.syncer.drain()
        assert it.listener.commits == [2]

    play(scene)


def test_a_group_closed_during_a_sync_hears_no_more_of_it() -> None:
    async def scene(it: Scene) -> None:
        it.group.propose([batch()])
        files, end_offset = it.group.files_to_sync()
        assert files
        it.group.close()
        it.log.delete()
        it.group.on_synced(end_offset)
        it.group.on_sync_failed(OSError(errno.EIO, "Input/output error"))
        assert it.listener.commits == []
        assert it.listener.failures == []

    play(scene)


def test_it_is_its_only_replica() -> None:
    async def scene(it: Scene) -> None:
        assert it.group.is_own_term_committed
        assert it.group.known_leader == NodeId(1)
        assert it.group.lagging() == frozenset()
        it.group.propose([batch(2)])
        (replica,) = it.group.replicas()
        assert (replica.node, replica.is_voter, replica.end_offset) == (NodeId(1), True, 2)
        with pytest.raises(KafkaError) as refused:
            it.group.transfer(NodeId(2))
        assert refused.value.code is ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE

    play(scene)


def test_one_whose_log_failed_leads_nothing() -> None:
    async def scene(it: Scene) -> None:
        it.group.on_sync_failed(OSError(errno.EIO, "Input/output error"))
        assert not it.group.is_own_term_committed
        assert it.group.known_leader is None
        assert it.group.replicas() == ()
        with pytest.raises(KafkaError) as refused:
            it.group.transfer(NodeId(2))
        assert refused.value.code is ErrorCode.KAFKA_STORAGE_ERROR

    play(scene)
