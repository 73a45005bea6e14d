"""What `chronik cluster status` shows."""

from dataclasses import dataclass

from chronik.cli.client import Client, cluster, topics
from chronik.cli.output import left, print_done, print_facts, print_table, right
from chronik.cli.units import format_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """One broker; bytes are None where it does not tell."""

    id: int
    address: str
    rack: str | None
    is_controller: bool
    leaders: int
    replicas: int
    log_bytes: int | None
    free_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterReport:
    """The cluster; partitions as `topic-0`."""

    id: str
    controller: int | None
    topics: int
    partitions: int
    without_leader: list[str]
    under_replicated: list[str]
    nodes: list[NodeReport]


def read_report(client: Client) -> ClusterReport:
    """Ask for everything. Raises ClientError."""
    described = cluster.describe(client)
    found = topics.list_all(client)
    places = [(topic.name, place) for topic in found for place in topic.partitions]
    directories = cluster.log_directories(client)
    nodes = []
    for node in described.nodes:
        own = [directory for directory in directories if directory.node == node.id]
        free = [directory.usable_bytes for directory in own if directory.usable_bytes is not None]
        nodes.append(
            NodeReport(
                id=node.id,
                address=f"{node.host}:{node.port}",
                rack=node.rack,
                is_controller=node.id == described.controller,
                leaders=sum(place.leader == node.id for _, place in places),
                replicas=sum(node.id in place.replicas for _, place in places),
                log_bytes=sum(sum(directory.sizes.values()) for directory in own) if own else None,
                free_bytes=sum(free) if free else None,
            )
        )
    return ClusterReport(
        id=described.id,
        controller=described.controller,
        topics=len(found),
        partitions=len(places),
        without_leader=[f"{name}-{place.partition}" for name, place in places if place.leader is None],
        under_replicated=[
            f"{name}-{place.partition}" for name, place in places if len(place.in_sync) < len(place.replicas)
        ],
        nodes=nodes,
    )


def print_report(report: ClusterReport) -> None:
    print_facts(
        {
            "Cluster": report.id,
            "Controller": report.controller,
            "Topics": report.topics,
            "Partitions": report.partitions,
            "Without leader": _some(report.without_leader),
            "Under-replicated": _some(report.under_replicated),
        }
    )
    print_done("")
    print_table(
        [
            right("Broker"),
            left("Address"),
            left("Rack"),
            right("Leads"),
            right("Replicas"),
            right("Log"),
            right("Disk free"),
        ],
        [
            (
                node.id,
                node.address + (" (controller)" if node.is_controller and len(report.nodes) > 1 else ""),
                node.rack,
                node.leaders,
                node.replicas,
                format_bytes(node.log_bytes),
                format_bytes(node.free_bytes),
            )
            for node in report.nodes
        ],
    )


def _some(partitions: list[str], shown_max: int = 5) -> str:
    """How many, and the first of them."""
    if not partitions:
        return "none"
    names = ", ".join(partitions[:shown_max])
    more = ", ..." if len(partitions) > shown_max else ""
    return f"{len(partitions)}: {names}{more}"
