"""The report of `chronik cluster status`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chronik.cli.output import left, print_done, print_facts, print_table, right
from chronik.cli.units import format_bytes
from chronik.client import cluster, quorum, topics
from chronik.client.client import Client
from chronik.client.cluster import LogDirectory, Node
from chronik.client.topics import PartitionPlace
from chronik.vocab.address import host_and_port

# The states of a node.
UP = "up"
# Known to the cluster, and lost to it.
FENCED = "fenced"
# The cluster counts on it, and it does not answer.
SILENT = "no answer"

# A node that is down makes a line for each of its replicas.
_LAGS_SHOWN_MAX = 20

Directories = dict[int, list[LogDirectory] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """One broker; bytes are None where it does not report them."""

    id: int
    address: str
    rack: str | None
    state: str
    is_controller: bool
    leaders: int
    replicas: int
    # How far its copy of the metadata is behind, in records.
    metadata_lag: int | None
    log_bytes: int | None
    free_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LagReport:
    """A replica that is out of sync; bytes are None where it or the leader does not report them."""

    partition: str
    node: int
    lag_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterReport:
    """The cluster; partitions as `topic-0`. `controller` is who leads the metadata."""

    id: str
    controller: int | None
    controller_epoch: int | None
    topics: int
    partitions: int
    without_leader: list[str]
    under_replicated: list[str]
    lags: list[LagReport]
    nodes: list[NodeReport]

    @property
    def is_led(self) -> bool:
        """True if nothing lacks a leader, the metadata included."""
        return self.controller is not None and not self.without_leader


def read_report(client: Client) -> ClusterReport:
    """Reads the whole report. Raises ClientError."""
    described = cluster.describe(client)
    found = topics.list_all(client)
    places = [(topic.name, place) for topic in found for place in topic.partitions]
    directories = cluster.directories_by_node(client)
    metadata = quorum.describe(client)
    controller = described.controller if metadata is None else metadata.leader
    lags = {} if metadata is None else {member.node: member.lag for member in metadata.members}
    nodes = [
        _node(node, places, directories, lags.get(node.id), is_controller=node.id == controller)
        for node in described.nodes
    ]
    return ClusterReport(
        id=described.id,
        controller=controller,
        controller_epoch=None if metadata is None else metadata.leader_epoch,
        topics=len(found),
        partitions=len(places),
        without_leader=[f"{name}-{place.partition}" for name, place in places if place.leader is None],
        under_replicated=[
            f"{name}-{place.partition}" for name, place in places if len(place.in_sync) < len(place.replicas)
        ],
        lags=list(_lags(places, directories)),
        nodes=nodes,
    )


def _node(
    node: Node,
    places: Sequence[tuple[str, PartitionPlace]],
    directories: Directories,
    metadata_lag: int | None,
    *,
    is_controller: bool,
) -> NodeReport:
    own = directories.get(node.id)
    is_silent = own is None
    free = [directory.usable_bytes for directory in own or () if directory.usable_bytes is not None]
    return NodeReport(
        id=node.id,
        address=host_and_port(node.host, node.port),
        rack=node.rack,
        state=FENCED if node.is_fenced else SILENT if is_silent else UP,
        is_controller=is_controller,
        leaders=sum(place.leader == node.id for _, place in places),
        replicas=sum(node.id in place.replicas for _, place in places),
        metadata_lag=metadata_lag,
        log_bytes=sum(sum(directory.sizes.values()) for directory in own) if own else None,
        free_bytes=sum(free) if free else None,
    )


def _lags(places: Sequence[tuple[str, PartitionPlace]], directories: Directories) -> Iterator[LagReport]:
    """By the sizes of logs, which are equal for all in-sync replicas of a partition."""
    for name, place in places:
        sizes = {
            directory.node: directory.sizes[name, place.partition]
            for found in directories.values()
            for directory in found or ()
            if (name, place.partition) in directory.sizes
        }
        whole = None if place.leader is None else sizes.get(place.leader)
        for node in place.replicas:
            if node not in place.in_sync:
                part = sizes.get(node)
                lag = None if whole is None or part is None else max(0, whole - part)
                yield LagReport(partition=f"{name}-{place.partition}", node=node, lag_bytes=lag)


def print_report(report: ClusterReport) -> None:
    controller = report.controller
    if controller is not None and report.controller_epoch is not None:
        leader: object = f"{controller} (epoch {report.controller_epoch})"
    else:
        leader = "none" if controller is None else controller
    print_facts(
        {
            "Cluster": report.id,
            "Metadata leader": leader,
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
            left("State"),
            right("Leads"),
            right("Replicas"),
            right("Metadata lag"),
            right("Log"),
            right("Disk free"),
        ],
        [
            (
                node.id,
                node.address,
                node.rack,
                node.state,
                node.leaders,
                node.replicas,
                node.metadata_lag,
                format_bytes(node.log_bytes),
                format_bytes(node.free_bytes),
            )
            for node in report.nodes
        ],
    )
    if report.lags:
        print_done("")
        print_table(
            [left("Partition", is_cut=True), right("Not in sync"), right("Behind by")],
            [(lag.partition, lag.node, format_bytes(lag.lag_bytes)) for lag in report.lags[:_LAGS_SHOWN_MAX]],
        )
        if len(report.lags) > _LAGS_SHOWN_MAX:
            print_done(f"... and {len(report.lags) - _LAGS_SHOWN_MAX} more; --json has all.")


def _some(partitions: list[str], shown_max: int = 5) -> str:
    """Returns the number of partitions, and the first of them."""
    if not partitions:
        return "none"
    names = ", ".join(partitions[:shown_max])
    more = ", ..." if len(partitions) > shown_max else ""
    return f"{len(partitions)}: {names}{more}"
