from typing import Any

import pytest

from chronik.client import configs, groups, offsets, topics
from chronik.client.client import Client
from chronik.client.errors import ClientError, Unreachable
from chronik.vocab.config.definition import ResourceType
from chronik.vocab.errors import ErrorCode
from chronik.wire.apis import ApiKey
from chronik.wire.messages.create_topics import CreatableTopicResult, CreateTopicsResponse
from chronik.wire.messages.describe_groups import DescribedGroup, DescribeGroupsResponse
from chronik.wire.messages.list_offsets import (
    ListOffsetsPartitionResponse,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)
from tests.unit.client.fake_broker import FakeBroker

TIMEOUT_S = 5.0


def client_of(broker: FakeBroker, timeout_s: float = TIMEOUT_S) -> Client:
    return Client(broker.address, timeout_s=timeout_s)


def list_offsets_answer(code: ErrorCode, offset: int = 7) -> ListOffsetsResponse:
    partition = ListOffsetsPartitionResponse(partition_index=0, error_code=code, offset=offset)
    return ListOffsetsResponse(topics=[ListOffsetsTopicResponse(name="orders", partitions=[partition])])


def test_topics_by_name() -> None:
    with FakeBroker(topics={"orders": [1, 1], "events": [1]}) as broker, client_of(broker) as client:
        found = topics.list_all(client)
        assert [(topic.name, len(topic.partitions)) for topic in found] == [("events", 1), ("orders", 2)]


def test_metadata_never_creates_topics() -> None:
    with FakeBroker() as broker, client_of(broker) as client:
        with pytest.raises(ClientError):
            topics.find(client, "orders")
        assert all(not request.allow_auto_topic_creation for request in broker.asked(ApiKey.METADATA))


def test_an_unknown_topic_says_what_to_do() -> None:
    with FakeBroker() as broker, client_of(broker) as client:
        with pytest.raises(ClientError, match="cannot find topic orders: UNKNOWN_TOPIC") as caught:
            topics.find(client, "orders")
        assert caught.value.name == "UNKNOWN_TOPIC_OR_PARTITION"
        assert "chronik topic create" in caught.value.hint


def test_the_brokers_own_words_are_kept() -> None:
    refusal = CreatableTopicResult(
        name="a b", error_code=ErrorCode.INVALID_TOPIC_EXCEPTION, error_message="bad"
    )
    answers = {ApiKey.CREATE_TOPICS: lambda request: CreateTopicsResponse(topics=[refusal])}
    with (
        FakeBroker(answers) as broker,
        client_of(broker) as client,
        pytest.raises(ClientError, match="INVALID_TOPIC_EXCEPTION: bad"),
    ):
        topics.create(client, "a b")


def test_an_error_code_nobody_knows() -> None:
    refusal = CreatableTopicResult(name="orders", error_code=9999)
    answers = {ApiKey.CREATE_TOPICS: lambda request: CreateTopicsResponse(topics=[refusal])}
    with FakeBroker(answers) as broker, client_of(broker) as client:
        with pytest.raises(ClientError, match="error code 9999") as caught:
            topics.create(client, "orders")
        assert caught.value.code is None


def test_what_settles_by_itself_is_tried_again() -> None:
    codes = [ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.LEADER_NOT_AVAILABLE, ErrorCode.NONE]
    answers = {ApiKey.LIST_OFFSETS: lambda request: list_offsets_answer(codes.pop(0))}
    with FakeBroker(answers, topics={"orders": [1]}) as broker, client_of(broker) as client:
        assert offsets.latest(client, "orders") == {0: 7}
        assert codes == []


def test_what_does_not_settle_is_not_tried_for_ever() -> None:
    answers = {ApiKey.LIST_OFFSETS: lambda request: list_offsets_answer(ErrorCode.NOT_LEADER_OR_FOLLOWER)}
    with (
        FakeBroker(answers, topics={"orders": [1]}) as broker,
        client_of(broker, 0.3) as client,
        pytest.raises(ClientError, match="NOT_LEADER_OR_FOLLOWER"),
    ):
        offsets.latest(client, "orders")


def test_what_stays_is_asked_once() -> None:
    answers = {ApiKey.LIST_OFFSETS: lambda request: list_offsets_answer(ErrorCode.OFFSET_OUT_OF_RANGE)}
    with FakeBroker(answers, topics={"orders": [1]}) as broker, client_of(broker) as client:
        with pytest.raises(ClientError):
            offsets.latest(client, "orders")
        assert len(broker.asked(ApiKey.LIST_OFFSETS)) == 1


def test_a_partition_without_leader_is_named() -> None:
    with (
        FakeBroker(topics={"orders": [1, -1]}) as broker,
        client_of(broker, 0.2) as client,
        pytest.raises(ClientError, match="leader of orders-1: LEADER_NOT_AVAILABLE"),
    ):
        client.retry(lambda: client.leaders("orders"))


def test_connections_are_kept() -> None:
    with FakeBroker(topics={"orders": [1]}) as broker, client_of(broker) as client:
        client.leaders("orders")
        client.leaders("orders")
        client.coordinator("group")
        assert broker.connections == 1


def test_a_lost_connection_is_made_anew() -> None:
    with FakeBroker(topics={"orders": [1]}) as broker, client_of(broker) as client:
        client.metadata(None)
        broker.hang_up()
        with pytest.raises(Unreachable):
            client.metadata(None)
        assert len(client.metadata(None).topics) == 1


def test_the_second_bootstrap_server_is_asked_when_the_first_is_gone() -> None:
    with FakeBroker() as gone:
        address = gone.address
    with FakeBroker(topics={"orders": [1]}) as broker, Client(f"{address},{broker.address}") as client:
        assert len(topics.list_all(client)) == 1


def test_all_bootstrap_servers_gone() -> None:
    with FakeBroker() as first, FakeBroker() as second:
        addresses = f"{first.address},{second.address}"
    with Client(addresses, timeout_s=TIMEOUT_S) as client, pytest.raises(Unreachable) as caught:
        client.metadata(None)
    assert all(address in caught.value.message for address in addresses.split(","))


def test_an_advertised_address_that_cannot_be_reached() -> None:
    with FakeBroker() as gone:
        port = gone.port
    with FakeBroker(topics={"orders": [1]}) as broker, client_of(broker) as client:
        client.any_node()
        broker.advertised_port = port
        with pytest.raises(Unreachable, match=str(port)) as caught:
            client.leaders("orders")
        assert "advertised.listeners" in caught.value.hint


@pytest.mark.parametrize(
    "group",
    [
        DescribedGroup(group_id="g", group_state="Dead"),
        DescribedGroup(group_id="g", error_code=ErrorCode.GROUP_ID_NOT_FOUND),
    ],
)
def test_a_group_that_is_not_there(group: DescribedGroup) -> None:
    answers = {ApiKey.DESCRIBE_GROUPS: lambda request: DescribeGroupsResponse(groups=[group])}
    with FakeBroker(answers) as broker, client_of(broker) as client:
        with pytest.raises(ClientError, match="GROUP_ID_NOT_FOUND"):
            groups.describe(client, "g")
        assert groups.find_state(client, "g") == ""


def test_a_broker_that_is_not_in_the_cluster() -> None:
    with FakeBroker() as broker, client_of(broker) as client:
        with pytest.raises(ClientError, match="no broker 5") as caught:
            configs.describe(client, ResourceType.BROKER, "5")
        assert caught.value.hint == "The cluster has: 1."


def test_assignments_that_are_none_are_empty() -> None:
    def answer(request: Any) -> DescribeGroupsResponse:
        from chronik.wire.messages.describe_groups import DescribedGroupMember

        members = [
            DescribedGroupMember(member_id="a", member_assignment=b""),
            DescribedGroupMember(member_id="b", member_assignment=b"\x00\x00\x7f\xff\xff\xff"),
            DescribedGroupMember(
                member_id="c",
                member_assignment=b"\x00\x00\x00\x00\x00\x01\x00\x06orders\x00\x00\x00\x01\x00\x00\x00\x02\xff\xff\xff\xff",
            ),
        ]
        return DescribeGroupsResponse(
            groups=[DescribedGroup(group_id="g", group_state="Stable", members=members)]
        )

    with FakeBroker({ApiKey.DESCRIBE_GROUPS: answer}) as broker, client_of(broker) as client:
        found = groups.describe(client, "g")
        assert [member.partitions for member in found.members] == [(), (), (("orders", 2),)]


def test_answers_that_leave_out_what_was_asked() -> None:
    from chronik.wire.messages.delete_groups import DeleteGroupsResponse
    from chronik.wire.messages.describe_configs import DescribeConfigsResponse
    from chronik.wire.messages.metadata import MetadataResponse

    answers: dict[ApiKey, Any] = {
        ApiKey.DESCRIBE_GROUPS: lambda request: DescribeGroupsResponse(),
        ApiKey.DELETE_GROUPS: lambda request: DeleteGroupsResponse(),
        ApiKey.DESCRIBE_CONFIGS: lambda request: DescribeConfigsResponse(),
        ApiKey.LIST_OFFSETS: lambda request: ListOffsetsResponse(),
    }
    with FakeBroker(answers, topics={"orders": [1]}) as broker, client_of(broker) as client:
        for ask in (
            lambda: groups.describe(client, "g"),
            lambda: groups.delete(client, "g"),
            lambda: configs.describe(client, ResourceType.TOPIC, "orders"),
            lambda: offsets.latest(client, "orders"),
        ):
            with pytest.raises(ClientError, match="says nothing about it"):
                ask()
    with (
        FakeBroker({ApiKey.METADATA: lambda request: MetadataResponse()}) as broker,
        client_of(broker) as client,
        pytest.raises(ClientError, match="says nothing about it"),
    ):
        client.leaders("orders")
