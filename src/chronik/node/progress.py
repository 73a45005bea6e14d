"""Progress of a node that is not ready, in words for operators.

Nothing is stored for it: a stage is set when it begins, and the rest is read on request.
"""

from collections.abc import Collection, Iterable
from enum import Enum
from typing import TYPE_CHECKING

from chronik.broker.context import Broker
from chronik.cluster.metadata_service import MetadataService
from chronik.vocab.ids import NodeId, Offset

if TYPE_CHECKING:
    from chronik.node.cluster_runtime import ClusterRuntime


class Stage(Enum):
    """Stages of a node's life, in this order; a node alone begins with OPENING."""

    # It looks for the other nodes, of which a new cluster needs all.
    JOINING = "joining"
    # It applies the cluster's metadata.
    CATCHING_UP = "catching up"
    OPENING = "opening"
    REGISTERING = "registering"
    SERVING = "serving"
    DRAINING = "handing over"
    CLOSING = "closing"


def describe(stage: Stage, broker: Broker, runtime: "ClusterRuntime | None") -> str | None:
    """Returns what the node waits for; None if it just starts, serves or stops."""
    match stage:
        case Stage.OPENING:
            return _opening(broker)
        case Stage.DRAINING:
            return _draining(broker)
        case _ if runtime is None:
            return None
        case Stage.JOINING:
            return _bootstrap(runtime)
        case Stage.CATCHING_UP:
            return _no_controller(broker, runtime) or _catching_up(broker, runtime)
        case Stage.REGISTERING:
            return _no_controller(broker, runtime) or "registering with the controller"
        case _:
            return None


def _bootstrap(runtime: "ClusterRuntime") -> str | None:
    missing = runtime.bootstrap.missing
    return f"waiting for {nodes(missing)} to found the cluster" if missing else None


def _no_controller(broker: Broker, runtime: "ClusterRuntime") -> str | None:
    """Returns the reason why there is no controller; None when there is one."""
    voters, live = runtime.member.voters, broker.peers.live()
    absent = voters - live
    if 2 * len(voters & live) <= len(voters):
        return f"no majority: {nodes(absent)} {'is' if len(absent) == 1 else 'are'} not connected"
    leader = broker.metadata.controller
    return "no leader of the metadata yet" if leader is None or leader in absent else None


def _catching_up(broker: Broker, runtime: "ClusterRuntime") -> str:
    applied, known = broker.metadata.applied_offset, known_offset(runtime, broker.metadata)
    return f"catching up with the metadata: {applied} of {max(known, applied)}"


def known_offset(runtime: "ClusterRuntime", metadata: MetadataService) -> Offset:
    """Returns the highest metadata offset known to this node, by gossip as well."""
    leader = metadata.controller
    said = None if leader is None else runtime.gossip.applied.get(leader)
    return metadata.known_offset if said is None else max(said, metadata.known_offset)


def _opening(broker: Broker) -> str:
    done = broker.replicas.statistics()
    wanted = sum(
        broker.node_id in partition.nodes
        for topic in broker.metadata.image.topics.values()
        for partition in topic.partitions
    )
    return f"opening partitions {done.partitions + done.offline} of {wanted}"


def _draining(broker: Broker) -> str | None:
    left = sum(partition.is_replicated for partition in broker.replicas.led())
    return f"stopping: handing over {left} leadership{'' if left == 1 else 's'}" if left else None


def refusals(runtime: "ClusterRuntime | None") -> list[str]:
    """Returns the reasons why connections to live nodes are refused, each once."""
    return [] if runtime is None else list(dict.fromkeys(runtime.transport.refusals().values()))


def nodes(numbers: Collection[NodeId] | Iterable[NodeId]) -> str:
    """`node 2`, or `nodes 2, 3`."""
    ordered = sorted(numbers)
    return f"node{'' if len(ordered) == 1 else 's'} {', '.join(map(str, ordered))}"
