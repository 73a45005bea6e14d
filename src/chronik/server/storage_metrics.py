"""Problems of a node's storage, as Prometheus reads them."""

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from chronik.server.http.view import StorageFigures


def storage_metrics(storage: StorageFigures) -> Iterator[Metric]:
    """Labels are the words that log lines use."""
    yield GaugeMetricFamily(
        "chronik_log_damaged_partitions",
        "Partitions with records that are damaged or missing.",
        value=storage.damaged_partitions,
    )
    text = "Damaged or missing places found in logs and indexes."
    yield _counter("chronik_log_damage", text, storage.damage)
    short = GaugeMetricFamily(
        "chronik_storage_short", "Whether the system refuses this now.", labels=["kind"]
    )
    for kind, is_short in storage.short.items():
        short.add_metric([kind], int(is_short))
    yield short
    yield _counter(
        "chronik_storage_refused", "Writes and opens of files that the system refused.", storage.refused
    )


def _counter(name: str, text: str, rows: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=["kind"])
    for kind, count in rows.items():
        family.add_metric([kind], count)
    return family
