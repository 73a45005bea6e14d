"""DescribeGroups (key 15), versions 0 to 6: state, protocol and members of groups.

A group that does not exist is Dead without error up to version 5, GROUP_ID_NOT_FOUND from 6 (KIP-1043).
"""

import asyncio

from chronik.broker.access import NOT_ASKED
from chronik.broker.context import Broker, RequestContext
from chronik.broker.groups.commands import DescribeAnswer, DescribedMember, DescribeGroup
from chronik.broker.needs import Needs, each_group
from chronik.vocab.acl import AclOperation, AclResourceType
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.wire.messages.describe_groups import (
    DescribedGroup,
    DescribedGroupMember,
    DescribeGroupsRequest,
    DescribeGroupsResponse,
)

_FIRST_VERSION_WITH_NOT_FOUND = 6


NEEDS = Needs(each=(each_group(AclOperation.DESCRIBE),), is_explained=False)


async def handle(
    broker: Broker, context: RequestContext, request: DescribeGroupsRequest
) -> DescribeGroupsResponse:
    asks = request.include_authorized_operations
    described = await asyncio.gather(
        *(
            _describe(broker, group_id, context.api_version, _operations(broker, context, group_id, asks))
            for group_id in request.groups
        )
    )
    return DescribeGroupsResponse(groups=list(described))


def on_error(request: DescribeGroupsRequest, code: ErrorCode, message: str | None) -> DescribeGroupsResponse:
    """The same error for every group named."""
    return DescribeGroupsResponse(
        groups=[
            DescribedGroup(group_id=group_id, error_code=code, error_message=message)
            for group_id in request.groups
        ]
    )


def _operations(broker: Broker, context: RequestContext, group_id: str, asks: bool) -> int:
    if not asks:
        return NOT_ASKED
    return broker.access.operations(context.session, AclResourceType.GROUP, group_id)


async def _describe(broker: Broker, group_id: str, version: int, operations: int) -> DescribedGroup:
    try:
        answer = await broker.groups.run(DescribeGroup(group_id))
    except KafkaError as error:
        return DescribedGroup(group_id=group_id, error_code=error.code, error_message=error.message)
    if answer.error is ErrorCode.NONE:
        return _found(group_id, answer, operations)
    if version < _FIRST_VERSION_WITH_NOT_FOUND:
        return DescribedGroup(group_id=group_id, group_state=answer.state, authorized_operations=operations)
    message = f"Group {group_id} not found."
    return DescribedGroup(
        group_id=group_id, group_state=answer.state, error_code=answer.error, error_message=message
    )


def _found(group_id: str, answer: DescribeAnswer, operations: int) -> DescribedGroup:
    return DescribedGroup(
        group_id=group_id,
        group_state=answer.state,
        protocol_type=answer.protocol_type,
        protocol_data=answer.protocol_name,
        members=[_member(member) for member in answer.members],
        authorized_operations=operations,
    )


def _member(member: DescribedMember) -> DescribedGroupMember:
    return DescribedGroupMember(
        member_id=member.member_id,
        group_instance_id=member.instance_id,
        client_id=member.client_id,
        client_host=member.client_host,
        member_metadata=member.metadata,
        member_assignment=member.assignment,
    )
