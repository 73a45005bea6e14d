"""DescribeCluster: the brokers of the listener that was asked."""

import pytest

from chronik.broker.handlers import describe_cluster
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.wire.messages.describe_cluster import (
    DescribeClusterBroker,
    DescribeClusterRequest,
    DescribeClusterResponse,
)

from .metadata_stage import MetadataStage, context, over_the_wire, play

VERSIONS = range(3)


def ask(
    stage: MetadataStage, request: DescribeClusterRequest, version: int, listener: str = "PLAINTEXT"
) -> DescribeClusterResponse:
    received = over_the_wire(request, version)
    response = describe_cluster.handle(stage.broker, context(version, listener=listener), received)
    return over_the_wire(response, version)


@pytest.mark.parametrize("version", VERSIONS)
def test_brokers_with_their_addresses(version: int) -> None:
    async def scene(stage: MetadataStage) -> None:
        await stage.register(2, rack="r")
        response = ask(stage, DescribeClusterRequest(), version)
        assert (response.error_code, response.error_message) == (0, None)
        assert (response.cluster_id, response.controller_id) == ("cluster", 1)
        assert response.endpoint_type == 1
        assert response.cluster_authorized_operations == -(2**31)
        assert response.brokers == [
            DescribeClusterBroker(broker_id=1, host="localhost", port=9092),
            DescribeClusterBroker(broker_id=2, host="localhost", port=9093, rack="r"),
        ]
        assert ask(stage, DescribeClusterRequest(), version, listener="SSL").brokers == []

    play(scene)


def test_operations_are_told_when_asked() -> None:
    async def scene(stage: MetadataStage) -> None:
        request = DescribeClusterRequest(include_cluster_authorized_operations=True)
        assert ask(stage, request, 0).cluster_authorized_operations == 0b1111110100000

    play(scene)


@pytest.mark.parametrize(
    ("endpoint_type", "code"),
    [(2, ErrorCode.MISMATCHED_ENDPOINT_TYPE), (0, ErrorCode.UNSUPPORTED_ENDPOINT_TYPE)],
)
def test_there_are_only_brokers(endpoint_type: int, code: ErrorCode) -> None:
    async def scene(stage: MetadataStage) -> None:
        with pytest.raises(KafkaError) as caught:
            ask(stage, DescribeClusterRequest(endpoint_type=endpoint_type), 1)
        assert caught.value.code is code

    play(scene)


@pytest.mark.parametrize("version", VERSIONS)
def test_errors(version: int) -> None:
    response = describe_cluster.on_error(DescribeClusterRequest(), ErrorCode.UNKNOWN_SERVER_ERROR, "because")
    response = over_the_wire(response, version)
    assert (response.error_code, response.error_message) == (-1, "because")
