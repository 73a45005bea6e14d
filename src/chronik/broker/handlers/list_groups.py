"""ListGroups (key 16), versions 0 to 5: the groups this node coordinates, by state from 4 (KIP-518), by type
from 5 (KIP-848).

All groups here are of the classic type. While a partition is being loaded the list is incomplete, and the
error is COORDINATOR_LOAD_IN_PROGRESS.
"""

from collections.abc import Iterable

from chronik.broker.context import Broker, RequestContext
from chronik.broker.groups import commands as group_commands
from chronik.broker.needs import Inside, Needs
from chronik.vocab.acl import AclOperation, AclResourceType
from chronik.vocab.errors import ErrorCode
from chronik.wire.messages.list_groups import ListedGroup, ListGroupsRequest, ListGroupsResponse

# As Kafka writes it; filters fold case.
_TYPE = "classic"


NEEDS = Needs(
    inside=(
        Inside(
            operation=AclOperation.DESCRIBE,
            resource_type=AclResourceType.CLUSTER,
            otherwise="groups are left out that may not be described themselves",
        ),
        Inside(
            operation=AclOperation.DESCRIBE, resource_type=AclResourceType.GROUP, otherwise="it is left out"
        ),
    ),
)


async def handle(broker: Broker, context: RequestContext, request: ListGroupsRequest) -> ListGroupsResponse:
    listing = await broker.groups.list_groups()
    hidden = _hidden(broker, context, listing.groups)
    states = {state.lower() for state in request.states_filter}
    types = {type_name.lower() for type_name in request.types_filter}
    has_type = not types or _TYPE in types
    return ListGroupsResponse(
        error_code=listing.error,
        groups=[
            ListedGroup(
                group_id=group.group_id,
                protocol_type=group.protocol_type,
                group_state=group.state,
                group_type=_TYPE,
            )
            for group in listing.groups
            if has_type and (not states or group.state.lower() in states) and group.group_id not in hidden
        ],
    )


def _hidden(
    broker: Broker, context: RequestContext, groups: Iterable[group_commands.ListedGroup]
) -> frozenset[str]:
    """Groups that the client may not see."""
    access, session = broker.access, context.session
    if access.is_allowed(session, AclOperation.DESCRIBE, AclResourceType.CLUSTER):
        return frozenset()
    names = (group.group_id for group in groups)
    return access.denied(session, AclOperation.DESCRIBE, AclResourceType.GROUP, names)


def on_error(request: ListGroupsRequest, code: ErrorCode, message: str | None) -> ListGroupsResponse:
    return ListGroupsResponse(error_code=code)
