"""Preferred read replicas (KIP-392): the replica in the consumer's own rack, when the node is configured so.

The leader decides, for only the leader knows the in-sync replicas; a follower only checks that it has the
requested offset.
"""

from typing import TYPE_CHECKING

from chronik.broker.gateway import PartitionGateway
from chronik.raft.group import Replica
from chronik.vocab.config.tables.replication import RACK_AWARE_SELECTORS
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NO_NODE, NodeId, Offset

if TYPE_CHECKING:
    from chronik.broker.context import Broker
    from chronik.vocab.config.broker import BrokerConfig

# A client that does not send its rack.
NO_RACK = ""


def is_rack_aware(settings: "BrokerConfig") -> bool:
    """True if consumers are sent to replicas in their racks."""
    return settings.raw("replica.selector.class") in RACK_AWARE_SELECTORS


def preferred_replica(broker: "Broker", partition: PartitionGateway, rack: str, offset: Offset) -> NodeId:
    """On the leader: the replica that a client in `rack` should read from; NO_NODE when that is this one.

    As Kafka's RackAwareReplicaSelector: the leader when it is in that rack, else the in-sync replica with the
    highest end offset. Requests for an offset that cannot be read are answered here.
    """
    brokers = broker.metadata.image.brokers
    own = brokers.get(broker.node_id)
    is_near = own is not None and own.rack == rack
    if is_near or not partition.log_start_offset <= offset <= partition.high_watermark:
        return NO_NODE
    in_sync = set(partition.in_sync())
    near = [
        replica
        for replica in partition.replica_progress()
        if replica.node in in_sync
        and replica.end_offset >= offset
        and (registered := brokers.get(replica.node)) is not None
        and registered.rack == rack
    ]
    return max(near, key=_by_end_offset).node if near else NO_NODE


def check_follower_has(partition: PartitionGateway, offset: Offset) -> None:
    """Raises KafkaError OFFSET_NOT_AVAILABLE where a follower cannot decide whether the offset exists.

    The client then asks the leader. Between high watermark and log end it simply waits: the offset came from
    a node on which it was committed.
    """
    if not partition.has_offset(offset):
        raise KafkaError(ErrorCode.OFFSET_NOT_AVAILABLE, f"this replica does not have offset {offset}")


def _by_end_offset(replica: Replica) -> int:
    return replica.end_offset
