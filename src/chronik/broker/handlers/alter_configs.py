"""AlterConfigs (key 33), versions 0 to 2: replace all dynamic settings of a topic, broker, group or
subscription to client metrics.

Kafka has deprecated it in favour of IncrementalAlterConfigs; older tools still send it. Each resource is
decided for itself.
"""

import asyncio

from chronik.broker.config_requests import (
    WireResource,
    check_alteration,
    check_own_broker,
    parse_resource,
    repeated,
)
from chronik.broker.context import Broker, RequestContext
from chronik.broker.needs import Needs, each_config_resource
from chronik.cluster.metadata.configs import AlterConfigs
from chronik.vocab.acl import AclOperation
from chronik.vocab.config.definition import ResourceType
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.wire.messages.alter_configs import (
    AlterConfigsRequest,
    AlterConfigsResource,
    AlterConfigsResourceResponse,
    AlterConfigsResponse,
)

NEEDS = Needs(each=each_config_resource(AclOperation.ALTER_CONFIGS))


async def handle(
    broker: Broker, context: RequestContext, request: AlterConfigsRequest
) -> AlterConfigsResponse:
    repeated_resources = repeated(
        (resource.resource_type, resource.resource_name) for resource in request.resources
    )
    answers = await asyncio.gather(
        *(
            _answer(broker, resource, repeated_resources, request.validate_only)
            for resource in request.resources
        )
    )
    return AlterConfigsResponse(responses=list(answers))


def on_error(request: AlterConfigsRequest, code: ErrorCode, message: str | None) -> AlterConfigsResponse:
    """The same error for every resource named."""
    return AlterConfigsResponse(
        responses=[_response(resource, code, message) for resource in request.resources]
    )


async def _answer(
    broker: Broker,
    resource: AlterConfigsResource,
    repeated_resources: frozenset[WireResource],
    validate_only: bool,
) -> AlterConfigsResourceResponse:
    try:
        command = _command(broker, resource, repeated_resources)
        await broker.metadata.submit(command, validate_only=validate_only)
    except KafkaError as error:
        return _response(resource, error.code, error.message)
    return _response(resource, ErrorCode.NONE, None)


def _command(
    broker: Broker, resource: AlterConfigsResource, repeated_resources: frozenset[WireResource]
) -> AlterConfigs:
    wire_resource = (resource.resource_type, resource.resource_name)
    check_alteration(
        wire_resource,
        repeated_resources,
        [config.name for config in resource.configs],
        [config.name for config in resource.configs if config.value is None],
    )
    parsed = parse_resource(wire_resource)
    if parsed.type is ResourceType.BROKER_LOGGER:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unknown resource type {int(parsed.type)}")
    if parsed.type is ResourceType.BROKER and parsed.name:
        check_own_broker(parsed.name, broker.node_id)
    return AlterConfigs(resource=parsed, entries={config.name: config.value for config in resource.configs})


def _response(
    resource: AlterConfigsResource, code: ErrorCode, message: str | None
) -> AlterConfigsResourceResponse:
    return AlterConfigsResourceResponse(
        error_code=code,
        error_message=message,
        resource_type=resource.resource_type,
        resource_name=resource.resource_name,
    )
