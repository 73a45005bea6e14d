"""Commands of any node: decided by the one that leads, seen by the one that asked, once whatever is lost."""

import asyncio
from unittest.mock import patch

import pytest

from chronik.cluster.image import ClusterDelta
from chronik.cluster.leadership import Leader, LeadershipTable
from chronik.cluster.metadata.brokers import BrokerFenced, FenceBroker
from chronik.cluster.metadata.producer_ids import PRODUCER_ID_BLOCK, AllocateProducerIds
from chronik.cluster.metadata.subject import Command
from chronik.cluster.metadata.topics import CreatePartitions, CreateTopic, DeleteTopic
from chronik.cluster.peers import NotAsked
from chronik.cluster.producer_ids import ProducerIds
from chronik.cluster.topic_creation import ensure_topic
from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import LeaderEpoch, NodeId, Offset, TopicId

from .builders import register
from .cluster_stage import NODES, ONE, THREE, TWO, ClusterStage


async def code_of(task: "asyncio.Task[ClusterDelta]") -> ErrorCode:
    with pytest.raises(KafkaError) as caught:
        await task
    return caught.value.code


def submit(
    stage: ClusterStage, node: NodeId, command: Command, seconds: float = 5.0
) -> "asyncio.Task[ClusterDelta]":
    deadline = asyncio.get_running_loop().time() + seconds
    return asyncio.create_task(stage.services[node].submit(command, deadline=deadline))


def names(delta: ClusterDelta) -> list[str]:
    return [topic.name for topic in delta.topics_created]


@virtual
async def test_a_command_of_a_follower_is_decided_by_the_leader_and_seen_by_the_follower() -> None:
    stage = await ClusterStage().start()
    stage.spreads = False
    creating = submit(stage, TWO, CreateTopic(name="a", partitions=2, configs={"retention.ms": "5"}))
    await wait_until_idle()
    assert "a" in stage.image(ONE).topics
    assert not creating.done()
    stage.show_one_more(TWO)
    delta = await creating
    topic = stage.image(TWO).topics["a"]
    assert delta.topics_created == (topic,)
    assert [(created.topic, created.partition) for created in delta.partitions_created] == [
        (topic, 0),
        (topic, 1),
    ]
    assert "a" not in stage.image(THREE).topics
    assert stage.logs[TWO].appends == 0


@virtual
async def test_every_delta_comes_back_as_it_was_decided() -> None:
    stage = await ClusterStage().start()
    service = stage.services[TWO]
    await service.submit(CreateTopic(name="a", partitions=1))
    before = stage.image(TWO).topics["a"]
    grown = await service.submit(CreatePartitions(name="a", count=3))
    after = stage.image(TWO).topics["a"]
    assert grown.topics_created == ()
    assert [(new.topic, new.partition) for new in grown.partitions_created] == [(after, 1), (after, 2)]
    assert before.partitions == after.partitions[:1]
    assert (await service.submit(DeleteTopic(name="a"))).topics_deleted == (after,)
    (block,) = (await service.submit(AllocateProducerIds(node=TWO))).producer_ids_allocated
    assert block == (TWO, 0, PRODUCER_ID_BLOCK)
    assert (await service.submit(FenceBroker(node=THREE, epoch=0))).brokers_fenced == (THREE,)
    (registered,) = (await service.submit(register(3))).brokers_registered
    assert registered == stage.image(TWO).brokers[THREE]


@virtual
async def test_a_refusal_is_told_when_what_it_is_built_on_is_seen() -> None:
    stage = await ClusterStage().start()
    stage.spreads = False
    await stage.services[ONE].submit(CreateTopic(name="a"))
    refused = submit(stage, TWO, CreateTopic(name="a"))
    await wait_until_idle()
    assert not refused.done()
    stage.show_one_more(TWO)
    assert await code_of(refused) is ErrorCode.TOPIC_ALREADY_EXISTS
    assert "a" in stage.image(TWO).topics


@virtual
async def test_validation_is_forwarded_and_changes_nothing() -> None:
    stage = await ClusterStage().start()
    delta = await stage.services[TWO].submit(CreateTopic(name="a"), validate_only=True)
    assert names(delta) == ["a"]
    assert "a" not in stage.image(ONE).topics


@virtual
async def test_a_command_waits_for_a_leader_to_be_known() -> None:
    stage = await ClusterStage().start()
    stage.depose(keeps=False)
    waiting = submit(stage, TWO, CreateTopic(name="a"))
    await asyncio.sleep(3)
    assert not waiting.done()
    stage.elect(THREE)
    assert names(await waiting) == ["a"]


@virtual
async def test_without_a_leader_the_deadline_ends_it() -> None:
    stage = await ClusterStage().start()
    stage.depose(keeps=False)
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await code_of(submit(stage, TWO, CreateTopic(name="a"), 2)) is ErrorCode.NOT_CONTROLLER
    assert loop.time() - began == pytest.approx(2, abs=0.1)
    with pytest.raises(KafkaError):
        await stage.services[TWO].submit(CreateTopic(name="a"))
    assert loop.time() - began == pytest.approx(7, abs=0.2)


@virtual
async def test_a_node_that_no_longer_leads_says_so_and_the_next_one_is_asked() -> None:
    stage = await ClusterStage().start()
    stage.depose(keeps=False)
    stage.elect(THREE, heard=(ONE, THREE))
    stage.hear(TWO, ONE)
    creating = submit(stage, TWO, CreateTopic(name="a"))
    deleting = submit(stage, TWO, DeleteTopic(name="b"))
    await asyncio.sleep(1)
    assert not creating.done()
    # Nothing happened to it, so that it too may be asked again.
    assert not deleting.done()
    stage.hear(TWO, THREE)
    assert names(await creating) == ["a"]
    assert await code_of(deleting) is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


@virtual
async def test_a_leader_that_is_not_settled_answers_when_it_is() -> None:
    stage = await ClusterStage().start()
    stage.depose(keeps=False)
    for node in NODES:
        stage.hear(node, ONE)
    calls = stage.peers[TWO].calls
    creating = submit(stage, TWO, CreateTopic(name="a"))
    await asyncio.sleep(1)
    assert not creating.done()
    stage.elect(ONE)
    assert names(await creating) == ["a"]
    assert stage.peers[TWO].calls == calls + 1


@pytest.mark.parametrize("keeps", [True, False])
def test_a_creation_whose_leader_is_lost_makes_one_topic(keeps: bool) -> None:
    @virtual
    async def play() -> None:
        stage = await ClusterStage().start()
        stage.commits_at_once = False
        here, there = submit(stage, ONE, CreateTopic(name="a")), submit(stage, TWO, CreateTopic(name="b"))
        await wait_until_idle()
        stage.depose(keeps=keeps)
        stage.commits_at_once = True
        stage.elect(THREE)
        stage.show_all()
        assert names(await here) == ["a"]
        assert names(await there) == ["b"]
        assert sorted(stage.image(ONE).topics) == ["a", "b"]
        assert stage.image(ONE) == stage.image(TWO) == stage.image(THREE)

    play()


@virtual
async def test_a_creation_whose_answer_is_lost_finds_its_topic() -> None:
    stage = await ClusterStage().start()
    stage.commits_at_once = False
    creating = submit(stage, TWO, CreateTopic(name="a", partitions=2))
    await wait_until_idle()
    stage.cut(ONE, TWO)
    stage.commit()
    stage.mend()
    delta = await creating
    assert delta.topics_created == (stage.image(TWO).topics["a"],)
    assert len(delta.partitions_created) == 2
    assert stage.logs[ONE].appends == 4


@virtual
async def test_a_creation_that_comes_again_after_the_deletion_brings_nothing_back() -> None:
    stage = await ClusterStage().start()
    command = CreateTopic(name="a", topic_id=TopicId(b"i" * 16))
    await stage.services[TWO].submit(command)
    await stage.services[TWO].submit(DeleteTopic(name="a"))
    assert await code_of(submit(stage, THREE, command)) is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert stage.image(ONE).topics == {}


@pytest.mark.parametrize("node", [ONE, TWO])
def test_what_must_not_be_done_twice_is_told_when_nobody_knows(node: NodeId) -> None:
    @virtual
    async def play() -> None:
        stage = await ClusterStage().start()
        await stage.services[ONE].submit(CreateTopic(name="a"))
        stage.commits_at_once = False
        deleting = submit(stage, node, DeleteTopic(name="a"))
        await wait_until_idle()
        stage.depose(keeps=True)
        stage.elect(THREE)
        assert await code_of(deleting) is ErrorCode.NOT_CONTROLLER

    play()


@virtual
async def test_what_queued_behind_a_lost_append_goes_to_the_next_leader() -> None:
    stage = await ClusterStage().start()
    await stage.services[ONE].submit(CreateTopic(name="a"))
    stage.commits_at_once = False
    first = submit(stage, ONE, CreateTopic(name="b"))
    await wait_until_idle()
    behind = submit(stage, ONE, DeleteTopic(name="a"))
    await wait_until_idle()
    stage.depose(keeps=False)
    stage.commits_at_once = True
    stage.elect(THREE)
    stage.show_all()
    assert [topic.name for topic in (await behind).topics_deleted] == ["a"]
    assert names(await first) == ["b"]


@virtual
async def test_a_change_that_is_made_and_not_seen_in_time_is_told_so() -> None:
    stage = await ClusterStage().start()
    stage.spreads = False
    assert await code_of(submit(stage, TWO, CreateTopic(name="a"))) is ErrorCode.REQUEST_TIMED_OUT
    assert "a" in stage.image(ONE).topics


@virtual
async def test_one_topic_that_all_nodes_want_is_created_once() -> None:
    stage = await ClusterStage().start()
    tables = {node: LeadershipTable() for node in NODES}

    def lead(delta: ClusterDelta, _: object) -> None:
        for new in delta.partitions_created:
            for table in tables.values():
                table.announce(new.topic.topic_id, new.partition, Leader(ONE, LeaderEpoch(1)))

    stage.services[ONE].subscribe(lead)
    deadline = asyncio.get_running_loop().time() + 5
    topics = await asyncio.gather(
        *(
            ensure_topic(stage.services[node], tables[node], CreateTopic(name="a"), deadline)
            for node in NODES
            for _ in range(5)
        )
    )
    assert len({topic.topic_id for topic in topics}) == 1
    assert len(stage.committed) == 4


@virtual
async def test_replicas_go_first_to_brokers_the_controller_sees() -> None:
    stage = await ClusterStage().start()
    stage.cut(ONE, THREE)
    await stage.services[TWO].submit(CreateTopic(name="a", partitions=9, replication_factor=2))
    replicas = {node for partition in stage.image(TWO).topics["a"].partitions for node in partition.nodes}
    assert replicas == {ONE, TWO}
    await stage.services[TWO].submit(CreateTopic(name="b", partitions=9, replication_factor=3))
    partitions = stage.image(TWO).topics["b"].partitions
    assert {partition.first_leader for partition in partitions} == {ONE, TWO}
    assert {partition.nodes[-1] for partition in partitions} == {THREE}


@virtual
async def test_catching_up_waits_for_what_the_controller_has() -> None:
    stage = await ClusterStage().start()
    stage.spreads = False
    await stage.services[ONE].submit(CreateTopic(name="a"))
    loop = asyncio.get_running_loop()
    assert await stage.services[ONE].catch_up(loop.time() + 1)
    assert not await stage.services[TWO].catch_up(loop.time() + 1)
    catching_up = asyncio.create_task(stage.services[TWO].catch_up(loop.time() + 1))
    await wait_until_idle()
    stage.show_one_more(TWO)
    assert await catching_up
    stage.depose(keeps=False)
    assert not await stage.services[TWO].catch_up(loop.time() + 1)


@virtual
async def test_a_closing_controller_leaves_commands_to_the_next() -> None:
    stage = await ClusterStage().start()
    await stage.services[ONE].close()
    creating = submit(stage, TWO, CreateTopic(name="a"))
    await asyncio.sleep(1)
    assert not creating.done()
    stage.depose(keeps=False)
    stage.elect(TWO)
    assert names(await creating) == ["a"]


@virtual
async def test_nonsense_is_refused() -> None:
    stage = await ClusterStage().start()
    from chronik.cluster.command_codec import decode_answer

    for data in (
        b"",
        b"CreateTopic 0 1\n[]",
        b"CreateTopic 0 1\n{}",
        b"CreateTopic y z\n{}",
        b"\xff",
    ):
        answer = decode_answer(await stage.peers[ONE].handlers["metadata.submit"](TWO, data))
        assert answer.error is ErrorCode.INVALID_REQUEST


@virtual
async def test_a_command_of_a_later_release_is_not_supported() -> None:
    """Rather than invalid: it will be carried out when the controller is of that release."""
    stage = await ClusterStage().start()
    from chronik.cluster.command_codec import decode_answer

    answer = decode_answer(await stage.peers[ONE].handlers["metadata.submit"](TWO, b"Surprise 0 1\n{}"))
    assert answer.error is ErrorCode.UNSUPPORTED_VERSION
    assert answer.message is not None
    assert "Surprise" in answer.message


@pytest.mark.parametrize(
    "refusal",
    [
        NotAsked(ErrorCode.NETWORK_EXCEPTION, "not connected"),
        KafkaError(ErrorCode.UNSUPPORTED_VERSION),
        KafkaError(ErrorCode.THROTTLING_QUOTA_EXCEEDED),
        KafkaError(ErrorCode.NOT_CONTROLLER),
    ],
)
def test_a_command_that_nobody_looked_at_is_asked_again(refusal: KafkaError) -> None:
    """A deletion is not: what may have been done must not be done twice."""

    @virtual
    async def test() -> None:
        stage = await ClusterStage().start()
        await submit(stage, TWO, CreateTopic(name="a"))
        calls, refusals = stage.peers[TWO].call, [refusal]

        async def call(node: NodeId, method: str, request: bytes, deadline: float) -> bytes:
            if refusals:
                raise refusals.pop()
            return await calls(node, method, request, deadline)

        with patch.object(stage.peers[TWO], "call", call):
            await submit(stage, TWO, DeleteTopic(name="a"))
        assert "a" not in stage.image(ONE).topics

    test()


@virtual
async def test_producer_ids_of_all_nodes_are_unique_whatever_is_lost() -> None:
    stage = await ClusterStage().start()
    sources = {node: ProducerIds(stage.services[node], node) for node in NODES}
    taken = [await sources[node].next() for node in NODES]
    assert taken == [0, PRODUCER_ID_BLOCK, 2 * PRODUCER_ID_BLOCK]
    again = {node: ProducerIds(stage.services[node], node) for node in NODES}
    stage.commits_at_once = False
    waiting = [asyncio.create_task(again[node].next()) for node in NODES]
    await wait_until_idle()
    stage.depose(keeps=True)
    stage.commits_at_once = True
    stage.elect(TWO)
    stage.show_all()
    taken += [await task for task in waiting]
    assert len(set(taken)) == 6
    assert stage.image(ONE).next_producer_id >= 6 * PRODUCER_ID_BLOCK


@virtual
async def test_a_record_that_cannot_be_applied_stops_the_service_and_nobody_waits() -> None:
    stage = await ClusterStage().start()
    waiting = asyncio.create_task(stage.services[TWO]._applied.wait(Offset(1_000), 100))
    await wait_until_idle()
    stage.committed.append([(b"Surprise", b"{}")])
    stage.show_all()
    assert not await waiting
    before = stage.image(TWO)
    stage.committed.append([(b"BrokerFenced", b'{"v":1,"node":1}')])
    stage.show_all()
    assert stage.image(TWO) is before
    assert BrokerFenced(node=ONE).node not in stage.image(TWO).fenced
    assert await code_of(submit(stage, TWO, CreateTopic(name="a"))) is ErrorCode.UNKNOWN_SERVER_ERROR
    assert not stage.services[ONE].is_controller
