"""DescribeQuorum: the voters of `__meta`, told by any node."""

import json

import pytest

from chronik.sim.virtual_time import WALL_START_MS, virtual
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NodeId, parse_topic_id
from chronik.wire.apis import SUPPORTED, ApiKey
from chronik.wire.messages.describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumResponse,
    PartitionDataRequest,
    PartitionDataResponse,
    TopicDataRequest,
)
from tests.support.broker_room import BrokerRoom
from tests.unit.broker.cluster_stage import NODE, ClusterStage, FakeGroup

VERSIONS = SUPPORTED[ApiKey.DESCRIBE_QUORUM]


def asked(topic: str = "__cluster_metadata", index: int = 0) -> DescribeQuorumRequest:
    partition = PartitionDataRequest(partition_index=index)
    return DescribeQuorumRequest(topics=[TopicDataRequest(topic_name=topic, partitions=[partition])])


def only(response: DescribeQuorumResponse) -> PartitionDataResponse:
    return response.topics[0].partitions[0]


def meta(it: ClusterStage) -> FakeGroup:
    group = it.meta.group
    assert isinstance(group, FakeGroup)
    return group


@pytest.mark.parametrize("version", range(VERSIONS.first, VERSIONS.last + 1))
@virtual
async def test_the_leader_tells_how_far_each_is(version: int) -> None:
    it = ClusterStage()
    meta(it).lead(7)
    meta(it).ends[NodeId(2)] = -1
    response = await it.ask(asked(), version, DescribeQuorumResponse)
    answer = only(response)
    assert (answer.error_code, answer.leader_id, answer.leader_epoch) == (ErrorCode.NONE, 1, 7)
    assert answer.high_watermark == 0
    assert [(voter.replica_id, voter.log_end_offset) for voter in answer.current_voters] == [
        (1, 0),
        (2, -1),
        (3, 0),
    ]
    assert answer.observers == []
    if version >= 1:
        own, other, _ = answer.current_voters
        assert own.last_fetch_timestamp == own.last_caught_up_timestamp == WALL_START_MS
        assert other.last_caught_up_timestamp == WALL_START_MS + 2_000
        assert other.last_fetch_timestamp == WALL_START_MS + 3_000
    if version >= 2:
        directory = it.image.brokers[NodeId(2)].directory_id
        assert answer.current_voters[1].replica_directory_id == parse_topic_id(directory)
        nodes = {node.node_id: node.listeners[0] for node in response.nodes}
        assert (nodes[3].name, nodes[3].host, nodes[3].port) == ("PLAINTEXT", "host-3", 9094)


@virtual
async def test_others_ask_the_leader() -> None:
    it = ClusterStage()
    meta(it).lead(7)
    said = await it.peers.handlers["quorum.describe"](NodeId(2), b"")
    meta(it).follow(2, 8)
    it.peers.answer = said
    answer = only(await it.ask(asked(), 1, DescribeQuorumResponse))
    assert it.peers.asked == [(2, "quorum.describe", b"")]
    assert (answer.leader_id, answer.leader_epoch) == (NODE, 7)
    assert [voter.replica_id for voter in answer.current_voters] == [1, 2, 3]


@virtual
async def test_what_a_leader_of_a_later_release_says_besides_is_passed_over() -> None:
    it = ClusterStage()
    meta(it).lead(7)
    said = json.loads(await it.peers.handlers["quorum.describe"](NodeId(2), b""))
    meta(it).follow(2, 8)
    later = {**said, "surprise": 1, "replicas": [[*replica, "surprise"] for replica in said["replicas"]]}
    it.peers.answer = json.dumps(later).encode()
    answer = only(await it.ask(asked(), 1, DescribeQuorumResponse))
    assert (answer.error_code, answer.leader_epoch) == (ErrorCode.NONE, 7)
    assert [voter.replica_id for voter in answer.current_voters] == [1, 2, 3]


@pytest.mark.parametrize("said", [b"", b"[]", b"{}", b'{"leader": null}', b"\xff"])
@virtual
async def test_an_answer_that_cannot_be_read_is_an_error(said: bytes) -> None:
    it = ClusterStage()
    meta(it).follow(2, 8)
    it.peers.answer = said
    answer = only(await it.ask(asked(), 1, DescribeQuorumResponse))
    assert answer.error_code == ErrorCode.UNKNOWN_SERVER_ERROR


@virtual
async def test_who_does_not_lead_does_not_tell_others() -> None:
    it = ClusterStage()
    meta(it).follow(2, 8)
    with pytest.raises(KafkaError) as refused:
        await it.peers.handlers["quorum.describe"](NodeId(3), b"")
    assert refused.value.code is ErrorCode.NOT_LEADER_OR_FOLLOWER


@virtual
async def test_without_a_leader_nobody_tells() -> None:
    it = ClusterStage()
    meta(it).follow(None, 8)
    answer = only(await it.ask(asked(), 2, DescribeQuorumResponse))
    assert (answer.error_code, answer.leader_id) == (ErrorCode.NOT_LEADER_OR_FOLLOWER, -1)


@virtual
async def test_a_leader_that_is_lost_is_an_error() -> None:
    it = ClusterStage()
    meta(it).follow(3, 8)
    it.peers.answer = KafkaError(ErrorCode.NETWORK_EXCEPTION)
    assert only(await it.ask(asked(), 2, DescribeQuorumResponse)).error_code == ErrorCode.NETWORK_EXCEPTION


@pytest.mark.parametrize(("topic", "index"), [("t", 0), ("__cluster_metadata", 1)])
@virtual
async def test_nothing_else_has_a_quorum(topic: str, index: int) -> None:
    answer = only(await ClusterStage().ask(asked(topic, index), 2, DescribeQuorumResponse))
    assert (answer.error_code, answer.partition_index) == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, index)


@virtual
async def test_a_node_alone_is_its_own_quorum() -> None:
    room = await BrokerRoom().open()
    answer = only(await room.ask(asked(), 2, DescribeQuorumResponse))
    assert (answer.error_code, answer.leader_id) == (ErrorCode.NONE, 1)
    (voter,) = answer.current_voters
    assert voter.replica_id == 1
    assert voter.log_end_offset == answer.high_watermark > 0
    await room.close()
