"""`chronik.testing.Cluster` with real nodes and a real client. Tests wait for conditions, never for time."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from chronik.client import topics
from chronik.client.client import Client
from chronik.client.errors import ClientError
from chronik.testing import BrokerError, Cluster
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

TOPIC = "orders"
SECONDS = 60


@pytest.fixture(scope="module")
def shared() -> Iterator[Cluster]:
    with Cluster(can_isolate=True, http=True) as running:
        running.create_topic(TOPIC, replication_factor=3)
        yield running


@pytest.fixture
def cluster(shared: Cluster) -> Iterator[Cluster]:
    """Whole before and after a test: all nodes run and all replicas are in sync."""
    wait_until(lambda: is_whole(shared), "the cluster is whole", SECONDS)
    yield shared
    for node in shared.nodes:
        if not node.is_running:
            shared.restart(node.node_id)
        shared.heal(node.node_id)
        shared.resume(node.node_id)
    for one, other in permutations([node.node_id for node in shared.nodes], 2):
        shared.mend(one, other)
        shared.delay(one, other, 0)
    wait_until(lambda: is_whole(shared), "the cluster is whole again", SECONDS)


def is_whole(cluster: Cluster) -> bool:
    """True if each node says of every partition that all its replicas are in sync and one leads."""
    return all(says_whole(node.bootstrap_servers) for node in cluster.nodes)


def says_whole(server: str) -> bool:
    try:
        with Client(server, timeout_s=2) as client:
            places = [place for topic in topics.list_all(client) for place in topic.partitions]
    except ClientError:
        return False
    return all(
        place.leader in place.replicas and set(place.in_sync) == set(place.replicas) for place in places
    )


def produce(cluster: Cluster, value: bytes) -> None:
    """Acknowledged by all replicas in sync when this returns; librdkafka retries as it does by default."""
    failures: list[object] = []
    producer = Producer({"bootstrap.servers": cluster.bootstrap_servers, "linger.ms": 0})
    producer.produce(TOPIC, value, on_delivery=lambda error, _: failures.append(error) if error else None)
    assert producer.flush(SECONDS) == 0
    assert failures == []


def consume_all(cluster: Cluster) -> list[bytes]:
    # Reading a partition from its start needs no group; librdkafka wants a name for it all the same.
    consumer = Consumer(
        {"bootstrap.servers": cluster.bootstrap_servers, "group.id": "none", "enable.auto.commit": False}
    )
    try:
        partition = TopicPartition(TOPIC, 0, 0)
        end = wait_until(lambda: end_offset(consumer, partition), "the end is told", SECONDS)
        consumer.assign([partition])
        values: list[bytes] = []
        while len(values) < end:
            message = consumer.poll(SECONDS)
            assert message is not None
            assert message.error() is None
            values.append(message.value() or b"")
        return values
    finally:
        consumer.close()


def end_offset(consumer: Consumer, partition: TopicPartition) -> int:
    """0 also while it is not told."""
    found: tuple[int, int] | None = consumer.get_watermark_offsets(partition, timeout=5)
    return 0 if found is None else found[1]


def test_every_node_serves_all(cluster: Cluster) -> None:
    servers = cluster.bootstrap_servers.split(",")
    assert servers == [node.bootstrap_servers for node in cluster.nodes]
    produce(cluster, b"served")
    assert consume_all(cluster)[-1] == b"served"
    for node in cluster.nodes:
        with urllib.request.urlopen(f"{node.http_url}/health/ready", timeout=SECONDS) as response:
            assert response.status == 200
        with Client(node.bootstrap_servers) as client:
            assert {each.node_id for each in client.metadata(()).brokers} == {1, 2, 3}
        assert node.is_running
        assert (node.data_dir / f"{TOPIC}-0").is_dir()
        assert "Kafka Server started" in node.log_path.read_text()


def test_a_killed_leader_has_a_successor(cluster: Cluster) -> None:
    produce(cluster, b"before the kill")
    leader = cluster.leader(TOPIC)
    cluster.kill(leader)
    assert not cluster.node(leader).is_running
    produce(cluster, b"after the kill")
    assert cluster.leader(TOPIC) != leader
    cluster.restart(leader)
    wait_until(lambda: is_whole(cluster), "it has caught up", SECONDS)
    assert consume_all(cluster)[-2:] == [b"before the kill", b"after the kill"]


def test_a_stopped_leader_hands_over(cluster: Cluster) -> None:
    leader = cluster.leader(TOPIC)
    address = cluster.node(leader).bootstrap_servers
    cluster.stop(leader)
    produce(cluster, b"after the stop")
    assert cluster.leader(TOPIC) != leader
    cluster.restart(leader)
    assert cluster.node(leader).bootstrap_servers == address


def test_a_paused_leader_is_replaced_and_follows_later(cluster: Cluster) -> None:
    leader = cluster.leader(TOPIC)
    cluster.pause(leader)
    assert cluster.node(leader).is_paused
    assert cluster.node(leader).is_running
    wait_until(lambda: cluster.leader(TOPIC) != leader, "another leads", SECONDS)
    produce(cluster, b"during the pause")
    cluster.resume(leader)
    assert not cluster.node(leader).is_paused
    wait_until(lambda: is_whole(cluster), "it has caught up", SECONDS)
    assert consume_all(cluster)[-1] == b"during the pause"


def test_an_isolated_leader_is_replaced_and_follows_later(cluster: Cluster) -> None:
    leader = cluster.leader(TOPIC)
    cluster.isolate(leader)
    wait_until(lambda: cluster.leader(TOPIC) != leader, "another leads", SECONDS)
    # Clients still reach it; it must not take what it cannot keep.
    produce(cluster, b"during the isolation")
    cluster.heal(leader)
    wait_until(lambda: is_whole(cluster), "it has caught up", SECONDS)
    assert consume_all(cluster)[-1] == b"during the isolation"


def test_a_leader_that_is_cut_off_one_way_is_replaced(cluster: Cluster) -> None:
    leader = cluster.leader(TOPIC)
    others = [node.node_id for node in cluster.nodes if node.node_id != leader]
    for other in others:
        cluster.cut(leader, other)
    wait_until(lambda: cluster.leader(TOPIC) != leader, "another leads", SECONDS)
    produce(cluster, b"during the cut")
    for other in others:
        cluster.mend(leader, other)
    wait_until(lambda: is_whole(cluster), "it has caught up", SECONDS)
    assert consume_all(cluster)[-1] == b"during the cut"


def test_heal_without_a_node_heals_all(cluster: Cluster) -> None:
    leader = cluster.leader(TOPIC)
    others = [node.node_id for node in cluster.nodes if node.node_id != leader]
    cluster.isolate(leader)
    cluster.cut(others[0], others[1])
    cluster.delay(others[1], others[0], 5.0)
    cluster.heal()
    forwarders = cluster._required_forwarders()
    assert all(way.is_open and not way.delay_seconds for way in forwarders._ways.values())
    assert cluster.leader(TOPIC) in (1, 2, 3)


def test_restore_brings_back_what_was_killed_paused_and_isolated(cluster: Cluster) -> None:
    cluster.kill(1)
    cluster.pause(2)
    cluster.isolate(3)
    cluster.restore()
    assert all(node.is_running and not node.is_paused for node in cluster.nodes)
    cluster.create_topic("restored", replication_factor=3)
    cluster.delete_topic("restored")


def test_acknowledgements_wait_for_delayed_links(cluster: Cluster) -> None:
    nodes = [node.node_id for node in cluster.nodes]
    pairs = [(one, other) for one in nodes for other in nodes if one != other]
    for pair in pairs:
        cluster.delay(*pair, 0.2)
    began = time.monotonic()
    produce(cluster, b"there and back")
    assert time.monotonic() - began >= 0.4
    for pair in pairs:
        cluster.delay(*pair, 0)
    wait_until(lambda: is_whole(cluster), "it has caught up", SECONDS)
    assert consume_all(cluster)[-1] == b"there and back"


def test_without_a_majority_nothing_starts_until_it_is_there(cluster: Cluster) -> None:
    produce(cluster, b"before all are killed")
    for node in cluster.nodes:
        cluster.kill(node.node_id)
    cluster.restart(1, wait=False)
    cluster.restart(2)
    cluster.wait_started(1)
    produce(cluster, b"after all were killed")
    assert consume_all(cluster)[-2:] == [b"before all are killed", b"after all were killed"]


def test_topics_come_and_go(cluster: Cluster) -> None:
    cluster.create_topic("short-lived", partitions=6, replication_factor=2, config={"retention.ms": 60_000})
    assert {cluster.leader("short-lived", partition) for partition in range(6)} <= {1, 2, 3}
    cluster.delete_topic("short-lived")
    with pytest.raises(BrokerError, match="short-lived-0 has no leader after 0 s"):
        cluster.leader("short-lived", timeout=0)
    with pytest.raises(BrokerError, match="there is no such partition"):
        cluster.leader(TOPIC, 7, timeout=0)


def test_mistakes_have_sentences(cluster: Cluster) -> None:
    with pytest.raises(BrokerError, match="running already"):
        cluster.start()
    with pytest.raises(BrokerError, match="there is no node 4; nodes are 1 to 3"):
        cluster.kill(4)
    cluster.stop(3)
    cluster.stop(3)
    for action in (cluster.kill, cluster.pause, cluster.resume):
        with pytest.raises(BrokerError, match="node 3 is not running"):
            action(3)


def test_a_wiped_node_counts_again_once_it_is_in_sync() -> None:
    with Cluster() as cluster:
        cluster.create_topic(TOPIC)
        produce(cluster, b"before the wipe")
        with pytest.raises(BrokerError, match="node 2 is running"):
            cluster.wipe(2)
        cluster.kill(2)
        cluster.wipe(2)
        assert not cluster.node(2).data_dir.exists()
        cluster.restart(2)
        wait_until(lambda: is_whole(cluster), "it is in sync", SECONDS)
        # Now any other may go.
        cluster.kill(1)
        produce(cluster, b"after the wipe")
        assert consume_all(cluster) == [b"before the wipe", b"after the wipe"]
        cluster.restart(1)


def test_a_node_that_ended_by_itself_is_told_of() -> None:
    cluster = Cluster(1)
    cluster.start()
    os.kill(cluster.node(1).pid, signal.SIGKILL)
    wait_until(lambda: not cluster.node(1).is_running, "it is gone")
    with pytest.raises(BrokerError, match="node 1 had ended with code -9"):
        cluster.pause(1)
    with pytest.raises(BrokerError, match=r"node 1: .*ended with code -9"):
        cluster.stop()


def test_without_forwarders_nobody_is_isolated() -> None:
    cluster = Cluster(1)
    with pytest.raises(BrokerError, match="can_isolate=True"):
        cluster.isolate(1)
    with pytest.raises(BrokerError, match="can_isolate=True"):
        cluster.cut(1, 1)
    with pytest.raises(BrokerError, match=r"Cluster\(http=True\)"):
        _ = cluster.node(1).http_url
    with pytest.raises(BrokerError, match="no node of the cluster is running"):
        cluster.create_topic(TOPIC)
    with pytest.raises(BrokerError, match="at least one node"):
        Cluster(0)


def test_wrong_settings_are_named_and_nothing_is_left() -> None:
    cluster = Cluster(config={"no.such.setting": 1})
    with pytest.raises(BrokerError, match=r"no\.such\.setting"):
        cluster.start()
    assert not any(node.is_running for node in cluster.nodes)


def test_data_in_a_given_directory_is_there_for_another_cluster(tmp_path: Path) -> None:
    for values in ([b"first"], [b"first", b"second"]):
        with Cluster(data_dir=tmp_path, node_config={1: {"broker.rack": "a"}}) as cluster:
            if values == [b"first"]:
                cluster.create_topic(TOPIC)
            with Client(cluster.bootstrap_servers) as client:
                assert {each.node_id: each.rack for each in client.metadata(()).brokers}[1] == "a"
            produce(cluster, values[-1])
            assert consume_all(cluster) == values
        assert not any(node.is_running for node in cluster.nodes)
    assert (tmp_path / "node-1.log").exists()


def test_nodes_die_with_the_process_that_started_them(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from chronik.testing import Cluster\n"
        f"cluster = Cluster(data_dir={str(tmp_path)!r}, can_isolate=True).start()\n"
        "print(*(node.pid for node in cluster.nodes), flush=True)\n"
        "sys.stdin.read()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert parent.stdin is not None
    with parent.stdout, parent.stdin:
        children = [int(word) for word in parent.stdout.readline().split()]
        assert len(children) == 3
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait(SECONDS)
    wait_until(lambda: not any(map(is_alive, children)), "all nodes are gone", SECONDS)


def is_alive(pid: int) -> bool:
    """True if the process runs. One that has ended and waits for its parent does not."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(shown.stdout.strip()) and not shown.stdout.startswith("Z")
