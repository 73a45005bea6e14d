"""The present leader, on errors that mean it is another node (KIP-951): spares clients a Metadata request.

Taken from the leadership table only, never guessed, and never this node after it has just answered that it
does not lead.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from chronik.cluster.leadership import Leader
from chronik.cluster.views import BrokerView, broker_views
from chronik.vocab.errors import ErrorCode

if TYPE_CHECKING:
    from chronik.broker.context import Broker

# The errors that carry the leader, as in Kafka.
HINTED_CODES = frozenset({ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.FENCED_LEADER_EPOCH})


def leader_hint(broker: "Broker", code: ErrorCode, topic_id: bytes, topic: str, index: int) -> Leader | None:
    """Returns the leader of the partition, named by its topic's id or, when that is zero, by its name."""
    if code not in HINTED_CODES:
        return None
    leader = broker.replicas.known_leader(topic_id, topic, index)
    is_this_node = leader is not None and leader.node == broker.node_id
    if is_this_node and code is ErrorCode.NOT_LEADER_OR_FOLLOWER:
        return None
    return leader


def endpoints_of(broker: "Broker", listener: str, leaders: Iterable[Leader]) -> list[BrokerView]:
    """Their addresses as this listener's clients reach them, each once; no more than are known."""
    nodes = {leader.node for leader in leaders}
    if not nodes:
        return []
    views = broker_views(broker.metadata.image, listener)
    return [view for node, view in views.items() if node in nodes]
