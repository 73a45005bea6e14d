import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronik.vocab.config.broker import BrokerConfig
from chronik.vocab.config.definition import ConfigType
from chronik.vocab.config.names import TOPIC_CONFIGS
from chronik.vocab.config.topic import (
    DEFAULT_TOPIC_CONFIG,
    TopicConfig,
    resolve_topic_config,
    topic_defaults,
    validate_topic_config,
)
from chronik.vocab.config.values import format_value, parse_value
from chronik.vocab.errors import ErrorCode, KafkaError

NO_LIMIT = -1


def resolve(static: dict[str, str], overrides: dict[str, str] | None = None) -> TopicConfig:
    return resolve_topic_config(topic_defaults(BrokerConfig(static)), overrides or {})


def refusal(entries: dict[str, str | None], static: dict[str, str] | None = None) -> str | None:
    defaults = None if static is None else topic_defaults(BrokerConfig(static))
    with pytest.raises(KafkaError) as caught:
        validate_topic_config(entries, defaults)
    assert caught.value.code is ErrorCode.INVALID_CONFIG
    return caught.value.message


def test_every_setting_has_a_field_of_its_type() -> None:
    fields = {field.name: field.type for field in dataclasses.fields(TopicConfig)}
    expected = {
        definition.name.replace(".", "_"): {
            ConfigType.BOOLEAN: bool,
            ConfigType.STRING: str,
            ConfigType.DOUBLE: float,
            ConfigType.LIST: tuple[str, ...],
        }.get(definition.type, int)
        for definition in TOPIC_CONFIGS.values()
        if not definition.is_internal
    }
    assert fields == expected


def test_nothing_set_means_the_tables_defaults() -> None:
    assert resolve({}) == DEFAULT_TOPIC_CONFIG
    assert DEFAULT_TOPIC_CONFIG.retention_ms == 604_800_000
    assert DEFAULT_TOPIC_CONFIG.cleanup_policy == ("delete",)


def test_the_brokers_setting_goes_before_the_default_and_the_topics_before_the_brokers() -> None:
    assert resolve({"log.segment.bytes": "2097152"}).segment_bytes == 2_097_152
    assert resolve({"log.segment.bytes": "2097152"}, {"segment.bytes": "3145728"}).segment_bytes == 3_145_728


@pytest.mark.parametrize(
    ("static", "retention_ms"),
    [
        ({"log.retention.hours": "2"}, 7_200_000),
        ({"log.retention.minutes": "3", "log.retention.hours": "2"}, 180_000),
        ({"log.retention.ms": "4", "log.retention.minutes": "3", "log.retention.hours": "2"}, 4),
        ({"log.retention.hours": "-1"}, NO_LIMIT),
        ({"log.retention.minutes": "-1"}, NO_LIMIT),
        ({"log.retention.ms": "-1"}, NO_LIMIT),
    ],
)
def test_retention_goes_from_the_finer_unit_to_the_coarser(static: dict[str, str], retention_ms: int) -> None:
    assert resolve(static).retention_ms == retention_ms


def test_synonyms_with_other_names_and_units() -> None:
    config = resolve(
        {
            "message.max.bytes": "1000",
            "log.roll.hours": "1",
            "log.roll.jitter.hours": "2",
            "log.flush.scheduler.interval.ms": "30",
            "log.cleaner.min.cleanable.ratio": "0.25",
            "log.segment.delete.delay.ms": "5",
            "log.index.size.max.bytes": "4096",
            "write.caching": "true",
        }
    )
    assert config.max_message_bytes == 1000
    assert config.segment_ms == 3_600_000
    assert config.segment_jitter_ms == 7_200_000
    assert config.flush_ms == 30
    assert config.min_cleanable_dirty_ratio == 0.25
    assert config.file_delete_delay_ms == 5
    assert config.segment_index_bytes == 4096
    assert config.write_caching


def test_the_internal_segment_size_has_no_lower_bound_and_goes_first() -> None:
    assert resolve({}, {"internal.segment.bytes": "1024", "segment.bytes": "1048576"}).segment_bytes == 1024


@pytest.mark.parametrize(
    ("policy", "deletes", "compacts"),
    [
        ("delete", True, False),
        ("compact", False, True),
        ("compact, delete", True, True),
        ("", False, False),
    ],
)
def test_cleanup_policy(policy: str, deletes: bool, compacts: bool) -> None:
    config = resolve({}, {"cleanup.policy": policy})
    assert (config.deletes, config.compacts) == (deletes, compacts)


def test_timestamp_type() -> None:
    assert not DEFAULT_TOPIC_CONFIG.is_log_append_time
    assert resolve({}, {"message.timestamp.type": "LogAppendTime"}).is_log_append_time


def test_a_setting_of_a_newer_version_is_passed_over() -> None:
    assert resolve({}, {"from.the.future": "1"}) == DEFAULT_TOPIC_CONFIG


def test_a_stored_value_that_is_none_is_an_error() -> None:
    with pytest.raises(KafkaError):
        resolve({}, {"retention.ms": "soon"})


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"no.such.thing": "1"}, "Unknown topic config name: no.such.thing"),
        ({"num.partitions": "1"}, "Unknown topic config name: num.partitions"),
        (
            {"retention.ms": "xyz"},
            "Invalid value xyz for configuration retention.ms: Not a number of type LONG",
        ),
        (
            {"retention.ms": "-2"},
            "Invalid value -2 for configuration retention.ms: Value must be at least -1",
        ),
        (
            {"compression.type": "brotli"},
            "Invalid value brotli for configuration compression.type: "
            "String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer",
        ),
        (
            {"retention.ms": None, "segment.ms": None, "flush.ms": "1"},
            "Null value not supported for topic configs: retention.ms,segment.ms",
        ),
        (
            {"min.compaction.lag.ms": "10", "max.compaction.lag.ms": "9"},
            "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (9)",
        ),
        (
            {"remote.storage.enable": "true"},
            "Tiered Storage functionality is disabled in the broker. "
            "Topic cannot be configured with remote log storage.",
        ),
        (
            {"leader.replication.throttled.replicas": "0:1," * 10_000 + "0:1"},
            "The value of leader.replication.throttled.replicas exceeds the maximum value size of 32767 "
            "bytes",
        ),
    ],
)
def test_a_topics_settings_are_refused_in_kafkas_words(entries: dict[str, str | None], message: str) -> None:
    assert refusal(entries) == message


def test_rules_between_settings_see_what_the_topic_falls_back_to() -> None:
    validate_topic_config({"min.compaction.lag.ms": "10"})
    assert refusal({"min.compaction.lag.ms": "10"}, {"log.cleaner.max.compaction.lag.ms": "9"}) == (
        "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (9)"
    )


def is_valid(entries: dict[str, str]) -> bool:
    try:
        validate_topic_config(entries)
    except KafkaError:
        return False
    return True


texts = st.dictionaries(st.sampled_from(sorted(TOPIC_CONFIGS)), st.text(max_size=20))


@given(texts)
def test_what_passes_the_check_can_be_resolved(entries: dict[str, str]) -> None:
    if is_valid(entries):
        resolve({}, entries)


numbers = sorted(
    name
    for name, definition in TOPIC_CONFIGS.items()
    if definition.type in (ConfigType.INT, ConfigType.LONG)
    and name not in ("segment.bytes", "internal.segment.bytes")
)


@given(st.dictionaries(st.sampled_from(numbers), st.integers(4, 9)))
def test_what_resolves_says_what_was_set(entries: dict[str, int]) -> None:
    config = resolve({}, {name: str(number) for name, number in entries.items()})
    for name in numbers:
        field = name.replace(".", "_")
        assert getattr(config, field) == entries.get(name, getattr(DEFAULT_TOPIC_CONFIG, field))


def test_every_default_is_valid_when_set() -> None:
    entries = {
        name: format_value(definition.default)
        for name, definition in TOPIC_CONFIGS.items()
        if definition.default is not None
    }
    validate_topic_config(entries)
    assert all(
        parse_value(TOPIC_CONFIGS[name], text or "") == TOPIC_CONFIGS[name].default
        for name, text in entries.items()
    )
