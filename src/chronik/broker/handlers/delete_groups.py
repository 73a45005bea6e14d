"""DeleteGroups (key 42), versions 0 to 3: groups without members, with all they have committed (KIP-229)."""

import asyncio

from chronik.broker.context import Broker, RequestContext
from chronik.broker.groups.commands import DeleteGroup
from chronik.broker.needs import Needs, each_group
from chronik.vocab.acl import AclOperation
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.wire.messages.delete_groups import (
    DeletableGroupResult,
    DeleteGroupsRequest,
    DeleteGroupsResponse,
)

NEEDS = Needs(each=(each_group(AclOperation.DELETE),), is_explained=False)


async def handle(
    broker: Broker, context: RequestContext, request: DeleteGroupsRequest
) -> DeleteGroupsResponse:
    group_ids = list(dict.fromkeys(request.groups_names))
    results = await asyncio.gather(*(_delete(broker, group_id) for group_id in group_ids))
    return DeleteGroupsResponse(results=list(results))


def on_error(request: DeleteGroupsRequest, code: ErrorCode, message: str | None) -> DeleteGroupsResponse:
    """The same error for every group named."""
    return DeleteGroupsResponse(
        results=[
            DeletableGroupResult(group_id=group_id, error_code=code, error_message=message)
            for group_id in request.groups_names
        ]
    )


async def _delete(broker: Broker, group_id: str) -> DeletableGroupResult:
    """The message exists from version 3; a refusal by the group's state needs none besides its code."""
    try:
        error, message = (await broker.groups.run(DeleteGroup(group_id))).error, None
    except KafkaError as failure:
        error, message = failure.code, failure.message
    return DeletableGroupResult(group_id=group_id, error_code=error, error_message=message)
