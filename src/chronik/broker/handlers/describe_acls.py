"""DescribeAcls (key 29), versions 1 to 3: there is no authorizer, and the answer says so as Kafka's does
without one, whatever the filter.
"""

from chronik.broker.context import Broker, RequestContext
from chronik.broker.needs import Needs, on_cluster
from chronik.vocab.acl import AclOperation
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.wire.messages.describe_acls import DescribeAclsRequest, DescribeAclsResponse

NEEDS = Needs(whole=(on_cluster(AclOperation.DESCRIBE),))


async def handle(
    broker: Broker, context: RequestContext, request: DescribeAclsRequest
) -> DescribeAclsResponse:
    raise KafkaError(ErrorCode.SECURITY_DISABLED, "No Authorizer is configured on the broker")


def on_error(request: DescribeAclsRequest, code: ErrorCode, message: str | None) -> DescribeAclsResponse:
    return DescribeAclsResponse(error_code=code, error_message=message)
