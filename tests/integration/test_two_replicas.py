"""A topic with two replicas is created, and said to survive no loss."""

import asyncio
from collections.abc import Iterator

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin import NewTopic as AioTopic
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic as ConfluentTopic
from kafka.admin import KafkaAdminClient
from kafka.admin import NewTopic as PythonTopic

from chronik.cli.main import main
from chronik.testing import Cluster

pytestmark = pytest.mark.integration

WORDS = "have 2 replicas: a majority of 2 is both"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as cluster:
        yield cluster


def in_logs(cluster: Cluster, topic: str) -> int:
    return sum(f"of topic {topic} {WORDS}" in node.log_path.read_text() for node in cluster.nodes)


def test_clients_take_the_message_for_no_error(cluster: Cluster) -> None:
    """Beside error 0 Kafka's message is null."""
    servers = cluster.bootstrap_servers
    confluent = AdminClient({"bootstrap.servers": servers})
    (created,) = confluent.create_topics([ConfluentTopic("a", 1, 2)]).values()
    assert created.result(30) is None
    admin = KafkaAdminClient(bootstrap_servers=servers.split(","))
    admin.create_topics([PythonTopic("b", 1, 2)])
    admin.close()

    async def create() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=servers)
        await admin.start()
        try:
            answer = await admin.create_topics([AioTopic("c", 1, 2)])
            assert [error[1] for error in answer.topic_errors] == [0]
        finally:
            await admin.close()

    asyncio.run(create())
    for topic in ("a", "b", "c"):
        assert cluster.leader(topic) in (1, 2, 3)
        # By the node that was asked.
        assert in_logs(cluster, topic) == 1


def test_whoever_creates_one_by_hand_is_told(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    for replicas, is_told in ((2, True), (3, False)):
        words = ["topic", "create", f"of-{replicas}", "-r", str(replicas), "-b", cluster.bootstrap_servers]
        assert main(words) == 0
        said = capsys.readouterr()
        assert "created: 1 partition" in said.out
        assert (WORDS in said.err) == is_told
