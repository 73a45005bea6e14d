"""The broker's configuration in its layers (KIP-226): defaults, then the settings the node was started
with, then dynamic ones of all nodes, then dynamic ones of this node.
"""

import builtins
from collections.abc import Mapping
from typing import NamedTuple

from chronik.vocab.config.definition import CONFIG_VALUE_CHARS_MAX, ConfigSource, ConfigValue, UpdateMode
from chronik.vocab.config.names import BROKER_CONFIGS, broker_synonyms
from chronik.vocab.config.values import format_value, parse_value
from chronik.vocab.errors import ErrorCode, KafkaError

_NOTHING: Mapping[str, str] = {}

_DEFAULT_VALUES: Mapping[str, ConfigValue | None] = {
    name: definition.default for name, definition in BROKER_CONFIGS.items()
}
_DEFAULT_TEXTS: Mapping[str, str] = {
    name: text for name, value in _DEFAULT_VALUES.items() if (text := format_value(value)) is not None
}


class LayeredValue(NamedTuple):
    """One place where a setting, or a synonym of it, has a value."""

    name: str
    # As the source has it.
    text: str
    source: ConfigSource


class BrokerConfig:
    """Every setting of the broker by name. One per node, for its life; `set_dynamic` as the metadata log
    changes.

    Reading costs a look-up in a dictionary. Unknown names raise KeyError; a value of another type than
    requested, or none at all, raises TypeError.
    """

    # The readers are named by their types because their callers read best so. Inside the class body these
    # names mean the readers, hence `builtins`.

    def __init__(self, static: Mapping[str, str], *, defaults: Mapping[str, str] = _NOTHING) -> None:
        """`static`: from files, variables and flags. `defaults` take precedence over those of the tables:
        defaults that depend on the size of the cluster.

        Raises KafkaError INVALID_CONFIG for an invalid value, KeyError for an unknown name. Dynamic layers
        may have unknown names: they may be for a plugin of Kafka's (KIP-226).
        """
        self._layers: list[tuple[ConfigSource, Mapping[str, str]]] = []
        self._values: Mapping[str, ConfigValue | None] = {}
        self._static = dict(static)
        self._defaults = dict(defaults)
        self._put_layers(broker=_NOTHING, cluster=_NOTHING)

    def set_dynamic(self, *, broker: Mapping[str, str], cluster: Mapping[str, str]) -> frozenset[str]:
        """Replaces both dynamic layers: this node's, and the one for all nodes. Returns the names whose value
        changed.

        Values that `validate_broker_config` would refuse are skipped: another version may have written them.
        """
        before = self._values
        self._put_layers(
            broker=_usable(broker, is_per_broker=True), cluster=_usable(cluster, is_per_broker=False)
        )
        return frozenset(name for name, value in self._values.items() if value != before[name])

    def _put_layers(self, *, broker: Mapping[str, str], cluster: Mapping[str, str]) -> None:
        self._layers = [
            (ConfigSource.DYNAMIC_BROKER_CONFIG, broker),
            (ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG, cluster),
            (ConfigSource.STATIC_BROKER_CONFIG, self._static),
            (ConfigSource.DEFAULT_CONFIG, {**_DEFAULT_TEXTS, **self._defaults}),
        ]
        values = dict(_DEFAULT_VALUES)
        for layer in (self._defaults, self._static, _known(cluster), _known(broker)):
            for name, text in layer.items():
                values[name] = parse_value(BROKER_CONFIGS[name], text)
        self._values = values

    def int(self, name: str) -> int:
        value = self._values[name]
        if isinstance(value, builtins.int) and not isinstance(value, builtins.bool):
            return value
        raise _wrong_type(name, value)

    def bool(self, name: str) -> bool:
        value = self._values[name]
        if isinstance(value, builtins.bool):
            return value
        raise _wrong_type(name, value)

    def float(self, name: str) -> float:
        value = self._values[name]
        if isinstance(value, builtins.float):
            return value
        raise _wrong_type(name, value)

    def list(self, name: builtins.str) -> tuple[builtins.str, ...]:
        value = self._values[name]
        if isinstance(value, tuple):
            return value
        raise _wrong_type(name, value)

    def str(self, name: builtins.str) -> builtins.str:
        value = self._values[name]
        if isinstance(value, builtins.str):
            return value
        raise _wrong_type(name, value)

    def raw(self, name: builtins.str) -> builtins.str | None:
        """The value as Kafka prints it; None when it has none. A password comes in the clear."""
        return format_value(self._values[name])

    def source(self, name: builtins.str) -> ConfigSource:
        """Returns the source of the value; DEFAULT_CONFIG if there is none."""
        self._values[name]
        return next((source for source, layer in self._layers if name in layer), ConfigSource.DEFAULT_CONFIG)

    def layers(self, name: builtins.str) -> tuple[LayeredValue, ...]:
        """Returns every place that sets `name` or a synonym of it, the one in force first."""
        self._values[name]
        return tuple(
            LayeredValue(synonym, layer[synonym], source)
            for source, layer in self._layers
            for synonym in broker_synonyms(name)
            if synonym in layer
        )

    def layer(self, source: ConfigSource) -> Mapping[builtins.str, builtins.str]:
        """Returns the settings of one source."""
        return dict(self._layers)[source]


def _known(layer: Mapping[str, str]) -> Mapping[str, str]:
    return {name: text for name, text in layer.items() if name in BROKER_CONFIGS}


def _wrong_type(name: str, value: object) -> TypeError:
    return TypeError(f"{name} is {value!r}")


def validate_broker_config(entries: Mapping[str, str | None], *, is_per_broker: bool) -> None:
    """Raise KafkaError INVALID_REQUEST, as Kafka does, unless `entries` can be dynamic settings.

    Of one node with `is_per_broker`, else of all. Names that no table has may be anything (KIP-226).
    """
    modes = {name: BROKER_CONFIGS[name].update_mode for name in entries if name in BROKER_CONFIGS}
    fixed = [name for name, mode in modes.items() if mode is UpdateMode.READ_ONLY]
    if fixed:
        problem = f"Cannot update these configs dynamically: [{', '.join(fixed)}]"
        raise KafkaError(ErrorCode.INVALID_REQUEST, problem)
    of_one = [name for name, mode in modes.items() if mode is UpdateMode.PER_BROKER]
    if of_one and not is_per_broker:
        problem = "Cannot update these configs at default cluster level, broker id must be specified"
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"{problem}: [{', '.join(of_one)}]")
    for name, text in entries.items():
        value_problem = _value_problem(name, text)
        if value_problem is not None:
            raise KafkaError(ErrorCode.INVALID_REQUEST, value_problem)


def _usable(entries: Mapping[str, str], *, is_per_broker: bool) -> Mapping[str, str]:
    return {
        name: text for name, text in entries.items() if _is_usable(name, text, is_per_broker=is_per_broker)
    }


def _is_usable(name: str, text: str, *, is_per_broker: bool) -> bool:
    try:
        validate_broker_config({name: text}, is_per_broker=is_per_broker)
    except KafkaError:
        return False
    return True


def _value_problem(name: str, text: str | None) -> str | None:
    if text is None:
        return f"Null value not supported for : {name}"
    if len(text) > CONFIG_VALUE_CHARS_MAX:
        return f"The value of {name} exceeds the maximum value size of {CONFIG_VALUE_CHARS_MAX} bytes"
    if name not in BROKER_CONFIGS:
        return None
    try:
        parse_value(BROKER_CONFIGS[name], text)
    except KafkaError as error:
        return error.message
    return None
