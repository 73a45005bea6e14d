"""A node is started as Kafka is: by its file of properties, and by the variables of its images."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from chronik.cli.local_cluster.ports import free_ports
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

SECONDS = 30


@contextmanager
def started(directory: Path, *words: str, variables: Mapping[str, str]) -> Iterator[str]:
    """A node of its own process; its log when it is ready."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("KAFKA_", "CHRONIK_"))}
    log_path = directory / "node.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "chronik.cli.main", "start", *words],
            stdout=log,
            stderr=log,
            env={**kept, "CHRONIK_HTTP_ADDRESS": "off", **variables},
        )
    try:

        def is_ready() -> bool:
            assert process.poll() is None, log_path.read_text()
            return "Kafka Server started" in log_path.read_text()

        wait_until(is_ready, "the node is ready", SECONDS)
        yield log_path.read_text()
    finally:
        process.terminate()
        process.wait(SECONDS)


def use(address: str) -> None:
    """Produce a record."""
    producer = Producer({"bootstrap.servers": address})
    producer.produce("used", b"v")
    assert producer.flush(SECONDS) == 0


def advertised(address: str) -> str:
    (broker,) = AdminClient({"bootstrap.servers": address}).list_topics(timeout=SECONDS).brokers.values()
    return f"{broker.host}:{broker.port}"


def test_by_a_file_of_properties(tmp_path: Path) -> None:
    kafka_port, controller_port = free_ports(2, set())
    file = tmp_path / "server.properties"
    file.write_text(
        f"""\
process.roles=broker,controller
node.id=4
controller.quorum.voters=4@localhost:{controller_port}
listeners=PLAINTEXT://:{kafka_port},\\
          CONTROLLER://:{controller_port}
advertised.listeners=PLAINTEXT://localhost:{kafka_port},CONTROLLER://localhost:{controller_port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL
inter.broker.listener.name=PLAINTEXT
log.dirs={tmp_path}/data
num.partitions : 5
log.segment.bytes 1073741824
share.coordinator.state.topic.min.isr=1
"""
    )
    with started(tmp_path, "--config", str(file), variables={}) as log:
        assert "process.roles" in log
        address = f"localhost:{kafka_port}"
        use(address)
        topics = AdminClient({"bootstrap.servers": address}).list_topics(timeout=SECONDS).topics
        assert len(topics["used"].partitions) == 5
        assert (tmp_path / "data").is_dir()


def test_by_the_variables_of_a_compose_file_that_advertises_only(tmp_path: Path) -> None:
    inside, outside, controller = free_ports(3, set())
    variables = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,"
        "PLAINTEXT_HOST:PLAINTEXT",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{inside},PLAINTEXT_HOST://localhost:{outside}",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": f"1@broker:{controller}",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "PLAINTEXT",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LOG_DIRS": str(tmp_path / "data"),
        "KAFKA_JMX_PORT": "9101",
        "CLUSTER_ID": "MkU3OEVBNTcwNTJENDM2Qk",
    }
    with started(tmp_path, variables=variables):
        # Each listener tells the address that its clients can use.
        assert advertised(f"127.0.0.1:{inside}") == f"127.0.0.1:{inside}"
        assert advertised(f"127.0.0.1:{outside}") == f"localhost:{outside}"
        use(f"localhost:{outside}")
