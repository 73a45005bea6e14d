"""JoinGroup (key 11), versions 0 to 9: enter a group, or a new generation of it.

The answer waits until the other members have joined. Version 0 has no rebalance timeout and uses the
session's; from version 4 a dynamic member is first given an id (KIP-394); from 9 the answer can let a
returning static leader skip the assignment (KIP-814).
"""

from chronik.broker.context import Broker, RequestContext
from chronik.broker.groups.commands import Join, JoinAnswer
from chronik.broker.groups.service import check_group_id
from chronik.broker.needs import Needs, on_group
from chronik.vocab.acl import AclOperation
from chronik.vocab.errors import ErrorCode
from chronik.wire.messages.join_group import JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember

_FIRST_VERSION_REQUIRING_MEMBER_ID = 4
_FIRST_VERSION_WITH_NULL_PROTOCOL = 7
_FIRST_VERSION_WITH_SKIP_ASSIGNMENT = 9


NEEDS = Needs(whole=(on_group(AclOperation.READ),))


async def handle(broker: Broker, context: RequestContext, request: JoinGroupRequest) -> JoinGroupResponse:
    check_group_id(request.group_id)
    client_id = context.client_id or ""
    answer = await broker.groups.run(
        Join(
            request.group_id,
            member_id=request.member_id,
            instance_id=request.group_instance_id,
            protocol_type=request.protocol_type,
            protocols=tuple((protocol.name, protocol.metadata) for protocol in request.protocols),
            session_timeout_ms=request.session_timeout_ms,
            rebalance_timeout_ms=_rebalance_timeout_ms(request),
            client_id=client_id,
            # As Java prints an address, and so Kafka's tools.
            client_host=f"/{context.session.client_host}",
            reason=request.reason,
            new_member_id=broker.groups.new_member_id(request.group_instance_id or client_id),
            requires_known_member_id=context.api_version >= _FIRST_VERSION_REQUIRING_MEMBER_ID,
            can_skip_assignment=context.api_version >= _FIRST_VERSION_WITH_SKIP_ASSIGNMENT,
        )
    )
    return _response(answer, context.api_version)


def on_error(request: JoinGroupRequest, code: ErrorCode, message: str | None) -> JoinGroupResponse:
    return JoinGroupResponse(error_code=code, member_id=request.member_id, protocol_name=None)


def _rebalance_timeout_ms(request: JoinGroupRequest) -> int:
    """The session timeout in version 0, which lacks the field, and for a client that sends none."""
    return request.rebalance_timeout_ms if request.rebalance_timeout_ms > 0 else request.session_timeout_ms


def _response(answer: JoinAnswer, version: int) -> JoinGroupResponse:
    can_be_null = version >= _FIRST_VERSION_WITH_NULL_PROTOCOL
    return JoinGroupResponse(
        error_code=answer.error,
        generation_id=answer.generation,
        protocol_type=answer.protocol_type,
        protocol_name=answer.protocol_name if can_be_null else answer.protocol_name or "",
        leader=answer.leader_id,
        skip_assignment=answer.skip_assignment,
        member_id=answer.member_id,
        members=[
            JoinGroupResponseMember(
                member_id=member.member_id,
                group_instance_id=member.instance_id,
                metadata=member.metadata,
            )
            for member in answer.members
        ],
    )
