"""DescribeCluster (key 60), versions 0 to 2: the brokers as this listener's clients reach them (KIP-700).

Controllers are not an endpoint of their own here (KIP-919): a request for those is answered
MISMATCHED_ENDPOINT_TYPE, as a Kafka broker does. Fenced brokers, which are registered but not live, are
included on request (version 2).
"""

from collections.abc import Iterator

from chronik.broker.access import NOT_ASKED
from chronik.broker.context import Broker, RequestContext
from chronik.broker.needs import Inside, Needs
from chronik.cluster.image import ClusterImage
from chronik.vocab.acl import AclOperation, AclResourceType
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.wire.messages.describe_cluster import (
    DescribeClusterBroker,
    DescribeClusterRequest,
    DescribeClusterResponse,
)

_BROKERS = 1
_CONTROLLERS = 2


NEEDS = Needs(
    inside=(
        Inside(
            operation=AclOperation.DESCRIBE,
            resource_type=AclResourceType.CLUSTER,
            otherwise="no operation is named as allowed",
        ),
    ),
)


def handle(
    broker: Broker, context: RequestContext, request: DescribeClusterRequest
) -> DescribeClusterResponse:
    _check_endpoint_type(request.endpoint_type)
    asked = request.include_cluster_authorized_operations
    return DescribeClusterResponse(
        endpoint_type=_BROKERS,
        cluster_id=broker.cluster_id,
        controller_id=broker.node_id,
        brokers=list(
            _brokers(broker.metadata.image, context.session.listener, request.include_fenced_brokers)
        ),
        cluster_authorized_operations=broker.access.cluster_operations(context.session)
        if asked
        else NOT_ASKED,
    )


def _brokers(image: ClusterImage, listener: str, includes_fenced: bool) -> Iterator[DescribeClusterBroker]:
    for node, registered in image.brokers.items():
        is_fenced = node in image.fenced
        if is_fenced and not includes_fenced:
            continue
        for endpoint in registered.endpoints:
            if endpoint.listener == listener:
                yield DescribeClusterBroker(
                    broker_id=node,
                    host=endpoint.host,
                    port=endpoint.port,
                    rack=registered.rack,
                    is_fenced=is_fenced,
                )


def on_error(
    request: DescribeClusterRequest, code: ErrorCode, message: str | None
) -> DescribeClusterResponse:
    return DescribeClusterResponse(error_code=code, error_message=message, endpoint_type=_BROKERS)


def _check_endpoint_type(endpoint_type: int) -> None:
    if endpoint_type == _CONTROLLERS:
        raise KafkaError(
            ErrorCode.MISMATCHED_ENDPOINT_TYPE, "The request was sent to an endpoint of type broker"
        )
    if endpoint_type != _BROKERS:
        raise KafkaError(
            ErrorCode.UNSUPPORTED_ENDPOINT_TYPE, f"Endpoints of type {endpoint_type} do not exist"
        )
