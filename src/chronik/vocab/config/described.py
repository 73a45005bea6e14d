"""Configuration as DescribeConfigs shows it: each setting with its value, its source and what stands behind
it (KIP-226).
"""

from collections.abc import Mapping
from typing import NamedTuple

from chronik.vocab.config.broker import BrokerConfig, LayeredValue
from chronik.vocab.config.definition import ConfigDefinition, ConfigSource, ConfigTable, ConfigValue
from chronik.vocab.config.names import BROKER_CONFIGS, TOPIC_CONFIGS, TOPIC_SYNONYMS
from chronik.vocab.config.topic import topic_defaults
from chronik.vocab.config.values import format_value, parse_value


class DescribedConfig(NamedTuple):
    """One setting of one resource."""

    definition: ConfigDefinition
    # In the clear: whoever shows it hides what is sensitive.
    text: str | None
    source: ConfigSource
    is_read_only: bool
    # Every place that sets it, the one that counts first.
    synonyms: tuple[LayeredValue, ...]


def describe_topic(broker: BrokerConfig, overrides: Mapping[str, str]) -> list[DescribedConfig]:
    """A topic's settings, with what it falls back to. Internal ones are shown only where they are set."""
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
    """All settings of the node."""
    return [
        DescribedConfig(
            definition,
            broker.raw(name),
            broker.source(name),
            not definition.is_dynamic,
            _from_own_name(name, broker.layers(name)),
        )
        for name, definition in BROKER_CONFIGS.items()
    ]


def _from_own_name(name: str, layers: tuple[LayeredValue, ...]) -> tuple[LayeredValue, ...]:
    """As Kafka shows it: not what goes before this name, but what this name goes before."""
    first = next((index for index, layer in enumerate(layers) if layer.name == name), len(layers))
    return layers[first:]


def describe_cluster_default(broker: BrokerConfig) -> list[DescribedConfig]:
    """What was changed for all nodes, and nothing else."""
    source = ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG
    return [
        DescribedConfig(
            BROKER_CONFIGS[name],
            format_value(parse_value(BROKER_CONFIGS[name], text)),
            source,
            False,
            (LayeredValue(name, text, source),),
        )
        for name, text in broker.layer(source).items()
    ]


def describe_defaults(table: ConfigTable) -> list[DescribedConfig]:
    """The settings of a resource that cannot be changed yet."""
    described = []
    for name, definition in table.items():
        text = format_value(definition.default)
        synonyms = () if text is None else (LayeredValue(name, text, ConfigSource.DEFAULT_CONFIG),)
        described.append(DescribedConfig(definition, text, ConfigSource.DEFAULT_CONFIG, True, synonyms))
    return described
