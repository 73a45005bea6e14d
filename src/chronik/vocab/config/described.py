"""Configuration as DescribeConfigs shows it: each setting with its value, its source and what stands behind
it (KIP-226).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from chronik.vocab.config.broker import BrokerConfig, LayeredValue
from chronik.vocab.config.definition import (
    ConfigDefinition,
    ConfigSource,
    ConfigType,
    ConfigValue,
    Importance,
)
from chronik.vocab.config.names import (
    BROKER_CONFIGS,
    CLIENT_METRICS_CONFIGS,
    GROUP_CONFIGS,
    TOPIC_CONFIGS,
    TOPIC_SYNONYMS,
    group_synonym,
)
from chronik.vocab.config.topic import topic_defaults
from chronik.vocab.config.values import format_value, parse_value


class DescribedConfig(NamedTuple):
    """One setting of one resource."""

    definition: ConfigDefinition
    # In the clear: code that shows it hides sensitive values.
    text: str | None
    source: ConfigSource
    is_read_only: bool
    # Every place that sets it, the one that counts first.
    synonyms: tuple[LayeredValue, ...]


def describe_topic(broker: BrokerConfig, overrides: Mapping[str, str]) -> list[DescribedConfig]:
    """Returns a topic's settings, with their fallbacks. Internal ones are included only where they are
    set.
    """
    defaults = topic_defaults(broker)
    return [
        _topic_setting(broker, definition, overrides.get(name), defaults[name])
        for name, definition in TOPIC_CONFIGS.items()
        if name in overrides or not definition.is_internal
    ]


def _topic_setting(
    broker: BrokerConfig, definition: ConfigDefinition, override: str | None, default: ConfigValue | None
) -> DescribedConfig:
    synonyms: tuple[LayeredValue, ...] = ()
    if definition.name in TOPIC_SYNONYMS:
        synonyms = broker.layers(TOPIC_SYNONYMS[definition.name][0].name)
    text = format_value(default)
    if override is not None:
        text = format_value(parse_value(definition, override))
        synonyms = (LayeredValue(definition.name, override, ConfigSource.TOPIC_CONFIG), *synonyms)
    source = synonyms[0].source if synonyms else ConfigSource.DEFAULT_CONFIG
    return DescribedConfig(definition, text, source, False, synonyms)


def describe_broker(broker: BrokerConfig) -> list[DescribedConfig]:
    """Returns all settings of the node, including stored ones without a definition."""
    return [
        DescribedConfig(
            definition,
            broker.raw(name),
            broker.source(name),
            not definition.is_dynamic,
            _from_own_name(name, broker.layers(name)),
        )
        for name, definition in BROKER_CONFIGS.items()
    ] + _describe_unknown(broker)


def _from_own_name(name: str, layers: tuple[LayeredValue, ...]) -> tuple[LayeredValue, ...]:
    """As Kafka shows it: without the names that take precedence over this one, but with those it precedes."""
    first = next((index for index, layer in enumerate(layers) if layer.name == name), len(layers))
    return layers[first:]


def describe_cluster_default(broker: BrokerConfig) -> list[DescribedConfig]:
    """Returns the dynamic settings of all nodes, and nothing else."""
    source = ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG
    layer = broker.layer(source)
    return [
        DescribedConfig(
            BROKER_CONFIGS[name],
            format_value(parse_value(BROKER_CONFIGS[name], text)),
            source,
            False,
            (LayeredValue(name, text, source),),
        )
        for name, text in layer.items()
        if name in BROKER_CONFIGS
    ] + [_unknown(name, [(source, layer)]) for name in layer if name not in BROKER_CONFIGS]


def _describe_unknown(broker: BrokerConfig) -> list[DescribedConfig]:
    sources = (ConfigSource.DYNAMIC_BROKER_CONFIG, ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG)
    layers = [(source, broker.layer(source)) for source in sources]
    names = dict.fromkeys(name for _, layer in layers for name in layer if name not in BROKER_CONFIGS)
    return [_unknown(name, layers) for name in names]


def _unknown(name: str, layers: Sequence[tuple[ConfigSource, Mapping[str, str]]]) -> DescribedConfig:
    """A stored setting without a definition. As from Kafka, its value is never shown: it may be a
    password.
    """
    definition = ConfigDefinition(
        name=name,
        type=ConfigType.UNKNOWN,
        default=None,
        importance=Importance.LOW,
        documentation="",
        has_effect=False,
        is_secret=True,
    )
    synonyms = tuple(LayeredValue(name, layer[name], source) for source, layer in layers if name in layer)
    return DescribedConfig(definition, synonyms[0].text, synonyms[0].source, True, synonyms)


def describe_group(broker: BrokerConfig, overrides: Mapping[str, str]) -> list[DescribedConfig]:
    """Returns a group's settings, with their fallbacks. Internal ones are included only where they are
    set.
    """
    return [
        _overridden(definition, overrides, _group_fallback(broker, definition), ConfigSource.GROUP_CONFIG)
        for name, definition in GROUP_CONFIGS.items()
        if name in overrides or not definition.is_internal
    ]


def _group_fallback(broker: BrokerConfig, definition: ConfigDefinition) -> tuple[LayeredValue, ...]:
    synonym = group_synonym(definition.name)
    if synonym in BROKER_CONFIGS:
        return broker.layers(synonym)
    return (LayeredValue(synonym, format_value(definition.default) or "", ConfigSource.DEFAULT_CONFIG),)


def describe_client_metrics(overrides: Mapping[str, str]) -> list[DescribedConfig]:
    """A subscription's settings; as from Kafka, defaults stand behind none of them."""
    return [
        _overridden(definition, overrides, (), ConfigSource.CLIENT_METRICS_CONFIG)
        for definition in CLIENT_METRICS_CONFIGS.values()
    ]


def _overridden(
    definition: ConfigDefinition,
    overrides: Mapping[str, str],
    fallback: tuple[LayeredValue, ...],
    source: ConfigSource,
) -> DescribedConfig:
    text = overrides.get(definition.name)
    if text is not None:
        synonyms = (LayeredValue(definition.name, text, source), *fallback)
        shown = format_value(parse_value(definition, text))
        return DescribedConfig(definition, shown, source, False, synonyms)
    text = fallback[0].text if fallback else format_value(definition.default)
    fallback_source = fallback[0].source if fallback else ConfigSource.DEFAULT_CONFIG
    return DescribedConfig(definition, text, fallback_source, False, fallback)
