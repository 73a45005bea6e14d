"""The listener finds every error code, wherever it is in an answer."""

from dataclasses import replace

import pytest

from chronik.sim.frames import request
from chronik.wire.apis import ApiKey
from chronik.wire.codec import encode
from chronik.wire.header import response_frame
from chronik.wire.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from chronik.wire.messages.produce import (
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
    TopicProduceResponse,
)
from chronik.wire.schema import Message
from tests.proofs.cluster.exchange import Exchange
from tests.proofs.cluster.shares import Shares, covered

VERSIONS = pytest.mark.parametrize("version", [8, 9], ids=["old", "flexible"])


def exchange(key: ApiKey, version: int, asked: Message, answer: Message) -> Exchange:
    frame = b"".join(response_frame(key, version, 1, [encode(answer, version)]))
    return Exchange(
        node=1,
        connection=0,
        asked_at=1.0,
        answered_at=1.5,
        request=request(key, version, asked).frame[4:],
        response=frame[4:],
    )


def produced(code: int, version: int) -> Exchange:
    answer = PartitionProduceResponse(index=7, error_code=code)
    return exchange(
        ApiKey.PRODUCE,
        version,
        ProduceRequest(topic_data=[TopicProduceData(name="topic")]),
        ProduceResponse(responses=[TopicProduceResponse(name="topic", partition_responses=[answer])]),
    )


@VERSIONS
def test_an_answer_without_errors_has_none(version: int) -> None:
    assert produced(0, version).errors() == []


@VERSIONS
def test_a_partition_that_is_led_elsewhere_is_found(version: int) -> None:
    (error,) = produced(6, version).errors()
    assert "node 1 answered PRODUCE: NOT_LEADER_OR_FOLLOWER" in error
    assert "index=7" in error


@VERSIONS
def test_a_partition_without_leader_is_found(version: int) -> None:
    partition = MetadataResponsePartition(error_code=5)
    topics = [MetadataResponseTopic(name="topic", partitions=[partition])]
    asked = MetadataRequest(topics=[MetadataRequestTopic(name="topic")])
    heard = exchange(ApiKey.METADATA, version, asked, MetadataResponse(topics=topics))
    (error,) = heard.errors()
    assert "METADATA: LEADER_NOT_AVAILABLE" in error
    assert heard.topics() == {"topic"}
    assert heard.seconds == 0.5


def test_it_is_known_what_a_send_was_about() -> None:
    assert produced(0, 9).topics() == {"topic"}


def test_time_is_covered_once() -> None:
    assert covered([]) == 0
    assert covered([(0.0, 2.0), (1.0, 3.0), (5.0, 6.0), (5.2, 5.4)]) == 4.0


def test_shares_of_a_first_send() -> None:
    asked = MetadataRequest(topics=[MetadataRequestTopic(name="topic")])
    metadata = exchange(ApiKey.METADATA, 9, asked, MetadataResponse())
    spans = [(0.0, 1.0), (0.5, 1.5), (4.5, 5.0)]
    heard = [replace(metadata, asked_at=start, answered_at=end) for start, end in spans]
    heard.append(replace(produced(0, 9), asked_at=2.0, answered_at=4.0))
    assert Shares.of(heard, "topic") == Shares(wire=4.0, nodes=3.5, metadata=1.5)
    with pytest.raises(ValueError, match="no answer to a Produce request"):
        Shares.of(heard, "other")
