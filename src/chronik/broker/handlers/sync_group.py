"""SyncGroup (key 14), versions 0 to 5: the leader hands in the assignment, every member gets its part.

The answer waits for the leader's assignment, and until that is committed.
"""

from chronik.broker.context import Broker, RequestContext
from chronik.broker.groups.commands import Sync
from chronik.broker.groups.service import check_group_id
from chronik.broker.needs import Needs, on_group
from chronik.vocab.acl import AclOperation
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.wire.messages.sync_group import SyncGroupRequest, SyncGroupResponse

_FIRST_VERSION_WITH_PROTOCOL = 5


NEEDS = Needs(whole=(on_group(AclOperation.READ),))


async def handle(broker: Broker, context: RequestContext, request: SyncGroupRequest) -> SyncGroupResponse:
    check_group_id(request.group_id)
    is_named = request.protocol_type is not None and request.protocol_name is not None
    if context.api_version >= _FIRST_VERSION_WITH_PROTOCOL and not is_named:
        raise KafkaError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, "protocol type and name are required")
    answer = await broker.groups.run(
        Sync(
            request.group_id,
            member_id=request.member_id,
            instance_id=request.group_instance_id,
            generation=request.generation_id,
            protocol_type=request.protocol_type,
            protocol_name=request.protocol_name,
            assignments=tuple((given.member_id, given.assignment) for given in request.assignments),
        )
    )
    return SyncGroupResponse(
        error_code=answer.error,
        protocol_type=answer.protocol_type,
        protocol_name=answer.protocol_name,
        assignment=answer.assignment,
    )


def on_error(request: SyncGroupRequest, code: ErrorCode, message: str | None) -> SyncGroupResponse:
    return SyncGroupResponse(error_code=code)
