"""The node's figures as Prometheus reads them. Imported with the first HTTP connection.

Where dashboards for Kafka know a figure under a name, it has that name here: those of the JMX exporter with
Kafka's example rules (`kafka_server_brokertopicmetrics_messagesin_total`), and those of kafka_exporter
(`kafka_consumergroup_lag`). Figures of our own begin with `chronik_`. All are read, at each scrape, from
counters of the rooms.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from chronik.broker.traffic import TopicTraffic
from chronik.server.http.view import GroupFigures, NodeStatistics
from chronik.server.metrics_text import Table, labelled, write_tables
from chronik.server.partition_metrics import partition_tables
from chronik.server.quorum_metrics import quorum_metrics
from chronik.server.raft_metrics import histogram, raft_metrics
from chronik.server.storage_metrics import storage_metrics
from chronik.vocab.lag import unread

# Rows of one kind. Beyond it they are left out and counted in `chronik_metrics_rows_omitted`: a scraper of a
# node of ten thousand partitions needs totals, and a scrape must stay a matter of megabytes.
ROWS_MAX = 4_000

_PROCESS_IO = "/proc/self/io"


async def render(statistics: NodeStatistics, *, is_ready: bool) -> bytes:
    """The text of a scrape. On the event loop, which turns while long tables are written."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(NodeCollector(statistics, is_ready=is_ready))
    ProcessCollector(registry=registry)
    return b"".join([generate_latest(registry), *await write_tables(_tables(statistics))])


class NodeCollector(Collector):
    """One scrape's figures, except those with many rows."""

    def __init__(self, statistics: NodeStatistics, *, is_ready: bool) -> None:
        self._statistics = statistics
        self._is_ready = is_ready

    def collect(self) -> Iterator[Metric]:
        statistics = self._statistics
        yield _gauge("chronik_ready", "Whether clients can use the node.", int(self._is_ready))
        yield from _requests(statistics)
        yield from _replicas(statistics)
        yield from _cluster(statistics)
        if statistics.metadata is not None:
            yield from quorum_metrics(statistics.metadata)
        if statistics.raft is not None:
            yield from raft_metrics(statistics.raft)
        yield _coordinators(statistics)
        yield from _sockets(statistics)
        yield from _resources(statistics)
        yield from _disk()
        yield from storage_metrics(statistics.storage)
        yield _omitted(statistics)


def _tables(statistics: NodeStatistics) -> Iterator[Table]:
    yield from _traffic(statistics)
    rows, is_in_cluster = statistics.partitions[:ROWS_MAX], statistics.raft is not None
    yield from partition_tables(rows, is_in_cluster=is_in_cluster)
    topics = islice(statistics.membership.topic_partitions.items(), ROWS_MAX)
    counts = ((labelled({"topic": topic}), count) for topic, count in topics)
    yield Table("kafka_topic_partitions", "gauge", "Partitions of each topic.", counts)
    yield from _groups(statistics)


def _traffic(statistics: NodeStatistics) -> Iterator[Table]:
    """Per topic, and for all topics without a label, as the JMX exporter shows them."""
    kinds: list[tuple[str, str, Callable[[TopicTraffic], int]]] = [
        ("messagesin", "Records that producers brought.", lambda traffic: traffic.messages_in),
        ("bytesin", "Bytes that producers brought.", lambda traffic: traffic.bytes_in),
        ("bytesout", "Bytes that consumers took.", lambda traffic: traffic.bytes_out),
        (
            "totalproducerequests",
            "Partitions that produce requests named.",
            lambda traffic: traffic.produces,
        ),
        (
            "failedproducerequests",
            "Those that failed, moved leaders, storage errors and batches too large apart.",
            lambda traffic: traffic.failed_produces,
        ),
        ("totalfetchrequests", "Partitions that fetch requests named.", lambda traffic: traffic.fetches),
        (
            "failedfetchrequests",
            "Those that failed, moved leaders, storage errors and offsets out of range apart.",
            lambda traffic: traffic.failed_fetches,
        ),
    ]
    all_topics = [("", statistics.traffic)]
    rows = all_topics + [
        (labelled({"topic": topic}), traffic) for topic, traffic in statistics.topic_traffic.items()
    ]
    for name, text, read in kinds:
        values = [(where, read(traffic)) for where, traffic in rows]
        yield Table(f"kafka_server_brokertopicmetrics_{name}_total", "counter", text, values)


def _requests(statistics: NodeStatistics) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "kafka_network_requestmetrics_requests", "Requests answered, by API.", labels=["request"]
    )
    errors = CounterMetricFamily(
        "kafka_network_requestmetrics_errors", "Requests that failed as a whole, by API.", labels=["request"]
    )
    seconds = CounterMetricFamily(
        "chronik_request_seconds",
        "Seconds from requests' arrivals to their answers, waiting included, by API.",
        labels=["request"],
    )
    for api, totals in statistics.requests.items():
        requests.add_metric([api], totals.requests)
        errors.add_metric([api], totals.errors)
        seconds.add_metric([api], totals.seconds)
    yield requests
    yield errors
    yield seconds


def _replicas(statistics: NodeStatistics) -> Iterator[Metric]:
    manager = "kafka_server_replicamanager"
    led = [partition for partition in statistics.partitions if partition.is_leader]
    under_replicated = sum(one.is_under_replicated for one in led)
    under_min = sum(one.is_under_min_isr for one in led)
    at_min = sum(one.is_at_min_isr for one in led)
    yield _gauge(f"{manager}_partitioncount", "Partitions on this node.", len(statistics.partitions))
    yield _gauge(f"{manager}_leadercount", "Partitions that this node leads.", len(led))
    yield _gauge(
        f"{manager}_underreplicatedpartitions",
        "Led partitions of which replicas are not in sync.",
        under_replicated,
    )
    yield _gauge(
        f"{manager}_underminisrpartitioncount",
        "Led partitions with fewer in sync than min.insync.replicas: acks=all is refused.",
        under_min,
    )
    yield _gauge(
        f"{manager}_atminisrpartitioncount",
        "Led partitions that one more lost replica puts below min.insync.replicas.",
        at_min,
    )
    yield _gauge(
        f"{manager}_reassigningpartitions",
        "Led partitions that do not have the replicas yet that they shall have.",
        sum(one.is_reassigning for one in led),
    )
    yield _gauge(
        f"{manager}_offlinereplicacount",
        "Partitions whose log cannot be used.",
        statistics.offline_partitions,
    )


def _cluster(statistics: NodeStatistics) -> Iterator[Metric]:
    controller, cluster = "kafka_controller_kafkacontroller", statistics.membership
    rows = [
        ("activecontrollercount", "Whether this node is the controller.", int(cluster.is_controller)),
        ("offlinepartitionscount", "Partitions of which this node knows no leader.", cluster.leaderless),
        ("globaltopiccount", "Topics in the cluster.", cluster.topics),
        ("globalpartitioncount", "Partitions in the cluster.", cluster.partitions),
        ("activebrokercount", "Brokers that serve.", cluster.brokers - cluster.fenced),
        ("fencedbrokercount", "Brokers that are taken for lost, or stop.", cluster.fenced),
    ]
    for name, text, value in rows:
        yield _gauge(f"{controller}_{name}", text, value)
    # Not counted, but true by construction: votes go to candidates whose log is not behind the voter's.
    yield _counter(
        "kafka_controller_controllerstats_uncleanleaderelections",
        "Leaders elected that lacked committed records: never, because Raft elects none.",
        0,
    )
    brokers = GaugeMetricFamily("kafka_broker_info", "1 for each broker.", labels=["id", "address"])
    for node, address in cluster.broker_addresses.items():
        brokers.add_metric([str(node), address], 1)
    yield brokers


def _coordinators(statistics: NodeStatistics) -> Metric:
    family = GaugeMetricFamily(
        "kafka_server_group_coordinator_metrics_num_partitions",
        "Partitions of __consumer_offsets led here, by the state of their coordinator.",
        labels=["state"],
    )
    for state, count in statistics.coordinator_states.items():
        family.add_metric([state], count)
    return family


def _groups(statistics: NodeStatistics) -> Iterator[Table]:
    groups = statistics.groups[:ROWS_MAX]
    commits = list(islice(_commits(groups), ROWS_MAX))
    bounds = {
        (figures.topic, figures.partition): (figures.start_offset, figures.high_watermark)
        for figures in statistics.partitions
    }
    lags = (
        (where, unread(offset, *bounds[partition]))
        for where, partition, offset in commits
        if partition in bounds
    )
    members = ((labelled({"consumergroup": group.id}), group.members) for group in groups)
    name = "kafka_consumergroup"
    offsets = ((where, offset) for where, _, offset in commits)
    yield Table(f"{name}_current_offset", "gauge", "Committed offset.", offsets)
    yield Table(f"{name}_lag", "gauge", "Committed records that are there and not yet read.", lags)
    yield Table(f"{name}_members", "gauge", "Members.", members)


def _commits(groups: Iterable[GroupFigures]) -> Iterator[tuple[str, tuple[str, int], int]]:
    for group in groups:
        for (topic, partition), offset in group.offsets.items():
            labels = {"consumergroup": group.id, "topic": topic, "partition": str(partition)}
            yield labelled(labels), (topic, partition), offset


def _sockets(statistics: NodeStatistics) -> Iterator[Metric]:
    connections = GaugeMetricFamily(
        "kafka_server_socket_server_metrics_connection_count",
        "Client connections now, by listener.",
        labels=["listener", "networkProcessor"],
    )
    for listener, count in statistics.connections.by_listener.items():
        connections.add_metric([listener, "0"], count)
    yield connections
    idle = "Share of the time, lately, in which the event loop's thread had nothing to do; from 0 to 1."
    for name in (
        "kafka_network_socketserver_networkprocessoravgidle_percent",
        "kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent",
    ):
        yield _gauge(name, idle, statistics.idle_ratio)


def _disk() -> Iterator[Metric]:
    """The process's reads and writes on the device, as Kafka takes them from Linux; empty elsewhere."""
    try:
        with open(_PROCESS_IO, encoding="ascii") as file:
            counts = dict(line.split(": ") for line in file.read().splitlines())
    except (OSError, ValueError):
        return
    for name in ("read", "write"):
        text = f"Bytes that this process made devices {name}."
        yield _gauge(
            f"kafka_server_kafkaserver_linux_disk_{name}_bytes", text, int(counts.get(f"{name}_bytes", 0))
        )


def _resources(statistics: NodeStatistics) -> Iterator[Metric]:
    connections, syncs = statistics.connections, statistics.syncs
    yield _gauge("chronik_connections", "Client connections now.", connections.open)
    yield _counter("chronik_connections_accepted", "Client connections accepted.", connections.accepted)
    yield _counter("chronik_connections_refused", "Client connections over a limit.", connections.refused)
    yield _counter(
        "chronik_connections_closed_idle", "Client connections closed as idle.", connections.closed_idle
    )
    yield _gauge("chronik_received_bytes", "Bytes of incomplete requests.", statistics.received_bytes)
    yield _gauge(
        "chronik_unsent_bytes", "Bytes of answers that clients do not read.", statistics.unsent_bytes
    )
    yield _counter("chronik_log_sync_rounds", "Rounds of fsyncs, each shared by many writers.", syncs.rounds)
    yield _counter("chronik_log_sync_files", "Files synced.", syncs.files)
    yield _counter("chronik_log_sync_failures", "Logs whose fsync failed.", syncs.failures)
    yield _counter("chronik_log_sync_seconds", "Seconds spent in rounds of fsyncs.", syncs.seconds)
    yield histogram("chronik_log_sync_latency_seconds", "Seconds of each round.", [("", syncs.latency)])


def _omitted(statistics: NodeStatistics) -> Metric:
    family = GaugeMetricFamily("chronik_metrics_rows_omitted", "Rows left out of this page.", labels=["kind"])
    offsets = sum(len(group.offsets) for group in statistics.groups)
    family.add_metric(["partition"], max(0, len(statistics.partitions) - ROWS_MAX))
    family.add_metric(["consumergroup"], max(0, offsets - ROWS_MAX))
    return family


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)
