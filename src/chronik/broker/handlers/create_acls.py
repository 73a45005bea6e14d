"""CreateAcls (key 30), versions 1 to 3: there is no authorizer, and each of them is answered so."""

from chronik.broker.context import Broker, RequestContext
from chronik.broker.needs import Needs, on_cluster
from chronik.vocab.acl import AclOperation
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.wire.messages.create_acls import AclCreationResult, CreateAclsRequest, CreateAclsResponse

NEEDS = Needs(whole=(on_cluster(AclOperation.ALTER),))


async def handle(broker: Broker, context: RequestContext, request: CreateAclsRequest) -> CreateAclsResponse:
    raise KafkaError(ErrorCode.SECURITY_DISABLED, "No Authorizer is configured.")


def on_error(request: CreateAclsRequest, code: ErrorCode, message: str | None) -> CreateAclsResponse:
    """The same error for every ACL."""
    return CreateAclsResponse(
        results=[AclCreationResult(error_code=code, error_message=message) for _ in request.creations]
    )
