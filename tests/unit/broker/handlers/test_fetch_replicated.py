"""Fetch from partitions of three replicas: leaders, near replicas (KIP-392), hints (KIP-951)."""

import asyncio

import pytest

from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import NodeId
from chronik.wire.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData
from tests.support.broker_room import batch_of, records_of, values_in
from tests.unit.broker.cluster_stage import ClusterStage

BY_NAME = 12
BY_ID = 16
NO_REPLICA = -1


def asked(
    offset: int = 0, *, epoch: int = -1, rack: str = "", wait_ms: int = 0, topic_id: bytes = bytes(16)
) -> FetchRequest:
    wanted = FetchPartition(
        partition=0, fetch_offset=offset, current_leader_epoch=epoch, partition_max_bytes=1 << 20
    )
    return FetchRequest(
        max_wait_ms=wait_ms,
        min_bytes=1,
        max_bytes=1 << 20,
        topics=[FetchTopic(topic="t", topic_id=topic_id, partitions=[wanted])],
        rack_id=rack,
    )


def only(response: FetchResponse) -> PartitionData:
    return response.responses[0].partitions[0]


def stage(selector: str = "rack-aware") -> ClusterStage:
    """Three records, of which two are committed; node 1 leads epoch 1."""
    it = ClusterStage(replica_selector_class=selector)
    it.create("t")
    it.group("t").lead(1)
    for value in (b"a", b"b", b"c"):
        it.partition("t").append(batch_of([value]))
    it.group("t").commit(2)
    return it


async def read(it: ClusterStage, request: FetchRequest) -> tuple[int, int, list[bytes]]:
    """Error code, preferred replica, values."""
    answer = only(await it.ask(request, BY_NAME, FetchResponse))
    return answer.error_code, answer.preferred_read_replica, values_in(records_of(answer))


# The leader.


@virtual
async def test_a_leader_that_is_not_settled_shows_what_is_committed() -> None:
    it = stage()
    it.group("t").lead(3, is_own_term_committed=False)
    assert await read(it, asked(0)) == (ErrorCode.NONE, NO_REPLICA, [b"a", b"b"])
    assert await read(it, asked(3)) == (ErrorCode.NONE, NO_REPLICA, [])


@pytest.mark.parametrize(
    ("rack", "node"), [("rack-2", 2), ("rack-3", 3), ("rack-1", NO_REPLICA), ("rack-9", NO_REPLICA), ("", -1)]
)
@virtual
async def test_a_client_is_sent_to_the_replica_in_its_rack(rack: str, node: int) -> None:
    it = stage()
    values = [b"a", b"b"] if node == NO_REPLICA else []
    assert await read(it, asked(rack=rack)) == (ErrorCode.NONE, node, values)


@virtual
async def test_it_is_sent_there_at_once() -> None:
    it = stage()
    assert await read(it, asked(2, rack="rack-2", wait_ms=9_000)) == (ErrorCode.NONE, 2, [])
    assert asyncio.get_running_loop().time() == 0


@pytest.mark.parametrize("why", ["lags", "lacks it"])
@virtual
async def test_it_is_not_sent_to_who_does_not_have_it(why: str) -> None:
    it = stage()
    if why == "lags":
        it.group("t").lags = frozenset({NodeId(2)})
    else:
        it.group("t").ends[NodeId(2)] = 0
    assert await read(it, asked(1, rack="rack-2")) == (ErrorCode.NONE, NO_REPLICA, [b"b"])


@virtual
async def test_an_offset_that_is_not_to_be_had_is_answered_by_the_leader() -> None:
    it = stage()
    assert await read(it, asked(9, rack="rack-2")) == (ErrorCode.OFFSET_OUT_OF_RANGE, NO_REPLICA, [])


@pytest.mark.parametrize("selector", ["", "org.apache.kafka.common.replica.LeaderSelector"])
@virtual
async def test_racks_count_only_where_they_are_to(selector: str) -> None:
    it = stage(selector)
    assert await read(it, asked(rack="rack-2")) == (ErrorCode.NONE, NO_REPLICA, [b"a", b"b"])
    it.group("t").follow(2, 2)
    assert await read(it, asked(rack="rack-1")) == (ErrorCode.NOT_LEADER_OR_FOLLOWER, NO_REPLICA, [])


# A follower.


@virtual
async def test_a_follower_shows_what_it_knows_to_be_committed() -> None:
    it = stage()
    it.group("t").follow(2, 2)
    assert await read(it, asked(epoch=2, rack="rack-1")) == (ErrorCode.NONE, NO_REPLICA, [b"a", b"b"])


@virtual
async def test_a_follower_has_the_client_wait_for_what_it_does_not_know_to_be_committed() -> None:
    it = stage()
    it.group("t").follow(2, 2)
    answer = asyncio.create_task(it.ask(asked(3, wait_ms=9_000), BY_NAME, FetchResponse))
    await wait_until_idle()
    assert not answer.done()
    assert await read(it, asked(2)) == (ErrorCode.NONE, NO_REPLICA, [])
    answer.cancel()


@virtual
async def test_a_follower_is_not_sure_of_offsets_it_does_not_have() -> None:
    it = stage()
    it.group("t").follow(2, 2)
    assert await read(it, asked(4)) == (ErrorCode.OFFSET_NOT_AVAILABLE, NO_REPLICA, [])


@virtual
async def test_a_follower_of_nobody_sends_clients_away() -> None:
    it = stage()
    it.group("t").follow(None, 2)
    assert await read(it, asked()) == (ErrorCode.NOT_LEADER_OR_FOLLOWER, NO_REPLICA, [])


@pytest.mark.parametrize(
    ("epoch", "code"), [(1, ErrorCode.FENCED_LEADER_EPOCH), (3, ErrorCode.UNKNOWN_LEADER_EPOCH)]
)
@virtual
async def test_a_follower_checks_the_epoch(epoch: int, code: ErrorCode) -> None:
    it = stage()
    it.group("t").follow(2, 2)
    assert await read(it, asked(epoch=epoch)) == (code, NO_REPLICA, [])


@virtual
async def test_clients_that_do_not_know_of_racks_ask_leaders() -> None:
    it = stage()
    it.group("t").follow(2, 2)
    answer = only(await it.ask(asked(), 10, FetchResponse))
    assert answer.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER


# Leadership that moves.


@pytest.mark.parametrize("selector", ["", "rack-aware"])
@virtual
async def test_a_long_poll_ends_when_another_leads(selector: str) -> None:
    it = stage(selector)
    answer = asyncio.create_task(it.ask(asked(2, wait_ms=9_000), BY_NAME, FetchResponse))
    await wait_until_idle()
    assert not answer.done()
    it.announce(2, 2, "t")
    it.group("t").follow(2, 2)
    expected = ErrorCode.NONE if selector else ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert only(await answer).error_code == expected
    assert asyncio.get_running_loop().time() == 0


@virtual
async def test_a_long_poll_goes_on_when_the_leader_stays() -> None:
    it = stage()
    answer = asyncio.create_task(it.ask(asked(2, wait_ms=9_000), BY_NAME, FetchResponse))
    await wait_until_idle()
    it.group("t").lead(2)
    await wait_until_idle()
    assert not answer.done()
    it.group("t").commit()
    assert values_in(records_of(only(await answer))) == [b"c"]


@pytest.mark.parametrize("epoch", [-1, 1])
@virtual
async def test_the_leader_and_its_address_are_told(epoch: int) -> None:
    it = stage(selector="")
    it.group("t").follow(2, 4)
    it.announce(2, 4, "t")
    topic_id = it.partition("t").topic_id
    response = await it.ask(asked(epoch=epoch, topic_id=topic_id), BY_ID, FetchResponse)
    answer = only(response)
    assert answer.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert answer.current_leader is not None
    assert (answer.current_leader.leader_id, answer.current_leader.leader_epoch) == (2, 4)
    (endpoint,) = response.node_endpoints
    assert (endpoint.node_id, endpoint.host, endpoint.port) == (2, "host-2", 9093)


@virtual
async def test_not_to_clients_of_versions_without_addresses() -> None:
    """They would be sent to a node that they may know nothing of."""
    it = stage(selector="")
    it.group("t").follow(2, 4)
    it.announce(2, 4, "t")
    answer = only(await it.ask(asked(epoch=1), BY_NAME, FetchResponse))
    assert answer.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert answer.current_leader is None


@virtual
async def test_a_leader_of_a_later_epoch_tells_that_it_leads() -> None:
    it = stage()
    it.group("t").lead(4)
    topic_id = it.partition("t").topic_id
    response = await it.ask(asked(epoch=1, topic_id=topic_id), BY_ID, FetchResponse)
    answer = only(response)
    assert answer.error_code == ErrorCode.FENCED_LEADER_EPOCH
    assert answer.current_leader is not None
    assert (answer.current_leader.leader_id, answer.current_leader.leader_epoch) == (1, 4)
    assert [node.node_id for node in response.node_endpoints] == [1]
