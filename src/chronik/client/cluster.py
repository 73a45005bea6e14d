"""The cluster as a whole: its brokers, and how many bytes they hold."""

from dataclasses import dataclass

from chronik.client.client import Client, node_addresses
from chronik.client.connection import Connection
from chronik.client.errors import Unreachable, check
from chronik.wire.apis import ApiKey
from chronik.wire.messages.describe_cluster import DescribeClusterRequest, DescribeClusterResponse
from chronik.wire.messages.describe_log_dirs import DescribeLogDirsRequest, DescribeLogDirsResponse


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A broker as advertised to clients."""

    id: int
    host: str
    port: int
    rack: str | None
    # Known to the cluster, and lost to it.
    is_fenced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The live brokers. `controller` is None while there is none; `id` is empty where brokers do not
    report it.
    """

    id: str
    controller: int | None
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogDirectory:
    """One data directory of one broker. Bytes are None where the broker does not report them."""

    node: int
    path: str
    total_bytes: int | None
    usable_bytes: int | None
    # Bytes of log by topic and partition.
    sizes: dict[tuple[str, int], int]


def describe(client: Client) -> Cluster:
    """Uses DescribeCluster where it is served, else Metadata. Raises ClientError."""
    if not client.serves(ApiKey.DESCRIBE_CLUSTER):
        return _from_metadata(client)
    answer = client.ask(
        ApiKey.DESCRIBE_CLUSTER,
        DescribeClusterRequest(endpoint_type=1, include_fenced_brokers=True),
        DescribeClusterResponse,
    )
    check(answer.error_code, "describe the cluster", answer.error_message)
    nodes = [
        Node(
            id=broker.broker_id,
            host=broker.host,
            port=broker.port,
            rack=broker.rack,
            is_fenced=broker.is_fenced,
        )
        for broker in answer.brokers
    ]
    return _cluster(answer.cluster_id, answer.controller_id, nodes)


def log_directories(client: Client) -> list[LogDirectory]:
    """Returns the data directories of all brokers that answer; none of those that do not serve
    DescribeLogDirs.

    Raises ClientError, Unreachable when no broker answers under the address it advertises.
    """
    return [directory for found in directories_by_node(client).values() for directory in found or ()]


def directories_by_node(client: Client) -> dict[int, list[LogDirectory] | None]:
    """As `log_directories`; None for a broker that does not answer."""
    found: dict[int, list[LogDirectory] | None] = {}
    failures: list[Unreachable] = []
    for node_id, address in sorted(node_addresses(client.metadata(())).items()):
        try:
            found[node_id] = _directories(node_id, client.node(address))
        except Unreachable as error:
            found[node_id] = None
            failures.append(error)
    if failures and len(failures) == len(found):
        raise failures[0]
    return found


def _directories(node_id: int, node: Connection) -> list[LogDirectory]:
    if not node.serves(ApiKey.DESCRIBE_LOG_DIRS):
        return []
    request = DescribeLogDirsRequest(topics=None)
    answer = node.ask(ApiKey.DESCRIBE_LOG_DIRS, request, DescribeLogDirsResponse)
    check(answer.error_code, f"describe the data directories of broker {node_id}")
    directories = []
    for result in answer.results:
        check(result.error_code, f"describe {result.log_dir} of broker {node_id}")
        directories.append(
            LogDirectory(
                node=node_id,
                path=result.log_dir,
                total_bytes=_known(result.total_bytes),
                usable_bytes=_known(result.usable_bytes),
                sizes={
                    (topic.name, partition.partition_index): partition.partition_size
                    for topic in result.topics
                    for partition in topic.partitions
                    if not partition.is_future_key
                },
            )
        )
    return directories


def _from_metadata(client: Client) -> Cluster:
    answer = client.metadata(())
    nodes = [
        Node(id=broker.node_id, host=broker.host, port=broker.port, rack=broker.rack)
        for broker in answer.brokers
    ]
    return _cluster(answer.cluster_id or "", answer.controller_id, nodes)


def _cluster(cluster_id: str, controller: int, nodes: list[Node]) -> Cluster:
    return Cluster(
        id=cluster_id,
        controller=controller if controller >= 0 else None,
        nodes=tuple(sorted(nodes, key=lambda node: node.id)),
    )


def _known(count: int) -> int | None:
    return count if count >= 0 else None
