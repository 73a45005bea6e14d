"""DeleteAcls (key 31), versions 1 to 3: there is no authorizer, and each filter is answered so."""

from chronik.broker.context import Broker, RequestContext
from chronik.broker.needs import Needs, on_cluster
from chronik.vocab.acl import AclOperation
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.wire.messages.delete_acls import DeleteAclsFilterResult, DeleteAclsRequest, DeleteAclsResponse

NEEDS = Needs(whole=(on_cluster(AclOperation.ALTER),))


async def handle(broker: Broker, context: RequestContext, request: DeleteAclsRequest) -> DeleteAclsResponse:
    raise KafkaError(ErrorCode.SECURITY_DISABLED, "No Authorizer is configured.")


def on_error(request: DeleteAclsRequest, code: ErrorCode, message: str | None) -> DeleteAclsResponse:
    """The same error for every filter."""
    return DeleteAclsResponse(
        filter_results=[
            DeleteAclsFilterResult(error_code=code, error_message=message) for _ in request.filters
        ]
    )
