"""ListPartitionReassignments (key 46), version 0: partitions whose replicas are moving (KIP-455).

Replicas stay where they were placed, so none ever is. kafka-topics sends this for every description.
"""

from chronik.broker.context import Broker, RequestContext
from chronik.broker.needs import Needs, on_cluster
from chronik.vocab.acl import AclOperation
from chronik.vocab.errors import ErrorCode
from chronik.wire.messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
)

NEEDS = Needs(whole=(on_cluster(AclOperation.DESCRIBE),))


async def handle(
    broker: Broker, context: RequestContext, request: ListPartitionReassignmentsRequest
) -> ListPartitionReassignmentsResponse:
    return ListPartitionReassignmentsResponse(error_message=None)


def on_error(
    request: ListPartitionReassignmentsRequest, code: ErrorCode, message: str | None
) -> ListPartitionReassignmentsResponse:
    return ListPartitionReassignmentsResponse(error_code=code, error_message=message)
