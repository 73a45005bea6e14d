"""The replicas of the metadata, and the return of partitions to their preferred leaders."""

from collections.abc import Sequence
from dataclasses import dataclass

from chronik.client.client import Client
from chronik.client.errors import check, only
from chronik.vocab.errors import ErrorCode
from chronik.wire.apis import ApiKey
from chronik.wire.messages.describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumResponse,
    PartitionDataRequest,
    ReplicaState,
    TopicDataRequest,
)
from chronik.wire.messages.elect_leaders import ElectLeadersRequest, ElectLeadersResponse, TopicPartitions

# Kafka's name for the metadata log, under which every broker answers.
_METADATA_TOPIC = "__cluster_metadata"

_PREFERRED = 0

# No leader, or none known: a valid answer to the request for the quorum.
_LEADERLESS = frozenset(
    {
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.NETWORK_EXCEPTION,
        ErrorCode.REQUEST_TIMED_OUT,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuorumMember:
    """One replica of the metadata. `lag` counts records behind the leader; None where that is not known."""

    node: int
    is_voter: bool
    end_offset: int | None
    lag: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quorum:
    """The replicas of the metadata as their leader sees them; `leader` is None while there is none."""

    leader: int | None
    leader_epoch: int | None
    high_watermark: int | None
    members: tuple[QuorumMember, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Election:
    """The result of one partition's election; `error` is empty when its preferred leader leads now."""

    topic: str
    partition: int
    error: str


def describe(client: Client) -> Quorum | None:
    """None where DescribeQuorum is not served. Raises ClientError."""
    if not client.serves(ApiKey.DESCRIBE_QUORUM):
        return None
    request = DescribeQuorumRequest(
        topics=[TopicDataRequest(topic_name=_METADATA_TOPIC, partitions=[PartitionDataRequest()])]
    )
    answer = client.ask(ApiKey.DESCRIBE_QUORUM, request, DescribeQuorumResponse)
    what = "describe the metadata quorum"
    check(answer.error_code, what, answer.error_message)
    found = only(only(answer.topics, what).partitions, what)
    if found.error_code in _LEADERLESS:
        return Quorum(leader=None, leader_epoch=None, high_watermark=None, members=())
    check(found.error_code, what, found.error_message)
    states = [(state, True) for state in found.current_voters] + [(state, False) for state in found.observers]
    end = max(
        (state.log_end_offset for state, _ in states if state.replica_id == found.leader_id), default=-1
    )
    return Quorum(
        leader=found.leader_id if found.leader_id >= 0 else None,
        leader_epoch=found.leader_epoch,
        high_watermark=found.high_watermark,
        members=tuple(sorted((_member(*state, end) for state in states), key=lambda member: member.node)),
    )


def _member(state: ReplicaState, is_voter: bool, end: int) -> QuorumMember:
    is_known = state.log_end_offset >= 0
    return QuorumMember(
        node=state.replica_id,
        is_voter=is_voter,
        end_offset=state.log_end_offset if is_known else None,
        lag=max(0, end - state.log_end_offset) if is_known and end >= 0 else None,
    )


def elect_preferred(client: Client, partitions: Sequence[tuple[str, int]] | None = None) -> list[Election]:
    """Returns partitions (None: all) to their preferred leaders; the result has those that changed or could
    not.

    Raises ClientError.
    """
    asked = None
    if partitions is not None:
        by_topic: dict[str, list[int]] = {}
        for topic, partition in partitions:
            by_topic.setdefault(topic, []).append(partition)
        asked = [TopicPartitions(topic=topic, partitions=each) for topic, each in by_topic.items()]
    request = ElectLeadersRequest(
        election_type=_PREFERRED, topic_partitions=asked, timeout_ms=int(client.timeout_s * 1000)
    )
    answer = client.ask_controller(ApiKey.ELECT_LEADERS, request, ElectLeadersResponse)
    check(answer.error_code, "elect leaders")
    return [
        Election(
            topic=topic.topic,
            partition=result.partition_id,
            error=_error_text(result.error_code, result.error_message),
        )
        for topic in answer.replica_election_results
        for result in topic.partition_result
        if result.error_code != ErrorCode.ELECTION_NOT_NEEDED
    ]


def _error_text(code: int, message: str | None) -> str:
    if code == ErrorCode.NONE:
        return ""
    name = ErrorCode(code).name if code in set(ErrorCode) else f"error code {code}"
    return f"{name}: {message}" if message else name
