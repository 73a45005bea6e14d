"""Converts text to value and back, as Kafka's ConfigDef.parseType and convertToString do it."""

import re

from chronik.vocab.config.definition import ConfigDefinition, ConfigType, ConfigValue
from chronik.vocab.errors import ErrorCode, KafkaError

# Compiled on first use, which starts may do without.
_INTEGER = r"[+-]?[0-9]+"
_DOUBLE = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
_COMMA = r"\s*,\s*"

_BITS = {ConfigType.SHORT: 16, ConfigType.INT: 32, ConfigType.LONG: 64}

INT_MAX = 2**31 - 1
LONG_MAX = 2**63 - 1
DOUBLE_MAX = 1.7976931348623157e308


def invalid_value(name: str, value: object, reason: str) -> KafkaError:
    """The error that Kafka's ConfigException becomes."""
    return KafkaError(ErrorCode.INVALID_CONFIG, f"Invalid value {value} for configuration {name}: {reason}")


def parse_value(definition: ConfigDefinition, text: str) -> ConfigValue:
    """The value that `text` means.

    Raises KafkaError INVALID_CONFIG when it is none, or breaks the setting's rule.
    """
    value = _parse(definition, text)
    if definition.validator is not None:
        problem = definition.validator.problem(value)
        if problem is not None:
            raise invalid_value(definition.name, _shown(definition, text), problem)
    return value


def _parse(definition: ConfigDefinition, text: str) -> ConfigValue:
    trimmed = text.strip()
    match definition.type:
        case ConfigType.BOOLEAN:
            return _parse_boolean(definition, trimmed)
        case ConfigType.SHORT | ConfigType.INT | ConfigType.LONG:
            return _parse_integer(definition, trimmed)
        case ConfigType.DOUBLE:
            return _parse_double(definition, trimmed)
        case ConfigType.LIST:
            return tuple(re.split(_COMMA, trimmed)) if trimmed else ()
        case _:
            return trimmed


def _parse_boolean(definition: ConfigDefinition, trimmed: str) -> bool:
    lowered = trimmed.lower()
    if lowered not in ("true", "false"):
        raise invalid_value(definition.name, trimmed, "Expected value to be either true or false")
    return lowered == "true"


def _parse_integer(definition: ConfigDefinition, trimmed: str) -> int:
    bound = 1 << (_BITS[definition.type] - 1)
    # 20 characters hold any long with its sign; more would only cost time.
    if len(trimmed) <= 20 and re.fullmatch(_INTEGER, trimmed) is not None and -bound <= int(trimmed) < bound:
        return int(trimmed)
    raise invalid_value(definition.name, trimmed[:100], f"Not a number of type {definition.type.name}")


def _parse_double(definition: ConfigDefinition, trimmed: str) -> float:
    if re.fullmatch(_DOUBLE, trimmed) is not None:
        value = float(trimmed)
        if -DOUBLE_MAX <= value <= DOUBLE_MAX:
            return value
    raise invalid_value(definition.name, trimmed[:100], "Not a number of type DOUBLE")


def _shown(definition: ConfigDefinition, text: str) -> str:
    return "[hidden]" if definition.is_sensitive else text


def format_value(value: ConfigValue | None) -> str | None:
    """The text that Kafka's tools show for a value; None stays None."""
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return _format_double(value)
        case tuple():
            return ",".join(value)
        case str():
            return value


def _format_double(value: float) -> str:
    """Formats a double as Java does: plain between 1e-3 and 1e7, else with an `E`."""
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(value)
    shortest = next(text for digits in range(17) if float(text := f"{value:.{digits}e}") == value)
    mantissa, _, exponent = shortest.partition("e")
    if "." not in mantissa:
        mantissa += ".0"
    return f"{mantissa}E{int(exponent)}"
