"""The figures of single partitions as Prometheus reads them. See `metrics`.

Where a figure is the partition's and not the replica's, only its leader shows it, so that a sum over all
nodes is the cluster's: those of kafka_exporter, which counts each partition once, and Kafka's of in-sync
replicas.
"""

from collections.abc import Callable, Iterator, Sequence

from chronik.server.http.view import PartitionFigures
from chronik.server.metrics_text import Table, labelled

_Kind = tuple[str, str, Callable[[PartitionFigures], int]]

_OF_REPLICAS: list[_Kind] = [
    ("kafka_log_log_size", "Bytes of log.", lambda one: one.bytes),
    ("kafka_log_log_logstartoffset", "First offset.", lambda one: one.start_offset),
    ("kafka_log_log_logendoffset", "Next offset to be written.", lambda one: one.end_offset),
]

_OF_LEADERS: list[_Kind] = [
    ("kafka_cluster_partition_replicascount", "Replicas.", lambda one: one.replicas),
    ("kafka_cluster_partition_insyncreplicascount", "Replicas in sync.", lambda one: one.in_sync),
    (
        "kafka_cluster_partition_underreplicated",
        "1 while replicas are not in sync.",
        lambda one: one.is_under_replicated,
    ),
    (
        "kafka_cluster_partition_underminisr",
        "1 while fewer are in sync than min.insync.replicas: acks=all is refused.",
        lambda one: one.is_under_min_isr,
    ),
    (
        "kafka_cluster_partition_atminisr",
        "1 while one more lost replica puts it below min.insync.replicas.",
        lambda one: one.is_at_min_isr,
    ),
    ("kafka_topic_partition_replicas", "Replicas.", lambda one: one.replicas),
    ("kafka_topic_partition_in_sync_replica", "Replicas in sync.", lambda one: one.in_sync),
    (
        "kafka_topic_partition_under_replicated_partition",
        "1 while replicas are not in sync.",
        lambda one: one.is_under_replicated,
    ),
    (
        "kafka_topic_partition_leader_is_preferred",
        "1 while the first assigned replica leads.",
        lambda one: one.is_preferred,
    ),
    (
        "kafka_topic_partition_oldest_offset",
        "First offset that can be read.",
        lambda one: one.start_offset,
    ),
    (
        "kafka_topic_partition_current_offset",
        "Offset after the last committed record.",
        lambda one: one.high_watermark,
    ),
]

_LAG: _Kind = (
    "chronik_raft_replication_lag",
    "Records that the follower furthest behind lacks, of those the leader has heard.",
    lambda one: one.lag,
)


def partition_tables(partitions: Sequence[PartitionFigures], *, is_in_cluster: bool) -> Iterator[Table]:
    """Tables of `partitions`, with the replication lag only in a cluster."""
    rows = [(labelled({"topic": one.topic, "partition": str(one.partition)}), one) for one in partitions]
    led = [(where, one) for where, one in rows if one.is_leader]
    for kind in _OF_REPLICAS:
        yield _table(kind, rows)
    for kind in [*_OF_LEADERS, _LAG] if is_in_cluster else _OF_LEADERS:
        yield _table(kind, led)


def _table(kind: _Kind, rows: Sequence[tuple[str, PartitionFigures]]) -> Table:
    name, text, read = kind
    # A boolean is a number here.
    return Table(name, "gauge", text, ((where, int(read(one))) for where, one in rows))
