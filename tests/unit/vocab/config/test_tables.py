"""What must hold for every definition, and the facts about Kafka 4.1 that clients rely on."""

import pytest

from chronik.vocab.config.definition import (
    ConfigDefinition,
    ConfigTable,
    ConfigType,
    ConfigValue,
    UpdateMode,
    make_table,
)
from chronik.vocab.config.names import (
    BROKER_ALIASES,
    BROKER_CONFIGS,
    BROKER_FALLBACKS,
    GROUP_CONFIGS,
    TOPIC_CONFIGS,
    TOPIC_SYNONYMS,
    broker_synonyms,
)
from chronik.vocab.config.tables.topic import TOPIC_DEFINITIONS
from chronik.vocab.config.values import format_value, parse_value

TABLES = {"topic": TOPIC_CONFIGS, "broker": BROKER_CONFIGS, "group": GROUP_CONFIGS}
ALL = [
    pytest.param(definition, id=f"{table}:{definition.name}")
    for table, configs in TABLES.items()
    for definition in configs.values()
]
PYTHON_TYPES = {
    ConfigType.BOOLEAN: bool,
    ConfigType.STRING: str,
    ConfigType.INT: int,
    ConfigType.SHORT: int,
    ConfigType.LONG: int,
    ConfigType.DOUBLE: float,
    ConfigType.LIST: tuple,
    ConfigType.CLASS: str,
    ConfigType.PASSWORD: str,
}


@pytest.mark.parametrize("definition", ALL)
def test_a_default_has_its_type_and_keeps_its_rule(definition: ConfigDefinition) -> None:
    if definition.default is not None:
        assert type(definition.default) is PYTHON_TYPES[definition.type]
        assert parse_value(definition, format_value(definition.default) or "") == definition.default


@pytest.mark.parametrize("definition", ALL)
def test_a_definition_explains_itself(definition: ConfigDefinition) -> None:
    assert definition.documentation.endswith(".")
    assert "  " not in definition.documentation + definition.note
    if definition.differs_from_kafka:
        assert definition.kafka_default != definition.default
        assert definition.note


@pytest.mark.parametrize("table", [TOPIC_CONFIGS, GROUP_CONFIGS])
def test_topic_and_group_tables_are_sorted(table: ConfigTable) -> None:
    assert list(table) == sorted(table)


def test_a_name_is_defined_once() -> None:
    with pytest.raises(ValueError, match=r"cleanup\.policy is defined twice"):
        make_table(TOPIC_DEFINITIONS, TOPIC_DEFINITIONS[:1])


def test_sensitive_is_what_holds_a_password() -> None:
    secret = ConfigDefinition(
        name="x",
        type=ConfigType.PASSWORD,
        default=None,
        importance=TOPIC_DEFINITIONS[0].importance,
        documentation="",
    )
    assert secret.is_sensitive
    assert not any(definition.is_sensitive for definition in TOPIC_CONFIGS.values())


# Names and defaults as `kafka-configs --describe --all` of Kafka 4.1 shows them for a topic.
KAFKA_TOPIC_DEFAULTS = {
    "cleanup.policy": "delete",
    "compression.gzip.level": "-1",
    "compression.lz4.level": "9",
    "compression.type": "producer",
    "compression.zstd.level": "3",
    "delete.retention.ms": "86400000",
    "errors.deadletterqueue.group.enable": "false",
    "file.delete.delay.ms": "60000",
    "flush.messages": "9223372036854775807",
    "flush.ms": "9223372036854775807",
    "follower.replication.throttled.replicas": "",
    "index.interval.bytes": "4096",
    "leader.replication.throttled.replicas": "",
    "local.retention.bytes": "-2",
    "local.retention.ms": "-2",
    "max.compaction.lag.ms": "9223372036854775807",
    "max.decompressed.message.bytes": "2147483639",
    "max.message.bytes": "1048588",
    "message.timestamp.after.max.ms": "3600000",
    "message.timestamp.before.max.ms": "9223372036854775807",
    "message.timestamp.type": "CreateTime",
    "min.cleanable.dirty.ratio": "0.5",
    "min.compaction.lag.ms": "0",
    "min.insync.replicas": "1",
    "preallocate": "false",
    "remote.copy.lag.bytes": "-1",
    "remote.copy.lag.ms": "0",
    "remote.log.copy.disable": "false",
    "remote.log.delete.on.disable": "false",
    "remote.storage.enable": "false",
    "retention.bytes": "-1",
    "retention.ms": "604800000",
    "segment.bytes": "1073741824",
    "segment.index.bytes": "10485760",
    "segment.jitter.ms": "0",
    "segment.ms": "604800000",
    "unclean.leader.election.enable": "false",
}


def test_topics_have_kafkas_settings_and_one_of_ours() -> None:
    shown = {
        name: format_value(definition.default)
        for name, definition in TOPIC_CONFIGS.items()
        if not definition.is_internal
    }
    assert shown.pop("write.caching") == "false"
    assert shown == KAFKA_TOPIC_DEFAULTS


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("num.partitions", 1),
        ("default.replication.factor", 1),
        ("auto.create.topics.enable", True),
        ("group.initial.rebalance.delay.ms", 0),
        ("offsets.topic.replication.factor", 1),
        ("transaction.state.log.replication.factor", 1),
        ("transaction.state.log.min.isr", 1),
        ("message.max.bytes", 1048588),
        ("socket.request.max.bytes", 104857600),
        ("connections.max.idle.ms", 600000),
        ("write.caching", False),
        ("listeners", ("PLAINTEXT://localhost:9092",)),
        ("http.address", "localhost:9101"),
    ],
)
def test_broker_defaults_that_promises_rest_on(name: str, default: ConfigValue) -> None:
    assert BROKER_CONFIGS[name].default == default


def test_every_synonym_of_a_topic_setting_fits_it() -> None:
    for name, synonyms in TOPIC_SYNONYMS.items():
        topic = TOPIC_CONFIGS[name]
        for synonym in synonyms:
            broker = BROKER_CONFIGS[synonym.name]
            assert (PYTHON_TYPES[broker.type] is int) == (PYTHON_TYPES[topic.type] is int)
            if synonym.factor == 1:
                assert broker.type is topic.type
        # The last synonym always has a value, and it is what the topic's own table says.
        last = synonyms[-1]
        default = BROKER_CONFIGS[last.name].default
        assert default is not None
        assert last.convert(default) == topic.default


def test_first_synonyms_change_while_the_broker_runs() -> None:
    # So it is in Kafka: DynamicLogConfig.
    assert all(BROKER_CONFIGS[synonyms[0].name].is_dynamic for synonyms in TOPIC_SYNONYMS.values())


def test_no_limit_is_no_limit_in_every_unit() -> None:
    hours = TOPIC_SYNONYMS["retention.ms"][2]
    assert hours.convert(2) == 7_200_000
    assert hours.convert(-1) == -1
    assert TOPIC_SYNONYMS["retention.ms"][0].convert(-1) == -1


def test_fallbacks_and_aliases_are_settings() -> None:
    for group in BROKER_FALLBACKS:
        assert BROKER_CONFIGS[group[-1]].default is not None
        assert all(BROKER_CONFIGS[name].default is None for name in group[:-1])
        assert all(broker_synonyms(name) == group for name in group)
    for group in BROKER_ALIASES:
        assert len({format_value(BROKER_CONFIGS[name].default) for name in group}) == 1
    assert broker_synonyms("num.partitions") == ("num.partitions",)


def test_what_a_node_is_started_with_is_read_only() -> None:
    for name in ("node.id", "listeners", "advertised.listeners", "log.dirs", "data.dir", "http.address"):
        assert BROKER_CONFIGS[name].update_mode is UpdateMode.READ_ONLY
