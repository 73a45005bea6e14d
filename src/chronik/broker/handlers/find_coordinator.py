"""FindCoordinator (key 10), versions 0 to 6: who coordinates a group. One key up to version 3, many from 4
(KIP-699).

The first question creates `__consumer_offsets`, and is answered when its partitions have leaders.

Transactions are not served yet. From version 4 a transactional id is answered UNSUPPORTED_VERSION, as
InitProducerId answers it: clients raise that at once, where COORDINATOR_NOT_AVAILABLE would let them try for
a minute. librdkafka, which asks in versions up to 2, tries for ever whatever the error, unless the id is not
authorized: that it raises at once, with our message. Share groups (KIP-932) are answered INVALID_REQUEST, as
by a Kafka that has them switched off.
"""

import asyncio

from chronik.broker.context import Broker, RequestContext
from chronik.cluster.views import BrokerView, broker_views
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import CONSUMER_OFFSETS_TOPIC, NO_NODE
from chronik.wire.messages.find_coordinator import (
    Coordinator,
    FindCoordinatorRequest,
    FindCoordinatorResponse,
)

_GROUP = 0
_TRANSACTION = 1
_BATCH_VERSION = 4
_NO_PORT = -1


async def handle(
    broker: Broker, context: RequestContext, request: FindCoordinatorRequest
) -> FindCoordinatorResponse:
    _check_key_type(request.key_type, context.api_version)
    if context.api_version < _BATCH_VERSION:
        return _single(await _find(broker, context, request.key))
    found = await asyncio.gather(*(_find(broker, context, key) for key in request.coordinator_keys))
    return FindCoordinatorResponse(coordinators=list(found))


def on_error(
    request: FindCoordinatorRequest, code: ErrorCode, message: str | None
) -> FindCoordinatorResponse:
    """Filled for both forms; the version decides which is sent."""
    response = _single(_failed(request.key, KafkaError(code, message)))
    response.coordinators = [_failed(key, KafkaError(code, message)) for key in request.coordinator_keys]
    return response


def _check_key_type(key_type: int, version: int) -> None:
    if key_type == _TRANSACTION:
        is_raised = version >= _BATCH_VERSION
        code = ErrorCode.UNSUPPORTED_VERSION if is_raised else ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        raise KafkaError(code, "Transactions are not supported yet")
    if key_type != _GROUP:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"No coordinators of type {key_type} here")


async def _find(broker: Broker, context: RequestContext, group_id: str) -> Coordinator:
    try:
        partition = await broker.groups.partition_for(group_id)
        view = _leader(broker, context, partition)
    except KafkaError as error:
        return _failed(group_id, error)
    return Coordinator(key=group_id, node_id=view.node, host=view.host, port=view.port, error_message=None)


def _leader(broker: Broker, context: RequestContext, partition: int) -> BrokerView:
    """Raises KafkaError while nobody leads the partition, or nobody whom this client could reach."""
    image = broker.metadata.image
    topic = image.topics.get(CONSUMER_OFFSETS_TOPIC)
    leader = broker.leadership.leader(topic.topic_id, partition) if topic is not None else None
    view = broker_views(image, context.listener).get(leader.node) if leader is not None else None
    if view is None:
        raise KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE)
    return view


def _failed(key: str, error: KafkaError) -> Coordinator:
    return Coordinator(
        key=key,
        node_id=NO_NODE,
        port=_NO_PORT,
        error_code=error.code,
        error_message=error.message or error.code.name,
    )


def _single(found: Coordinator) -> FindCoordinatorResponse:
    return FindCoordinatorResponse(
        error_code=found.error_code,
        error_message=found.error_message,
        node_id=found.node_id,
        host=found.host,
        port=found.port,
    )
