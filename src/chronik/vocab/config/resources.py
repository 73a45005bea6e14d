"""The settings of groups (KIP-1142, GroupConfig) and of subscriptions to client metrics (KIP-714).

Codes and words are those of Kafka 4.4's controller. These settings have no effect yet: the protocols they
belong to are not served.
"""

import re
from collections.abc import Mapping

from chronik.vocab.config.definition import CONFIG_VALUE_CHARS_MAX, ConfigValue
from chronik.vocab.config.names import CLIENT_METRICS_CONFIGS, GROUP_CONFIGS
from chronik.vocab.config.tables.group import GROUP_MAXIMA, GROUP_RANGES, STREAMS_ASSIGNORS
from chronik.vocab.config.values import parse_value
from chronik.vocab.errors import ErrorCode, KafkaError

_MATCH_PARAMETERS = frozenset(
    {
        "client_instance_id",
        "client_id",
        "client_software_name",
        "client_software_version",
        "client_source_address",
        "client_source_port",
    }
)
_INTERVAL_MS_MIN, _INTERVAL_MS_MAX = 100, 3_600_000


def validate_group_config(entries: Mapping[str, str]) -> None:
    """Raise KafkaError INVALID_CONFIG unless `entries` can be settings of a group."""
    for name, text in entries.items():
        definition = GROUP_CONFIGS.get(name)
        if definition is None:
            raise KafkaError(ErrorCode.INVALID_CONFIG, f"Unknown group config name: {name}")
        check_length(name, text)
        problem = _group_problem(name, parse_value(definition, text))
        if problem is not None:
            raise KafkaError(ErrorCode.INVALID_CONFIG, problem)


def _group_problem(name: str, value: ConfigValue) -> str | None:
    if isinstance(value, int) and name in GROUP_RANGES:
        first, last = GROUP_RANGES[name]
        return None if first <= value <= last else f"{name} must be in the range {first} to {last} inclusive."
    if isinstance(value, int) and name in GROUP_MAXIMA:
        last = GROUP_MAXIMA[name]
        return None if value <= last else f"{name} must be less than or equal to {last}"
    if name == "streams.assignor.name" and value not in STREAMS_ASSIGNORS:
        known = ", ".join(STREAMS_ASSIGNORS)
        return f"{name} '{value}' is not a registered task assignor. Registered assignors are: [{known}]."
    return None


def validate_client_metrics_config(entries: Mapping[str, str]) -> None:
    """Raise KafkaError INVALID_REQUEST or INVALID_CONFIG unless a subscription can have `entries`."""
    for name, text in entries.items():
        definition = CLIENT_METRICS_CONFIGS.get(name)
        if definition is None:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unknown client metrics configuration: {name}")
        check_length(name, text)
        value = parse_value(definition, text)
        if isinstance(value, int):
            _check_interval(name, value)
        elif isinstance(value, tuple):
            _check_items(name, value)


def _check_interval(name: str, value: int) -> None:
    if not _INTERVAL_MS_MIN <= value <= _INTERVAL_MS_MAX:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST,
            f"Invalid value {value} for {name}, interval must be between {_INTERVAL_MS_MIN} and "
            f"{_INTERVAL_MS_MAX} (1 hour)",
        )


def _check_items(name: str, items: tuple[str, ...]) -> None:
    if "" in items:
        raise KafkaError(ErrorCode.INVALID_CONFIG, f"Configuration '{name}' values must not be empty.")
    if name != "match":
        return
    for item in items:
        parameter, is_pair, pattern = item.partition("=")
        if not is_pair or parameter.strip() not in _MATCH_PARAMETERS or not _is_pattern(pattern):
            raise KafkaError(ErrorCode.INVALID_CONFIG, f"Illegal client matching pattern: {item}")


def _is_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError):
        return False
    return True


def check_length(name: str, text: str) -> None:
    """Raise KafkaError INVALID_CONFIG for a value that Kafka's records could not hold."""
    if len(text) > CONFIG_VALUE_CHARS_MAX:
        raise KafkaError(
            ErrorCode.INVALID_CONFIG,
            f"The value of {name} exceeds the maximum value size of {CONFIG_VALUE_CHARS_MAX} bytes",
        )
