import asyncio
import logging

import pytest

from chronik.broker.handlers import describe_configs
from chronik.cluster.metadata.configs import CLUSTER_DEFAULT, AlterConfigs, ConfigResource, topic_resource
from chronik.vocab.config.definition import (
    ConfigDefinition,
    ConfigSource,
    ConfigType,
    Importance,
    ResourceType,
)
from chronik.vocab.config.names import BROKER_CONFIGS, TOPIC_CONFIGS
from chronik.vocab.errors import ErrorCode
from chronik.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResult,
)
from tests.unit.broker.handlers.config_cluster import OWN, ConfigCluster, context


def ask(
    cluster: ConfigCluster, type: int, name: str, keys: list[str] | None = None, **fields: bool
) -> DescribeConfigsResult:
    async def play() -> DescribeConfigsResult:
        await cluster.start()
        return await describe(cluster, type, name, keys, **fields)

    return asyncio.run(play())


async def describe(
    cluster: ConfigCluster, type: int, name: str, keys: list[str] | None = None, **fields: bool
) -> DescribeConfigsResult:
    resource = DescribeConfigsResource(resource_type=type, resource_name=name, configuration_keys=keys)
    request = DescribeConfigsRequest(resources=[resource], **fields)
    response = await describe_configs.handle(cluster.broker, context(), request)
    [result] = response.results
    assert (result.resource_type, result.resource_name) == (type, name)
    return result


def by_name(result: DescribeConfigsResult) -> dict[str, DescribeConfigsResourceResult]:
    assert result.error_code == ErrorCode.NONE
    # As from Kafka, not null.
    assert result.error_message == ""
    return {entry.name: entry for entry in result.configs}


def synonyms(entry: DescribeConfigsResourceResult) -> list[tuple[str, str | None, int]]:
    return [(synonym.name, synonym.value, synonym.source) for synonym in entry.synonyms]


def test_a_topics_settings_with_their_sources() -> None:
    cluster = ConfigCluster({"log.segment.bytes": "2097152"})
    entries = by_name(ask(cluster, ResourceType.TOPIC, "orders"))
    assert list(entries) == [name for name, definition in TOPIC_CONFIGS.items() if not definition.is_internal]
    retention = entries["retention.ms"]
    assert (retention.value, retention.config_source) == ("5", ConfigSource.TOPIC_CONFIG)
    segment = entries["segment.bytes"]
    assert (segment.value, segment.config_source) == ("2097152", ConfigSource.STATIC_BROKER_CONFIG)
    assert entries["segment.ms"].config_source == ConfigSource.DEFAULT_CONFIG
    assert entries["cleanup.policy"].config_type == ConfigType.LIST
    assert not any(entry.read_only or entry.is_sensitive for entry in entries.values())
    assert not any(entry.synonyms or entry.documentation for entry in entries.values())


def test_synonyms_and_documentation_come_when_asked_for() -> None:
    cluster = ConfigCluster({"log.retention.minutes": "9"})
    result = ask(
        cluster,
        ResourceType.TOPIC,
        "orders",
        ["retention.ms"],
        include_synonyms=True,
        include_documentation=True,
    )
    [entry] = result.configs
    assert entry.documentation == TOPIC_CONFIGS["retention.ms"].documentation
    assert synonyms(entry) == [
        ("retention.ms", "5", ConfigSource.TOPIC_CONFIG),
        ("log.retention.minutes", "9", ConfigSource.STATIC_BROKER_CONFIG),
        ("log.retention.hours", "168", ConfigSource.DEFAULT_CONFIG),
    ]


def test_only_the_settings_asked_for() -> None:
    result = ask(ConfigCluster(), ResourceType.TOPIC, "orders", ["segment.ms", "no.such", "retention.ms"])
    assert set(by_name(result)) == {"segment.ms", "retention.ms"}
    assert len(ask(ConfigCluster(), ResourceType.TOPIC, "orders", []).configs) > 30


def test_an_internal_setting_is_shown_where_it_is_set() -> None:
    async def play() -> DescribeConfigsResult:
        cluster = await ConfigCluster().start()
        topic = topic_resource("orders")
        await cluster.metadata.submit(AlterConfigs(resource=topic, entries={"internal.segment.bytes": "100"}))
        return await describe(cluster, ResourceType.TOPIC, "orders", ["internal.segment.bytes"])

    [entry] = asyncio.run(play()).configs
    assert (entry.value, entry.config_source) == ("100", ConfigSource.TOPIC_CONFIG)


def test_a_nodes_own_settings() -> None:
    async def play() -> DescribeConfigsResult:
        cluster = await ConfigCluster({"message.max.bytes": "1", "log.retention.hours": "2"}).start()
        await cluster.metadata.submit(
            AlterConfigs(resource=CLUSTER_DEFAULT, entries={"message.max.bytes": "2"})
        )
        await cluster.metadata.submit(AlterConfigs(resource=OWN, entries={"message.max.bytes": "3"}))
        return await describe(cluster, ResourceType.BROKER, "1", include_synonyms=True)

    entries = by_name(asyncio.run(play()))
    assert list(entries) == list(BROKER_CONFIGS)
    message = entries["message.max.bytes"]
    assert (message.value, message.config_source) == ("3", ConfigSource.DYNAMIC_BROKER_CONFIG)
    assert not message.read_only
    assert synonyms(message) == [
        ("message.max.bytes", "3", ConfigSource.DYNAMIC_BROKER_CONFIG),
        ("message.max.bytes", "2", ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG),
        ("message.max.bytes", "1", ConfigSource.STATIC_BROKER_CONFIG),
        ("message.max.bytes", "1048588", ConfigSource.DEFAULT_CONFIG),
    ]
    assert entries["node.id"].read_only
    assert (entries["node.id"].value, entries["node.id"].config_type) == ("1", ConfigType.INT)
    # Unset, as Kafka shows it; the topic's retention.ms shows what stands in.
    assert (entries["log.retention.ms"].value, synonyms(entries["log.retention.ms"])) == (None, [])
    assert synonyms(entries["log.retention.hours"]) == [
        ("log.retention.hours", "2", ConfigSource.STATIC_BROKER_CONFIG),
        ("log.retention.hours", "168", ConfigSource.DEFAULT_CONFIG),
    ]


def test_the_default_of_all_brokers_shows_only_what_was_changed() -> None:
    async def play() -> DescribeConfigsResult:
        cluster = await ConfigCluster({"num.partitions": "3"}).start()
        await cluster.metadata.submit(
            AlterConfigs(resource=CLUSTER_DEFAULT, entries={"log.cleanup.policy": " compact , delete"})
        )
        return await describe(cluster, ResourceType.BROKER, "", include_synonyms=True)

    [entry] = asyncio.run(play()).configs
    assert (entry.name, entry.value) == ("log.cleanup.policy", "compact,delete")
    assert entry.config_source == ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG
    assert len(entry.synonyms) == 1


def test_levels_of_loggers() -> None:
    logging.getLogger("chronik.test_describe_configs")
    entries = by_name(ask(ConfigCluster(), ResourceType.BROKER_LOGGER, "1"))
    assert entries["chronik"].config_source == ConfigSource.DYNAMIC_BROKER_LOGGER_CONFIG
    assert entries["chronik.test_describe_configs"].value == entries["chronik"].value
    assert entries["root"].value == entries["chronik"].value


@pytest.mark.parametrize(
    ("type", "source", "name", "value"),
    [
        (ResourceType.GROUP, ConfigSource.GROUP_CONFIG, "consumer.session.timeout.ms", "50000"),
        (ResourceType.CLIENT_METRICS, ConfigSource.CLIENT_METRICS_CONFIG, "interval.ms", "5000"),
    ],
)
def test_groups_and_client_metrics(type: ResourceType, source: ConfigSource, name: str, value: str) -> None:
    async def play() -> tuple[DescribeConfigsResult, DescribeConfigsResult]:
        cluster = await ConfigCluster().start()
        resource = ConfigResource(type, "mine")
        await cluster.metadata.submit(AlterConfigs(resource=resource, entries={name: value}))
        return await describe(cluster, type, "mine"), await describe(cluster, type, "other")

    mine, other = (by_name(result) for result in asyncio.run(play()))
    assert (mine[name].value, mine[name].config_source) == (value, source)
    assert other[name].config_source == ConfigSource.DEFAULT_CONFIG
    assert mine.keys() == other.keys()
    assert not any(entry.read_only for entry in mine.values())


def test_unknown_settings_are_stored_and_shown_without_values() -> None:
    async def play() -> DescribeConfigsResult:
        cluster = await ConfigCluster().start()
        await cluster.metadata.submit(AlterConfigs(resource=OWN, entries={"my.plugin": "a secret"}))
        return await describe(cluster, ResourceType.BROKER, "1", ["my.plugin"], include_synonyms=True)

    [entry] = asyncio.run(play()).configs
    assert (entry.value, entry.is_sensitive, entry.read_only) == (None, True, True)
    assert (entry.config_type, entry.config_source) == (
        ConfigType.UNKNOWN,
        ConfigSource.DYNAMIC_BROKER_CONFIG,
    )
    assert synonyms(entry) == [("my.plugin", None, ConfigSource.DYNAMIC_BROKER_CONFIG)]


@pytest.mark.parametrize(
    ("type", "name", "code", "message"),
    [
        (ResourceType.TOPIC, "nobody", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ""),
        (
            ResourceType.TOPIC,
            "",
            ErrorCode.INVALID_TOPIC_EXCEPTION,
            "Topic name is invalid: the empty string is not allowed",
        ),
        (
            ResourceType.BROKER,
            "2",
            ErrorCode.INVALID_REQUEST,
            "Unexpected broker id, expected 1 or empty string, but received 2",
        ),
        (ResourceType.BROKER, "x", ErrorCode.INVALID_REQUEST, "Broker id must be an integer, but it is: x"),
        (
            ResourceType.BROKER_LOGGER,
            "",
            ErrorCode.INVALID_REQUEST,
            "Broker id must not be empty",
        ),
        (ResourceType.GROUP, "", ErrorCode.INVALID_REQUEST, "Group name must not be empty"),
        (
            ResourceType.CLIENT_METRICS,
            "",
            ErrorCode.INVALID_REQUEST,
            "Client metrics subscription name must not be empty",
        ),
        (ResourceType.UNKNOWN, "x", ErrorCode.INVALID_REQUEST, "Unknown resource type 0"),
        (77, "x", ErrorCode.INVALID_REQUEST, "Unknown resource type 77"),
    ],
)
def test_what_cannot_be_described(type: int, name: str, code: ErrorCode, message: str | None) -> None:
    result = ask(ConfigCluster(), type, name)
    assert (result.error_code, result.error_message, result.configs) == (code, message, [])


def test_a_password_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = ConfigDefinition(
        name="secret",
        type=ConfigType.PASSWORD,
        default="hunter2",
        importance=Importance.LOW,
        documentation="",
    )
    monkeypatch.setattr("chronik.vocab.config.described.GROUP_CONFIGS", {"secret": secret})
    [entry] = ask(ConfigCluster(), ResourceType.GROUP, "g", include_synonyms=True).configs
    assert entry.is_sensitive
    assert (entry.value, synonyms(entry)) == (None, [("group.secret", None, ConfigSource.DEFAULT_CONFIG)])


def test_an_error_for_the_request_is_one_for_each_resource() -> None:
    resources = [DescribeConfigsResource(resource_type=2, resource_name=name) for name in ("a", "b")]
    response = describe_configs.on_error(
        DescribeConfigsRequest(resources=resources), ErrorCode.NOT_CONTROLLER, "closing"
    )
    assert [
        (result.resource_name, result.error_code, result.error_message) for result in response.results
    ] == [
        ("a", ErrorCode.NOT_CONTROLLER, "closing"),
        ("b", ErrorCode.NOT_CONTROLLER, "closing"),
    ]
