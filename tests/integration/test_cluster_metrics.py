"""The pages /metrics, /health/ready and / of three real nodes, while one of them is lost and comes back."""

import json
import urllib.request
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from chronik.testing import Cluster
from tests.support.metrics_page import Page, scrape
from tests.support.one_node import reasons_of
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

TOPIC = "watched"
PARTITIONS = 6
CONTROLLER = "kafka_controller_kafkacontroller"
MANAGER = "kafka_server_replicamanager"
QUORUM = "kafka_server_raftmetrics"
SECONDS = 60


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    config = {"broker.session.timeout.ms": 2000}
    with Cluster(http=True, config=config, min_insync_replicas=3) as running:
        running.create_topic(TOPIC, partitions=PARTITIONS, replication_factor=3)
        produce(running, 100)
        yield running


def produce(cluster: Cluster, records: int) -> None:
    producer = Producer({"bootstrap.servers": cluster.bootstrap_servers, "acks": "all"})
    for number in range(records):
        producer.produce(TOPIC, b"v", partition=number % PARTITIONS)
    assert producer.flush(SECONDS) == 0


def pages(cluster: Cluster) -> list[Page]:
    return [scrape(node.http_url) for node in cluster.nodes if node.is_running]


def total(pages: list[Page], name: str) -> float:
    return sum(page.value(name) for page in pages)


def everywhere(pages: list[Page], name: str, **labels: str) -> list[float]:
    return [value for page in pages for value in page.values(name, **labels)]


def is_calm(cluster: Cluster) -> bool:
    shown = pages(cluster)
    return (
        len(shown) == 3
        and total(shown, f"{MANAGER}_underreplicatedpartitions") == 0
        and total(shown, f"{CONTROLLER}_offlinepartitionscount") == 0
        and total(shown, "chronik_metadata_lag") == 0
        and total(shown, "chronik_raft_active_groups") == 0
    )


def test_three_nodes_at_rest(cluster: Cluster) -> None:
    wait_until(lambda: is_calm(cluster), "the cluster is at rest", SECONDS)
    shown = pages(cluster)
    assert total(shown, f"{CONTROLLER}_activecontrollercount") == 1
    assert total(shown, f"{MANAGER}_leadercount") == PARTITIONS
    assert [page.value(f"{MANAGER}_partitioncount") for page in shown] == [PARTITIONS] * 3
    # With that of the metadata.
    assert [page.value("chronik_raft_groups") for page in shown] == [PARTITIONS + 1] * 3
    assert total(shown, "chronik_raft_led_groups") == PARTITIONS + 1
    assert [page.value(f"{CONTROLLER}_activebrokercount") for page in shown] == [3] * 3
    assert len({page.value(f"{QUORUM}_current_epoch") for page in shown}) == 1
    (leader,) = {page.value(f"{QUORUM}_current_leader") for page in shown}
    assert shown[int(leader) - 1].value(f"{QUORUM}_current_state", current_state="leader") == 1
    assert len({page.value(f"{QUORUM}_high_watermark") for page in shown}) == 1
    assert all(page.value(f"{QUORUM}_commit_latency_max") >= 0 for page in shown)


def test_commits_and_syncs_are_timed(cluster: Cluster) -> None:
    shown = pages(cluster)
    commits, syncs = "chronik_raft_commit_latency_seconds", "chronik_log_sync_latency_seconds"
    count = sum(page.value(f"{commits}_count", of="partitions") for page in shown)
    seconds = sum(page.value(f"{commits}_sum", of="partitions") for page in shown)
    assert 0 < count <= 100
    assert 0 < seconds / count < 5
    for page in shown:
        assert page.value(f"{syncs}_count") == page.value("chronik_log_sync_rounds_total") > 0
        assert page.value(f"{syncs}_sum") > 0


def test_each_led_partition_shows_its_replicas(cluster: Cluster) -> None:
    wait_until(lambda: is_calm(cluster), "the cluster is at rest", SECONDS)
    shown = pages(cluster)
    for partition in map(str, range(PARTITIONS)):
        where = {"topic": TOPIC, "partition": partition}
        for name, value in (("insyncreplicascount", 3), ("underreplicated", 0), ("underminisr", 0)):
            assert everywhere(shown, f"kafka_cluster_partition_{name}", **where) == [value]
        assert everywhere(shown, "chronik_raft_replication_lag", **where) == [0]


def test_the_loss_of_a_node_and_its_return(cluster: Cluster) -> None:
    wait_until(lambda: is_calm(cluster), "the cluster is at rest", SECONDS)
    before = pages(cluster)[:2]
    cluster.kill(3)

    def shows_the_loss() -> bool:
        shown = pages(cluster)
        return (
            total(shown, f"{MANAGER}_underreplicatedpartitions") == PARTITIONS
            and total(shown, f"{MANAGER}_underminisrpartitioncount") == PARTITIONS
            and total(shown, f"{CONTROLLER}_offlinepartitionscount") == 0
            and all(page.value(f"{CONTROLLER}_fencedbrokercount") == 1 for page in shown)
        )

    wait_until(shows_the_loss, "the loss is shown", SECONDS)
    after = pages(cluster)
    for page in after:
        assert page.value("chronik_raft_peer_connected", peer="3") == 0
        assert sum(page.values("chronik_raft_peer_connected")) == 1
    led_by_the_lost = PARTITIONS + 1 - total(before, "chronik_raft_led_groups")
    for name in ("elections_won", "leader_changes"):
        name = f"chronik_raft_{name}_total"
        assert total(after, name) - total(before, name) >= led_by_the_lost
    shrinks = f"{MANAGER}_isrshrinks_total"
    assert total(after, shrinks) > total(before, shrinks)

    cluster.restart(3)
    wait_until(lambda: is_calm(cluster), "the cluster is whole again", SECONDS)
    for page in pages(cluster)[:2]:
        assert page.value("chronik_raft_peer_connected", peer="3") == 1
        assert page.value("chronik_raft_peer_connects_total", peer="3") == 2
        assert page.value(f"{CONTROLLER}_fencedbrokercount") == 0


def test_a_stop_hands_leaderships_over_and_a_lonely_start_says_what_it_lacks(cluster: Cluster) -> None:
    wait_until(lambda: is_calm(cluster), "the cluster is at rest", SECONDS)
    cluster.stop(2)
    cluster.stop(3)
    assert reasons_of(cluster.node(1).http_url) == []
    cluster.kill(1)
    cluster.restart(1, wait=False)

    def says() -> list[str]:
        try:
            return reasons_of(cluster.node(1).http_url)
        except OSError:
            return []

    wait_until(lambda: says() == ["no majority: nodes 2, 3 are not connected"], f"says {says()}", SECONDS)
    page = scrape(cluster.node(1).http_url)
    assert page.value("chronik_ready") == 0
    assert page.value(f"{CONTROLLER}_activecontrollercount") == 0
    assert page.values("chronik_metadata_lag") == []
    with urllib.request.urlopen(cluster.node(1).http_url, timeout=5) as response:
        root = json.load(response)
    assert (root["node_id"], root["is_ready"]) == (1, False)
    cluster.restart(2)
    cluster.restart(3)
    cluster.wait_started(1)
    wait_until(lambda: is_calm(cluster), "the cluster is whole again", SECONDS)


def test_every_figure_says_what_it_is(cluster: Cluster) -> None:
    for page in pages(cluster):
        unsaid = [family.name for family in page.families if not family.documentation]
        assert unsaid == []
