"""DescribeConfigs (key 32), versions 1 to 4: settings with their values, sources, synonyms, types and
documentation.

Topics, this broker, the default of all brokers (BROKER without a name), this broker's loggers, groups and
client metrics. Without an authorizer nothing is hidden but passwords and the values of
unknown settings.
"""

from chronik.broker.config_requests import check_described_broker, parse_resource
from chronik.broker.context import Broker, RequestContext
from chronik.broker.loggers import logger_levels
from chronik.broker.needs import Needs, each_config_resource
from chronik.cluster.metadata.configs import ConfigResource
from chronik.vocab.acl import AclOperation
from chronik.vocab.config.definition import ConfigSource, ConfigType, ResourceType
from chronik.vocab.config.described import (
    DescribedConfig,
    describe_broker,
    describe_client_metrics,
    describe_cluster_default,
    describe_group,
    describe_topic,
)
from chronik.vocab.config.topic_names import validate_topic_name
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
    DescribeConfigsSynonym,
)

Entries = list[DescribeConfigsResourceResult]


NEEDS = Needs(each=each_config_resource(AclOperation.DESCRIBE_CONFIGS))


async def handle(
    broker: Broker, context: RequestContext, request: DescribeConfigsRequest
) -> DescribeConfigsResponse:
    return DescribeConfigsResponse(
        results=[_result(broker, request, resource) for resource in request.resources]
    )


def on_error(
    request: DescribeConfigsRequest, code: ErrorCode, message: str | None
) -> DescribeConfigsResponse:
    """The same error for every resource named."""
    error = KafkaError(code, message)
    return DescribeConfigsResponse(results=[_failure(resource, error) for resource in request.resources])


def _result(
    broker: Broker, request: DescribeConfigsRequest, resource: DescribeConfigsResource
) -> DescribeConfigsResult:
    try:
        entries = _entries(broker, request, parse_resource((resource.resource_type, resource.resource_name)))
    except KafkaError as error:
        return _failure(resource, error)
    # An empty list requests all of them, as it does in Kafka.
    wanted = set(resource.configuration_keys or ())
    return DescribeConfigsResult(
        # Empty, not null: Kafka's value for no message.
        error_message="",
        resource_type=resource.resource_type,
        resource_name=resource.resource_name,
        configs=[entry for entry in entries if not wanted or entry.name in wanted],
    )


def _failure(resource: DescribeConfigsResource, error: KafkaError) -> DescribeConfigsResult:
    return DescribeConfigsResult(
        error_code=error.code,
        error_message=error.message or "",
        resource_type=resource.resource_type,
        resource_name=resource.resource_name,
    )


def _entries(broker: Broker, request: DescribeConfigsRequest, resource: ConfigResource) -> Entries:
    if resource.type is ResourceType.BROKER_LOGGER:
        check_described_broker(resource.name, broker.node_id, f"expected {broker.node_id}")
        return [_logger_entry(name, level) for name, level in logger_levels().items()]
    return [_entry(request, described) for described in _describe(broker, resource)]


def _describe(broker: Broker, resource: ConfigResource) -> list[DescribedConfig]:
    match resource.type:
        case ResourceType.TOPIC:
            validate_topic_name(resource.name)
            image = broker.metadata.image
            if resource.name not in image.topics:
                raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
            return describe_topic(broker.settings, image.topic_config(resource.name))
        case ResourceType.BROKER if not resource.name:
            return describe_cluster_default(broker.settings)
        case ResourceType.BROKER:
            expected = f"expected {broker.node_id} or empty string,"
            check_described_broker(resource.name, broker.node_id, expected)
            return describe_broker(broker.settings)
        case ResourceType.GROUP if resource.name:
            return describe_group(broker.settings, broker.metadata.image.config(resource))
        case ResourceType.CLIENT_METRICS if resource.name:
            return describe_client_metrics(broker.metadata.image.config(resource))
        case ResourceType.GROUP:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "Group name must not be empty")
        case ResourceType.CLIENT_METRICS:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "Client metrics subscription name must not be empty")
        case _:  # loggers are described by the caller, other types do not get here
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unsupported resource type: {resource.type.name}")


def _entry(request: DescribeConfigsRequest, described: DescribedConfig) -> DescribeConfigsResourceResult:
    definition = described.definition
    return DescribeConfigsResourceResult(
        name=definition.name,
        value=None if definition.is_sensitive else described.text,
        read_only=described.is_read_only,
        config_source=described.source,
        is_sensitive=definition.is_sensitive,
        synonyms=[
            DescribeConfigsSynonym(
                name=synonym.name,
                value=None if definition.is_sensitive else synonym.text,
                source=synonym.source,
            )
            for synonym in (described.synonyms if request.include_synonyms else ())
        ],
        config_type=definition.type,
        documentation=definition.documentation if request.include_documentation else None,
    )


def _logger_entry(name: str, level: str) -> DescribeConfigsResourceResult:
    return DescribeConfigsResourceResult(
        name=name,
        value=level,
        config_source=ConfigSource.DYNAMIC_BROKER_LOGGER_CONFIG,
        config_type=ConfigType.UNKNOWN,
    )
