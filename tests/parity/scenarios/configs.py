"""DescribeConfigs (key 32), AlterConfigs (33), IncrementalAlterConfigs (44), ListConfigResources (74)."""

from typing import Any

from chronik.wire.apis import ApiKey
from tests.parity.registry import scenario
from tests.parity.session import Session

TOPIC, BROKER, LOGGER, CLIENT_METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3


def describe(s: Session, version: int, kind: int, name: str, keys: list[str] | None, **more: Any) -> None:
    resource = {"resource_type": kind, "resource_name": name, "configuration_keys": keys}
    s.ask(ApiKey.DESCRIBE_CONFIGS, version, {"resources": [resource], **more})


@scenario((1, 2, 3, 4))
def a_topics_settings(s: Session, version: int) -> None:
    describe(s, version, TOPIC, s.topic(configs={"retention.ms": "1000"}), ["retention.ms", "segment.bytes"])


@scenario((1, 4))
def a_topics_settings_with_synonyms(s: Session, version: int) -> None:
    topic = s.topic(configs={"retention.ms": "1000"})
    describe(s, version, TOPIC, topic, ["retention.ms", "cleanup.policy"], include_synonyms=True)


@scenario((1, 4))
def all_settings_of_a_topic(s: Session, version: int) -> None:
    describe(s, version, TOPIC, s.topic(), None)


@scenario(
    (1, 4),
    {"unknown": ["no.such.setting"], "none": [], "empty": [""], "twice": ["retention.ms", "retention.ms"]},
)
def settings_of_a_topic_by_keys(s: Session, version: int, keys: list[str]) -> None:
    if keys:
        describe(s, version, TOPIC, s.topic(), keys)


@scenario((1, 4))
def settings_of_an_unknown_topic(s: Session, version: int) -> None:
    describe(s, version, TOPIC, s.name("missing"), None)


@scenario((1, 4), {"empty": "", "dots": "..", "space": "a b"})
def settings_of_a_bad_name(s: Session, version: int, name: str) -> None:
    describe(s, version, TOPIC, name, None)


SOME = ["num.network.threads", "log.retention.ms", "message.max.bytes", "node.id", "compression.type"]


@scenario((1, 4), {"itself": "1", "the cluster": ""})
def settings_of_a_broker(s: Session, version: int, name: str) -> None:
    describe(s, version, BROKER, name, SOME, include_synonyms=True)


@scenario((1, 4), {"another": "99", "no number": "one", "negative": "-1"})
def settings_of_a_broker_that_is(s: Session, version: int, name: str) -> None:
    describe(s, version, BROKER, name, ["node.id"])


@scenario((1, 4), {"unknown": 0, "odd": 99, "negative": -1, "any": 1})
def settings_of_a_type_that_is(s: Session, version: int, kind: int) -> None:
    describe(s, version, kind, "x", None)


@scenario((1, 4))
def settings_of_nothing(s: Session, version: int) -> None:
    s.ask(ApiKey.DESCRIBE_CONFIGS, version, {"resources": []})


@scenario((1, 4))
def settings_of_a_topic_twice(s: Session, version: int) -> None:
    resource = {"resource_type": TOPIC, "resource_name": s.topic(), "configuration_keys": ["retention.ms"]}
    s.ask(ApiKey.DESCRIBE_CONFIGS, version, {"resources": [resource, resource]})


@scenario((4,), {"a group": GROUP, "client metrics": CLIENT_METRICS}, {"named": "x", "unnamed": ""})
def settings_of(s: Session, version: int, kind: int, name: str) -> None:
    describe(s, version, kind, s.name(name) if name else "", ["interval.ms", "consumer.session.timeout.ms"])


@scenario((4,))
def settings_of_loggers(s: Session, version: int) -> None:
    if s.target.nodes == 1:
        describe(s, version, LOGGER, "1", ["no.such.logger"])


@scenario((3, 4))
def settings_with_documentation(s: Session, version: int) -> None:
    resource = {"resource_type": TOPIC, "resource_name": s.topic(), "configuration_keys": ["retention.ms"]}
    s.ask(
        ApiKey.DESCRIBE_CONFIGS,
        version,
        {"resources": [resource], "include_documentation": True},
        hide={"documentation"},
    )


# AlterConfigs


def alter(
    s: Session, version: int, kind: int, name: str, configs: dict[str, str | None], **more: Any
) -> None:
    wanted = [{"name": key, "value": value} for key, value in configs.items()]
    resources = [{"resource_type": kind, "resource_name": name, "configs": wanted}]
    s.ask(ApiKey.ALTER_CONFIGS, version, {"resources": resources, **more})


def after(s: Session, topic: str, *keys: str) -> None:
    """What is set then, when the first node knows."""
    describe(s, 4, TOPIC, topic, list(keys))


@scenario((0, 1, 2))
def replacing_a_topics_settings(s: Session, version: int) -> None:
    topic = s.topic(configs={"retention.ms": "1000"})
    alter(s, version, TOPIC, topic, {"segment.bytes": "2000000"})
    s.wait_until(
        lambda answer: answer["results"][0]["configs"][0]["value"] == "2000000",
        ApiKey.DESCRIBE_CONFIGS,
        4,
        {
            "resources": [
                {"resource_type": TOPIC, "resource_name": topic, "configuration_keys": ["segment.bytes"]}
            ]
        },
    )
    after(s, topic, "retention.ms", "segment.bytes")


VALUES: dict[str, tuple[str, str | None]] = {
    "an unknown name": ("no.such.setting", "1"),
    "a value that is no number": ("retention.ms", "soon"),
    "a value too small": ("segment.bytes", "1"),
    "null": ("retention.ms", None),
    "an empty value": ("retention.ms", ""),
    "an unknown policy": ("cleanup.policy", "burn"),
    "an empty name": ("", "1"),
}


@scenario((0, 2), VALUES)
def replacing_with(s: Session, version: int, case: tuple[str, str | None]) -> None:
    alter(s, version, TOPIC, s.topic(), {case[0]: case[1]})


@scenario((0, 2))
def replacing_with_nothing(s: Session, version: int) -> None:
    alter(s, version, TOPIC, s.topic(configs={"retention.ms": "1000"}), {})


@scenario((0, 2))
def replacing_an_unknown_topics_settings(s: Session, version: int) -> None:
    alter(s, version, TOPIC, s.name("missing"), {"retention.ms": "1"})


@scenario((0, 2), {"unknown": 0, "odd": 99, "loggers": LOGGER})
def replacing_settings_of_a_type_that_is(s: Session, version: int, kind: int) -> None:
    alter(s, version, kind, "1" if kind == LOGGER else "x", {"retention.ms": "1"})


@scenario((0, 2))
def only_validating_a_replacement(s: Session, version: int) -> None:
    topic = s.topic()
    alter(s, version, TOPIC, topic, {"retention.ms": "1"}, validate_only=True)
    after(s, topic, "retention.ms")


@scenario((0, 2))
def replacing_no_settings(s: Session, version: int) -> None:
    s.ask(ApiKey.ALTER_CONFIGS, version, {"resources": []})


@scenario((0, 2))
def replacing_one_topics_settings_twice(s: Session, version: int) -> None:
    one = {"resource_type": TOPIC, "resource_name": s.topic(), "configs": []}
    s.ask(ApiKey.ALTER_CONFIGS, version, {"resources": [one, one]})


# IncrementalAlterConfigs


def change(
    s: Session, version: int, kind: int, name: str, *configs: tuple[str, int, str | None], **more: Any
) -> None:
    wanted = [
        {"name": key, "config_operation": operation, "value": value} for key, operation, value in configs
    ]
    resources = [{"resource_type": kind, "resource_name": name, "configs": wanted}]
    s.ask(ApiKey.INCREMENTAL_ALTER_CONFIGS, version, {"resources": resources, **more})


CHANGES: dict[str, list[tuple[str, int, str | None]]] = {
    "set": [("retention.ms", SET, "1000")],
    "delete": [("retention.ms", DELETE, None)],
    "delete with a value": [("retention.ms", DELETE, "1")],
    "append to a list": [("cleanup.policy", APPEND, "compact")],
    "append what is there": [("cleanup.policy", APPEND, "delete")],
    "subtract from a list": [("cleanup.policy", SUBTRACT, "delete")],
    "subtract what is not there": [("cleanup.policy", SUBTRACT, "compact")],
    "append to a number": [("retention.ms", APPEND, "1")],
    "set null": [("retention.ms", SET, None)],
    "append null": [("cleanup.policy", APPEND, None)],
    "an unknown operation": [("retention.ms", 9, "1")],
    "a negative operation": [("retention.ms", -1, "1")],
    "an unknown name": [("no.such.setting", SET, "1")],
    "delete an unknown name": [("no.such.setting", DELETE, None)],
    "a bad value": [("retention.ms", SET, "soon")],
    "a name twice": [("retention.ms", SET, "1000"), ("retention.ms", SET, "2000")],
    "a good one and a bad one": [("retention.ms", SET, "1000"), ("segment.ms", SET, "soon")],
    "nothing": [],
}


@scenario((0, 1), CHANGES)
def changing_a_topic(s: Session, version: int, configs: list[tuple[str, int, str | None]]) -> None:
    change(s, version, TOPIC, s.topic(), *configs)


@scenario((0, 1))
def changing_an_unknown_topic(s: Session, version: int) -> None:
    change(s, version, TOPIC, s.name("missing"), ("retention.ms", SET, "1"))


@scenario((0, 1), {"empty": "", "space": "a b"})
def changing_a_bad_name(s: Session, version: int, name: str) -> None:
    change(s, version, TOPIC, name, ("retention.ms", SET, "1"))


@scenario((0, 1))
def only_validating_a_change(s: Session, version: int) -> None:
    topic = s.topic()
    change(s, version, TOPIC, topic, ("retention.ms", SET, "1"), validate_only=True)
    after(s, topic, "retention.ms")


@scenario((0, 1))
def changing_nothing(s: Session, version: int) -> None:
    s.ask(ApiKey.INCREMENTAL_ALTER_CONFIGS, version, {"resources": []})


@scenario((0, 1))
def changing_one_topic_twice(s: Session, version: int) -> None:
    one = {"resource_type": TOPIC, "resource_name": s.topic(), "configs": []}
    s.ask(ApiKey.INCREMENTAL_ALTER_CONFIGS, version, {"resources": [one, one]})


BROKER_CHANGES: dict[str, tuple[str, str, str | None]] = {
    "an unknown node": ("99", "log.cleaner.threads", "1"),
    "no number": ("one", "log.cleaner.threads", "1"),
    "one that is not dynamic": ("1", "node.id", "5"),
    "one that is not dynamic for the cluster": ("", "log.dirs", "/nowhere"),
    "a bad value": ("1", "log.retention.ms", "soon"),
    "an unknown name": ("1", "no.such.setting", "x"),
}


@scenario((0, 1), BROKER_CHANGES)
def changing_a_broker(s: Session, version: int, case: tuple[str, str, str | None]) -> None:
    change(s, version, BROKER, case[0], (case[1], SET, case[2]), validate_only=True)


@scenario(
    (1,),
    {
        "a group": (GROUP, "consumer.session.timeout.ms", "50000"),
        "client metrics": (CLIENT_METRICS, "interval.ms", "1000"),
        "an unknown type": (99, "x", "y"),
        "no type": (0, "x", "y"),
    },
)
def changing(s: Session, version: int, case: tuple[int, str, str]) -> None:
    change(s, version, case[0], s.name("x"), (case[1], SET, case[2]), validate_only=True)


# ListConfigResources


@scenario((0,))
def listing_client_metrics(s: Session, version: int) -> None:
    s.ask(ApiKey.LIST_CONFIG_RESOURCES, version)


@scenario(
    (1,),
    {
        "topics": [TOPIC],
        "brokers": [BROKER],
        "loggers": [LOGGER],
        "groups": [GROUP],
        "all": [],
        "unknown": [99],
        "twice": [TOPIC, TOPIC],
    },
)
def listing_resources_of(s: Session, version: int, kinds: list[int]) -> None:
    s.topic()
    s.ask(ApiKey.LIST_CONFIG_RESOURCES, version, {"resource_types": kinds})
