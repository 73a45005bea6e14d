"""The controller's answers to configuration commands (KIP-339)."""

import pytest

from chronik.cluster.metadata.config_decisions import (
    CONFIG_NAME_CHARS_MAX,
    RESOURCE_NAME_CHARS_MAX,
    RESOURCES_MAX,
    SETTINGS_PER_RESOURCE_MAX,
)
from chronik.cluster.metadata.configs import (
    CLUSTER_DEFAULT,
    AlterConfigs,
    AlterOp,
    ConfigChange,
    ConfigChanged,
    ConfigResource,
    IncrementalAlterConfigs,
    topic_resource,
)
from chronik.cluster.metadata.premises import TopicDefaults
from chronik.cluster.metadata.subject import Command
from chronik.cluster.metadata.topics import CreateTopic
from chronik.vocab.config.definition import ResourceType
from chronik.vocab.config.names import TOPIC_CONFIGS
from chronik.vocab.errors import ErrorCode, KafkaError

from .builders import DEFAULTS, World

ORDERS = topic_resource("orders")
NODE = ConfigResource(ResourceType.BROKER, "1")


def world_with_topic(defaults: TopicDefaults = DEFAULTS, **configs: str) -> World:
    world = World(defaults=defaults)
    named = {name.replace("_", "."): value for name, value in configs.items()}
    world.do(CreateTopic(name="orders", configs=named))
    return world


def change(op: AlterOp, key: str, value: str | None = None) -> IncrementalAlterConfigs:
    return IncrementalAlterConfigs(resource=ORDERS, changes=[ConfigChange(key, op, value)])


def refusal(world: World, command: Command) -> ErrorCode:
    with pytest.raises(KafkaError) as caught:
        world.decide(command)
    assert caught.value.message
    return caught.value.code


def test_set_and_delete() -> None:
    world = world_with_topic(retention_ms="5")
    world.do(change(AlterOp.SET, "retention.bytes", "7"))
    assert world.image.topic_config("orders") == {"retention.ms": "5", "retention.bytes": "7"}
    world.do(change(AlterOp.DELETE, "retention.ms"))
    assert world.image.topic_config("orders") == {"retention.bytes": "7"}
    assert world.decide(change(AlterOp.DELETE, "retention.ms")) == []


def test_a_setting_that_stays_leaves_no_record() -> None:
    world = world_with_topic(retention_ms="5")
    assert world.decide(change(AlterOp.SET, "retention.ms", "5")) == []


def test_append_begins_with_the_default() -> None:
    world = world_with_topic()
    world.do(change(AlterOp.APPEND, "cleanup.policy", "compact"))
    assert world.image.topic_config("orders") == {"cleanup.policy": "delete,compact"}


def test_append_begins_with_the_brokers_default() -> None:
    settings = {name: definition.default for name, definition in TOPIC_CONFIGS.items()}
    world = world_with_topic(TopicDefaults(settings={**settings, "cleanup.policy": ("compact",)}))
    world.do(change(AlterOp.APPEND, "cleanup.policy", "delete"))
    assert world.image.topic_config("orders") == {"cleanup.policy": "compact,delete"}


def test_append_keeps_items_unique_and_subtract_removes_them() -> None:
    world = world_with_topic(cleanup_policy="compact")
    world.do(change(AlterOp.APPEND, "cleanup.policy", "delete, compact"))
    assert world.image.topic_config("orders") == {"cleanup.policy": "compact,delete"}
    world.do(change(AlterOp.SUBTRACT, "cleanup.policy", "compact"))
    assert world.image.topic_config("orders") == {"cleanup.policy": "delete"}


@pytest.mark.parametrize("op", [AlterOp.APPEND, AlterOp.SUBTRACT])
def test_only_lists_can_be_appended_to(op: AlterOp) -> None:
    assert refusal(world_with_topic(), change(op, "retention.ms", "1")) is ErrorCode.INVALID_CONFIG
    assert refusal(world_with_topic(), change(op, "no.such.setting", "1")) is ErrorCode.INVALID_CONFIG


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (change(AlterOp.SET, "retention.ms", "soon"), ErrorCode.INVALID_CONFIG),
        (change(AlterOp.SET, "no.such.setting", "1"), ErrorCode.INVALID_CONFIG),
        (change(AlterOp.SET, "retention.ms"), ErrorCode.INVALID_REQUEST),
        (change(AlterOp.APPEND, "cleanup.policy"), ErrorCode.INVALID_REQUEST),
        (change(AlterOp.APPEND, "cleanup.policy", "burn"), ErrorCode.INVALID_CONFIG),
        (
            IncrementalAlterConfigs(
                resource=ORDERS,
                changes=[
                    ConfigChange("retention.ms", AlterOp.SET, "1"),
                    ConfigChange("retention.ms", AlterOp.DELETE, None),
                ],
            ),
            ErrorCode.INVALID_REQUEST,
        ),
        (
            IncrementalAlterConfigs(resource=topic_resource("nobody"), changes=[]),
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ),
        (
            IncrementalAlterConfigs(resource=ConfigResource(ResourceType.GROUP, ""), changes=[]),
            ErrorCode.INVALID_REQUEST,
        ),
        (
            AlterConfigs(resource=ConfigResource(ResourceType.BROKER, "9"), entries={}),
            ErrorCode.INVALID_REQUEST,
        ),
        (AlterConfigs(resource=ORDERS, entries={"retention.ms": None}), ErrorCode.INVALID_REQUEST),
        (AlterConfigs(resource=ORDERS, entries={"segment.bytes": "-1"}), ErrorCode.INVALID_CONFIG),
        (AlterConfigs(resource=NODE, entries={"node.id": "7"}), ErrorCode.INVALID_REQUEST),
    ],
)
def test_alterations_that_cannot_be(command: Command, code: ErrorCode) -> None:
    assert refusal(world_with_topic(), command) is code


def test_rules_between_settings_see_all_of_them() -> None:
    world = world_with_topic(max_compaction_lag_ms="10")
    assert refusal(world, change(AlterOp.SET, "min.compaction.lag.ms", "11")) is ErrorCode.INVALID_CONFIG


def test_a_topic_with_wrong_settings_is_not_created() -> None:
    command = CreateTopic(name="a", configs={"retention.ms": "soon"})
    assert refusal(World(), command) is ErrorCode.INVALID_CONFIG


def test_alter_configs_replaces_everything() -> None:
    world = world_with_topic(retention_ms="5", retention_bytes="7")
    command = AlterConfigs(resource=ORDERS, entries={"retention.bytes": "8", "segment.bytes": "1048576"})
    assert world.decide(command) == [
        ConfigChanged(resource=ORDERS, key="retention.ms", value=None),
        ConfigChanged(resource=ORDERS, key="retention.bytes", value="8"),
        ConfigChanged(resource=ORDERS, key="segment.bytes", value="1048576"),
    ]


@pytest.mark.parametrize("resource", [NODE, CLUSTER_DEFAULT])
def test_brokers_are_configured_alone_and_all_together(resource: ConfigResource) -> None:
    world = World()
    world.do(AlterConfigs(resource=resource, entries={"log.retention.ms": "5"}))
    assert world.image.config(resource) == {"log.retention.ms": "5"}


def test_what_stands_there_from_another_release_does_not_stand_in_the_way() -> None:
    world = World()
    world.apply([ConfigChanged(resource=CLUSTER_DEFAULT, key="setting.of.tomorrow", value="1")])
    changes = [ConfigChange("log.retention.ms", AlterOp.SET, "5")]
    world.do(IncrementalAlterConfigs(resource=CLUSTER_DEFAULT, changes=changes))
    assert world.image.config(CLUSTER_DEFAULT) == {"setting.of.tomorrow": "1", "log.retention.ms": "5"}


GROUP = ConfigResource(ResourceType.GROUP, "g")
SUBSCRIPTION = ConfigResource(ResourceType.CLIENT_METRICS, "s")


@pytest.mark.parametrize(
    ("resource", "op", "key", "code", "message"),
    [
        (NODE, AlterOp.APPEND, "no.such", ErrorCode.INVALID_CONFIG, "Unknown config name: no.such"),
        (
            NODE,
            AlterOp.APPEND,
            "log.retention.ms",
            ErrorCode.INVALID_CONFIG,
            "Config value append is not allowed for config key: log.retention.ms",
        ),
        (
            ORDERS,
            AlterOp.SUBTRACT,
            "retention.ms",
            ErrorCode.INVALID_CONFIG,
            "Can't SUBTRACT to key retention.ms because its type is not LIST.",
        ),
        # A list, yet not one that Kafka's controller knows.
        (
            GROUP,
            AlterOp.APPEND,
            "streams.rack.aware.assignment.tags",
            ErrorCode.INVALID_CONFIG,
            "Can't APPEND to key streams.rack.aware.assignment.tags because its type is not LIST.",
        ),
        (
            SUBSCRIPTION,
            AlterOp.APPEND,
            "metrics",
            ErrorCode.INVALID_CONFIG,
            "Can't APPEND to key metrics because its type is not LIST.",
        ),
        (
            ConfigResource(ResourceType.GROUP, ""),
            AlterOp.SET,
            "consumer.session.timeout.ms",
            ErrorCode.INVALID_REQUEST,
            "Default group resources are not allowed.",
        ),
        (
            ConfigResource(ResourceType.CLIENT_METRICS, ""),
            AlterOp.SET,
            "interval.ms",
            ErrorCode.INVALID_REQUEST,
            "Subscription name can't be empty",
        ),
        (
            topic_resource(""),
            AlterOp.SET,
            "retention.ms",
            ErrorCode.INVALID_REQUEST,
            "Default topic resources are not allowed.",
        ),
        (
            topic_resource("nobody"),
            AlterOp.SET,
            "retention.ms",
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
            "The topic 'nobody' does not exist.",
        ),
    ],
)
def test_refusals_are_kafkas(
    resource: ConfigResource, op: AlterOp, key: str, code: ErrorCode, message: str
) -> None:
    command = IncrementalAlterConfigs(resource=resource, changes=[ConfigChange(key, op, "1")])
    with pytest.raises(KafkaError) as caught:
        world_with_topic().decide(command)
    assert (caught.value.code, caught.value.message) == (code, message)


def test_unknown_settings_of_brokers_are_stored() -> None:
    """KIP-226: they may be a plugin's."""
    world = World()
    for resource in (NODE, CLUSTER_DEFAULT):
        world.do(AlterConfigs(resource=resource, entries={"my.plugin": "", "cleanup.policy": "delete"}))
        assert world.image.config(resource) == {"my.plugin": "", "cleanup.policy": "delete"}


def test_what_may_be_stored_is_bounded() -> None:
    world = World()
    many = {f"setting.{number}": "1" for number in range(SETTINGS_PER_RESOURCE_MAX)}
    world.do(AlterConfigs(resource=NODE, entries=many))
    for name, resource in (
        ("one.more", NODE),
        ("x" * (CONFIG_NAME_CHARS_MAX + 1), CLUSTER_DEFAULT),
        ("interval.ms", ConfigResource(ResourceType.CLIENT_METRICS, "x" * (RESOURCE_NAME_CHARS_MAX + 1))),
    ):
        changes = [ConfigChange(name, AlterOp.SET, "5000")]
        command = IncrementalAlterConfigs(resource=resource, changes=changes)
        assert refusal(world, command) is ErrorCode.INVALID_REQUEST
    # What is there may still go.
    world.do(
        IncrementalAlterConfigs(resource=NODE, changes=[ConfigChange("setting.0", AlterOp.DELETE, None)])
    )


def test_groups_and_subscriptions_are_bounded_in_number() -> None:
    world = World()
    world.apply(
        [
            ConfigChanged(resource=ConfigResource(ResourceType.GROUP, str(number)), key="k", value="v")
            for number in range(RESOURCES_MAX)
        ]
    )
    session = {"consumer.session.timeout.ms": "50000"}
    assert refusal(world, AlterConfigs(resource=GROUP, entries=session)) is ErrorCode.INVALID_REQUEST
    world.do(AlterConfigs(resource=ConfigResource(ResourceType.GROUP, "7"), entries=session))
    world.do(AlterConfigs(resource=SUBSCRIPTION, entries={"interval.ms": "5000"}))
