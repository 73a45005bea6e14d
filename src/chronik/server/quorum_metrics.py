"""The figures of the metadata's quorum as Prometheus reads them. See `metrics`.

Names and units are those that Strimzi's rules for the JMX exporter make of Kafka's raft-metrics,
raft-channel-metrics and broker-metadata-metrics. Kafka's are of the metadata's log alone, and so are these; a
node alone has one too, and leads it.
"""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from chronik.server.http.view import ChannelFigures, MetadataFigures

_QUORUM = "kafka_server_raftmetrics"
_CHANNEL = "kafka_server_raftchannelmetrics"
_APPLIED = "kafka_server_brokermetadatametrics"


def quorum_metrics(metadata: MetadataFigures) -> Iterator[Metric]:
    yield from _quorum(metadata)
    yield from _channel(metadata.channel)
    yield GaugeMetricFamily(
        "kafka_log_logmanager_offlinelogdirectorycount",
        "1 while the node's directory has failed, by what became of the metadata's log in it.",
        value=int(metadata.has_failed),
    )
    yield GaugeMetricFamily(
        f"{_APPLIED}_last_applied_record_offset",
        "The last metadata record that this node has applied; -1 before the first.",
        value=metadata.applied - 1,
    )


def _quorum(metadata: MetadataFigures) -> Iterator[Metric]:
    state = GaugeMetricFamily(
        f"{_QUORUM}_current_state", "1 for what this node is.", labels=["current_state"]
    )
    state.add_metric([metadata.state], 1)
    yield state
    commits = metadata.commits
    gauges = [
        ("current_leader", "Who leads the metadata; -1 while nobody is known to.", metadata.leader),
        ("current_vote", "Who has this node's vote in this epoch; -1 while nobody has.", metadata.vote),
        ("current_epoch", "The metadata's term.", metadata.epoch),
        ("high_watermark", "Committed metadata records.", metadata.high_watermark),
        ("log_end_offset", "Metadata records that are written here.", metadata.end_offset),
        (
            "append_records_rate",
            "Metadata records a second that this node appended as the leader, lately.",
            metadata.append_rate,
        ),
        (
            "fetch_records_rate",
            "Metadata records a second that this node received from the leader, lately.",
            metadata.fetch_rate,
        ),
        (
            "commit_latency_avg",
            "Milliseconds to commit metadata records, lately, where this node led.",
            commits.recent_mean * 1000,
        ),
        ("commit_latency_max", "The longest of those.", commits.recent_max * 1000),
    ]
    for name, text, value in gauges:
        yield GaugeMetricFamily(f"{_QUORUM}_{name}", text, value=value)


def _channel(channel: ChannelFigures) -> Iterator[Metric]:
    counters = [
        ("incoming_byte", "Bytes of the quorum's messages that came.", channel.bytes_in),
        ("outgoing_byte", "Bytes of the quorum's messages that left.", channel.bytes_out),
        ("request", "Votes, appends and heartbeats of the metadata's quorum sent.", channel.requests),
        ("response", "Answers to those that came.", channel.responses),
    ]
    for name, text, value in counters:
        yield CounterMetricFamily(f"{_CHANNEL}_{name}", text, value=value)
