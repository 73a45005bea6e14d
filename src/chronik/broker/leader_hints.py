"""Where the leader is, on errors that say it is elsewhere (KIP-951): it spares clients a Metadata request.

Only what the leadership table says is told, never a guess, and never that this node is what it has just said
it is not.
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
    """Who leads the partition, named by its topic's id or, when that is zero, by its name."""
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
