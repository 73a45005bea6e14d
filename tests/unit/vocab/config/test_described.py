from chronik.vocab.config.broker import BrokerConfig, LayeredValue
from chronik.vocab.config.definition import ConfigSource
from chronik.vocab.config.described import (
    DescribedConfig,
    describe_broker,
    describe_client_metrics,
    describe_cluster_default,
    describe_group,
    describe_topic,
)
from chronik.vocab.config.names import BROKER_CONFIGS, GROUP_CONFIGS

DEFAULT = ConfigSource.DEFAULT_CONFIG
STATIC = ConfigSource.STATIC_BROKER_CONFIG
CLUSTER = ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG


def by_name(described: list[DescribedConfig]) -> dict[str, DescribedConfig]:
    return {each.definition.name: each for each in described}


def test_a_topics_value_is_printed_as_it_is_understood() -> None:
    topic = by_name(describe_topic(BrokerConfig({}), {"cleanup.policy": " compact , delete "}))
    policy = topic["cleanup.policy"]
    assert (policy.text, policy.source) == ("compact,delete", ConfigSource.TOPIC_CONFIG)
    # The synonym is what somebody set, letter by letter.
    assert policy.synonyms[0].text == " compact , delete "


def test_a_topic_shows_the_brokers_value_in_its_own_unit() -> None:
    topic = by_name(describe_topic(BrokerConfig({"log.retention.hours": "1"}), {}))
    retention = topic["retention.ms"]
    assert (retention.text, retention.source) == ("3600000", STATIC)
    assert retention.synonyms == (
        LayeredValue("log.retention.hours", "1", STATIC),
        LayeredValue("log.retention.hours", "168", DEFAULT),
    )


def test_a_setting_without_counterpart_in_the_broker() -> None:
    topic = by_name(describe_topic(BrokerConfig({}), {}))
    replicas = topic["leader.replication.throttled.replicas"]
    assert (replicas.text, replicas.source, replicas.synonyms) == ("", DEFAULT, ())


def test_internal_settings_are_shown_only_where_they_are_set() -> None:
    assert "internal.segment.bytes" not in by_name(describe_topic(BrokerConfig({}), {}))
    assert "internal.segment.bytes" in by_name(
        describe_topic(BrokerConfig({}), {"internal.segment.bytes": "9"})
    )


def test_a_broker_shows_everything_and_what_it_goes_before() -> None:
    config = BrokerConfig({"log.retention.minutes": "5"})
    broker = by_name(describe_broker(config))
    assert list(broker) == list(BROKER_CONFIGS)
    assert broker["log.retention.minutes"].synonyms == (
        LayeredValue("log.retention.minutes", "5", STATIC),
        LayeredValue("log.retention.hours", "168", DEFAULT),
    )
    assert broker["log.retention.hours"].synonyms == (LayeredValue("log.retention.hours", "168", DEFAULT),)
    assert broker["log.retention.ms"].synonyms == ()
    assert broker["node.id"].is_read_only
    assert not broker["log.retention.ms"].is_read_only


def test_the_clusters_default_is_what_was_changed() -> None:
    config = BrokerConfig({"message.max.bytes": "1"})
    assert describe_cluster_default(config) == []
    config.set_dynamic(broker={"message.max.bytes": "2"}, cluster={"log.retention.ms": " 3 "})
    [described] = describe_cluster_default(config)
    assert (described.definition.name, described.text, described.source) == ("log.retention.ms", "3", CLUSTER)


def test_a_group_shows_the_brokers_setting_behind_its_own() -> None:
    broker = BrokerConfig({"group.consumer.session.timeout.ms": "50000"})
    described = by_name(describe_group(broker, {"consumer.heartbeat.interval.ms": "6000"}))
    shown = [name for name, definition in GROUP_CONFIGS.items() if not definition.is_internal]
    assert list(described) == shown
    timeout = described["consumer.session.timeout.ms"]
    assert (timeout.text, timeout.source, timeout.is_read_only) == ("50000", STATIC, False)
    heartbeat = described["consumer.heartbeat.interval.ms"]
    assert (heartbeat.text, heartbeat.source) == ("6000", ConfigSource.GROUP_CONFIG)
    assert heartbeat.synonyms == (
        LayeredValue("consumer.heartbeat.interval.ms", "6000", ConfigSource.GROUP_CONFIG),
        LayeredValue("group.consumer.heartbeat.interval.ms", "5000", DEFAULT),
    )
    assert described["share.isolation.level"].synonyms == (
        LayeredValue("share.isolation.level", "read_uncommitted", DEFAULT),
    )
    internal = describe_group(broker, {"streams.num.warmup.replicas": "3"})
    assert by_name(internal)["streams.num.warmup.replicas"].text == "3"


def test_a_subscription_has_nothing_behind_its_settings() -> None:
    described = by_name(describe_client_metrics({"interval.ms": "5000"}))
    interval = described["interval.ms"]
    assert (interval.text, interval.source) == ("5000", ConfigSource.CLIENT_METRICS_CONFIG)
    assert interval.synonyms == (LayeredValue("interval.ms", "5000", ConfigSource.CLIENT_METRICS_CONFIG),)
    assert (described["metrics"].text, described["metrics"].synonyms) == ("", ())


def test_unknown_settings_are_shown_without_their_values() -> None:
    """KIP-226: they may belong to a plugin, and be passwords."""
    config = BrokerConfig({})
    config.set_dynamic(broker={"my.secret": "a"}, cluster={"my.secret": "b", "my.other": "c"})
    secret = by_name(describe_broker(config))["my.secret"]
    assert (secret.source, secret.is_read_only) == (ConfigSource.DYNAMIC_BROKER_CONFIG, True)
    assert secret.definition.is_sensitive
    assert [(each.name, each.source) for each in secret.synonyms] == [
        ("my.secret", ConfigSource.DYNAMIC_BROKER_CONFIG),
        ("my.secret", CLUSTER),
    ]
    assert list(by_name(describe_cluster_default(config))) == ["my.secret", "my.other"]
