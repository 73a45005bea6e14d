"""DeleteTopics (key 20), versions 1 to 6: delete topics by name or, from version 6, by id.

An answer without error means that the deletion is committed and the topic serves no request any more.
Internal topics may be deleted too, as from Kafka.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence

from chronik.broker.context import Broker, RequestContext
from chronik.broker.deadlines import deadline_after
from chronik.broker.needs import Each, Needs
from chronik.cluster.image import ClusterImage
from chronik.cluster.metadata.topics import DeleteTopic
from chronik.vocab.acl import AUTHORIZATION_TEXTS, AclOperation, AclResourceType
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NO_TOPIC_ID, TopicId
from chronik.wire.messages.delete_topics import (
    DeletableTopicResult,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)

_FIRST_VERSION_WITH_ITS_OWN_CODE_FOR_DISABLED = 3
_NAMED_BOTH_WAYS = "The provided topic name maps to an ID that was already supplied."

# Name and id, of which a request should give one.
_Key = tuple[str | None, bytes]


def _known_name(broker: Broker, _: DeleteTopicsRequest, asked: DeleteTopicState | str) -> str | None:
    """The name of an existing topic."""
    image = broker.metadata.image
    if isinstance(asked, str):
        return asked if asked in image.topics else None
    if asked.topic_id == NO_TOPIC_ID:
        return asked.name if asked.name in image.topics else None
    topic = image.topics_by_id.get(TopicId(asked.topic_id))
    return None if topic is None or asked.name is not None else topic.name


def _unknown_name(broker: Broker, _: DeleteTopicsRequest, asked: DeleteTopicState | str) -> str | None:
    """The name of a topic that does not exist: a client that may not describe it is not told so."""
    name, topic_id = (asked, NO_TOPIC_ID) if isinstance(asked, str) else (asked.name, asked.topic_id)
    return name if topic_id == NO_TOPIC_ID and name not in broker.metadata.image.topics else None


NEEDS = Needs(
    each=tuple(
        Each(
            operation=operation,
            resource_type=AclResourceType.TOPIC,
            name=name,
            or_on_cluster=AclOperation.DELETE,
            is_once=True,
        )
        for operation, name in ((AclOperation.DELETE, _known_name), (AclOperation.DESCRIBE, _unknown_name))
    )
)


async def handle(
    broker: Broker, context: RequestContext, request: DeleteTopicsRequest
) -> DeleteTopicsResponse:
    if not broker.settings.bool("delete.topic.enable"):
        is_known = context.api_version >= _FIRST_VERSION_WITH_ITS_OWN_CODE_FOR_DISABLED
        code = ErrorCode.TOPIC_DELETION_DISABLED if is_known else ErrorCode.INVALID_REQUEST
        raise KafkaError(code, "Topic deletion is disabled (delete.topic.enable)")
    deadline = deadline_after(request.timeout_ms)
    once = {(topic.name, topic.topic_id): topic for topic in _asked(request)}
    times = Counter((topic.name, topic.topic_id) for topic in _asked(request))
    refused = _named_both_ways(broker.metadata.image, times)
    results = [
        _answer(broker, topic, times[key], deadline) for key, topic in once.items() if key not in refused
    ]
    twice = {result.topic_id: result for result in refused.values()}
    return DeleteTopicsResponse(responses=[*await asyncio.gather(*results), *twice.values()])


def on_error(request: DeleteTopicsRequest, code: ErrorCode, message: str | None) -> DeleteTopicsResponse:
    """The same error for every topic named."""
    error = KafkaError(code, message)
    return DeleteTopicsResponse(responses=[_failure(topic, error) for topic in _asked(request)])


def on_denied(
    broker: Broker, context: RequestContext, request: DeleteTopicsRequest, code: ErrorCode
) -> DeleteTopicsResponse:
    """If a topic is requested by id, its name is only disclosed to a client that may describe it."""
    response = on_error(request, code, AUTHORIZATION_TEXTS[code])
    for result in response.responses:
        topic = broker.metadata.image.topics_by_id.get(TopicId(result.topic_id))
        if topic is not None and broker.access.is_allowed(
            context.session, AclOperation.DESCRIBE, AclResourceType.TOPIC, topic.name
        ):
            result.name = topic.name
    return response


def _asked(request: DeleteTopicsRequest) -> Sequence[DeleteTopicState]:
    return [*request.topics, *(DeleteTopicState(name=name) for name in request.topic_names)]


def _named_both_ways(image: ClusterImage, asked: Counter[_Key]) -> dict[_Key, DeletableTopicResult]:
    """Refusals, by entry, of topics that are named once by name and once by id: one for both entries."""
    refused: dict[_Key, DeletableTopicResult] = {}
    for (name, _), times in asked.items():
        topic = None if name is None else image.topics.get(name)
        if topic is not None and times == asked[name, NO_TOPIC_ID] == asked[None, topic.topic_id] == 1:
            error = KafkaError(ErrorCode.INVALID_REQUEST, _NAMED_BOTH_WAYS)
            result = _failure(DeleteTopicState(name=name, topic_id=topic.topic_id), error)
            refused[name, NO_TOPIC_ID] = refused[None, topic.topic_id] = result
    return refused


async def _answer(
    broker: Broker, asked: DeleteTopicState, times: int, deadline: float
) -> DeletableTopicResult:
    try:
        command = _command(asked, times)
        async with asyncio.timeout_at(deadline):
            delta = await broker.metadata.submit(command, deadline=deadline)
    except TimeoutError:
        message = "The topic was not yet deleted when the request timed out"
        return _failure(asked, KafkaError(ErrorCode.REQUEST_TIMED_OUT, message))
    except KafkaError as error:
        return _failure(asked, error)
    (topic,) = delta.topics_deleted
    return DeletableTopicResult(name=topic.name, topic_id=topic.topic_id)


def _command(asked: DeleteTopicState, times: int) -> DeleteTopic:
    problem = None
    has_id = asked.topic_id != NO_TOPIC_ID
    if asked.name is not None and has_id:
        problem = "You may not specify both topic name and topic id."
    elif asked.name is None and not has_id:
        problem = "Neither topic name nor id were specified."
    elif times > 1:
        problem = "Duplicate topic id." if has_id else "Duplicate topic name."
    if problem is not None:
        raise KafkaError(ErrorCode.INVALID_REQUEST, problem)
    return DeleteTopic(topic_id=TopicId(asked.topic_id)) if has_id else DeleteTopic(name=asked.name)


def _failure(asked: DeleteTopicState, error: KafkaError) -> DeletableTopicResult:
    return DeletableTopicResult(
        name=asked.name, topic_id=asked.topic_id, error_code=error.code, error_message=error.message
    )
