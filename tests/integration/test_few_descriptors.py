"""A process that may open few files: it refuses what it cannot do now, and nothing stops for good."""

import os
import resource
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from chronik.cli.local_cluster.ports import free_ports
from chronik.vocab.errors import ErrorCode
from chronik.wire.apis import ApiKey
from chronik.wire.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from tests.integration.producing import batch, produce
from tests.support.one_node import OneNode
from tests.support.protocol.client import RawClient
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="limits of another process are Linux's"),
]

PARTITIONS = 1500


class Stage:
    def __init__(self, root: Path) -> None:
        (self.port,) = free_ports(1)
        settings = {"listeners": f"PLAINTEXT://127.0.0.1:{self.port}", "data.dir": str(root / "data")}
        self.node = OneNode(root, "node", settings)
        self.node.wait_ready()

    def limit(self, descriptors: int) -> None:
        if sys.platform == "linux":
            _, hard = resource.prlimit(self.node.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(self.node.pid, resource.RLIMIT_NOFILE, (descriptors, hard))

    def in_use(self) -> int:
        return len(os.listdir(f"/proc/{self.node.pid}/fd"))

    def create(self, topic: str, partitions: int) -> None:
        admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{self.port}"})
        admin.create_topics([NewTopic(topic, partitions)])[topic].result(timeout=60)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.node.kill()


def test_one_request_may_be_for_more_partitions_than_descriptors(stage: Stage) -> None:
    stage.create("wide", PARTITIONS)
    stage.limit(1024)
    for _ in range(3):
        assert _produce_everywhere(stage, "wide") == {int(ErrorCode.NONE): PARTITIONS}
    assert stage.in_use() < 700
    assert stage.node.reasons() == []


def test_a_process_without_any_left_goes_on_when_there_are_some(stage: Stage) -> None:
    stage.create("wide", 50)
    assert _produce_everywhere(stage, "wide", 50) == {int(ErrorCode.NONE): 50}
    with RawClient(stage.port) as client, ExitStack() as others:
        assert produce(client, "wide", batch()).error_code == ErrorCode.NONE
        stage.limit(stage.in_use() + 5)
        for _ in range(50):
            others.enter_context(socket.create_connection(("127.0.0.1", stage.port)))
        # One that is connected is served on: for its files others are closed.
        for _ in range(5):
            assert produce(client, "wide", batch()).error_code == ErrorCode.NONE
    stage.limit(1024)
    wait_until(lambda: stage.node.reasons() == [], "it is healthy")
    assert _produce_everywhere(stage, "wide", 50) == {int(ErrorCode.NONE): 50}
    assert "partition stopped" not in stage.node.log()


def _produce_everywhere(stage: Stage, topic: str, partitions: int = PARTITIONS) -> dict[int, int]:
    """One request for all partitions; how many were answered with which code."""
    data = [PartitionProduceData(index=number, records=batch()) for number in range(partitions)]
    asked = ProduceRequest(
        acks=-1, timeout_ms=30_000, topic_data=[TopicProduceData(name=topic, partition_data=data)]
    )
    with RawClient(stage.port) as client:
        answer = client.ask(ApiKey.PRODUCE, 9, asked, ProduceResponse)
    codes = [int(one.error_code) for one in answer.responses[0].partition_responses]
    return {code: codes.count(code) for code in codes}
