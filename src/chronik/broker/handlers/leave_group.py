"""LeaveGroup (key 13), versions 0 to 5: one member up to version 2, many from 3, also by instance id
(KIP-345).
"""

from chronik.broker.context import Broker, RequestContext
from chronik.broker.groups.commands import Leave, LeavingMember
from chronik.broker.groups.service import check_group_id
from chronik.broker.needs import Needs, on_group
from chronik.vocab.acl import AclOperation
from chronik.vocab.errors import ErrorCode
from chronik.wire.messages.leave_group import (
    LeaveGroupRequest,
    LeaveGroupResponse,
    MemberIdentity,
    MemberResponse,
)

_BATCH_VERSION = 3


NEEDS = Needs(whole=(on_group(AclOperation.READ),))


async def handle(broker: Broker, context: RequestContext, request: LeaveGroupRequest) -> LeaveGroupResponse:
    check_group_id(request.group_id)
    is_batch = context.api_version >= _BATCH_VERSION
    leaving = request.members if is_batch else [MemberIdentity(member_id=request.member_id)]
    command = Leave(
        request.group_id,
        members=tuple(
            LeavingMember(
                member_id=member.member_id, instance_id=member.group_instance_id, reason=member.reason
            )
            for member in leaving
        ),
    )
    errors = (await broker.groups.run(command)).errors
    if not is_batch:
        return LeaveGroupResponse(error_code=errors[0])
    return LeaveGroupResponse(
        members=[
            MemberResponse(
                member_id=member.member_id, group_instance_id=member.group_instance_id, error_code=error
            )
            for member, error in zip(leaving, errors, strict=True)
        ]
    )


def on_error(request: LeaveGroupRequest, code: ErrorCode, message: str | None) -> LeaveGroupResponse:
    return LeaveGroupResponse(error_code=code)
