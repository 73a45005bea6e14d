from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chronik.client import quorum
from chronik.client.client import Client
from chronik.client.errors import ClientError
from chronik.client.quorum import Election, Quorum, QuorumMember
from chronik.vocab.errors import ErrorCode
from chronik.wire.apis import ApiKey
from chronik.wire.messages.describe_quorum import (
    DescribeQuorumResponse,
    PartitionDataResponse,
    ReplicaState,
    TopicDataResponse,
)
from chronik.wire.messages.elect_leaders import (
    ElectLeadersResponse,
    PartitionResult,
    ReplicaElectionResult,
)
from tests.unit.client.fake_broker import FakeBroker


@contextmanager
def answering(partition: PartitionDataResponse) -> Iterator[Client]:
    topic = TopicDataResponse(topic_name="__cluster_metadata", partitions=[partition])
    answers = {ApiKey.DESCRIBE_QUORUM: lambda request: DescribeQuorumResponse(topics=[topic])}
    with FakeBroker(answers) as broker, Client(broker.address, timeout_s=5) as client:
        yield client


def state(node: int, end: int) -> ReplicaState:
    return ReplicaState(replica_id=node, log_end_offset=end)


def member(node: int, end: int | None, lag: int | None, *, is_voter: bool = True) -> QuorumMember:
    return QuorumMember(node=node, is_voter=is_voter, end_offset=end, lag=lag)


def test_the_quorum() -> None:
    partition = PartitionDataResponse(
        leader_id=2,
        leader_epoch=7,
        high_watermark=90,
        current_voters=[state(2, 100), state(1, 96), state(3, -1)],
        observers=[state(4, 120)],
    )
    with answering(partition) as client:
        assert quorum.describe(client) == Quorum(
            leader=2,
            leader_epoch=7,
            high_watermark=90,
            members=(
                member(1, 96, 4),
                member(2, 100, 0),
                member(3, None, None),
                member(4, 120, 0, is_voter=False),
            ),
        )


@pytest.mark.parametrize(
    "code", [ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.NETWORK_EXCEPTION, ErrorCode.REQUEST_TIMED_OUT]
)
def test_a_quorum_without_leader_is_an_answer(code: ErrorCode) -> None:
    with answering(PartitionDataResponse(error_code=code, leader_id=-1)) as client:
        found = quorum.describe(client)
    assert found == Quorum(leader=None, leader_epoch=None, high_watermark=None, members=())


def test_a_refusal_is_an_error() -> None:
    partition = PartitionDataResponse(error_code=ErrorCode.CLUSTER_AUTHORIZATION_FAILED)
    with answering(partition) as client, pytest.raises(ClientError, match="CLUSTER_AUTHORIZATION_FAILED"):
        quorum.describe(client)


def test_a_leader_that_is_unknown_has_no_followers_behind_it() -> None:
    with answering(PartitionDataResponse(leader_id=-1, current_voters=[state(1, 5)])) as client:
        found = quorum.describe(client)
    assert found is not None
    assert found.leader is None
    assert found.members == (member(1, 5, None),)


def test_a_broker_that_does_not_serve_it() -> None:
    with FakeBroker() as broker, Client(broker.address) as client:
        assert quorum.describe(client) is None


def elect_answer(*results: PartitionResult) -> ElectLeadersResponse:
    return ElectLeadersResponse(
        replica_election_results=[ReplicaElectionResult(topic="orders", partition_result=list(results))]
    )


def test_preferred_leaders() -> None:
    answer = elect_answer(
        PartitionResult(partition_id=0, error_message=None),
        PartitionResult(partition_id=1, error_code=ErrorCode.ELECTION_NOT_NEEDED),
        PartitionResult(
            partition_id=2, error_code=ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE, error_message="gone"
        ),
        PartitionResult(partition_id=3, error_code=999, error_message=None),
    )
    with (
        FakeBroker({ApiKey.ELECT_LEADERS: lambda request: answer}) as broker,
        Client(broker.address, timeout_s=5) as client,
    ):
        assert quorum.elect_preferred(client) == [
            Election(topic="orders", partition=0, error=""),
            Election(topic="orders", partition=2, error="PREFERRED_LEADER_NOT_AVAILABLE: gone"),
            Election(topic="orders", partition=3, error="error code 999"),
        ]
        quorum.elect_preferred(client, [("orders", 0), ("events", 1), ("orders", 2)])
        of_all, of_some = broker.asked(ApiKey.ELECT_LEADERS)
    assert of_all.topic_partitions is None
    assert (of_all.election_type, of_all.timeout_ms) == (0, 5000)
    asked = [(topic.topic, topic.partitions) for topic in of_some.topic_partitions]
    assert asked == [("orders", [0, 2]), ("events", [1])]
