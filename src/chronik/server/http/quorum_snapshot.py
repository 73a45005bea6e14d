"""`__meta` on this node read into one value. Imported with the first scrape."""

from typing import TYPE_CHECKING

from chronik.broker.partition import Partition
from chronik.cluster.metadata_service import MetadataService
from chronik.node.metadata_partition import MetadataPartition
from chronik.server.http.view import ChannelFigures, MetadataFigures
from chronik.vocab.errors import KafkaError
from chronik.vocab.ids import NO_NODE, NodeId

if TYPE_CHECKING:
    # A node alone has none of it.
    from chronik.node.cluster_runtime import ClusterRuntime
    from chronik.raft.replicated import ReplicatedGroup


def take_metadata_figures(
    metadata: MetadataService, metadata_partition: MetadataPartition, runtime: "ClusterRuntime | None"
) -> MetadataFigures | None:
    """Must run on the event loop. Returns None before it is open."""
    try:
        partition = metadata_partition.partition
    except KafkaError:
        return None
    leader = metadata.controller
    group = None if runtime is None else _group(runtime)
    return MetadataFigures(
        state=_state(partition) if group is None else _replica_state(group),
        leader=NO_NODE if leader is None else leader,
        vote=_vote(leader, group),
        epoch=partition.leader_epoch,
        high_watermark=partition.high_watermark,
        end_offset=partition.log.end_offset,
        applied=metadata.applied_offset,
        append_rate=metadata_partition.appended.per_second(),
        fetch_rate=metadata_partition.received.per_second(),
        commits=(metadata_partition.commits if runtime is None else runtime.metadata_commits).figures(),
        channel=ChannelFigures() if runtime is None else _channel(runtime),
        has_failed=metadata_partition.failure is not None,
    )


def _group(runtime: "ClusterRuntime") -> "ReplicatedGroup | None":
    from chronik.node.metadata_partition import METADATA_GROUP

    return runtime.host.group(METADATA_GROUP)


def _state(partition: Partition) -> str:
    """The state of a group of one, which leads until its log fails."""
    return "leader" if partition.is_leader else "unattached"


def _replica_state(group: "ReplicatedGroup") -> str:
    """As Kafka's `current-state`, which calls a pre-candidate prospective."""
    from chronik.raft.core.roles import Role

    match group.role:
        case Role.LEADER:
            return "leader"
        case Role.CANDIDATE:
            return "candidate"
        case Role.PRE_CANDIDATE:
            return "prospective"
        case Role.FOLLOWER:
            return "unattached" if group.known_leader is None else "follower"


def _vote(leader: NodeId | None, group: "ReplicatedGroup | None") -> int:
    if group is None:
        return NO_NODE if leader is None else leader
    return NO_NODE if group.voted_for is None else group.voted_for


def _channel(runtime: "ClusterRuntime") -> ChannelFigures:
    counters = runtime.host.channel
    return ChannelFigures(
        bytes_in=counters.bytes_in,
        bytes_out=counters.bytes_out,
        requests=counters.requests,
        responses=counters.responses,
    )
