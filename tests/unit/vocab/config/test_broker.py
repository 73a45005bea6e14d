from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronik.vocab.config import broker
from chronik.vocab.config.broker import BrokerConfig, LayeredValue, validate_broker_config
from chronik.vocab.config.definition import ConfigSource, ConfigType, UpdateMode
from chronik.vocab.config.names import BROKER_CONFIGS
from chronik.vocab.errors import ErrorCode, KafkaError

DEFAULT = ConfigSource.DEFAULT_CONFIG
STATIC = ConfigSource.STATIC_BROKER_CONFIG
CLUSTER = ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG
BROKER = ConfigSource.DYNAMIC_BROKER_CONFIG


def test_readers_by_type() -> None:
    config = BrokerConfig({"num.partitions": " 3 ", "log.cleaner.min.cleanable.ratio": "0.25"})
    assert config.int("num.partitions") == 3
    assert config.bool("auto.create.topics.enable") is True
    assert config.float("log.cleaner.min.cleanable.ratio") == 0.25
    assert config.list("listeners") == ("PLAINTEXT://localhost:9092",)
    assert config.str("log.level") == "info"
    assert config.raw("num.partitions") == "3"
    assert config.raw("auto.create.topics.enable") == "true"
    assert config.raw("broker.rack") is None


def test_an_unknown_name_is_a_key_error() -> None:
    config = BrokerConfig({})
    for read in (config.int, config.bool, config.float, config.list, config.str, config.raw, config.source):
        with pytest.raises(KeyError):
            read("no.such.setting")
    with pytest.raises(KeyError):
        config.layers("no.such.setting")
    with pytest.raises(KeyError):
        BrokerConfig({"no.such.setting": "1"})


def test_a_wrong_type_is_a_type_error() -> None:
    config = BrokerConfig({})
    with pytest.raises(TypeError, match=r"log\.level is 'info'"):
        config.int("log.level")
    with pytest.raises(TypeError):
        config.int("write.caching")
    with pytest.raises(TypeError):
        config.bool("num.partitions")
    with pytest.raises(TypeError):
        config.float("num.partitions")
    with pytest.raises(TypeError):
        config.list("log.level")
    with pytest.raises(TypeError):
        config.str("listeners")
    with pytest.raises(TypeError):
        config.int("log.retention.ms")


def test_defaults_of_a_cluster_go_before_those_of_the_tables() -> None:
    name = "default.replication.factor"
    config = BrokerConfig({}, defaults={name: "3"})
    assert config.int(name) == 3
    assert config.source(name) is DEFAULT
    assert config.layers(name) == (LayeredValue(name, "3", DEFAULT),)
    assert BrokerConfig({name: "2"}, defaults={name: "3"}).int(name) == 2


def test_a_bad_static_value_is_refused() -> None:
    with pytest.raises(KafkaError) as caught:
        BrokerConfig({"num.partitions": "0"})
    assert caught.value.code is ErrorCode.INVALID_CONFIG


def test_dynamic_goes_before_static_and_a_nodes_own_before_the_clusters() -> None:
    config = BrokerConfig({"message.max.bytes": "1"})
    assert (config.int("message.max.bytes"), config.source("message.max.bytes")) == (1, STATIC)
    assert config.set_dynamic(broker={}, cluster={"message.max.bytes": "2"}) == {"message.max.bytes"}
    assert (config.int("message.max.bytes"), config.source("message.max.bytes")) == (2, CLUSTER)
    config.set_dynamic(broker={"message.max.bytes": "3"}, cluster={"message.max.bytes": "2"})
    assert (config.int("message.max.bytes"), config.source("message.max.bytes")) == (3, BROKER)
    assert config.layers("message.max.bytes") == (
        LayeredValue("message.max.bytes", "3", BROKER),
        LayeredValue("message.max.bytes", "2", CLUSTER),
        LayeredValue("message.max.bytes", "1", STATIC),
        LayeredValue("message.max.bytes", "1048588", DEFAULT),
    )
    assert config.layer(CLUSTER) == {"message.max.bytes": "2"}
    assert config.set_dynamic(broker={}, cluster={}) == {"message.max.bytes"}
    assert (config.int("message.max.bytes"), config.source("message.max.bytes")) == (1, STATIC)
    assert config.set_dynamic(broker={}, cluster={}) == frozenset()


def test_synonyms_are_layers_too() -> None:
    config = BrokerConfig({"log.retention.minutes": "5"})
    config.set_dynamic(broker={}, cluster={"log.retention.ms": "7"})
    assert config.layers("log.retention.ms") == (
        LayeredValue("log.retention.ms", "7", CLUSTER),
        LayeredValue("log.retention.minutes", "5", STATIC),
        LayeredValue("log.retention.hours", "168", DEFAULT),
    )
    assert config.source("log.retention.hours") is DEFAULT
    assert BrokerConfig({}).source("log.retention.ms") is DEFAULT


def test_what_cannot_be_dynamic_is_passed_over() -> None:
    config = BrokerConfig({})
    changed = config.set_dynamic(
        broker={"node.id": "9", "from.the.future": "1", "message.max.bytes": "many"}, cluster={}
    )
    assert changed == frozenset()
    # A name that is not known here may be another's, and is kept.
    assert config.layer(BROKER) == {"from.the.future": "1"}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (
            {"node.id": "2", "no.such.setting": "2", "num.partitions": "x"},
            "Cannot update these configs dynamically: [node.id, num.partitions]",
        ),
        ({"no.such.setting": None}, "Null value not supported for : no.such.setting"),
        (
            {"no.such.setting": "x" * 32_768},
            "The value of no.such.setting exceeds the maximum value size of 32767 bytes",
        ),
        ({"message.max.bytes": None}, "Null value not supported for : message.max.bytes"),
        (
            {"message.max.bytes": "-1"},
            "Invalid value -1 for configuration message.max.bytes: Value must be at least 0",
        ),
        (
            {"log.cleanup.policy": "delete" + " " * 32_767},
            "The value of log.cleanup.policy exceeds the maximum value size of 32767 bytes",
        ),
    ],
)
@pytest.mark.parametrize("is_per_broker", [True, False])
def test_dynamic_changes_are_refused_as_kafka_refuses_them(
    entries: dict[str, str | None], message: str, is_per_broker: bool
) -> None:
    with pytest.raises(KafkaError) as caught:
        validate_broker_config(entries, is_per_broker=is_per_broker)
    assert caught.value.code is ErrorCode.INVALID_REQUEST
    assert caught.value.message == message


def test_what_belongs_to_one_node_cannot_be_changed_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    definition = replace(BROKER_CONFIGS["listeners"], update_mode=UpdateMode.PER_BROKER)
    monkeypatch.setattr(broker, "BROKER_CONFIGS", {"listeners": definition})
    validate_broker_config({"listeners": "A://:1"}, is_per_broker=True)
    with pytest.raises(KafkaError, match="broker id must be specified: \\[listeners\\]"):
        validate_broker_config({"listeners": "A://:1"}, is_per_broker=False)


def test_a_dynamic_change_that_is_fine() -> None:
    validate_broker_config(
        {"message.max.bytes": "1", "log.cleanup.policy": "compact,delete", "no.such.setting": ""},
        is_per_broker=True,
    )


dynamic_numbers = sorted(
    name
    for name, definition in BROKER_CONFIGS.items()
    if definition.is_dynamic
    and definition.type in (ConfigType.INT, ConfigType.LONG)
    and name != "log.segment.bytes"
)
layers = st.dictionaries(st.sampled_from(dynamic_numbers), st.integers(4, 9).map(str))


@given(layers, layers, layers)
def test_the_highest_layer_that_sets_a_value_decides(
    static: dict[str, str], cluster: dict[str, str], own: dict[str, str]
) -> None:
    config = BrokerConfig(static)
    config.set_dynamic(broker=own, cluster=cluster)
    for name in dynamic_numbers:
        for source, layer in ((BROKER, own), (CLUSTER, cluster), (STATIC, static)):
            if name in layer:
                assert (config.raw(name), config.source(name)) == (layer[name], source)
                break
        else:
            assert config.source(name) is DEFAULT
