"""ListConfigResources (key 74), versions 0 and 1: the resources with configuration (KIP-1142).

Version 0 was ListClientMetricsResources and answers only those. Groups and client metrics are listed while
they have a setting of their own.
"""

from chronik.broker.context import Broker, RequestContext
from chronik.broker.needs import Needs, on_cluster
from chronik.vocab.acl import AclOperation
from chronik.vocab.config.definition import ResourceType
from chronik.vocab.errors import ErrorCode
from chronik.wire.messages.list_config_resources import (
    ConfigResource,
    ListConfigResourcesRequest,
    ListConfigResourcesResponse,
)

_ALL_TYPES = frozenset(ResourceType) - {ResourceType.UNKNOWN}


NEEDS = Needs(whole=(on_cluster(AclOperation.DESCRIBE_CONFIGS),))


async def handle(
    broker: Broker, context: RequestContext, request: ListConfigResourcesRequest
) -> ListConfigResourcesResponse:
    supported = _ALL_TYPES if context.api_version >= 1 else frozenset({ResourceType.CLIENT_METRICS})
    wanted = frozenset(request.resource_types) or supported
    if not wanted <= supported:
        return on_error(request, ErrorCode.UNSUPPORTED_VERSION, None)
    image = broker.metadata.image
    named: dict[ResourceType, list[str]] = {ResourceType.GROUP: [], ResourceType.CLIENT_METRICS: []}
    for resource in image.configs:
        if resource.type in named:
            named[resource.type].append(resource.name)
    names = {
        **named,
        ResourceType.BROKER_LOGGER: [str(node) for node in image.brokers],
        ResourceType.BROKER: [str(node) for node in image.brokers],
        ResourceType.TOPIC: list(image.topics),
    }
    return ListConfigResourcesResponse(
        config_resources=[
            ConfigResource(resource_name=name, resource_type=type)
            for type, of_type in names.items()
            if type in wanted
            for name in of_type
        ]
    )


def on_error(
    request: ListConfigResourcesRequest, code: ErrorCode, message: str | None
) -> ListConfigResourcesResponse:
    return ListConfigResourcesResponse(error_code=code)
