"""The figures of consensus as Prometheus reads them, on a node of a cluster. See `metrics`.

Those of the metadata's quorum under Kafka's names are in `quorum_metrics`.
"""

from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from chronik.raft.latency import BOUNDS, LatencyFigures
from chronik.server.http.view import PeerFigures, RaftFigures

_MANAGER = "kafka_server_replicamanager"


def raft_metrics(raft: RaftFigures) -> Iterator[Metric]:
    """Figures of all groups together, and of each other node."""
    yield from _groups(raft)
    yield _commits(raft)
    yield from _in_sync_changes(raft)
    if raft.metadata_lag is not None:
        yield GaugeMetricFamily(
            "chronik_metadata_lag",
            "Metadata records the controller has applied and this node has not; absent without a controller.",
            value=raft.metadata_lag,
        )
    yield from _peers(raft.peers)
    yield CounterMetricFamily(
        "chronik_raft_strangers",
        "Connections to the port for nodes that were none of a node of this cluster.",
        value=raft.strangers,
    )


def histogram(
    name: str, text: str, latencies: Sequence[tuple[str, LatencyFigures]], label: str = ""
) -> Metric:
    """In seconds. With a `label` each of `latencies` has its value of it."""
    family = HistogramMetricFamily(name, text, labels=[label] if label else [])
    for value, latency in latencies:
        family.add_metric([value] if label else [], list(_buckets(latency)), latency.seconds)
    return family


def _buckets(latency: LatencyFigures) -> Iterator[tuple[str, float]]:
    """Cumulative, as Prometheus requires."""
    total = 0
    for bound, count in zip([*map(str, BOUNDS), "+Inf"], latency.counts, strict=True):
        total += count
        yield bound, total


def _groups(raft: RaftFigures) -> Iterator[Metric]:
    gauges = [
        ("groups", "Replicated groups on this node, that of the metadata included.", raft.groups),
        ("active_groups", "Groups that are not quiet, and so are ticked.", raft.active),
        ("led_groups", "Groups that this node leads.", raft.led),
        (
            "voteless_groups",
            "Groups in which this node has no vote until it has caught up: it lost its disk, or records.",
            raft.voteless,
        ),
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
