"""ElectLeaders (key 43), versions 0 to 2: returns partitions to their preferred leaders (KIP-183, KIP-460).

The preferred leader is the one the partition began with. The answer waits, within the request's timeout,
until the leadership table shows it. Unclean elections are never held: consensus would not elect a replica
that lacks acknowledged records. A request for one is answered as Kafka does where there is no candidate.
"""

import asyncio
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from chronik.broker.context import Broker, RequestContext
from chronik.broker.deadlines import deadline_after
from chronik.broker.needs import Needs, on_cluster
from chronik.cluster.leadership import PartitionKey
from chronik.vocab.acl import AclOperation
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NodeId, TopicPartition
from chronik.wire.messages.elect_leaders import (
    ElectLeadersRequest,
    ElectLeadersResponse,
    PartitionResult,
    ReplicaElectionResult,
)

_PREFERRED = 0
_UNCLEAN = 1

# Questions to leaders that are on their way at once: all partitions of a large cluster may be named.
_ASKED_AT_ONCE = 64

# Partitions looked at in one turn of the loop: a millisecond and a half.
_STEP = 500

Outcomes = dict[TopicPartition, KafkaError | None]


class _Wanted(NamedTuple):
    """A partition that does not have its preferred leader."""

    name: TopicPartition
    key: PartitionKey
    preferred: NodeId


NEEDS = Needs(whole=(on_cluster(AclOperation.ALTER),))


async def handle(
    broker: Broker, context: RequestContext, request: ElectLeadersRequest
) -> ElectLeadersResponse:
    if request.election_type not in (_PREFERRED, _UNCLEAN):
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unknown election type {request.election_type}")
    deadline = deadline_after(request.timeout_ms)
    names = list(dict.fromkeys(_named(broker, request)))
    outcomes: Outcomes = dict.fromkeys(names)
    wanted: list[_Wanted] = []
    for number, name in enumerate(names):
        if number % _STEP == _STEP - 1:
            await asyncio.sleep(0)
        try:
            wanted.append(_wanted(broker, name, request.election_type))
        except KafkaError as error:
            outcomes[name] = error
    await _elect(broker, wanted, outcomes, deadline)
    if request.topic_partitions is None:
        # On a request for all partitions, Kafka omits those with nothing to do.
        outcomes = {name: error for name, error in outcomes.items() if not _is_not_needed(error)}
    return _response(outcomes)


def on_error(request: ElectLeadersRequest, code: ErrorCode, message: str | None) -> ElectLeadersResponse:
    """Version 0 has no error of its own: every partition named has it."""
    error = KafkaError(code, message)
    topics = request.topic_partitions or ()
    response = _response(
        {TopicPartition(topic.topic, index): error for topic in topics for index in topic.partitions}
    )
    response.error_code = code
    return response


def _named(broker: Broker, request: ElectLeadersRequest) -> Iterator[TopicPartition]:
    if request.topic_partitions is None:
        for topic in broker.metadata.image.topics.values():
            for index in range(len(topic.partitions)):
                yield TopicPartition(topic.name, index)
        return
    for named in request.topic_partitions:
        for index in named.partitions:
            yield TopicPartition(named.topic, index)


def _wanted(broker: Broker, name: TopicPartition, election_type: int) -> _Wanted:
    """Raises KafkaError when there is nothing to elect."""
    topic = broker.metadata.image.topics.get(name.topic)
    if topic is None:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"No such topic as {name.topic}")
    if not 0 <= name.partition < len(topic.partitions):
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"No such partition as {name}")
    preferred = topic.partitions[name.partition].preferred_leader
    leader = broker.leadership.leader(topic.topic_id, name.partition)
    if leader is not None and (election_type == _UNCLEAN or leader.node == preferred):
        raise KafkaError(ErrorCode.ELECTION_NOT_NEEDED, "Leader election not needed for topic partition.")
    if election_type == _UNCLEAN:
        raise KafkaError(ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE, "No replica may lead that is not in sync.")
    if leader is None or preferred not in broker.peers.live():
        raise _preferred_absent()
    return _Wanted(name, PartitionKey(topic.topic_id, name.partition), preferred)


def _preferred_absent() -> KafkaError:
    message = "The preferred leader was not available."
    return KafkaError(ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE, message)


async def _elect(broker: Broker, wanted: Iterable[_Wanted], outcomes: Outcomes, deadline: float) -> None:
    at_once = asyncio.Semaphore(_ASKED_AT_ONCE)
    begun: dict[PartitionKey, _Wanted] = {}

    async def ask(one: _Wanted) -> None:
        try:
            async with at_once:
                await broker.transfers.ask(one.key, one.preferred, deadline)
        except KafkaError as error:
            outcomes[one.name] = error
        else:
            begun[one.key] = one

    await asyncio.gather(*map(ask, wanted))
    unled = await broker.transfers.wait_led_by({key: one.preferred for key, one in begun.items()}, deadline)
    for key in unled:
        message = "The preferred leader did not lead yet when the request timed out."
        outcomes[begun[key].name] = KafkaError(ErrorCode.REQUEST_TIMED_OUT, message)


def _is_not_needed(error: KafkaError | None) -> bool:
    return error is not None and error.code is ErrorCode.ELECTION_NOT_NEEDED


def _response(outcomes: Outcomes) -> ElectLeadersResponse:
    topics: dict[str, ReplicaElectionResult] = {}
    for name, error in outcomes.items():
        topic = topics.setdefault(name.topic, ReplicaElectionResult(topic=name.topic))
        topic.partition_result.append(
            PartitionResult(
                partition_id=name.partition,
                error_code=ErrorCode.NONE if error is None else error.code,
                error_message=None if error is None else error.message,
            )
        )
    return ElectLeadersResponse(replica_election_results=list(topics.values()))
