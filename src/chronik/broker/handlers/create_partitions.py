"""CreatePartitions (key 37), versions 0 to 3: let topics grow; each is decided and answered for itself.

The answer waits, within the request's timeout, until the new partitions have leaders and every node that
serves knows them. A request for more than 10,000 partitions is refused whole.
"""

import asyncio
from collections import Counter

from chronik.broker.context import Broker, RequestContext
from chronik.broker.creation_limits import check_additions
from chronik.broker.deadlines import deadline_after
from chronik.broker.needs import Needs, each_topic
from chronik.cluster.metadata.topics import CreatePartitions
from chronik.cluster.topic_creation import wait_ready
from chronik.vocab.acl import AclOperation
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NodeId
from chronik.wire.apis import ApiKey
from chronik.wire.messages.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
    CreatePartitionsTopicResult,
)

NEEDS = Needs(each=(each_topic(AclOperation.ALTER, is_once=True),), is_explained=False)


async def handle(
    broker: Broker, context: RequestContext, request: CreatePartitionsRequest
) -> CreatePartitionsResponse:
    check_additions(broker, ApiKey.CREATE_PARTITIONS, request)
    deadline = deadline_after(request.timeout_ms)
    named = Counter(topic.name for topic in request.topics)
    results = await asyncio.gather(
        *(
            _answer(broker, topic, deadline, request.validate_only)
            for topic in request.topics
            if named[topic.name] == 1
        )
    )
    duplicates = [
        _result(name, KafkaError(ErrorCode.INVALID_REQUEST, "Duplicate topic name."))
        for name, count in named.items()
        if count > 1
    ]
    return CreatePartitionsResponse(results=[*results, *duplicates])


def on_error(
    request: CreatePartitionsRequest, code: ErrorCode, message: str | None
) -> CreatePartitionsResponse:
    """The same error for every topic named."""
    error = KafkaError(code, message)
    return CreatePartitionsResponse(results=[_result(topic.name, error) for topic in request.topics])


async def _answer(
    broker: Broker, asked: CreatePartitionsTopic, deadline: float, validate_only: bool
) -> CreatePartitionsTopicResult:
    try:
        async with asyncio.timeout_at(deadline):
            delta = await broker.metadata.submit(
                _command(asked), validate_only=validate_only, deadline=deadline
            )
        if not validate_only:
            await wait_ready(broker.metadata, broker.leadership, delta, deadline)
    except TimeoutError:
        message = "The partitions were not yet created when the request timed out"
        return _result(asked.name, KafkaError(ErrorCode.REQUEST_TIMED_OUT, message))
    except KafkaError as error:
        return _result(asked.name, error)
    return _result(asked.name, None)


def _command(asked: CreatePartitionsTopic) -> CreatePartitions:
    assignments = asked.assignments
    return CreatePartitions(
        name=asked.name,
        count=asked.count,
        assignments=None
        if assignments is None
        else [[NodeId(node) for node in assignment.broker_ids] for assignment in assignments],
    )


def _result(name: str, error: KafkaError | None) -> CreatePartitionsTopicResult:
    if error is None:
        return CreatePartitionsTopicResult(name=name)
    return CreatePartitionsTopicResult(name=name, error_code=error.code, error_message=error.message)
