import asyncio
from collections.abc import Mapping, Sequence

import pytest

from chronik.broker.handlers import alter_configs
from chronik.cluster.metadata.configs import CLUSTER_DEFAULT, ConfigResource, topic_resource
from chronik.vocab.config.definition import ResourceType
from chronik.vocab.errors import ErrorCode
from chronik.wire.messages.alter_configs import (
    AlterableConfig,
    AlterConfigsRequest,
    AlterConfigsResource,
    AlterConfigsResponse,
)
from tests.unit.broker.handlers.config_cluster import OWN, ConfigCluster, context

Outcome = tuple[ErrorCode, str | None]

OK: Outcome = (ErrorCode.NONE, None)


def resource(type: int, name: str, configs: Mapping[str, str | None]) -> AlterConfigsResource:
    return AlterConfigsResource(
        resource_type=type,
        resource_name=name,
        configs=[AlterableConfig(name=key, value=value) for key, value in configs.items()],
    )


def outcomes(response: AlterConfigsResponse) -> list[Outcome]:
    return [(ErrorCode(each.error_code), each.error_message) for each in response.responses]


def alter(
    cluster: ConfigCluster, *resources: AlterConfigsResource, validate_only: bool = False
) -> Sequence[Outcome]:
    async def play() -> AlterConfigsResponse:
        await cluster.start()
        request = AlterConfigsRequest(resources=list(resources), validate_only=validate_only)
        return await alter_configs.handle(cluster.broker, context(), request)

    return outcomes(asyncio.run(play()))


def test_all_settings_of_a_topic_are_replaced() -> None:
    cluster = ConfigCluster()
    assert alter(cluster, resource(ResourceType.TOPIC, "orders", {"segment.ms": "7"})) == [OK]
    assert cluster.metadata.image.config(topic_resource("orders")) == {"segment.ms": "7"}


def test_settings_of_this_broker_and_of_all() -> None:
    cluster = ConfigCluster()
    assert alter(
        cluster,
        resource(ResourceType.BROKER, "1", {"message.max.bytes": "7"}),
        resource(ResourceType.BROKER, "", {"message.max.bytes": "8", "write.caching": "true"}),
    ) == [OK, OK]
    assert cluster.metadata.image.config(OWN) == {"message.max.bytes": "7"}
    assert cluster.metadata.image.config(CLUSTER_DEFAULT)["message.max.bytes"] == "8"
    assert cluster.config.int("message.max.bytes") == 7
    assert cluster.config.bool("write.caching")


def test_a_trial_changes_nothing() -> None:
    cluster = ConfigCluster()
    good = resource(ResourceType.TOPIC, "orders", {"segment.ms": "7"})
    bad = resource(ResourceType.BROKER, "1", {"node.id": "7"})
    assert alter(cluster, good, bad, validate_only=True) == [
        OK,
        (ErrorCode.INVALID_REQUEST, "Cannot update these configs dynamically: [node.id]"),
    ]
    assert cluster.metadata.image.config(topic_resource("orders")) == {"retention.ms": "5"}


def test_each_resource_is_decided_for_itself() -> None:
    cluster = ConfigCluster()
    answers = alter(
        cluster,
        resource(ResourceType.TOPIC, "nobody", {}),
        resource(ResourceType.TOPIC, "orders", {"no.such": "1"}),
        resource(ResourceType.BROKER, "1", {"message.max.bytes": "7"}),
    )
    assert [code for code, _ in answers] == [
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.INVALID_CONFIG,
        ErrorCode.NONE,
    ]
    assert answers[1][1] == "Unknown topic config name: no.such"
    assert cluster.config.int("message.max.bytes") == 7


@pytest.mark.parametrize(
    ("type", "name", "configs", "message"),
    [
        (
            ResourceType.TOPIC,
            "orders",
            {"segment.ms": None, "flush.ms": None},
            "Null value not supported for : segment.ms, flush.ms",
        ),
        (ResourceType.BROKER, "2", {}, "Unexpected broker id, expected 1, but received 2"),
        (ResourceType.BROKER, "one", {}, "Node id must be an integer, but it is: one"),
        (99, "x", {}, "Unknown resource type 99"),
    ],
)
def test_bad_requests(type: int, name: str, configs: dict[str, str | None], message: str) -> None:
    assert alter(ConfigCluster(), resource(type, name, configs)) == [(ErrorCode.INVALID_REQUEST, message)]


@pytest.mark.parametrize("type", [ResourceType.BROKER_LOGGER, ResourceType.UNKNOWN, 3])
def test_other_resources_cannot_be_altered(type: int) -> None:
    [answer] = alter(ConfigCluster(), resource(type, "x", {"a": "b"}))
    assert answer == (ErrorCode.INVALID_REQUEST, f"Unknown resource type {int(type)}")


def test_groups_and_client_metrics() -> None:
    cluster = ConfigCluster()
    group = resource(ResourceType.GROUP, "g", {"consumer.session.timeout.ms": "50000"})
    subscription = resource(ResourceType.CLIENT_METRICS, "s", {"interval.ms": "5000"})
    assert alter(cluster, group, subscription) == [OK, OK]
    image = cluster.metadata.image
    assert image.config(ConfigResource(ResourceType.GROUP, "g")) == {"consumer.session.timeout.ms": "50000"}
    assert image.config(ConfigResource(ResourceType.CLIENT_METRICS, "s")) == {"interval.ms": "5000"}


def test_a_resource_is_named_once() -> None:
    cluster = ConfigCluster()
    twice = [resource(ResourceType.TOPIC, "orders", {"segment.ms": text}) for text in "12"]
    other = resource(ResourceType.BROKER, "1", {"message.max.bytes": "7"})
    refused = (ErrorCode.INVALID_REQUEST, "Each resource must appear at most once.")
    assert alter(cluster, twice[0], other, twice[1]) == [refused, OK, refused]
    assert cluster.metadata.image.config(topic_resource("orders")) == {"retention.ms": "5"}


def test_a_setting_is_named_once() -> None:
    twice = AlterConfigsResource(
        resource_type=ResourceType.TOPIC,
        resource_name="orders",
        configs=[AlterableConfig(name="segment.ms", value=text) for text in "12"],
    )
    assert alter(ConfigCluster(), twice) == [
        (ErrorCode.INVALID_REQUEST, "Error due to duplicate config keys")
    ]


def test_an_error_for_the_request_is_one_for_each_resource() -> None:
    request = AlterConfigsRequest(resources=[resource(2, "a", {}), resource(4, "1", {})])
    response = alter_configs.on_error(request, ErrorCode.NOT_CONTROLLER, "closing")
    assert outcomes(response) == [(ErrorCode.NOT_CONTROLLER, "closing")] * 2
    assert [each.resource_name for each in response.responses] == ["a", "1"]
