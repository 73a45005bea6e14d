"""Groups behind their service: what is answered when, what a failing log means, and who is sent away."""

import asyncio
import random
from collections.abc import Awaitable, Coroutine
from typing import Any

import pytest

from chronik.broker.coordinator import host
from chronik.broker.coordinator.log import RECORDS_BYTES_MAX
from chronik.broker.coordinator.partitioning import partition_of
from chronik.broker.groups.commands import (
    Command,
    Commit,
    CommitAnswer,
    DeleteGroup,
    FetchOffsets,
    Heartbeat,
    Join,
    JoinAnswer,
    OffsetToCommit,
    Sync,
)
from chronik.broker.groups.config import GroupConfig
from chronik.broker.groups.service import GroupService, check_group_id
from chronik.broker.groups.shard import SERVED_COMMANDS
from chronik.sim.virtual_time import LoopClock, virtual, wait_until_idle
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import LeaderEpoch, Offset, TopicPartition
from chronik.vocab.invariant import InvariantViolation

from .known_topics import KnownTopics, deletion
from .memory_log import MemoryLog, after_ms
from .play import protocols

PARTITIONS = 4
EPOCH = LeaderEpoch(1)
T0 = TopicPartition("t", 0)


def _service(
    log: MemoryLog,
    *,
    leads: bool = True,
    partitions: list[int] | None = None,
    topics: KnownTopics | None = None,
) -> GroupService:
    """`partitions` are what the topic has, each time it is made."""
    counts = iter(partitions or [PARTITIONS])

    async def ensure_topic() -> int:
        return next(counts)

    service = GroupService(
        log=log,
        ensure_topic=ensure_topic,
        clock=LoopClock(),
        randomness=random.Random(1),
        config=GroupConfig(),
        topics=topics or KnownTopics(),
    )
    for partition in range(PARTITIONS if leads else 0):
        service.runtime.on_leader(partition, EPOCH)
    return service


def _commit(offset: int, group_id: str = "g") -> Commit:
    return Commit(group_id, offsets=(OffsetToCommit(partition=T0, offset=offset),))


def _join(name: str, member_id: str = "", session_timeout_ms: int = 10_000) -> Join:
    return Join(
        "g",
        member_id=member_id,
        protocol_type="consumer",
        protocols=protocols("range"),
        session_timeout_ms=session_timeout_ms,
        rebalance_timeout_ms=60_000,
        client_id=name,
        client_host="/127.0.0.1",
        new_member_id=f"{name}-1",
        requires_known_member_id=False,
        can_skip_assignment=True,
    )


def _start(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    return asyncio.get_running_loop().create_task(work)


async def _offset(service: GroupService, group_id: str = "g") -> int | None:
    answer = await service.run(FetchOffsets(group_id, partitions=(T0,)))
    return answer.offsets[T0].offset if answer.offsets else None


async def _code(work: Awaitable[object]) -> ErrorCode:
    with pytest.raises(KafkaError) as raised:
        await work
    return raised.value.code


@virtual
async def test_a_commit_is_answered_when_it_is_committed() -> None:
    log = MemoryLog()
    service = _service(log)
    log.is_held = True
    answer = _start(service.run(_commit(5)))
    await after_ms(1_000)
    assert not answer.done()
    log.commit()
    assert await answer == CommitAnswer(errors=(ErrorCode.NONE,))
    await service.close()


@virtual
async def test_many_commits_are_in_flight_and_each_is_answered_in_its_turn() -> None:
    log = MemoryLog()
    service = _service(log)
    log.is_held = True
    answers = [_start(service.run(_commit(offset))) for offset in range(10)]
    await wait_until_idle()
    assert log.in_flight == 10
    log.commit(3)
    await wait_until_idle()
    assert [answer.done() for answer in answers] == [True] * 3 + [False] * 7
    log.commit()
    await wait_until_idle()
    assert all(answer.done() for answer in answers)
    assert await _offset(service) == 9
    await service.close()


@virtual
async def test_whoever_asks_while_commits_are_in_flight_hears_of_them_when_they_are_durable() -> None:
    log = MemoryLog()
    service = _service(log)
    await service.run(_commit(1))
    log.is_held = True
    commit = _start(service.run(_commit(2)))
    fetch = _start(_offset(service))
    await after_ms(1_000)
    assert not fetch.done()
    log.commit()
    assert (await commit, await fetch) == (CommitAnswer(errors=(ErrorCode.NONE,)), 2)
    await service.close()


@virtual
async def test_a_failed_append_takes_everything_back_that_was_built_on_it() -> None:
    log = MemoryLog()
    service = _service(log)
    await service.run(_commit(1))
    log.is_held = True
    waiting = [_start(service.run(_commit(2))), _start(_offset(service)), _start(service.run(_commit(3)))]
    await wait_until_idle()
    log.fail(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    assert [await _code(work) for work in waiting] == [ErrorCode.NOT_COORDINATOR] * 3
    log.is_held = False
    assert await _offset(service) == 1
    assert log.reads == PARTITIONS + 1
    await service.close()


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.NOT_COORDINATOR),
        (ErrorCode.KAFKA_STORAGE_ERROR, ErrorCode.NOT_COORDINATOR),
        (ErrorCode.NOT_ENOUGH_REPLICAS, ErrorCode.COORDINATOR_NOT_AVAILABLE),
        (ErrorCode.REQUEST_TIMED_OUT, ErrorCode.COORDINATOR_NOT_AVAILABLE),
        (ErrorCode.MESSAGE_TOO_LARGE, ErrorCode.UNKNOWN_SERVER_ERROR),
    ],
)
def test_clients_are_told_what_a_failed_append_means_for_them(failure: ErrorCode, told: ErrorCode) -> None:
    @virtual
    async def run() -> None:
        log = MemoryLog()
        service = _service(log)
        assert await _offset(service) is None
        log.refusal = KafkaError(failure)
        assert await _code(service.run(_commit(1))) is told
        assert await service.run(_commit(2)) == CommitAnswer(errors=(ErrorCode.NONE,))
        await service.close()

    run()


@virtual
async def test_a_failed_append_answers_the_members_that_wait_for_others() -> None:
    log = MemoryLog()
    service = _service(log)
    leader = await service.run(_join("a"))
    follower = _start(service.run(_join("b")))
    await wait_until_idle()
    log.refusal = KafkaError(ErrorCode.KAFKA_STORAGE_ERROR)
    assert await _code(service.run(_commit(1, _other_group_of_partition("g")))) is ErrorCode.NOT_COORDINATOR
    assert await _code(follower) is ErrorCode.NOT_COORDINATOR
    # Nothing of the group was written yet.
    beat = Heartbeat("g", member_id=leader.member_id, generation=leader.generation)
    assert (await service.run(beat)).error is ErrorCode.UNKNOWN_MEMBER_ID
    await service.close()


@virtual
async def test_an_assignment_is_told_when_it_is_committed() -> None:
    log = MemoryLog()
    service = _service(log)
    joined = await service.run(_join("a"))
    log.is_held = True
    sync = Sync("g", member_id=joined.member_id, generation=1, assignments=((joined.member_id, b"all"),))
    synced = _start(service.run(sync))
    beat = _start(service.run(Heartbeat("g", member_id=joined.member_id, generation=1)))
    await after_ms(100)
    assert not synced.done()
    assert not beat.done()
    log.commit()
    assert (await synced).assignment == b"all"
    assert (await beat).error is ErrorCode.NONE
    await service.close()


@virtual
async def test_sessions_end_on_the_loop_s_time() -> None:
    service = _service(MemoryLog())
    joined = await service.run(_join("a", session_timeout_ms=6_000))
    beat = Heartbeat("g", member_id=joined.member_id, generation=1)
    for _ in range(3):
        await after_ms(5_999)
        assert (await service.run(beat)).error is ErrorCode.NONE
    await after_ms(6_001)
    assert service.statistics().groups == {"Empty": 1}
    assert (await service.run(beat)).error is ErrorCode.UNKNOWN_MEMBER_ID
    await service.close()


@virtual
async def test_a_client_that_goes_away_while_it_joins_holds_nobody_up() -> None:
    service = _service(MemoryLog())
    leader = await service.run(_join("a"))
    goes_away = _start(service.run(_join("b")))
    await wait_until_idle()
    goes_away.cancel()
    await wait_until_idle()
    answer = await service.run(_join("a", leader.member_id))
    assert [member.member_id for member in answer.members] == ["a-1"]
    await service.close()


@virtual
async def test_a_node_that_does_not_lead_sends_clients_away() -> None:
    service = _service(MemoryLog(), leads=False)
    assert await _code(service.run(_commit(1))) is ErrorCode.NOT_COORDINATOR
    await service.close()


@virtual
async def test_a_node_that_leads_no_more_sends_the_waiting_away() -> None:
    log = MemoryLog()
    service = _service(log)
    log.is_held = True
    commit = _start(service.run(_commit(1)))
    await wait_until_idle()
    service.runtime.on_follower(partition_of("g", PARTITIONS))
    assert await _code(commit) is ErrorCode.NOT_COORDINATOR
    assert await _code(service.run(_commit(1))) is ErrorCode.NOT_COORDINATOR
    log.commit()
    await service.close()


@virtual
async def test_groups_are_loaded_again_in_each_epoch_led_and_only_then() -> None:
    log = MemoryLog()
    service = _service(log)
    await service.run(_commit(1))
    partition = partition_of("g", PARTITIONS)
    service.runtime.on_leader(partition, EPOCH)
    await wait_until_idle()
    assert log.reads == PARTITIONS
    service.runtime.on_leader(partition, LeaderEpoch(2))
    assert await _offset(service) == 1
    assert log.reads == PARTITIONS + 1
    await service.close()


@virtual
async def test_clients_wait_a_little_for_a_group_that_is_being_loaded() -> None:
    log = MemoryLog()
    log.read_gate.clear()
    service = _service(log)
    patient = _start(service.run(_commit(1)))
    await after_ms(1_900)
    assert not patient.done()
    await after_ms(200)
    assert await _code(patient) is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    assert (await service.list_groups()).error is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    late = _start(service.run(_commit(1)))
    log.read_gate.set()
    assert await late == CommitAnswer(errors=(ErrorCode.NONE,))
    await service.close()


@pytest.mark.parametrize("failure", [KafkaError(ErrorCode.KAFKA_STORAGE_ERROR), OSError("bad sector")])
def test_a_partition_that_cannot_be_read_is_tried_again(failure: KafkaError | OSError) -> None:
    @virtual
    async def run() -> None:
        log = MemoryLog()
        log.read_failure = failure
        service = _service(log, leads=False)
        service.runtime.on_leader(partition_of("g", PARTITIONS), EPOCH)
        # Those who waited for the load, and those who come after it: nothing is answered from a part.
        for _ in range(2):
            assert await _code(service.run(_commit(1))) is ErrorCode.NOT_COORDINATOR
        assert (await service.list_groups()).error is ErrorCode.COORDINATOR_NOT_AVAILABLE
        await after_ms(5_000)
        assert await service.run(_commit(1)) == CommitAnswer(errors=(ErrorCode.NONE,))
        await service.close()

    run()


@virtual
async def test_a_node_that_stops_leading_while_it_loads_sends_the_waiting_away() -> None:
    log = MemoryLog()
    log.read_gate.clear()
    service = _service(log)
    waiting = _start(service.run(_commit(1)))
    await wait_until_idle()
    await service.close()
    assert await _code(waiting) is ErrorCode.NOT_COORDINATOR


@virtual
async def test_a_record_that_cannot_be_read_costs_only_itself() -> None:
    log = MemoryLog()
    service = _service(log)
    await service.run(_commit(1))
    partition = partition_of("g", PARTITIONS)
    log.committed[partition].insert(0, (b"\x00", b"garbage"))
    log.committed[partition].insert(0, (b"\x00\x02\x00\x01h", b"\xff\xff"))
    service.runtime.on_leader(partition, LeaderEpoch(2))
    assert await _offset(service) == 1
    await service.close()


@virtual
async def test_reloading_waits_until_what_is_in_flight_is_settled() -> None:
    log = MemoryLog()
    service = _service(log)
    await service.run(_commit(1))
    log.is_held = True
    first = _start(service.run(_commit(2)))
    await wait_until_idle()
    log.refusal = KafkaError(ErrorCode.NOT_ENOUGH_REPLICAS)
    assert await _code(service.run(_commit(3))) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert await _code(first) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    fetch = _start(_offset(service))
    await wait_until_idle()
    # The first append was never refused: it may still come, and does.
    assert not fetch.done()
    log.commit()
    assert await fetch == 2
    await service.close()


@virtual
async def test_a_broken_invariant_starts_the_shard_over() -> None:
    log = MemoryLog()
    service = _service(log)
    await service.run(_commit(1))
    joined = await service.run(_join("a"))
    waiting = _start(service.run(_join("b")))
    await wait_until_idle()
    service.groups()[0].static_members["ghost"] = joined.member_id
    with pytest.raises(InvariantViolation):
        await service.run(_static_join("ghost"))
    assert await _code(waiting) is ErrorCode.UNKNOWN_SERVER_ERROR
    assert await _offset(service) == 1
    await service.close()


def _static_join(instance_id: str) -> Join:
    return Join(
        "g",
        member_id="",
        instance_id=instance_id,
        protocol_type="consumer",
        protocols=protocols("range"),
        session_timeout_ms=10_000,
        rebalance_timeout_ms=60_000,
        client_id="c",
        client_host="/127.0.0.1",
        new_member_id="ghost-1",
        requires_known_member_id=True,
        can_skip_assignment=True,
    )


@virtual
async def test_requests_that_wait_have_a_bound() -> None:
    log = MemoryLog()
    service = _service(log)
    await service.run(_commit(1))
    log.is_held = True
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(host, "WAITING_MAX", 2)
        waiting = [_start(service.run(_commit(offset))) for offset in range(2)]
        await wait_until_idle()
        assert await _code(service.run(_commit(9))) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    log.commit()
    await asyncio.gather(*waiting)
    await service.close()


@virtual
async def test_what_one_command_writes_is_split_into_batches() -> None:
    log = MemoryLog()
    service = _service(log)
    group_id = "g" * 30_000
    for first in range(0, 60, 30):
        offsets = tuple(
            OffsetToCommit(partition=TopicPartition("t", first + index), offset=1) for index in range(30)
        )
        await service.run(Commit(group_id, offsets=offsets))
    log.batches.clear()
    assert (await service.run(DeleteGroup(group_id))).error is ErrorCode.NONE
    assert [len(batch) for batch in log.batches] == [33, 27]
    assert all(sum(len(key) for key, _ in batch) < RECORDS_BYTES_MAX for batch in log.batches)
    await service.close()


@virtual
async def test_without_its_topic_there_is_no_coordinator() -> None:
    async def ensure_topic() -> int:
        raise KafkaError(ErrorCode.INVALID_REPLICATION_FACTOR)

    service = GroupService(
        log=MemoryLog(),
        ensure_topic=ensure_topic,
        clock=LoopClock(),
        randomness=random.Random(1),
        config=GroupConfig(),
        topics=KnownTopics(),
    )
    assert await _code(service.run(_commit(1))) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert (await service.list_groups()).groups == ()


@virtual
async def test_group_ids_have_a_limit() -> None:
    service = _service(MemoryLog())
    assert await _code(service.run(_commit(1, "g" * 32_768))) is ErrorCode.INVALID_GROUP_ID
    assert await _code(service.run(_commit(1, "ü" * 20_000))) is ErrorCode.INVALID_GROUP_ID
    await service.run(_commit(1, "g" * 32_767))
    await service.run(_commit(1, ""))
    with pytest.raises(KafkaError):
        check_group_id("")
    await service.close()


@virtual
async def test_offsets_of_deleted_topics_are_forgotten_in_all_partitions() -> None:
    topics = KnownTopics()
    service = _service(MemoryLog(), topics=topics)
    groups = [f"g{number}" for number in range(20)]
    for group_id in groups:
        await service.run(_commit(1, group_id))
    topics.delete("t")
    service.runtime.on_metadata(*deletion("t", "u"))
    await wait_until_idle()
    assert [await _offset(service, group_id) for group_id in groups] == [None] * 20
    await after_ms(GroupConfig().expiry_interval_ms)
    assert (await service.list_groups()).groups == ()
    await service.close()


@virtual
async def test_offsets_of_a_topic_made_again_while_nobody_coordinated_are_forgotten() -> None:
    """Its coordinator died: nobody told this one of the deletion."""
    log, topics = MemoryLog(), KnownTopics()
    service = _service(log, topics=topics)
    await service.run(_commit(1))
    partition = partition_of("g", PARTITIONS)
    service.runtime.on_follower(partition)
    topics.delete("t")
    topics.make_again("t")
    service.runtime.on_leader(partition, LeaderEpoch(2))
    assert await _offset(service) is None
    await after_ms(6_000)
    assert log.committed[partition][-1][1] is None
    await after_ms(GroupConfig().expiry_interval_ms)
    assert (await service.list_groups()).groups == ()
    await service.close()


@virtual
async def test_a_log_that_takes_nothing_is_not_loaded_without_end() -> None:
    """Offsets of a deleted topic cannot be removed while the disk is full: every few seconds is enough."""
    log, topics = MemoryLog(), KnownTopics()
    service = _service(log, topics=topics)
    await service.run(_commit(1))
    partition = partition_of("g", PARTITIONS)
    service.runtime.on_follower(partition)
    topics.delete("t")
    service.runtime.on_leader(partition, LeaderEpoch(2))
    await wait_until_idle()
    reads = log.reads
    for _ in range(10):
        log.refusal = KafkaError(ErrorCode.KAFKA_STORAGE_ERROR)
        await after_ms(1_000)
    assert log.reads - reads <= 3
    await service.close()


@virtual
async def test_a_coordinator_waits_for_the_metadata_that_the_one_before_it_knew() -> None:
    """Else it would take a topic that it does not know yet for one that was deleted."""
    log, topics = MemoryLog(), KnownTopics()
    before = _service(log, topics=topics)
    topics.make_again("t")
    await before.run(_commit(7))
    await before.close()
    behind = KnownTopics()
    behind.delete("t")
    behind.move(Offset(10))
    service = _service(log, topics=behind)
    assert await _code(service.run(_commit(1))) is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    await after_ms(30_000)
    assert await _code(service.run(_commit(1))) is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    behind.make_again("t")
    behind.move(topics.metadata_offset)
    await after_ms(10_000)
    assert await _offset(service) == 7
    await service.close()


@virtual
async def test_offsets_of_deleted_topics_are_forgotten_also_when_loading_takes_long() -> None:
    log, topics = MemoryLog(), KnownTopics()
    service = _service(log, topics=topics)
    await service.run(_commit(1))
    log.read_gate.clear()
    service.runtime.on_leader(partition_of("g", PARTITIONS), LeaderEpoch(2))
    topics.delete("t")
    service.runtime.on_metadata(*deletion("t"))
    await after_ms(10_000)
    log.read_gate.set()
    await wait_until_idle()
    assert await _offset(service) is None
    await service.close()


@virtual
async def test_when_the_topic_itself_is_gone_groups_start_from_nothing() -> None:
    log = MemoryLog()
    service = _service(log, partitions=[PARTITIONS, 1])
    await service.run(_commit(1, "hello"))
    assert partition_of("hello", PARTITIONS) != 0
    service.runtime.on_topic_lost()
    assert await _code(service.run(_commit(1, "hello"))) is ErrorCode.NOT_COORDINATOR
    log.committed.clear()
    service.runtime.on_leader(0, LeaderEpoch(1))
    assert await _offset(service, "hello") is None
    await service.close()


@virtual
async def test_members_of_before_have_a_session_timeout_to_be_heard_of() -> None:
    service = _service(MemoryLog())
    joined = await service.run(_join("a", session_timeout_ms=6_000))
    await service.run(Sync("g", member_id=joined.member_id, generation=1))
    await after_ms(5_000)
    service.runtime.on_leader(partition_of("g", PARTITIONS), LeaderEpoch(2))
    await after_ms(5_999)
    assert service.statistics().groups == {"Stable": 1}
    await after_ms(2)
    assert service.statistics().groups == {"Empty": 1}
    await service.close()


@virtual
async def test_statistics_and_listing() -> None:
    service = _service(MemoryLog())
    await service.run(_commit(1, "simple"))
    await service.run(_join("a"))
    statistics = service.statistics()
    assert statistics.partitions_led == PARTITIONS
    assert statistics.partitions_loading == 0
    assert statistics.groups == {"Empty": 1, "CompletingRebalance": 1}
    assert (statistics.members, statistics.offsets) == (1, 1)
    listed = {group.group_id: group.protocol_type for group in (await service.list_groups()).groups}
    assert listed == {"simple": "", "g": "consumer"}
    await service.close()


@virtual
async def test_member_ids_are_a_prefix_and_a_uuid() -> None:
    service = _service(MemoryLog(), leads=False)
    first, second = service.new_member_id("client"), service.new_member_id("client")
    assert first != second
    assert first.startswith("client-")
    assert [len(part) for part in first.removeprefix("client-").split("-")] == [8, 4, 4, 4, 12]
    assert first.removeprefix("client-")[14] == "4"
    assert len(service.new_member_id("c" * 32_000)) < 300


@virtual
async def test_members_in_one_group_meet() -> None:
    service = _service(MemoryLog())
    first = await service.run(_join("a"))
    second = _start(service.run(_join("b")))
    await wait_until_idle()
    again = await service.run(_join("a", first.member_id))
    other: JoinAnswer = await second
    assert (again.generation, other.generation) == (2, 2)
    assert other.leader_id == again.member_id
    await service.close()


def _other_group_of_partition(group_id: str) -> str:
    wanted = partition_of(group_id, PARTITIONS)
    return next(name for name in map(str, range(100)) if partition_of(name, PARTITIONS) == wanted)


def test_every_command_is_served() -> None:
    served = {command.__name__ for command in SERVED_COMMANDS}
    assert served == {command.__name__ for command in Command.__subclasses__()}
