"""Versions that Kafka 4.4 has and kio lacks: their bytes as Kafka's own serializers wrote them."""

from typing import Final

import pytest

from chronik.wire.apis import SCHEMAS, ApiKey
from chronik.wire.codec import decode, encode
from chronik.wire.messages.api_versions import ApiVersionsRequest
from chronik.wire.messages.delete_groups import DeletableGroupResult, DeleteGroupsResponse
from chronik.wire.schema import Message
from tests.parity.messages.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
    TxnOffsetCommitResponse,
    TxnOffsetCommitResponsePartition,
    TxnOffsetCommitResponseTopic,
)
from tests.parity.schemas import request_layout, response_layout

TOPIC_ID: Final = bytes(range(16))

GOLDEN: list[tuple[Message, int, str]] = [
    (
        ApiVersionsRequest(client_software_name="java", client_software_version="4.4"),
        5,
        "056a61766104342e3400ffffffff00",
    ),
    (
        ApiVersionsRequest(
            client_software_name="java", client_software_version="4.4", cluster_id="c", node_id=7
        ),
        5,
        "056a61766104342e3402630000000700",
    ),
    (
        DeleteGroupsResponse(
            results=[
                DeletableGroupResult(group_id="g", error_code=68, error_message="no"),
                DeletableGroupResult(group_id="h"),
            ]
        ),
        3,
        "000000000302670044036e6f0002680000000000",
    ),
    (
        TxnOffsetCommitRequest(
            transactional_id="x",
            group_id="g",
            producer_id=1,
            producer_epoch=2,
            generation_id=3,
            member_id="m",
            topics=[
                TxnOffsetCommitRequestTopic(
                    topic_id=TOPIC_ID,
                    partitions=[
                        TxnOffsetCommitRequestPartition(
                            partition_index=4,
                            committed_offset=5,
                            committed_leader_epoch=6,
                            committed_metadata="n",
                        )
                    ],
                )
            ],
        ),
        6,
        "027802670000000000000001000200000003026d00"
        "02000102030405060708090a0b0c0d0e0f0200000004000000000000000500000006026e000000",
    ),
    (
        TxnOffsetCommitResponse(
            topics=[
                TxnOffsetCommitResponseTopic(
                    topic_id=TOPIC_ID,
                    partitions=[TxnOffsetCommitResponsePartition(partition_index=4, error_code=100)],
                )
            ]
        ),
        6,
        "0000000002000102030405060708090a0b0c0d0e0f02000000040064000000",
    ),
]


@pytest.mark.parametrize(("message", "version", "data"), GOLDEN, ids=lambda value: type(value).__name__)
def test_bytes_are_kafkas(message: Message, version: int, data: str) -> None:
    assert encode(message, version).hex() == data
    assert decode(type(message), version, bytes.fromhex(data)) == message


@pytest.mark.parametrize(
    ("key", "last"), [(ApiKey.API_VERSIONS, 5), (ApiKey.DELETE_GROUPS, 3), (ApiKey.TXN_OFFSET_COMMIT, 6)]
)
def test_both_sides_reach_kafkas_last_version(key: ApiKey, last: int) -> None:
    assert SCHEMAS[key].versions.last == last
    request, response = request_layout(key).message, response_layout(key).message
    assert request.VERSIONS == response.VERSIONS == SCHEMAS[key].versions
