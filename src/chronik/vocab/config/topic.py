"""A topic's configuration as hot paths read it, and the check that stands before it is stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from chronik.vocab.config.definition import CONFIG_VALUE_CHARS_MAX, ConfigValue
from chronik.vocab.config.names import BROKER_CONFIGS, TOPIC_CONFIGS, TOPIC_SYNONYMS
from chronik.vocab.config.values import parse_value
from chronik.vocab.errors import ErrorCode, KafkaError

# By topic setting; every setting has an entry.
TopicDefaults = Mapping[str, ConfigValue | None]


class RawConfig(Protocol):
    """The broker's configuration as text (`BrokerConfig`, or what stands in for it)."""

    def raw(self, name: str) -> str | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicConfig:
    """One topic's settings, resolved. Replaced whole when the topic's or the broker's configuration changes.

    Fields are Kafka's names with `_` for `.`; `segment_bytes` heeds `internal.segment.bytes`. Negative
    retention is no limit.
    """

    cleanup_policy: tuple[str, ...]
    compression_gzip_level: int
    compression_lz4_level: int
    compression_type: str
    compression_zstd_level: int
    delete_retention_ms: int
    errors_deadletterqueue_group_enable: bool
    file_delete_delay_ms: int
    flush_messages: int
    flush_ms: int
    follower_replication_throttled_replicas: tuple[str, ...]
    index_interval_bytes: int
    leader_replication_throttled_replicas: tuple[str, ...]
    local_retention_bytes: int
    local_retention_ms: int
    max_compaction_lag_ms: int
    max_decompressed_message_bytes: int
    max_message_bytes: int
    message_timestamp_after_max_ms: int
    message_timestamp_before_max_ms: int
    message_timestamp_type: str
    min_cleanable_dirty_ratio: float
    min_compaction_lag_ms: int
    min_insync_replicas: int
    preallocate: bool
    remote_copy_lag_bytes: int
    remote_copy_lag_ms: int
    remote_log_copy_disable: bool
    remote_log_delete_on_disable: bool
    remote_storage_enable: bool
    retention_bytes: int
    retention_ms: int
    segment_bytes: int
    segment_index_bytes: int
    segment_jitter_ms: int
    segment_ms: int
    unclean_leader_election_enable: bool
    write_caching: bool

    @property
    def compacts(self) -> bool:
        return "compact" in self.cleanup_policy

    @property
    def deletes(self) -> bool:
        return "delete" in self.cleanup_policy

    @property
    def is_log_append_time(self) -> bool:
        return self.message_timestamp_type == "LogAppendTime"


def topic_defaults(broker: RawConfig) -> TopicDefaults:
    """Returns the settings of topics without any of their own. To be repeated when the broker's
    configuration changes.
    """
    return {name: _default(name, broker) for name in TOPIC_CONFIGS}


def _default(name: str, broker: RawConfig) -> ConfigValue | None:
    for synonym in TOPIC_SYNONYMS.get(name, ()):
        text = broker.raw(synonym.name)
        if text is not None:
            return synonym.convert(parse_value(BROKER_CONFIGS[synonym.name], text))
    return TOPIC_CONFIGS[name].default


def resolve_topic_config(defaults: TopicDefaults, overrides: Mapping[str, str]) -> TopicConfig:
    """The topic's own settings over the broker's.

    Raises KafkaError INVALID_CONFIG for a value that `validate_topic_config` would not have let pass. Names
    that are unknown are passed over: a newer version may have written them.
    """
    values: dict[str, Any] = dict(defaults)
    for name, text in overrides.items():
        if name in TOPIC_CONFIGS:
            values[name] = parse_value(TOPIC_CONFIGS[name], text)
    internal_segment_bytes = values.pop("internal.segment.bytes")
    if internal_segment_bytes is not None:
        values["segment.bytes"] = internal_segment_bytes
    return TopicConfig(**{name.replace(".", "_"): value for name, value in values.items()})


_TABLE_DEFAULTS: TopicDefaults = {name: definition.default for name, definition in TOPIC_CONFIGS.items()}

# A topic's settings when neither it nor the broker sets anything.
DEFAULT_TOPIC_CONFIG = resolve_topic_config(_TABLE_DEFAULTS, {})


def validate_topic_config(entries: Mapping[str, str | None], defaults: TopicDefaults | None = None) -> None:
    """Raises KafkaError INVALID_CONFIG unless `entries` can be all the settings of a topic.

    `defaults` are the topic's fallbacks, for rules between settings; the table's are the default.
    """
    texts = _present(entries)
    for name, text in texts.items():
        if name not in TOPIC_CONFIGS:
            raise KafkaError(ErrorCode.INVALID_CONFIG, f"Unknown topic config name: {name}")
        if len(text) > CONFIG_VALUE_CHARS_MAX:
            raise KafkaError(
                ErrorCode.INVALID_CONFIG,
                f"The value of {name} exceeds the maximum value size of {CONFIG_VALUE_CHARS_MAX} bytes",
            )
    _check_rules(resolve_topic_config(_TABLE_DEFAULTS if defaults is None else defaults, texts))


def _present(entries: Mapping[str, str | None]) -> dict[str, str]:
    absent = [name for name, value in entries.items() if value is None]
    if absent:
        raise KafkaError(
            ErrorCode.INVALID_CONFIG, f"Null value not supported for topic configs: {','.join(absent)}"
        )
    return {name: value for name, value in entries.items() if value is not None}


def _check_rules(config: TopicConfig) -> None:
    """Checks the rules between settings."""
    if config.min_compaction_lag_ms > config.max_compaction_lag_ms:
        raise KafkaError(
            ErrorCode.INVALID_CONFIG,
            f"conflict topic config setting min.compaction.lag.ms ({config.min_compaction_lag_ms}) > "
            f"max.compaction.lag.ms ({config.max_compaction_lag_ms})",
        )
    if config.remote_storage_enable:
        raise KafkaError(
            ErrorCode.INVALID_CONFIG,
            "Tiered Storage functionality is disabled in the broker. "
            "Topic cannot be configured with remote log storage.",
        )
