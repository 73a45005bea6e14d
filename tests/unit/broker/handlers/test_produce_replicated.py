"""Produce to partitions of three replicas: who must have the records, and who is told where the leader is."""

import asyncio

import pytest

from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import NodeId
from chronik.wire.messages.produce import PartitionProduceResponse, ProduceRequest, ProduceResponse
from tests.support.broker_room import batch_of, produce_request
from tests.unit.broker.cluster_stage import ClusterStage

# The last by name, and the first that names leaders and their addresses.
BY_NAME = 12
HINTS = 10


def asked(acks: int = -1, timeout_ms: int = 5_000) -> ProduceRequest:
    return produce_request({("t", 0): batch_of([b"v"])}, acks=acks, timeout_ms=timeout_ms)


def only(response: ProduceResponse) -> PartitionProduceResponse:
    return response.responses[0].partition_responses[0]


def leading(in_sync_min: int = 1) -> ClusterStage:
    it = ClusterStage()
    it.create("t", min_insync_replicas=str(in_sync_min))
    it.group("t").lead(1)
    return it


def endpoints(response: ProduceResponse) -> list[tuple[int, str, int, str | None]]:
    return [(node.node_id, node.host, node.port, node.rack) for node in response.node_endpoints]


# Who must have it.


@virtual
async def test_all_waits_for_the_commit() -> None:
    it = leading()
    answer = asyncio.create_task(it.ask(asked(), BY_NAME, ProduceResponse))
    await wait_until_idle()
    assert not answer.done()
    it.group("t").commit()
    assert only(await answer).error_code == ErrorCode.NONE


@virtual
async def test_one_is_answered_when_the_leader_has_appended() -> None:
    it = leading()
    answer = only(await it.ask(asked(acks=1), BY_NAME, ProduceResponse))
    assert (answer.error_code, answer.base_offset) == (ErrorCode.NONE, 0)
    assert it.partition("t").high_watermark == 0


@pytest.mark.parametrize(
    ("in_sync_min", "lagging", "is_enough"), [(2, 1, True), (2, 2, False), (3, 1, False)]
)
@virtual
async def test_all_appends_nothing_without_enough_replicas(
    in_sync_min: int, lagging: int, is_enough: bool
) -> None:
    it = leading(in_sync_min)
    it.group("t").lags = frozenset({NodeId(2), NodeId(3)} if lagging == 2 else {NodeId(3)})
    answer = asyncio.create_task(it.ask(asked(), BY_NAME, ProduceResponse))
    await wait_until_idle()
    assert it.partition("t").log.end_offset == int(is_enough)
    it.group("t").commit()
    code = only(await answer).error_code
    assert code == (ErrorCode.NONE if is_enough else ErrorCode.NOT_ENOUGH_REPLICAS)


@virtual
async def test_one_does_not_ask_how_many_are_in_sync() -> None:
    it = leading(2)
    it.group("t").lags = frozenset({NodeId(2), NodeId(3)})
    assert only(await it.ask(asked(acks=1), BY_NAME, ProduceResponse)).error_code == ErrorCode.NONE


@virtual
async def test_more_than_there_are_replicas_cannot_be_asked_for() -> None:
    it = ClusterStage()
    it.create("t", replicas=(1,), min_insync_replicas="2")
    it.group("t").lead(1)
    answer = asyncio.create_task(it.ask(asked(), BY_NAME, ProduceResponse))
    await wait_until_idle()
    it.group("t").commit()
    assert only(await answer).error_code == ErrorCode.NONE


# When leadership is lost meanwhile.


@virtual
async def test_the_next_leaders_commit_answers() -> None:
    it = leading()
    answer = asyncio.create_task(it.ask(asked(), BY_NAME, ProduceResponse))
    await wait_until_idle()
    it.group("t").follow(2, 2)
    await wait_until_idle()
    assert not answer.done()
    it.group("t").commit()
    assert only(await answer).error_code == ErrorCode.NONE


@virtual
async def test_truncation_answers_with_the_new_leader() -> None:
    it = leading()
    asking = asyncio.create_task(it.ask(asked(), BY_NAME, ProduceResponse))
    await wait_until_idle()
    it.group("t").follow(2, 2)
    it.announce(2, 2, "t")
    it.group("t").truncate(0)
    response = await asking
    answer = only(response)
    assert (answer.error_code, answer.base_offset) == (ErrorCode.NOT_LEADER_OR_FOLLOWER, -1)
    assert answer.current_leader is not None
    assert (answer.current_leader.leader_id, answer.current_leader.leader_epoch) == (2, 2)
    assert endpoints(response) == [(2, "host-2", 9093, "rack-2")]


@virtual
async def test_without_any_leader_a_producer_is_sent_to_look_for_one() -> None:
    it = leading()
    asking = asyncio.create_task(it.ask(asked(), BY_NAME, ProduceResponse))
    await wait_until_idle()
    it.group("t").follow(None, 2)
    assert only(await asking).error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert asyncio.get_running_loop().time() == pytest.approx(0.3)


@virtual
async def test_a_leader_that_is_found_soon_may_commit_it() -> None:
    it = leading()
    asking = asyncio.create_task(it.ask(asked(), BY_NAME, ProduceResponse))
    await wait_until_idle()
    it.group("t").follow(None, 2)
    await asyncio.sleep(0.2)
    it.group("t").follow(2, 2)
    await asyncio.sleep(0.2)
    assert not asking.done()
    it.group("t").commit()
    assert only(await asking).error_code == ErrorCode.NONE


@virtual
async def test_a_leader_that_says_nothing_is_a_timeout() -> None:
    it = leading()
    asking = asyncio.create_task(it.ask(asked(timeout_ms=2_000), BY_NAME, ProduceResponse))
    await wait_until_idle()
    it.group("t").follow(2, 2)
    assert only(await asking).error_code == ErrorCode.REQUEST_TIMED_OUT
    assert asyncio.get_running_loop().time() == pytest.approx(2.0)


# Who is told where to go.


@pytest.mark.parametrize("replicas", [(1, 2, 3), (2, 3)])
@virtual
async def test_who_does_not_lead_says_who_does(replicas: tuple[int, ...]) -> None:
    it = ClusterStage()
    it.create("t", replicas=replicas)
    it.announce(3, 4, "t")
    response = await it.ask(asked(), HINTS, ProduceResponse)
    answer = only(response)
    assert answer.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert answer.current_leader is not None
    assert (answer.current_leader.leader_id, answer.current_leader.leader_epoch) == (3, 4)
    assert endpoints(response) == [(3, "host-3", 9094, "rack-3")]


@virtual
async def test_older_clients_are_told_the_error_alone() -> None:
    it = ClusterStage()
    it.create("t")
    it.announce(3, 4, "t")
    response = await it.ask(asked(), HINTS - 1, ProduceResponse)
    assert only(response).error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert only(response).current_leader is None
    assert response.node_endpoints == []


@virtual
async def test_who_hands_over_does_not_send_clients_to_itself() -> None:
    it = leading()
    it.group("t").known_leader = NodeId(2)
    response = await it.ask(asked(), BY_NAME, ProduceResponse)
    assert only(response).error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert only(response).current_leader is None
    assert response.node_endpoints == []
