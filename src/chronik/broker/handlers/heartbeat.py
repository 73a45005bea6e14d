"""Heartbeat (key 12), versions 0 to 4: renews a member's session; REBALANCE_IN_PROGRESS makes it rejoin."""

from chronik.broker.context import Broker, RequestContext
from chronik.broker.groups.commands import Heartbeat
from chronik.broker.groups.service import check_group_id
from chronik.broker.needs import Needs, on_group
from chronik.vocab.acl import AclOperation
from chronik.vocab.errors import ErrorCode
from chronik.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse

NEEDS = Needs(whole=(on_group(AclOperation.READ),))


async def handle(broker: Broker, context: RequestContext, request: HeartbeatRequest) -> HeartbeatResponse:
    check_group_id(request.group_id)
    answer = await broker.groups.run(
        Heartbeat(
            request.group_id,
            member_id=request.member_id,
            instance_id=request.group_instance_id,
            generation=request.generation_id,
        )
    )
    return HeartbeatResponse(error_code=answer.error)


def on_error(request: HeartbeatRequest, code: ErrorCode, message: str | None) -> HeartbeatResponse:
    return HeartbeatResponse(error_code=code)
