"""Settings of groups and of subscriptions to client metrics, and settings of brokers that no table has."""

from typing import Any

from chronik.wire.apis import ApiKey
from tests.parity.registry import scenario
from tests.parity.session import Session

BROKER, CLIENT_METRICS, GROUP = 4, 16, 32
SET, DELETE, APPEND = 0, 1, 2
DEFAULT_CONFIG, METRICS_CONFIG, GROUP_CONFIG = 5, 7, 8
OWN_BROKER = "1"


def change(s: Session, kind: int, name: str, key: str, value: str | None, operation: int = SET) -> None:
    config = {"name": key, "config_operation": operation, "value": value}
    resource = {"resource_type": kind, "resource_name": name, "configs": [config]}
    s.ask(ApiKey.INCREMENTAL_ALTER_CONFIGS, 1, {"resources": [resource]})


def described(s: Session, kind: int, name: str, key: str, source: int) -> None:
    """Once the value has the source: Kafka's brokers show what they have taken some time later."""
    resource = {"resource_type": kind, "resource_name": name, "configuration_keys": [key]}
    fields: dict[str, Any] = {"resources": [resource], "include_synonyms": True}
    s.ask_until(
        lambda answer: answer["results"][0]["configs"][0]["config_source"] == source,
        ApiKey.DESCRIBE_CONFIGS,
        4,
        fields,
    )


@scenario(
    {
        "session low": ("consumer.session.timeout.ms", "1000"),
        "session lowest": ("consumer.session.timeout.ms", "45000"),
        "session high": ("consumer.session.timeout.ms", "70000"),
        "session negative": ("consumer.session.timeout.ms", "-1"),
        "session no number": ("consumer.session.timeout.ms", "x"),
        "heartbeat low": ("consumer.heartbeat.interval.ms", "1000"),
        "assignment interval high": ("consumer.assignment.interval.ms", "999999"),
        "record lock high": ("share.record.lock.duration.ms", "70000"),
        "reset by duration": ("share.auto.offset.reset", "by_duration:P1D"),
        "reset by negative duration": ("share.auto.offset.reset", "by_duration:-P1D"),
        "deliveries": ("share.delivery.count.limit", "100"),
        "renewal": ("share.renew.acknowledge.enable", "maybe"),
        "standbys": ("streams.num.standby.replicas", "5"),
        "assignor": ("streams.assignor.name", "x"),
        "unknown": ("nope", "1"),
        "null": ("consumer.session.timeout.ms", None),
    },
    nodes=1,
)
def setting_of_a_group(s: Session, case: tuple[str, str | None]) -> None:
    change(s, GROUP, s.name("group"), *case)


@scenario(nodes=1)
def appending_to_a_groups_list(s: Session) -> None:
    change(s, GROUP, s.name("group"), "streams.rack.aware.assignment.tags", "zone", APPEND)


@scenario(
    {
        "group": (GROUP, "consumer.session.timeout.ms", GROUP_CONFIG),
        "subscription": (CLIENT_METRICS, "interval.ms", METRICS_CONFIG),
    },
    nodes=1,
)
def a_setting_that_comes_and_goes(s: Session, case: tuple[int, str, int]) -> None:
    kind, key, source = case
    name = s.name("owner")
    change(s, kind, name, key, "50000")
    described(s, kind, name, key, source)
    change(s, kind, name, key, None, DELETE)
    described(s, kind, name, key, DEFAULT_CONFIG)


@scenario(
    {
        "interval low": ("interval.ms", "99"),
        "interval high": ("interval.ms", "3600001"),
        "interval no number": ("interval.ms", "x"),
        "metrics": ("metrics", "org.apache.kafka."),
        "all metrics": ("metrics", "*"),
        "an empty metric": ("metrics", "a,,b"),
        "match": ("match", "client_id=a.*,client_software_name=b"),
        "a bad pattern": ("match", "client_id=[a"),
        "a bad parameter": ("match", "foo=a"),
        "no pattern": ("match", "client_id"),
        "unknown": ("nope", "1"),
    },
    nodes=1,
)
def setting_of_a_subscription(s: Session, case: tuple[str, str]) -> None:
    change(s, CLIENT_METRICS, s.name("subscription"), *case)


@scenario({"group": GROUP, "subscription": CLIENT_METRICS}, nodes=1)
def a_resource_without_name(s: Session, kind: int) -> None:
    change(s, kind, "", "interval.ms", "5000")


@scenario({"own": OWN_BROKER, "default": ""}, nodes=1)
def an_unknown_setting_of_a_broker(s: Session, name: str) -> None:
    """It is stored; Kafka's brokers show it some time after they have taken it, which is not recorded."""
    key = s.name("my.plugin")
    change(s, BROKER, name, key, "a secret")
    change(s, BROKER, name, key, None, DELETE)


@scenario(nodes=1)
def fixed_settings_are_named_together(s: Session) -> None:
    names = ("num.partitions", s.name("unknown"), "log.dirs")
    configs = [{"name": name, "config_operation": SET, "value": "1"} for name in names]
    resource = {"resource_type": BROKER, "resource_name": OWN_BROKER, "configs": configs}
    s.ask(ApiKey.INCREMENTAL_ALTER_CONFIGS, 1, {"resources": [resource]})
