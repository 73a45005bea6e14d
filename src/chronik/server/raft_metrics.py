"""The figures of consensus as Prometheus reads them, on a node of a cluster. See `metrics`.

Names of Kafka's own raft-metrics and broker-metadata-metrics are those that Strimzi's rules for the JMX
exporter make of them; the dashboards that there are use them. Kafka's are of the metadata's quorum alone, and
so are these.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from chronik.raft.latency import BOUNDS, LatencyFigures
from chronik.server.http.view import MetadataFigures, PartitionFigures, PeerFigures, RaftFigures

_QUORUM = "kafka_server_raftmetrics"
_APPLIED = "kafka_server_brokermetadatametrics"
_MANAGER = "kafka_server_replicamanager"
_PARTITION = "kafka_cluster_partition"


def raft_metrics(raft: RaftFigures) -> Iterator[Metric]:
    """Of all groups together, of the metadata, and of each other node."""
    yield from _groups(raft)
    yield _commits(raft)
    yield from _in_sync_changes(raft)
    if raft.metadata is not None:
        yield from _metadata(raft.metadata, raft.metadata_commits)
    yield from _peers(raft.peers)
    yield CounterMetricFamily(
        "chronik_raft_strangers",
        "Connections to the port for nodes that were none of a node of this cluster.",
        value=raft.strangers,
    )


def partition_metrics(partitions: Iterable[PartitionFigures]) -> Iterator[Metric]:
    """Of each partition that this node leads, as its leader sees it."""
    kinds: list[tuple[str, str, Callable[[PartitionFigures], int]]] = [
        (f"{_PARTITION}_replicascount", "Replicas.", lambda one: one.replicas),
        (f"{_PARTITION}_insyncreplicascount", "Replicas in sync.", lambda one: one.in_sync),
        (
            f"{_PARTITION}_underreplicated",
            "1 while replicas are not in sync.",
            lambda one: one.in_sync < one.replicas,
        ),
        (
            f"{_PARTITION}_underminisr",
            "1 while fewer are in sync than min.insync.replicas: acks=all is refused.",
            lambda one: one.in_sync < one.in_sync_min,
        ),
        (
            "chronik_raft_replication_lag",
            "Records that the follower furthest behind lacks, of those the leader has heard.",
            lambda one: one.lag,
        ),
    ]
    led = [one for one in partitions if one.is_leader]
    for name, text, read in kinds:
        family = GaugeMetricFamily(name, text, labels=["topic", "partition"])
        for one in led:
            family.add_metric([one.topic, str(one.partition)], read(one))
        yield family


def histogram(
    name: str, text: str, latencies: Sequence[tuple[str, LatencyFigures]], label: str = ""
) -> Metric:
    """In seconds. With a `label` each of `latencies` has its value of it."""
    family = HistogramMetricFamily(name, text, labels=[label] if label else [])
    for value, latency in latencies:
        family.add_metric([value] if label else [], list(_buckets(latency)), latency.seconds)
    return family


def _buckets(latency: LatencyFigures) -> Iterator[tuple[str, float]]:
    """Cumulated, as Prometheus wants them."""
    total = 0
    for bound, count in zip([*map(str, BOUNDS), "+Inf"], latency.counts, strict=True):
        total += count
        yield bound, total


def _groups(raft: RaftFigures) -> Iterator[Metric]:
    gauges = [
        ("groups", "Replicated groups on this node, that of the metadata included.", raft.groups),
        ("active_groups", "Groups that are not quiet, and so are ticked.", raft.active),
        ("led_groups", "Groups that this node leads.", raft.led),
    ]
    counters = [
        ("elections_won", "Elections that made this node a leader.", raft.elections),
        (
            "leader_changes",
            "Times that a replica here saw its leader become another node.",
            raft.leader_changes,
        ),
        (
            "leaderships_handed_over",
            "Leaderships that went to the node they were given to.",
            raft.handed_over,
        ),
    ]
    for name, text, value in gauges:
        yield GaugeMetricFamily(f"chronik_raft_{name}", text, value=value)
    for name, text, value in counters:
        yield CounterMetricFamily(f"chronik_raft_{name}", text, value=value)


def _commits(raft: RaftFigures) -> Metric:
    return histogram(
        "chronik_raft_commit_latency_seconds",
        "From an append on the leader to its commit, for one append of each group at a time.",
        [("partitions", raft.commits), ("metadata", raft.metadata_commits)],
        label="of",
    )


def _in_sync_changes(raft: RaftFigures) -> Iterator[Metric]:
    yield CounterMetricFamily(
        f"{_MANAGER}_isrshrinks",
        "Times that a replica of a led partition fell out of sync.",
        value=raft.shrinks,
    )
    yield CounterMetricFamily(
        f"{_MANAGER}_isrexpands", "Times that such a replica was in sync again.", value=raft.expands
    )


def _metadata(metadata: MetadataFigures, commits: LatencyFigures) -> Iterator[Metric]:
    state = GaugeMetricFamily(
        f"{_QUORUM}_current_state", "1 for what this node is.", labels=["current_state"]
    )
    state.add_metric(["leader" if metadata.is_leader else "follower"], 1)
    yield state
    gauges = [
        (
            f"{_QUORUM}_current_leader",
            "Who leads the metadata; -1 while nobody is known to.",
            metadata.leader,
        ),
        (f"{_QUORUM}_current_epoch", "The metadata's term.", metadata.epoch),
        (f"{_QUORUM}_high_watermark", "Committed metadata records.", metadata.high_watermark),
        (f"{_QUORUM}_log_end_offset", "Metadata records that are written here.", metadata.end_offset),
        (
            f"{_QUORUM}_commit_latency_avg",
            "Milliseconds to commit metadata records, lately, where this node led.",
            commits.recent_mean * 1000,
        ),
        (f"{_QUORUM}_commit_latency_max", "The longest of those.", commits.recent_max * 1000),
        (
            f"{_APPLIED}_last_applied_record_offset",
            "The last metadata record that this node has applied; -1 before the first.",
            metadata.applied - 1,
        ),
    ]
    for name, text, value in gauges:
        yield GaugeMetricFamily(name, text, value=value)
    if metadata.lag is not None:
        yield GaugeMetricFamily(
            "chronik_metadata_lag",
            "Metadata records the controller has applied and this node has not; absent without a controller.",
            value=metadata.lag,
        )


def _peers(peers: Sequence[PeerFigures]) -> Iterator[Metric]:
    gauges: list[tuple[str, str, Callable[[PeerFigures], int]]] = [
        ("connected", "Whether the other node is connected.", lambda peer: peer.is_up),
        ("unsent_bytes", "Bytes that it has not taken yet.", lambda peer: peer.unsent_bytes),
    ]
    counters: list[tuple[str, str, Callable[[PeerFigures], int]]] = [
        ("connects", "Times that a connection to it came up.", lambda peer: peer.connects),
        ("received_frames", "Frames from it.", lambda peer: peer.frames_received),
        ("received_bytes", "Bytes from it.", lambda peer: peer.bytes_received),
        ("sent_frames", "Frames to it.", lambda peer: peer.frames_sent),
        ("sent_bytes", "Bytes to it, heartbeats and framing excluded.", lambda peer: peer.bytes_sent),
        (
            "refused_frames",
            "Frames not sent because too much waited for it to read.",
            lambda peer: peer.frames_refused,
        ),
    ]
    for kind, rows in ((GaugeMetricFamily, gauges), (CounterMetricFamily, counters)):
        for name, text, read in rows:
            family = kind(f"chronik_raft_peer_{name}", text, labels=["peer"])
            for peer in peers:
                family.add_metric([str(peer.node)], read(peer))
            yield family
