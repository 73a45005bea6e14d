"""FindCoordinator (key 10), versions 0 to 6: the coordinator of a group. One key up to version 3, many from 4
(KIP-699).

The coordinator of a group is the leader of its partition of `__consumer_offsets`, on whichever node, by the
leadership table. The first request creates that topic, and is answered when its partitions have leaders. An
election of the requested partition's leader is waited for, shortly.

Transactions are not served yet. From version 4 a transactional id is answered UNSUPPORTED_VERSION, as
InitProducerId answers it: clients raise that at once, where COORDINATOR_NOT_AVAILABLE would make them retry
for a minute. librdkafka, which uses versions up to 2, retries forever on any error, unless the id is not
authorized: that it raises at once, with our message. Share groups (KIP-932) are answered INVALID_REQUEST, as
by a Kafka that has them switched off.
"""

import asyncio
from functools import partial

from chronik.broker.context import Broker, RequestContext
from chronik.broker.elections import election_seconds, wait_until_elected
from chronik.broker.needs import Each, Needs, Whole
from chronik.cluster.leadership import Leader, PartitionKey
from chronik.cluster.views import broker_views
from chronik.vocab.acl import CLUSTER_NAME, AclOperation, AclResourceType
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import CONSUMER_OFFSETS_TOPIC, NO_NODE
from chronik.wire.messages.find_coordinator import (
    Coordinator,
    FindCoordinatorRequest,
    FindCoordinatorResponse,
)

_GROUP = 0
_TRANSACTION = 1
_SHARE = 2
_BATCH_VERSION = 4
_NO_PORT = -1


_OF_KEY_TYPES = {
    _GROUP: (AclOperation.DESCRIBE, AclResourceType.GROUP),
    _TRANSACTION: (AclOperation.DESCRIBE, AclResourceType.TRANSACTIONAL_ID),
    _SHARE: (AclOperation.CLUSTER_ACTION, AclResourceType.CLUSTER),
}


def _single_key(key_type: int, request: FindCoordinatorRequest) -> str | None:
    return None if request.coordinator_keys else _resource(key_type, request, request.key)


def _one_of_keys(key_type: int, _: Broker, request: FindCoordinatorRequest, key: str) -> str | None:
    return _resource(key_type, request, key)


def _resource(key_type: int, request: FindCoordinatorRequest, key: str) -> str | None:
    """Returns the resource to authorize for a key of this type; None for keys of the other type."""
    if request.key_type != key_type:
        return None
    return CLUSTER_NAME if key_type == _SHARE else key


NEEDS = Needs(
    whole=tuple(
        Whole(operation=operation, resource_type=resource_type, name=partial(_single_key, key_type))
        for key_type, (operation, resource_type) in _OF_KEY_TYPES.items()
    ),
    each=tuple(
        Each(operation=operation, resource_type=resource_type, name=partial(_one_of_keys, key_type))
        for key_type, (operation, resource_type) in _OF_KEY_TYPES.items()
    ),
)


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


def on_denied(
    broker: Broker, context: RequestContext, request: FindCoordinatorRequest, code: ErrorCode
) -> FindCoordinatorResponse:
    """Returns the refusal without a text, as Kafka does in the versions for many keys."""
    response = on_error(request, code, None)
    for coordinator in response.coordinators:
        coordinator.error_message = ""
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
        leader = await _leader(broker, partition)
        view = broker_views(broker.metadata.image, context.session.listener).get(leader.node)
        if view is None:
            raise KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE, "this listener does not reach it")
    except KafkaError as error:
        return _failed(group_id, error)
    return Coordinator(key=group_id, node_id=view.node, host=view.host, port=view.port, error_message="")


async def _leader(broker: Broker, partition: int) -> Leader:
    """Raises KafkaError while the partition has no leader."""
    topic = broker.metadata.image.topics.get(CONSUMER_OFFSETS_TOPIC)
    if topic is not None:
        key = PartitionKey(topic.topic_id, partition)
        await wait_until_elected(broker, [key], asyncio.get_running_loop().time() + election_seconds(broker))
        leader = broker.leadership.leader(*key)
        if leader is not None:
            return leader
    raise KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE)


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
        # Kafka's text for no error, in the versions for one group.
        error_message=found.error_message or ErrorCode.NONE.name,
        node_id=found.node_id,
        host=found.host,
        port=found.port,
    )
