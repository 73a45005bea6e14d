"""The definition of a setting: its name, type, default, bounds and documentation. The tables are tuples of
these.

Numbers of types, sources and resources are those of DescribeConfigs (KIP-226, KIP-569).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Protocol

# Lists are tuples; None for no value.
ConfigValue = bool | int | float | str | tuple[str, ...]

# Kafka keeps a configuration value's length in a short.
CONFIG_VALUE_CHARS_MAX = 32767


class ConfigType(IntEnum):
    """Types by their number in a DescribeConfigs response."""

    UNKNOWN = 0
    BOOLEAN = 1
    STRING = 2
    INT = 3
    SHORT = 4
    LONG = 5
    DOUBLE = 6
    LIST = 7
    CLASS = 8
    PASSWORD = 9


class ConfigSource(IntEnum):
    """The source of a value, by its number in a DescribeConfigs response."""

    UNKNOWN = 0
    TOPIC_CONFIG = 1
    DYNAMIC_BROKER_CONFIG = 2
    DYNAMIC_DEFAULT_BROKER_CONFIG = 3
    STATIC_BROKER_CONFIG = 4
    DEFAULT_CONFIG = 5
    DYNAMIC_BROKER_LOGGER_CONFIG = 6
    CLIENT_METRICS_CONFIG = 7
    GROUP_CONFIG = 8


class ResourceType(IntEnum):
    """The owner of a configuration, by the number in requests."""

    UNKNOWN = 0
    TOPIC = 2
    BROKER = 4
    BROKER_LOGGER = 8
    CLIENT_METRICS = 16
    GROUP = 32


class Importance(Enum):
    """How likely a user is to change it; only documentation reads this."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class UpdateMode(Enum):
    """How a broker setting changes while the broker runs (KIP-226)."""

    READ_ONLY = "read-only"
    PER_BROKER = "per-broker"
    CLUSTER_WIDE = "cluster-wide"


class Validator(Protocol):
    """A rule beyond the type. `str()` of it is the valid values in the documentation."""

    def problem(self, value: ConfigValue) -> str | None:
        """Returns the problem of a parsed value, as a sentence for the client; None when there is none."""
        ...


class SameAsKafka(Enum):
    SAME = "same"


SAME_AS_KAFKA = SameAsKafka.SAME


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigDefinition:
    """One setting. Created once, when its table is imported."""

    name: str
    type: ConfigType
    # None: unset, which is a value of its own for settings that fall back to others.
    default: ConfigValue | None
    importance: Importance
    documentation: str
    validator: Validator | None = None
    update_mode: UpdateMode = UpdateMode.READ_ONLY
    # False: accepted and shown as Kafka does, but without effect here.
    has_effect: bool = True
    # Hidden from DescribeConfigs and the documentation, as Kafka's internal settings are.
    is_internal: bool = False
    # Hidden from all clients, whatever its type.
    is_secret: bool = False
    kafka_default: ConfigValue | SameAsKafka | None = SAME_AS_KAFKA
    # What differs from Kafka, and why.
    note: str = ""

    @property
    def is_sensitive(self) -> bool:
        return self.is_secret or self.type is ConfigType.PASSWORD

    @property
    def is_dynamic(self) -> bool:
        return self.update_mode is not UpdateMode.READ_ONLY

    @property
    def differs_from_kafka(self) -> bool:
        return self.kafka_default is not SAME_AS_KAFKA


ConfigTable = Mapping[str, ConfigDefinition]


def make_table(*groups: Iterable[ConfigDefinition]) -> ConfigTable:
    """Returns all definitions by name, in the order given. Raises ValueError when a name is defined twice."""
    table: dict[str, ConfigDefinition] = {}
    for group in groups:
        for definition in group:
            if definition.name in table:
                raise ValueError(f"{definition.name} is defined twice")
            table[definition.name] = definition
    return MappingProxyType(table)
