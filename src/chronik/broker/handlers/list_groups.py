"""ListGroups (key 16), versions 0 to 5: the groups this node coordinates, by state from 4 (KIP-518), by type
from 5 (KIP-848).

All groups here are of the classic type. While a partition is being loaded the list is incomplete and says so
with COORDINATOR_LOAD_IN_PROGRESS.
"""

from chronik.broker.context import Broker, RequestContext
from chronik.vocab.errors import ErrorCode
from chronik.wire.messages.list_groups import ListedGroup, ListGroupsRequest, ListGroupsResponse

# As Kafka writes it; filters fold case.
_TYPE = "classic"


async def handle(broker: Broker, context: RequestContext, request: ListGroupsRequest) -> ListGroupsResponse:
    listing = await broker.groups.list_groups()
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
            if has_type and (not states or group.state.lower() in states)
        ],
    )


def on_error(request: ListGroupsRequest, code: ErrorCode, message: str | None) -> ListGroupsResponse:
    return ListGroupsResponse(error_code=code)
