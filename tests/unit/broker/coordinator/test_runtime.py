"""A runtime of toy shards: what is answered when, what a failed append means, and who is sent away."""

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any

import pytest

from chronik.broker.coordinator import host
from chronik.broker.coordinator.host import CoordinatorState
from chronik.broker.coordinator.log import ProducerStamp
from chronik.broker.coordinator.registry import Coordinators
from chronik.cluster.image import ClusterDelta, ClusterImage
from chronik.cluster.metadata.topics import TopicChanges, TopicImage, Topics
from chronik.cluster.shared_map import SharedMap
from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import LeaderEpoch, TopicId
from chronik.vocab.invariant import InvariantViolation

from .held_log import HeldLog
from .toy import (
    TOPIC,
    Add,
    AddInTransaction,
    Ask,
    Break,
    End,
    Peek,
    Read,
    Release,
    Remind,
    Toys,
    Wait,
    key_of,
)

EPOCH = LeaderEpoch(1)
P = ProducerStamp(7, 2)


def start(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    return asyncio.get_running_loop().create_task(work)


async def code(work: Awaitable[object]) -> ErrorCode:
    with pytest.raises(KafkaError) as raised:
        await work
    return raised.value.code


async def leading(log: HeldLog, *, partitions: int = 1) -> Toys:
    toys = Toys(log)
    for partition in range(partitions):
        toys.runtime.on_leader(partition, EPOCH)
    await wait_until_idle()
    return toys


def topic(name: str) -> TopicImage:
    return TopicImage(name=name, topic_id=TopicId(name.encode().ljust(16)), partitions=())


def change(*, deleted: str = "", left: tuple[str, ...] = ()) -> tuple[ClusterDelta, ClusterImage]:
    topics = SharedMap[str, TopicImage]().edit()
    for name in left:
        topics[name] = topic(name)
    delta = ClusterDelta.made_of(TopicChanges(topics_deleted=(topic(deleted),) if deleted else ()))
    return delta, ClusterImage.made_of(Topics(by_name=topics.finish()))


# Append, commit, answer.


@virtual
async def test_what_is_written_is_answered_when_it_is_committed_in_the_order_of_the_log() -> None:
    log = HeldLog()
    toys = await leading(log)
    log.is_held = True
    answers = [start(toys.runtime.run(0, Add("a"))) for _ in range(3)]
    await wait_until_idle()
    assert log.in_flight == 3
    for committed in range(1, 4):
        log.commit(1)
        await wait_until_idle()
        assert [answer.done() for answer in answers] == [True] * committed + [False] * (3 - committed)
    assert [answer.result() for answer in answers] == [1, 2, 3]
    await toys.runtime.close()


@virtual
async def test_a_read_waits_for_what_was_written_before_it_though_it_writes_nothing() -> None:
    log = HeldLog()
    toys = await leading(log)
    log.is_held = True
    add, read = start(toys.runtime.run(0, Add("a"))), start(toys.runtime.run(0, Read("a")))
    await asyncio.sleep(1)
    assert not read.done()
    log.commit()
    assert (await add, await read) == (1, 1)
    await toys.runtime.close()


@virtual
async def test_a_read_of_what_is_committed_is_answered_at_once() -> None:
    log = HeldLog()
    toys = await leading(log)
    await toys.runtime.run(0, Add("a"))
    log.is_held = True
    add = start(toys.runtime.run(0, Add("a")))
    await wait_until_idle()
    # The shard knows by a command that was handed back after the commit.
    assert await toys.runtime.run(0, Peek("a")) == 1
    log.commit()
    await add
    assert await toys.runtime.run(0, Peek("a")) == 2
    await toys.runtime.close()


@virtual
async def test_effects_are_carried_out_after_the_commit() -> None:
    log = HeldLog()
    toys = await leading(log)
    log.is_held = True
    asked = start(toys.runtime.run(0, Ask("a")))
    await wait_until_idle()
    assert toys.effects == []
    log.commit()
    await asked
    assert toys.effects == [(0, "asked a")]
    await toys.runtime.close()


@virtual
async def test_an_effect_of_what_was_never_committed_is_not_carried_out() -> None:
    log = HeldLog()
    toys = await leading(log)
    log.is_held = True
    asked = start(toys.runtime.run(0, Ask("a")))
    await wait_until_idle()
    log.fail()
    assert await code(asked) is ErrorCode.NOT_COORDINATOR
    assert toys.effects == []
    await toys.runtime.close()


@virtual
async def test_an_answer_may_wait_for_a_later_command() -> None:
    log = HeldLog()
    toys = await leading(log)
    waiting = [start(toys.runtime.run(0, Wait("a"))) for _ in range(2)]
    await asyncio.sleep(100)
    assert not any(answer.done() for answer in waiting)
    log.is_held = True
    add, release = start(toys.runtime.run(0, Add("a"))), start(toys.runtime.run(0, Release("a")))
    await wait_until_idle()
    # They were released; what they are told is not committed yet.
    assert not any(answer.done() for answer in waiting)
    log.commit()
    assert [await answer for answer in (*waiting, add, release)] == [1, 1, 1, 1]
    await toys.runtime.close()


@virtual
async def test_a_client_that_is_gone_is_not_waited_for() -> None:
    toys = await leading(HeldLog())
    gone, stays = (start(toys.runtime.run(0, Wait("a"))) for _ in range(2))
    await wait_until_idle()
    gone.cancel()
    await wait_until_idle()
    assert toys.made[0].told[-1] == "abandoned"
    assert len(toys.made[0].waiting["a"]) == 1
    await toys.runtime.run(0, Release("a"))
    assert await stays == 0
    await toys.runtime.close()


@virtual
async def test_transactions_and_their_ends_reach_the_log() -> None:
    log = HeldLog()
    toys = await leading(log)
    await toys.runtime.run(0, AddInTransaction("a", P, 5))
    assert await toys.runtime.run(0, Read("a")) == 0
    assert await toys.runtime.run(0, End(P)) == 1
    assert await toys.runtime.run(0, Read("a")) == 5
    records, marker = log.committed[0]
    assert records.header.is_transactional
    assert (records.header.producer_id, records.header.producer_epoch) == P
    assert marker.header.is_control
    assert marker.marker is not None
    assert (marker.marker.producer, marker.marker.coordinator_epoch) == (P, EPOCH)
    await toys.runtime.close()


@virtual
async def test_commands_that_wait_have_a_bound() -> None:
    toys = await leading(HeldLog())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(host, "WAITING_MAX", 2)
        waiting = [start(toys.runtime.run(0, Wait("a"))) for _ in range(2)]
        await wait_until_idle()
        assert await code(toys.runtime.run(0, Read("a"))) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    await toys.runtime.run(0, Release("a"))
    await asyncio.gather(*waiting)
    await toys.runtime.close()


# Failures.


@virtual
async def test_a_leader_that_loses_its_term_forgets_what_was_not_committed() -> None:
    log = HeldLog()
    toys = await leading(log)
    await toys.runtime.run(0, Add("a"))
    log.is_held = True
    adds = [start(toys.runtime.run(0, Add("a"))) for _ in range(3)]
    waiting = start(toys.runtime.run(0, Wait("a")))
    await wait_until_idle()
    # The next leader has the first of them.
    toys.runtime.on_follower(0)
    assert [await code(work) for work in (*adds, waiting)] == [ErrorCode.NOT_COORDINATOR] * 4
    assert await code(_run(toys, Read("a"))) is ErrorCode.NOT_COORDINATOR
    log.commit(1)
    log.fail()
    log.is_held = False
    toys.runtime.on_leader(0, LeaderEpoch(3))
    assert await toys.runtime.run(0, Read("a")) == 2
    assert toys.made[-1].epoch == 3
    await toys.runtime.close()


async def _run(toys: Toys, command: Read | Add) -> int:
    """`run` may raise at once."""
    return await toys.runtime.run(0, command)


@virtual
async def test_an_append_that_is_refused_is_taken_back_with_all_that_was_built_on_it() -> None:
    log = HeldLog()
    toys = await leading(log)
    await toys.runtime.run(0, Add("a"))
    waiting = start(toys.runtime.run(0, Wait("a")))
    await wait_until_idle()
    log.refusal = KafkaError(ErrorCode.KAFKA_STORAGE_ERROR)
    assert await code(toys.runtime.run(0, Add("a"))) is ErrorCode.NOT_COORDINATOR
    assert await code(waiting) is ErrorCode.NOT_COORDINATOR
    assert await toys.runtime.run(0, Read("a")) == 1
    assert len(toys.made) == 2
    await toys.runtime.close()


@virtual
async def test_it_is_loaded_again_when_it_is_known_what_became_of_each_append() -> None:
    log = HeldLog()
    toys = await leading(log)
    log.is_held = True
    first = start(toys.runtime.run(0, Add("a")))
    await wait_until_idle()
    log.refusal = KafkaError(ErrorCode.NOT_ENOUGH_REPLICAS)
    assert await code(toys.runtime.run(0, Add("a"))) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert await code(first) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    read = start(toys.runtime.run(0, Read("a")))
    await asyncio.sleep(1)
    assert log.reads == 1
    # The first was not refused: it may still be committed, and is.
    log.commit()
    assert await read == 1
    await toys.runtime.close()


@virtual
async def test_answers_of_what_was_committed_before_the_failure_are_given() -> None:
    log = HeldLog()
    toys = await leading(log)
    log.is_held = True
    kept, lost = (start(toys.runtime.run(0, Add("a"))) for _ in range(2))
    await wait_until_idle()
    log.commit(1)
    log.fail()
    assert await kept == 1
    assert await code(lost) is ErrorCode.NOT_COORDINATOR
    await toys.runtime.close()


@virtual
async def test_a_defect_in_a_command_starts_the_shard_over() -> None:
    toys = await leading(HeldLog())
    await toys.runtime.run(0, Add("a"))
    with pytest.raises(InvariantViolation):
        await toys.runtime.run(0, Break("a"))
    assert await toys.runtime.run(0, Read("a")) == 1
    assert await toys.runtime.run(0, Read("broken")) == 0
    await toys.runtime.close()


@pytest.mark.parametrize("where", ["timer", "metadata"])
def test_a_defect_in_a_turn_nobody_waits_for_is_reported_and_starts_the_shard_over(where: str) -> None:
    @virtual
    async def run() -> None:
        reported: list[object] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: reported.append(context["exception"]))
        toys = await leading(HeldLog())
        await toys.runtime.run(0, Add("a"))
        waiting = start(toys.runtime.run(0, Wait("a")))
        if where == "timer":
            await toys.runtime.run(0, Remind("broken", 10))
        else:
            await wait_until_idle()
            toys.runtime.on_metadata(*change(deleted="broken"))
        assert await code(waiting) is ErrorCode.UNKNOWN_SERVER_ERROR
        assert [type(error) for error in reported] == [InvariantViolation]
        # Not at once: it might happen again.
        await asyncio.sleep(1)
        assert toys.runtime.states()[CoordinatorState.LOADING] == 1
        await asyncio.sleep(5)
        assert await toys.runtime.run(0, Read("a")) == 1
        assert await toys.runtime.run(0, Read("broken")) == 0
        await toys.runtime.close()

    run()


# Time.


@virtual
async def test_deadlines_are_met_in_time_and_in_order() -> None:
    log = HeldLog()
    toys = await leading(log)
    started_ms = round(asyncio.get_running_loop().time() * 1000)
    for name, after_ms in (("late", 5_000), ("early", 1_000), ("moved", 500)):
        await toys.runtime.run(0, Remind(name, after_ms))
    await toys.runtime.run(0, Remind("moved", 9_000))
    await asyncio.sleep(20)
    reminded = [line for line in toys.made[0].told if line.startswith("reminded")]
    wanted = (("early", 1_000), ("late", 5_000), ("moved", 9_000))
    assert reminded == [f"reminded of {name} at {started_ms + ms}" for name, ms in wanted]
    assert [batch.records[0][0] for batch in log.committed[0]] == [key_of(name) for name, _ in wanted]
    await toys.runtime.close()


@virtual
async def test_deadlines_end_with_the_shard() -> None:
    toys = await leading(HeldLog())
    await toys.runtime.run(0, Remind("a", 1_000))
    toys.runtime.on_follower(0)
    await asyncio.sleep(2)
    assert not [line for line in toys.made[0].told if line.startswith("reminded")]
    await toys.runtime.close()


# Metadata.


@virtual
async def test_changes_of_the_metadata_are_told_in_order_and_all_of_it_on_load() -> None:
    log = HeldLog()
    toys = Toys(log)
    toys.runtime.on_metadata(*change(left=("a", "b", "c")))
    toys.runtime.on_leader(0, EPOCH)
    await wait_until_idle()
    toys.runtime.on_metadata(*change(deleted="a", left=("b", "c")))
    toys.runtime.on_metadata(*change(deleted="b", left=("c",)))
    assert toys.made[0].told == ["all: a b c", "loaded", "deleted a", "deleted b"]
    await toys.runtime.close()


@virtual
async def test_what_a_change_of_the_metadata_writes_is_appended() -> None:
    log = HeldLog()
    toys = await leading(log)
    await toys.runtime.run(0, Add("a"))
    toys.runtime.on_metadata(*change(deleted="a"))
    assert await toys.runtime.run(0, Read("a")) == 0
    assert log.committed[0][-1].records == [(key_of("a"), None)]
    await toys.runtime.close()


@virtual
async def test_a_shard_that_is_loaded_while_the_metadata_changes_gets_what_it_is_then() -> None:
    log = HeldLog()
    log.read_gate.clear()
    toys = await leading(log)
    toys.runtime.on_metadata(*change(deleted="a", left=("b", "c")))
    toys.runtime.on_metadata(*change(deleted="b", left=("c",)))
    assert toys.made[0].told == []
    log.read_gate.set()
    await wait_until_idle()
    assert toys.made[0].told == ["all: c", "loaded"]
    await toys.runtime.close()


# Leadership.


@virtual
async def test_each_epoch_has_a_shard_of_its_own_and_one_only() -> None:
    toys = await leading(HeldLog())
    toys.runtime.on_leader(0, EPOCH)
    toys.runtime.on_leader(0, LeaderEpoch(2))
    await wait_until_idle()
    assert [shard.epoch for shard in toys.made] == [1, 2]
    assert toys.runtime.shards() == [toys.runtime.shard(0)] == [toys.made[1]]
    assert toys.runtime.shard(1) is None
    await toys.runtime.close()
    assert toys.runtime.shards() == []


@virtual
async def test_all_shards_are_asked_and_each_answers_or_says_why_not() -> None:
    log = HeldLog()
    toys = await leading(log)
    await toys.runtime.run(0, Add("a"))
    log.read_gate.clear()
    toys.runtime.on_leader(1, EPOCH)
    answers = await toys.runtime.run_all(Read("a"))
    assert answers[0] == 1
    assert isinstance(answers[1], KafkaError)
    assert answers[1].code is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    await toys.runtime.close()


@virtual
async def test_the_topic_is_made_when_somebody_asks_and_again_when_it_is_lost() -> None:
    toys = await leading(HeldLog())
    assert await toys.runtime.find_partitions() == 2
    toys.partitions = 5
    assert await toys.runtime.find_partitions() == 2
    toys.runtime.on_topic_lost()
    assert toys.runtime.states().total() == 0
    assert await toys.runtime.find_partitions() == 5
    await toys.runtime.close()


@virtual
async def test_a_node_has_a_runtime_for_each_topic_of_coordinators() -> None:
    toys = Toys(HeldLog())
    coordinators = Coordinators([toys.runtime])
    coordinators.on_leader("orders", 0, EPOCH)
    coordinators.on_follower("orders", 0)
    assert toys.runtime.states().total() == 0
    coordinators.on_leader(TOPIC, 0, EPOCH)
    coordinators.on_leader(TOPIC, 1, EPOCH)
    coordinators.on_follower(TOPIC, 1)
    assert await toys.runtime.run(0, Add("a")) == 1
    coordinators.on_metadata(*change(deleted="a"))
    assert await toys.runtime.run(0, Read("a")) == 0
    coordinators.on_metadata(*change(deleted=TOPIC))
    assert toys.runtime.states().total() == 0
    await coordinators.close()
