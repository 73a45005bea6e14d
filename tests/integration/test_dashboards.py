"""Figures of public dashboards for Kafka at /metrics, with true values, of one node and of three."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from chronik.testing import Broker, Cluster
from tests.support.metrics_page import Page, scrape
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="as with Kafka, some are of Linux alone"),
]

_FACTS = json.loads((Path(__file__).parent / "dashboards" / "strimzi.json").read_text())
DASHBOARDS: dict[str, dict[str, list[str]]] = _FACTS["dashboards"]

# Kubernetes' figures of a container, and the JVM's: docs/operations.md says so.
_NOT_OURS = ("container_", "kubelet_", "jvm_")

TOPIC = "drawn"
RECORDS = 30
SECONDS = 60


def wanted(dashboard: str) -> dict[str, set[str]]:
    """Labels by metric."""
    return {
        name: set(labels) for name, labels in DASHBOARDS[dashboard].items() if not name.startswith(_NOT_OURS)
    }


def use(bootstrap_servers: str) -> None:
    """Produce, consume and commit, and fail once."""
    producer = Producer({"bootstrap.servers": bootstrap_servers, "acks": "all"})
    for number in range(RECORDS):
        producer.produce(TOPIC, b"v", partition=number % 3)
    assert producer.flush(SECONDS) == 0
    consumer = Consumer(
        {"bootstrap.servers": bootstrap_servers, "group.id": "painters", "enable.auto.commit": False}
    )
    consumer.assign([TopicPartition(TOPIC, partition, 0) for partition in range(3)])
    assert len(consumer.consume(RECORDS, SECONDS)) == RECORDS
    consumer.commit(offsets=[TopicPartition(TOPIC, 0, 4)], asynchronous=False)
    consumer.close()


@pytest.fixture(scope="module", params=["one", "three"])
def pages(request: pytest.FixtureRequest) -> Iterator[list[Page]]:
    """One scrape of each node, after some use."""
    if request.param == "one":
        with Broker(subprocess=True, http=True) as broker:
            broker.create_topic(TOPIC, partitions=3)
            use(broker.bootstrap_servers)
            yield [scrape(broker.http_url)]
    else:
        with Cluster(http=True) as cluster:
            cluster.create_topic(TOPIC, partitions=3, replication_factor=3)
            use(cluster.bootstrap_servers)
            urls = [node.http_url for node in cluster.nodes]

            def is_in_sync() -> bool:
                lacking = "kafka_server_replicamanager_underreplicatedpartitions"
                return sum(scrape(url).value(lacking) for url in urls) == 0

            wait_until(is_in_sync, "all replicas are in sync", SECONDS)
            yield [scrape(url) for url in urls]


@pytest.mark.parametrize("dashboard", DASHBOARDS)
def test_each_expression_of_a_dashboard_finds_its_metric_with_its_labels(
    pages: list[Page], dashboard: str
) -> None:
    found: dict[str, set[str]] = {}
    for page in pages:
        for family in page.families:
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)
    lacking = {name: labels for name, labels in wanted(dashboard).items() if name not in found}
    assert lacking == {}
    unlabelled = {name: labels - found[name] for name, labels in wanted(dashboard).items()}
    assert {name: labels for name, labels in unlabelled.items() if labels} == {}


def total(pages: list[Page], name: str, **labels: str) -> float:
    return sum(value for page in pages for value in page.values(name, **labels))


def test_sums_over_the_nodes_are_the_clusters(pages: list[Page]) -> None:
    topics = "kafka_server_brokertopicmetrics"
    assert total(pages, f"{topics}_messagesin_total", topic=TOPIC) == RECORDS
    assert 1 <= total(pages, f"{topics}_totalproducerequests_total", topic=TOPIC) <= RECORDS
    assert total(pages, f"{topics}_totalfetchrequests_total", topic=TOPIC) >= 3
    assert total(pages, f"{topics}_failedproducerequests_total", topic=TOPIC) == 0
    assert total(pages, f"{topics}_failedfetchrequests_total", topic=TOPIC) == 0
    assert total(pages, "kafka_topic_partitions", topic=TOPIC) == 3
    assert total(pages, "kafka_topic_partition_current_offset", topic=TOPIC) == RECORDS
    replicas = 3 * len(pages)
    for name in ("kafka_topic_partition_replicas", "kafka_cluster_partition_replicascount"):
        assert total(pages, name, topic=TOPIC) == replicas
    assert total(pages, "kafka_topic_partition_in_sync_replica", topic=TOPIC) == replicas
    assert total(pages, "kafka_broker_info") == len(pages)
    assert total(pages, "kafka_consumergroup_current_offset", consumergroup="painters", partition="0") == 4
    assert total(pages, "kafka_consumergroup_lag", consumergroup="painters", partition="0") == 6


def test_the_loop_is_idle_for_a_part_of_the_time(pages: list[Page]) -> None:
    for page in pages:
        handlers = "kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent"
        network = "kafka_network_socketserver_networkprocessoravgidle_percent"
        # On a crowded machine it may have been waiting for a processor all the time, but never idle for all.
        assert 0 <= page.value(handlers) < 1
        assert page.value(network) == page.value(handlers)


def test_the_quorum_of_the_metadata_is_shown(pages: list[Page]) -> None:
    quorum, channel = "kafka_server_raftmetrics", "kafka_server_raftchannelmetrics"
    assert total(pages, f"{quorum}_current_state", current_state="leader") == 1
    assert total(pages, f"{quorum}_current_state") == len(pages)
    (leader,) = {page.value(f"{quorum}_current_leader") for page in pages}
    led = pages[int(leader) - 1]
    # The topics were made just now.
    assert led.value(f"{quorum}_append_records_rate") > 0
    assert led.value(f"{quorum}_commit_latency_avg") > 0
    assert led.value(f"{quorum}_current_vote") == leader
    for page in pages:
        is_follower = page is not led
        assert (page.value(f"{quorum}_fetch_records_rate") > 0) == is_follower
        for name in ("incoming_byte", "outgoing_byte"):
            assert (page.value(f"{channel}_{name}_total") > 0) == (len(pages) > 1)
    if len(pages) > 1:
        # The leader asks, and the others answer.
        assert led.value(f"{channel}_request_total") > 0
        assert led.value(f"{channel}_response_total") > 0
