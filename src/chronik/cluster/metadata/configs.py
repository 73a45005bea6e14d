"""Configuration: settings of topics, brokers, groups and client metrics. `config_decisions` decides."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

from chronik.cluster.metadata.subject import Edits, MetadataRecord
from chronik.cluster.metadata.topics import TopicDeleted, Topics
from chronik.cluster.shared_map import SharedMap
from chronik.vocab.config.definition import ResourceType
from chronik.vocab.invariant import invariant

_NO_CONFIG: Mapping[str, str] = {}


class ConfigResource(NamedTuple):
    """A thing that has configuration.

    A broker without a name is the default of all brokers of the cluster.
    """

    type: ResourceType
    name: str


def topic_resource(name: str) -> ConfigResource:
    """The resource that holds a topic's settings."""
    return ConfigResource(ResourceType.TOPIC, name)


CLUSTER_DEFAULT = ConfigResource(ResourceType.BROKER, "")


class ConfigChanged(NamedTuple):
    """One dynamic setting of a resource has a new value; None resets it to its default."""

    resource: ConfigResource
    key: str
    value: str | None


def write_config(record: ConfigChanged) -> Mapping[str, Any]:
    """Returns the stored form, which is older than the generic codec."""
    return {
        "resource": record.resource.type.name.lower(),
        "name": record.resource.name,
        "key": record.key,
        "value": record.value,
    }


def read_config(fields: Mapping[str, Any]) -> ConfigChanged:
    """The inverse of `write_config`. Raises KeyError, AttributeError."""
    resource = ConfigResource(ResourceType[fields["resource"].upper()], fields["name"])
    return ConfigChanged(resource=resource, key=fields["key"], value=fields["value"])


class ConfigChanges(NamedTuple):
    """Changes of configuration."""

    configs_changed: tuple[ConfigResource, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Configs:
    """All dynamic settings."""

    # Only resources with a dynamic setting, and only such settings.
    by_resource: SharedMap[ConfigResource, Mapping[str, str]] = field(default_factory=SharedMap)

    def get(self, resource: ConfigResource) -> Mapping[str, str]:
        """The dynamic settings of a resource; empty when it has none."""
        return self.by_resource.get(resource, _NO_CONFIG)

    def edit(self) -> "ConfigsEdit":
        return ConfigsEdit(self)

    def records(self) -> Iterator[MetadataRecord]:
        for resource, settings in self.by_resource.items():
            for key, value in settings.items():
                yield ConfigChanged(resource=resource, key=key, value=value)

    def changes_since(self, old: "Configs") -> ConfigChanges:
        resources = dict.fromkeys((*old.by_resource, *self.by_resource))
        return ConfigChanges(
            configs_changed=tuple(
                resource for resource in resources if old.get(resource) != self.get(resource)
            )
        )


class ConfigsEdit:
    """See `subject.Edit`. A topic's settings go with it."""

    def __init__(self, base: Configs) -> None:
        self._configs = base.by_resource.edit()
        # A dictionary for its order.
        self._changed: dict[ConfigResource, None] = {}

    def apply(self, record: ConfigChanged | TopicDeleted, edits: Edits) -> None:
        topics = edits.edit(Topics)
        if isinstance(record, TopicDeleted):
            topic = topics.find(record.topic_id)
            if topic is not None:
                self._forget(topic_resource(topic.name), was_in_base=topic.was_in_base)
            return
        resource = record.resource
        if resource.type is ResourceType.TOPIC:
            invariant(topics.has(resource.name), "unknown topic {} is configured", resource.name)
        settings = dict(self._configs.get(resource) or {})
        if record.value is None:
            settings.pop(record.key, None)
        else:
            settings[record.key] = record.value
        if settings:
            self._configs[resource] = settings
        else:
            self._configs.remove(resource)
        self._changed[resource] = None

    def finish(self) -> tuple[Configs, ConfigChanges]:
        changes = ConfigChanges(configs_changed=tuple(self._changed))
        return Configs(by_resource=self._configs.finish()), changes

    def _forget(self, resource: ConfigResource, *, was_in_base: bool) -> None:
        if resource in self._configs:
            self._configs.remove(resource)
            if was_in_base:
                self._changed[resource] = None
        if not was_in_base:
            self._changed.pop(resource, None)


# Commands.


class AlterOp(IntEnum):
    """How IncrementalAlterConfigs changes a setting, as the protocol numbers it (KIP-339)."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


class ConfigChange(NamedTuple):
    """One step of an incremental alteration."""

    key: str
    op: AlterOp
    value: str | None


class IncrementalAlterConfigs(NamedTuple):
    """Change some settings of a resource; the others stay."""

    resource: ConfigResource
    changes: Sequence[ConfigChange]


class AlterConfigs(NamedTuple):
    """Replace all settings of a resource; those not named go back to their defaults."""

    resource: ConfigResource
    entries: Mapping[str, str | None]
