"""ElectLeaders: which partitions go back to the leaders they began with, and what is said of the others."""

import asyncio
from collections.abc import Sequence

import pytest

from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NodeId
from chronik.wire.apis import SUPPORTED, ApiKey
from chronik.wire.messages.elect_leaders import ElectLeadersRequest, ElectLeadersResponse, TopicPartitions
from tests.unit.broker.cluster_stage import NODE, ClusterStage

VERSIONS = SUPPORTED[ApiKey.ELECT_LEADERS]
PREFERRED, UNCLEAN = 0, 1
TRANSFER = "leadership.transfer"


async def elect(
    it: ClusterStage,
    partitions: Sequence[int] | None = (0,),
    *,
    topic: str = "t",
    kind: int = PREFERRED,
    version: int = VERSIONS.last,
) -> dict[int, ErrorCode]:
    """The code of each partition that is told of."""
    named = None if partitions is None else [TopicPartitions(topic=topic, partitions=list(partitions))]
    message = ElectLeadersRequest(election_type=kind, topic_partitions=named, timeout_ms=3_000)
    response = await it.ask(message, version, ElectLeadersResponse)
    return {
        result.partition_id: ErrorCode(result.error_code)
        for topic_result in response.replica_election_results
        for result in topic_result.partition_result
    }


def stage(partitions: int = 1) -> ClusterStage:
    """Led by node 1, though node 2 is preferred."""
    it = ClusterStage()
    it.create("t", partitions, first_leader=2)
    for index in range(partitions):
        it.group("t", index).lead(3)
    return it


@pytest.mark.parametrize("version", range(VERSIONS.first, VERSIONS.last + 1))
@virtual
async def test_the_answer_waits_for_the_preferred_leader(version: int) -> None:
    it = stage()
    asking = asyncio.create_task(elect(it, version=version))
    await wait_until_idle()
    assert it.group("t").transfers == [2]
    it.group("t").follow(2, 4)
    await wait_until_idle()
    assert not asking.done()
    it.announce(2, 4, "t")
    assert await asking == {0: ErrorCode.NONE}


@virtual
async def test_another_leader_is_asked_to_hand_over() -> None:
    it = stage()
    it.group("t").follow(3, 4)
    it.announce(3, 4, "t")
    asking = asyncio.create_task(elect(it))
    await wait_until_idle()
    ((node, method, _),) = it.peers.asked
    assert (node, method) == (3, TRANSFER)
    it.announce(2, 5, "t")
    assert await asking == {0: ErrorCode.NONE}


@virtual
async def test_what_is_asked_is_understood() -> None:
    it = stage(2)
    it.group("t", 1).follow(3, 4)
    it.announce(3, 4, "t", 1)
    await elect(it, [1])
    ((_, _, request),) = it.peers.asked
    it.group("t", 1).lead(5)
    await it.peers.handlers[TRANSFER](NodeId(3), request)
    assert it.group("t", 1).transfers == [2]
    with pytest.raises(KafkaError) as refused:
        await it.peers.handlers[TRANSFER](NodeId(3), request[:-1])
    assert refused.value.code is ErrorCode.INVALID_REQUEST


@virtual
async def test_who_leads_already_need_not_be_elected() -> None:
    it = ClusterStage()
    it.create("t", 2, first_leader=1)
    it.group("t", 0).lead(3)
    it.group("t", 1).lead(3)
    assert await elect(it, [0, 1]) == {0: ErrorCode.ELECTION_NOT_NEEDED, 1: ErrorCode.ELECTION_NOT_NEEDED}
    assert await elect(it, None) == {}


@pytest.mark.parametrize("why", ["lost", "lagging", "leaderless"])
@virtual
async def test_a_preferred_leader_may_be_unable(why: str) -> None:
    it = stage()
    if why == "lost":
        it.peers.nodes -= {NodeId(2)}
    elif why == "lagging":
        it.group("t").lags = frozenset({NodeId(2)})
    else:
        it.group("t").follow(None, 3)
    assert await elect(it) == {0: ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE}
    assert it.group("t").transfers == []


@virtual
async def test_a_transfer_may_not_come_about() -> None:
    it = stage(2)
    asking = asyncio.create_task(elect(it, [0, 1]))
    await wait_until_idle()
    it.announce(2, 4, "t", 1)
    assert await asking == {0: ErrorCode.REQUEST_TIMED_OUT, 1: ErrorCode.NONE}
    assert asyncio.get_running_loop().time() == pytest.approx(3.0)


@virtual
async def test_a_leader_that_cannot_be_asked_is_an_error_of_its_partition() -> None:
    it = stage(2)
    it.announce(3, 4, "t", 1)
    it.peers.answer = KafkaError(ErrorCode.NETWORK_EXCEPTION)
    asking = asyncio.create_task(elect(it, [0, 1]))
    await wait_until_idle()
    it.announce(2, 4, "t", 0)
    assert await asking == {0: ErrorCode.NONE, 1: ErrorCode.NETWORK_EXCEPTION}


@virtual
async def test_all_that_are_not_well_can_be_named_at_once() -> None:
    it = stage(2)
    it.create("u", first_leader=1)
    it.group("u").lead(1)
    it.announce(2, 4, "t", 0)
    asking = asyncio.create_task(elect(it, None))
    await wait_until_idle()
    it.announce(2, 4, "t", 1)
    assert await asking == {1: ErrorCode.NONE}


@virtual
async def test_what_does_not_exist_says_so() -> None:
    it = stage()
    assert await elect(it, [7]) == {7: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
    assert await elect(it, [0], topic="absent") == {0: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}


@virtual
async def test_no_unclean_election_is_held() -> None:
    it = stage()
    assert await elect(it, kind=UNCLEAN) == {0: ErrorCode.ELECTION_NOT_NEEDED}
    it.group("t").follow(None, 3)
    assert await elect(it, kind=UNCLEAN) == {0: ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE}


@virtual
async def test_other_elections_are_unknown() -> None:
    it = stage()
    assert await elect(it, kind=2) == {0: ErrorCode.INVALID_REQUEST}
    assert it.group("t").transfers == []


@virtual
async def test_only_who_leads_hands_over() -> None:
    it = stage()
    it.group("t").follow(3, 4)
    with pytest.raises(KafkaError) as refused:
        it.broker.transfers.begin(it.partition("t"), NodeId(2))
    assert refused.value.code is ErrorCode.NOT_LEADER_OR_FOLLOWER
    it.group("t").lead(5)
    with pytest.raises(KafkaError) as refused:
        it.broker.transfers.begin(it.partition("t"), NODE)
    assert refused.value.code is ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE
