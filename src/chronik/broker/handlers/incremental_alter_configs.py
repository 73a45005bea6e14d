"""IncrementalAlterConfigs (key 44), versions 0 and 1: set, delete, append to and subtract from single
settings (KIP-339).

Topics, brokers, groups and client metrics change in the metadata log, log levels of this broker (KIP-412) in
this process. Each resource is decided for itself.
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
from chronik.broker.loggers import check_level, check_logger, is_root, set_level, unset_level
from chronik.broker.needs import Needs, each_config_resource
from chronik.cluster.metadata.configs import AlterOp, ConfigChange, ConfigResource, IncrementalAlterConfigs
from chronik.vocab.acl import AclOperation
from chronik.vocab.config.definition import ResourceType
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.wire.messages.incremental_alter_configs import (
    AlterConfigsResource,
    AlterConfigsResourceResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)

NEEDS = Needs(each=each_config_resource(AclOperation.ALTER_CONFIGS))


async def handle(
    broker: Broker, context: RequestContext, request: IncrementalAlterConfigsRequest
) -> IncrementalAlterConfigsResponse:
    repeated_resources = repeated(
        (resource.resource_type, resource.resource_name) for resource in request.resources
    )
    answers = await asyncio.gather(
        *(
            _answer(broker, resource, repeated_resources, request.validate_only)
            for resource in request.resources
        )
    )
    return IncrementalAlterConfigsResponse(responses=list(answers))


def on_error(
    request: IncrementalAlterConfigsRequest, code: ErrorCode, message: str | None
) -> IncrementalAlterConfigsResponse:
    """The same error for every resource named."""
    return IncrementalAlterConfigsResponse(
        responses=[_response(resource, code, message) for resource in request.resources]
    )


async def _answer(
    broker: Broker,
    resource: AlterConfigsResource,
    repeated_resources: frozenset[WireResource],
    validate_only: bool,
) -> AlterConfigsResourceResponse:
    wire_resource = (resource.resource_type, resource.resource_name)
    try:
        changes = _changes(resource, repeated_resources)
        await _alter(broker, parse_resource(wire_resource), changes, validate_only)
    except KafkaError as error:
        return _response(resource, error.code, error.message)
    return _response(resource, ErrorCode.NONE, None)


def _changes(
    resource: AlterConfigsResource, repeated_resources: frozenset[WireResource]
) -> list[ConfigChange]:
    changes = [
        ConfigChange(config.name, _operation(config.config_operation), config.value)
        for config in resource.configs
    ]
    check_alteration(
        (resource.resource_type, resource.resource_name),
        repeated_resources,
        [change.key for change in changes],
        [change.key for change in changes if change.value is None and change.op is not AlterOp.DELETE],
    )
    return changes


def _operation(number: int) -> AlterOp:
    try:
        return AlterOp(number)
    except ValueError:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unknown operations type {number}") from None


async def _alter(
    broker: Broker, resource: ConfigResource, changes: list[ConfigChange], validate_only: bool
) -> None:
    if resource.type is ResourceType.BROKER_LOGGER:
        check_own_broker(resource.name, broker.node_id)
        _alter_loggers(changes, validate_only)
        return
    if resource.type is ResourceType.BROKER and resource.name:
        check_own_broker(resource.name, broker.node_id)
    await broker.metadata.submit(
        IncrementalAlterConfigs(resource=resource, changes=changes), validate_only=validate_only
    )


def _alter_loggers(changes: list[ConfigChange], validate_only: bool) -> None:
    """Applies all of the changes or none."""
    for change in changes:
        _check_logger_change(change)
    for change in [] if validate_only else changes:
        if change.value is None or change.op is AlterOp.DELETE:
            unset_level(change.key)
        else:
            set_level(change.key, change.value)


def _check_logger_change(change: ConfigChange) -> None:
    if change.op not in (AlterOp.SET, AlterOp.DELETE):
        raise KafkaError(
            ErrorCode.INVALID_REQUEST,
            f"{change.op.name} operation is not allowed for the BROKER_LOGGER resource",
        )
    if change.op is AlterOp.SET:
        check_level(change.key, change.value or "")
        return
    check_logger(change.key)
    if is_root(change.key):
        raise KafkaError(
            ErrorCode.INVALID_REQUEST, f"Removing the log level of the {change.key} logger is not allowed"
        )


def _response(
    resource: AlterConfigsResource, code: ErrorCode, message: str | None
) -> AlterConfigsResourceResponse:
    return AlterConfigsResourceResponse(
        error_code=code,
        error_message=message,
        resource_type=resource.resource_type,
        resource_name=resource.resource_name,
    )
