"""Against brokers that answer what they are told: node 1 of three is there, node 2 does not answer, node 3 is
fenced.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from chronik.cli.cluster_report import FENCED, SILENT, UP, LagReport, print_report, read_report
from chronik.cli.exit_codes import ExitCode
from chronik.cli.main import main
from chronik.client import cluster
from chronik.client.client import Client
from chronik.client.errors import Unreachable
from chronik.vocab.errors import ErrorCode
from chronik.wire.apis import ApiKey
from chronik.wire.messages.describe_cluster import DescribeClusterBroker, DescribeClusterResponse
from chronik.wire.messages.describe_log_dirs import (
    DescribeLogDirsPartition,
    DescribeLogDirsResponse,
    DescribeLogDirsResult,
    DescribeLogDirsTopic,
)
from chronik.wire.messages.describe_quorum import (
    DescribeQuorumResponse,
    PartitionDataResponse,
    ReplicaState,
    TopicDataResponse,
)
from chronik.wire.messages.metadata import (
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from tests.unit.client.fake_broker import FakeBroker

HOST = "127.0.0.1"


class Stage:
    """What the cluster answers; tests change it."""

    def __init__(self) -> None:
        self.ports: dict[int, int] = {}
        self.partitions = [
            MetadataResponsePartition(
                partition_index=0, leader_id=1, replica_nodes=[1, 2, 3], isr_nodes=[1], offline_replicas=[2]
            ),
            MetadataResponsePartition(partition_index=1, leader_id=1, replica_nodes=[1], isr_nodes=[1]),
        ]
        self.quorum = PartitionDataResponse(
            leader_id=1,
            leader_epoch=4,
            current_voters=[
                ReplicaState(replica_id=1, log_end_offset=10),
                ReplicaState(replica_id=2, log_end_offset=8),
                ReplicaState(replica_id=3, log_end_offset=-1),
            ],
        )

    def metadata(self, request: Any) -> MetadataResponse:
        brokers = [
            MetadataResponseBroker(node_id=node, host=HOST, port=port)
            for node, port in self.ports.items()
            if node != 3
        ]
        topic = MetadataResponseTopic(name="orders", partitions=self.partitions)
        return MetadataResponse(brokers=brokers, controller_id=1, topics=[topic])

    def describe_cluster(self, request: Any) -> DescribeClusterResponse:
        assert request.include_fenced_brokers
        brokers = [
            DescribeClusterBroker(
                broker_id=node, host=HOST, port=port, rack="a" if node == 1 else None, is_fenced=node == 3
            )
            for node, port in self.ports.items()
        ]
        return DescribeClusterResponse(cluster_id="fake", controller_id=1, brokers=brokers)

    def log_dirs(self, request: Any) -> DescribeLogDirsResponse:
        partitions = [
            DescribeLogDirsPartition(partition_index=index, partition_size=1000 + index) for index in (0, 1)
        ]
        topics = [DescribeLogDirsTopic(name="orders", partitions=partitions)]
        result = DescribeLogDirsResult(log_dir="/data", topics=topics, total_bytes=100, usable_bytes=40)
        return DescribeLogDirsResponse(results=[result])

    def describe_quorum(self, request: Any) -> DescribeQuorumResponse:
        topic = TopicDataResponse(topic_name="__cluster_metadata", partitions=[self.quorum])
        return DescribeQuorumResponse(topics=[topic])


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def broker(stage: Stage) -> Iterator[FakeBroker]:
    answers: dict[ApiKey, Any] = {
        ApiKey.METADATA: stage.metadata,
        ApiKey.DESCRIBE_CLUSTER: stage.describe_cluster,
        ApiKey.DESCRIBE_LOG_DIRS: stage.log_dirs,
        ApiKey.DESCRIBE_QUORUM: stage.describe_quorum,
    }
    with FakeBroker() as gone:
        ports = {2: gone.port, 3: gone.port}
    with FakeBroker(answers) as running:
        stage.ports = {1: running.port, **ports}
        yield running


def test_what_lacks_something_is_named(broker: FakeBroker, capsys: pytest.CaptureFixture[str]) -> None:
    with Client(broker.address, timeout_s=5) as client:
        report = read_report(client)
    assert report.is_led
    assert (report.controller, report.controller_epoch) == (1, 4)
    assert report.under_replicated == ["orders-0"]
    assert report.lags == [
        LagReport(partition="orders-0", node=2, lag_bytes=None),
        LagReport(partition="orders-0", node=3, lag_bytes=None),
    ]
    first, second, third = report.nodes
    assert [node.state for node in report.nodes] == [UP, SILENT, FENCED]
    assert [node.metadata_lag for node in report.nodes] == [0, 2, None]
    assert (first.rack, first.is_controller, first.leaders, first.replicas) == ("a", True, 2, 2)
    assert (first.log_bytes, first.free_bytes) == (2001, 40)
    assert (second.log_bytes, second.replicas, third.replicas) == (None, 1, 1)
    print_report(report)
    shown = capsys.readouterr().out
    assert "Metadata leader   1 (epoch 4)" in shown
    assert "Under-replicated  1: orders-0" in shown
    assert any(line.split()[:2] == ["orders-0", "2"] for line in shown.splitlines())


def test_how_far_a_replica_is_behind(stage: Stage, broker: FakeBroker) -> None:
    behind = DescribeLogDirsPartition(partition_index=0, partition_size=400)
    topics = [DescribeLogDirsTopic(name="orders", partitions=[behind])]
    result = DescribeLogDirsResult(log_dir="/data", topics=topics)
    answers: dict[ApiKey, Any] = {
        ApiKey.DESCRIBE_LOG_DIRS: lambda request: DescribeLogDirsResponse(results=[result])
    }
    with FakeBroker(answers) as second, Client(broker.address, timeout_s=5) as client:
        stage.ports[2] = second.port
        report = read_report(client)
    assert report.nodes[1].state == UP
    assert report.lags[0] == LagReport(partition="orders-0", node=2, lag_bytes=600)


def test_a_script_is_told_of_partitions_without_leader(
    stage: Stage, broker: FakeBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["cluster", "status", "--bootstrap-server", broker.address]
    assert main(words) == ExitCode.OK
    stage.partitions[1].leader_id = -1
    assert main(words) == ExitCode.FAILED
    assert "Without leader    1: orders-1" in capsys.readouterr().out


def test_a_script_is_told_of_metadata_without_leader(
    stage: Stage, broker: FakeBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.quorum = PartitionDataResponse(error_code=ErrorCode.NOT_LEADER_OR_FOLLOWER, leader_id=-1)
    assert main(["cluster", "status", "--bootstrap-server", broker.address]) == ExitCode.FAILED
    assert "Metadata leader   none" in capsys.readouterr().out


def test_no_broker_where_it_says_it_is(stage: Stage, broker: FakeBroker) -> None:
    stage.ports[1] = stage.ports[2]
    with (
        Client(broker.address, timeout_s=5) as client,
        pytest.raises(Unreachable, match="the cluster says that a node is there"),
    ):
        cluster.log_directories(client)


def test_many_lags_are_cut_short(
    stage: Stage, broker: FakeBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.partitions = [
        MetadataResponsePartition(partition_index=index, leader_id=1, replica_nodes=[1, 2], isr_nodes=[1])
        for index in range(30)
    ]
    with Client(broker.address, timeout_s=5) as client:
        print_report(read_report(client))
    assert "... and 10 more" in capsys.readouterr().out
