"""DescribeQuorum (key 55), versions 0 to 2: the replicas of the metadata, and the progress of each (KIP-595,
KIP-836).

Any node answers, by asking the leader. Kafka's name for the metadata log, `__cluster_metadata`, stands for
`__meta` here; clients can request no other quorum.
"""

import asyncio

from chronik.broker.context import Broker, RequestContext
from chronik.broker.needs import Needs, on_cluster
from chronik.broker.quorum import QuorumReplica, QuorumState
from chronik.cluster.image import ClusterImage
from chronik.vocab.acl import AclOperation
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NO_EPOCH, NO_NODE, NO_TOPIC_ID, NodeId, parse_topic_id
from chronik.wire.messages.describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumResponse,
    Listener,
    Node,
    PartitionDataResponse,
    ReplicaState,
    TopicDataResponse,
)

_NAME = "__cluster_metadata"
_UNKNOWN = -1

# The leader answers in a round trip; a client asks again.
_ANSWER_SECONDS_MAX = 5.0


NEEDS = Needs(whole=(on_cluster(AclOperation.DESCRIBE),))


async def handle(
    broker: Broker, context: RequestContext, request: DescribeQuorumRequest
) -> DescribeQuorumResponse:
    answers = [
        TopicDataResponse(
            topic_name=topic.topic_name,
            partitions=[
                await _describe(broker, topic.topic_name, wanted.partition_index)
                for wanted in topic.partitions
            ],
        )
        for topic in request.topics
    ]
    # Empty where there is no error, as from Kafka: here and in each partition.
    return DescribeQuorumResponse(error_message="", topics=answers, nodes=_nodes(broker.metadata.image))


def on_error(request: DescribeQuorumRequest, code: ErrorCode, message: str | None) -> DescribeQuorumResponse:
    return DescribeQuorumResponse(error_code=code, error_message=message or code.name)


async def _describe(broker: Broker, topic: str, index: int) -> PartitionDataResponse:
    if (topic, index) != (_NAME, 0):
        return _failed(index, KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION))
    try:
        state = await broker.quorum.describe(asyncio.get_running_loop().time() + _ANSWER_SECONDS_MAX)
    except KafkaError as error:
        return _failed(index, error)
    return _answer(index, state, broker.metadata.image)


def _answer(index: int, state: QuorumState, image: ClusterImage) -> PartitionDataResponse:
    return PartitionDataResponse(
        partition_index=index,
        error_message="",
        leader_id=state.leader,
        leader_epoch=state.leader_epoch,
        high_watermark=state.high_watermark,
        current_voters=[_replica(replica, image) for replica in state.replicas if replica.is_voter],
        observers=[_replica(replica, image) for replica in state.replicas if not replica.is_voter],
    )


def _replica(replica: QuorumReplica, image: ClusterImage) -> ReplicaState:
    return ReplicaState(
        replica_id=replica.node,
        replica_directory_id=_directory(image, replica.node),
        log_end_offset=replica.end_offset,
        last_fetch_timestamp=replica.heard_ms,
        last_caught_up_timestamp=replica.caught_up_ms,
    )


def _directory(image: ClusterImage, node: NodeId) -> bytes:
    """The directory a node registered with, as a UUID; zero when it is not known."""
    registered = image.brokers.get(node)
    try:
        return NO_TOPIC_ID if registered is None else parse_topic_id(registered.directory_id)
    except ValueError:
        return NO_TOPIC_ID


def _nodes(image: ClusterImage) -> list[Node]:
    return [
        Node(
            node_id=node,
            listeners=[
                Listener(name=endpoint.listener, host=endpoint.host, port=endpoint.port)
                for endpoint in registered.endpoints
            ],
        )
        for node, registered in image.brokers.items()
    ]


def _failed(index: int, error: KafkaError) -> PartitionDataResponse:
    return PartitionDataResponse(
        partition_index=index,
        error_code=error.code,
        error_message=error.message or error.code.name,
        leader_id=NO_NODE,
        leader_epoch=NO_EPOCH,
        high_watermark=_UNKNOWN,
    )
