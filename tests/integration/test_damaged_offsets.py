"""Committed offsets of which some are damaged on disk: nobody is given fewer, as if there were no more."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer, ElectionType, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from chronik.testing import Cluster
from tests.support.broker_process import BrokerProcess
from tests.support.metrics_page import scrape
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

GROUPS = [f"group-{number}" for number in range(10)]


def admin(bootstrap_servers: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})


@contextmanager
def member(bootstrap_servers: str, group: str) -> Iterator[Consumer]:
    """Of no generation: it commits and asks only."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": group, "log_level": 0})
    try:
        yield consumer
    finally:
        consumer.close()


def commit_all(bootstrap_servers: str) -> None:
    """One after the other: a batch for each."""
    for number, group in enumerate(GROUPS):
        with member(bootstrap_servers, group) as consumer:
            consumer.commit(offsets=[TopicPartition("t", 0, number)], asynchronous=False)


def committed(bootstrap_servers: str, group: str) -> int:
    """Raises KafkaException."""
    with member(bootstrap_servers, group) as consumer:
        (partition,) = consumer.committed([TopicPartition("t", 0)], timeout=20)
        if partition.error is not None:
            raise KafkaException(partition.error)
        return int(partition.offset)


def flip_in_the_middle(data: Path) -> None:
    (path,) = (data / "__consumer_offsets-0").glob("*.log")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def test_a_node_alone_gives_none_rather_than_some(own_broker_room: BrokerProcess) -> None:
    broker = own_broker_room
    broker.start()
    servers = broker.bootstrap_servers
    client = admin(servers)
    client.create_topics([NewTopic("t", 1, 1)])["t"].result(30)
    commit_all(servers)
    assert [committed(servers, group) for group in GROUPS] == list(range(len(GROUPS)))
    assert broker.stop() == 0
    flip_in_the_middle(broker.directory / "data")
    broker.start()
    for group in (GROUPS[0], GROUPS[-1]):
        with pytest.raises(KafkaException) as raised:
            committed(servers, group)
        # Clients look for the coordinator again until their time is over.
        assert raised.value.args[0].name() in ("NOT_COORDINATOR", "_TIMED_OUT")
    said = broker.log_path.read_text()
    assert "durable records damaged or missing; their readers get CORRUPT_MESSAGE" in said
    assert "could not load coordinator; the load is tried again" in said


@pytest.fixture
def own_broker_room(tmp_path: Path) -> Iterator[BrokerProcess]:
    broker = BrokerProcess(tmp_path, "offsets.topic.num.partitions=1")
    yield broker
    broker.kill()


def test_on_three_nodes_another_one_coordinates_and_the_damage_is_mended() -> None:
    config = {"offsets.topic.num.partitions": "1", "offsets.topic.replication.factor": "3"}
    with Cluster(nodes=3, http=True, config=config) as cluster:
        cluster.create_topic("t", partitions=1, replication_factor=3)
        servers = cluster.bootstrap_servers
        client = admin(servers)
        commit_all(servers)
        damaged = cluster.leader("__consumer_offsets")
        cluster.stop_node(damaged)
        flip_in_the_middle(cluster.node(damaged).data_dir)
        cluster.restart(damaged)
        # It is the preferred leader, and finds the damage when it opens the log, or loads the groups.
        wait_until(lambda: leads_again(client) and is_noticed(cluster, damaged), "the damage", 60)
        assert [committed(servers, group) for group in GROUPS] == list(range(len(GROUPS)))
        page = cluster.node(damaged).http_url
        wait_until(lambda: scrape(page).value("chronik_raft_voteless_groups") == 0, "a whole copy", 60)
        # With what it was sent it coordinates again.
        wait_until(
            lambda: leads_again(client) and cluster.leader("__consumer_offsets") == damaged,
            "its leadership",
            60,
        )
        assert [committed(servers, group) for group in GROUPS] == list(range(len(GROUPS)))


def leads_again(client: AdminClient) -> bool:
    """Asks for the preferred leader; True when that was done, or had been."""
    partition = TopicPartition("__consumer_offsets", 0)
    error = client.elect_leaders(ElectionType.PREFERRED, [partition]).result(30)[partition]
    return error is None or error.name() == "ELECTION_NOT_NEEDED"


def is_noticed(cluster: Cluster, node: int) -> bool:
    return "replica lost records inside its log" in cluster.node(node).log_path.read_text()
