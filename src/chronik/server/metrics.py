"""The node's figures as Prometheus reads them. Imported with the first HTTP connection.

Where a figure has a name that dashboards for Kafka know, it has that name here: those of the JMX exporter
with Kafka's example rules (`kafka_server_brokertopicmetrics_messagesin_total`), and those of kafka_exporter
(`kafka_consumergroup_lag`). Figures of our own begin with `chronik_`. Nothing is counted for metrics alone:
all is read from what the rooms count anyway, when somebody asks.
"""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from chronik.broker.traffic import TopicTraffic
from chronik.server.http.view import NodeStatistics, PartitionFigures
from chronik.server.raft_metrics import histogram, partition_metrics, raft_metrics

# Rows of one kind. Beyond it they are left out, and `chronik_metrics_rows_omitted` says how many: whoever
# scrapes a node of ten thousand partitions wants totals, and a scrape must stay a matter of megabytes.
ROWS_MAX = 4_000


def render(statistics: NodeStatistics, *, is_ready: bool) -> bytes:
    """The text of a scrape. Runs in any thread."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(NodeCollector(statistics, is_ready=is_ready))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class NodeCollector(Collector):
    """One scrape's figures."""

    def __init__(self, statistics: NodeStatistics, *, is_ready: bool) -> None:
        self._statistics = statistics
        self._is_ready = is_ready

    def collect(self) -> Iterator[Metric]:
        statistics = self._statistics
        yield _gauge("chronik_ready", "Whether clients can use the node.", int(self._is_ready))
        yield from _traffic(statistics)
        yield from _requests(statistics)
        yield from _replicas(statistics)
        yield from _cluster(statistics)
        yield from _logs(statistics.partitions[:ROWS_MAX])
        if statistics.raft is not None:
            yield from raft_metrics(statistics.raft)
            yield from partition_metrics(statistics.partitions[:ROWS_MAX])
        yield from _groups(statistics)
        yield from _resources(statistics)
        yield _omitted(statistics)


def _traffic(statistics: NodeStatistics) -> Iterator[Metric]:
    """Per topic, and for all topics without a label, as the JMX exporter shows them."""
    kinds: list[tuple[str, str, Callable[[TopicTraffic], int]]] = [
        ("messagesin", "Records that producers brought.", lambda traffic: traffic.messages_in),
        ("bytesin", "Bytes that producers brought.", lambda traffic: traffic.bytes_in),
        ("bytesout", "Bytes that consumers took.", lambda traffic: traffic.bytes_out),
    ]
    for name, text, read in kinds:
        family = CounterMetricFamily(f"kafka_server_brokertopicmetrics_{name}", text, labels=["topic"])
        family.add_sample(f"{family.name}_total", {}, read(statistics.traffic))
        for topic, traffic in statistics.topic_traffic.items():
            family.add_metric([topic], read(traffic))
        yield family


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
    under_replicated = sum(one.in_sync < one.replicas for one in led)
    under_min = sum(one.in_sync < one.in_sync_min for one in led)
    at_min = sum(one.in_sync == one.in_sync_min < one.replicas for one in led)
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


def _logs(partitions: Iterable[PartitionFigures]) -> Iterator[Metric]:
    kinds: list[tuple[str, str, Callable[[PartitionFigures], int]]] = [
        ("kafka_log_log_size", "Bytes of log.", lambda figures: figures.bytes),
        ("kafka_log_log_logstartoffset", "First offset.", lambda figures: figures.start_offset),
        ("kafka_log_log_logendoffset", "Next offset to be written.", lambda figures: figures.end_offset),
        (
            "kafka_topic_partition_oldest_offset",
            "First offset that can be read.",
            lambda figures: figures.start_offset,
        ),
        (
            "kafka_topic_partition_current_offset",
            "Offset after the last committed record.",
            lambda figures: figures.high_watermark,
        ),
    ]
    rows = list(partitions)
    for name, text, read in kinds:
        family = GaugeMetricFamily(name, text, labels=["topic", "partition"])
        for figures in rows:
            family.add_metric([figures.topic, str(figures.partition)], read(figures))
        yield family


def _groups(statistics: NodeStatistics) -> Iterator[Metric]:
    labels = ["consumergroup", "topic", "partition"]
    current = GaugeMetricFamily("kafka_consumergroup_current_offset", "Committed offset.", labels=labels)
    lag = GaugeMetricFamily("kafka_consumergroup_lag", "Committed records not yet read.", labels=labels)
    members = GaugeMetricFamily("kafka_consumergroup_members", "Members.", labels=["consumergroup"])
    ends = {(figures.topic, figures.partition): figures.high_watermark for figures in statistics.partitions}
    rows = 0
    for group in statistics.groups[:ROWS_MAX]:
        members.add_metric([group.id], group.members)
        for (topic, partition), offset in group.offsets.items():
            rows += 1
            if rows > ROWS_MAX:
                break
            where = [group.id, topic, str(partition)]
            current.add_metric(where, offset)
            if (topic, partition) in ends:
                lag.add_metric(where, max(0, ends[topic, partition] - offset))
    yield current
    yield lag
    yield members


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
