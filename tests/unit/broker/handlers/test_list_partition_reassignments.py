"""ListPartitionReassignments: nothing moves, whatever is asked for."""

import pytest

from chronik.sim.virtual_time import virtual
from chronik.wire.messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
    ListPartitionReassignmentsTopics,
)
from tests.support.broker_room import BrokerRoom

NAMED = [ListPartitionReassignmentsTopics(name="t", partition_indexes=[0, 9])]


@pytest.mark.parametrize("topics", [None, [], NAMED], ids=["all", "none", "named"])
@virtual
async def test_nothing_moves(topics: list[ListPartitionReassignmentsTopics] | None) -> None:
    room = await BrokerRoom().open()
    await room.create("t")
    request = ListPartitionReassignmentsRequest(topics=topics)
    response = await room.ask(request, 0, ListPartitionReassignmentsResponse)
    assert (response.error_code, response.error_message, response.topics) == (0, None, [])
    await room.close()
