"""The nodes' view of their partitions: leaders, and whether every replica is in sync."""

from collections.abc import Iterator, Sequence

from chronik.client import quorum, topics
from chronik.client.client import Client
from chronik.client.errors import ClientError
from chronik.client.topics import PartitionPlace
from chronik.testing import Cluster
from tests.support.waiting import wait_until

_ASK_SECONDS = 5.0
SECONDS_MAX = 60.0


def wait_in_sync(cluster: Cluster, seconds: float = SECONDS_MAX) -> None:
    """Return when each node says of all partitions that they have a leader and all their replicas.

    Raises TimeoutError.
    """
    wait_until(lambda: not list(_troubles(cluster)), "all replicas in sync", seconds)


def leaders(cluster: Cluster, topic: str) -> dict[int, int]:
    """The node that leads each partition which has a leader, as any node says."""
    with Client(cluster.bootstrap_servers, timeout_s=_ASK_SECONDS) as client:
        places = topics.find(client, topic).partitions
    return {place.partition: place.leader for place in places if place.leader is not None}


def wait_led_elsewhere(cluster: Cluster, topic: str, lost: int, seconds: float = SECONDS_MAX) -> None:
    """Return when all nodes but `lost` name a leader of each partition that is not `lost`.

    Raises TimeoutError.
    """
    others = [node.bootstrap_servers for node in cluster.nodes if node.node_id != lost]
    wait_until(
        lambda: all(_is_led_elsewhere(server, topic, lost) for server in others),
        f"no partition of {topic} led by node {lost}",
        seconds,
    )


def _is_led_elsewhere(server: str, topic: str, lost: int) -> bool:
    return all(place.leader not in (None, lost) for name, place in _places(server) if name in (topic, "?"))


def wait_balanced(cluster: Cluster, topic: str, seconds: float = SECONDS_MAX) -> None:
    """Give partitions back to the nodes that led them first, and return when all nodes name those.

    Raises TimeoutError.
    """

    def is_balanced() -> bool:
        try:
            with Client(cluster.bootstrap_servers, timeout_s=_ASK_SECONDS) as client:
                quorum.elect_preferred(client)
        except ClientError:
            return False
        servers = [node.bootstrap_servers for node in cluster.nodes]
        return all(_leads_its_first(server, topic) for server in servers)

    wait_until(is_balanced, f"all partitions of {topic} led by their first replicas", seconds)


def _leads_its_first(server: str, topic: str) -> bool:
    places = [place for name, place in _places(server) if name in (topic, "?")]
    return all(place.leader is not None and place.leader == place.replicas[0] for place in places)


def _troubles(cluster: Cluster) -> Iterator[str]:
    for node in cluster.nodes:
        if not node.is_running:
            yield f"node {node.node_id} does not run"
            continue
        for name, place in _places(node.bootstrap_servers):
            if place.leader is None or set(place.in_sync) != set(place.replicas):
                yield f"node {node.node_id}: {name}-{place.partition} has {place.in_sync}"


def _places(server: str) -> Sequence[tuple[str, PartitionPlace]]:
    """All partitions as one node sees them; one that does not answer sees none with a leader."""
    try:
        with Client(server, timeout_s=_ASK_SECONDS) as client:
            return [(topic.name, place) for topic in topics.list_all(client) for place in topic.partitions]
    except ClientError:
        nowhere = PartitionPlace(
            partition=-1, leader=None, leader_epoch=-1, replicas=(), in_sync=(), offline=()
        )
        return [("?", nowhere)]
