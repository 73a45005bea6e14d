"""What the controller decides about configuration: the new settings of a resource, or why not (KIP-339)."""

from collections.abc import Mapping, Sequence

from chronik.cluster.commands import AlterConfigs, AlterOp, ConfigChange, IncrementalAlterConfigs
from chronik.cluster.image import ClusterImage
from chronik.cluster.records import ConfigChanged, ConfigResource, MetadataRecord
from chronik.vocab.config.broker import validate_broker_config
from chronik.vocab.config.definition import ConfigDefinition, ConfigType, ConfigValue, ResourceType
from chronik.vocab.config.names import BROKER_CONFIGS, TOPIC_CONFIGS
from chronik.vocab.config.topic import validate_topic_config
from chronik.vocab.errors import ErrorCode, KafkaError

# By topic setting, what topics have that set nothing themselves. None: what the tables say.
TopicSettings = Mapping[str, ConfigValue | None] | None


def incremental_alter_configs(
    image: ClusterImage, command: IncrementalAlterConfigs, defaults: TopicSettings
) -> list[MetadataRecord]:
    """Records of the settings that become different. Raises KafkaError."""
    _check_resource(image, command.resource)
    _check_unique([change.key for change in command.changes])
    before = image.config(command.resource)
    after = dict(before)
    for change in command.changes:
        value = _altered(command.resource, change, after.get(change.key), defaults)
        if value is None:
            after.pop(change.key, None)
        else:
            after[change.key] = value
    return _difference(command.resource, before, after, defaults)


def alter_configs(
    image: ClusterImage, command: AlterConfigs, defaults: TopicSettings
) -> list[MetadataRecord]:
    """Records of the settings that become different, those not named included. Raises KafkaError."""
    _check_resource(image, command.resource)
    after = {}
    for key, value in command.entries.items():
        if value is None:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"Null value not supported for : {key}")
        after[key] = value
    return _difference(command.resource, image.config(command.resource), after, defaults)


def _difference(
    resource: ConfigResource, before: Mapping[str, str], after: Mapping[str, str], defaults: TopicSettings
) -> list[MetadataRecord]:
    keys = [*(key for key in before if key not in after), *after]
    changed = [key for key in keys if before.get(key) != after.get(key)]
    if resource.type is ResourceType.TOPIC:
        validate_topic_config(after, defaults)
    else:
        # What stands there already may come from another release, and must not stand in the way.
        news = {key: after[key] for key in changed if key in after}
        validate_broker_config(news, is_per_broker=bool(resource.name))
    return [ConfigChanged(resource=resource, key=key, value=after.get(key)) for key in changed]


def _altered(
    resource: ConfigResource, change: ConfigChange, current: str | None, defaults: TopicSettings
) -> str | None:
    """The setting's value after the change; None when it goes back to its default."""
    if change.op is AlterOp.DELETE:
        return None
    if change.value is None:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Null value not supported for : {change.key}")
    if change.op is AlterOp.SET:
        return change.value
    definition = _list_definition(resource, change)
    items = _split(current) if current is not None else _default_items(resource, definition, defaults)
    operands = _split(change.value)
    if change.op is AlterOp.APPEND:
        items = [*items, *(item for item in operands if item not in items)]
    else:
        items = [item for item in items if item not in operands]
    return ",".join(items)


def _default_items(
    resource: ConfigResource, definition: ConfigDefinition, defaults: TopicSettings
) -> Sequence[str]:
    """The items that a list setting has by default: appending begins with them."""
    value = definition.default
    if resource.type is ResourceType.TOPIC and defaults is not None:
        value = defaults[definition.name]
    return value if isinstance(value, tuple) else ()


def _list_definition(resource: ConfigResource, change: ConfigChange) -> ConfigDefinition:
    table = TOPIC_CONFIGS if resource.type is ResourceType.TOPIC else BROKER_CONFIGS
    definition = table.get(change.key)
    if definition is None:
        raise KafkaError(ErrorCode.INVALID_CONFIG, f"Unknown configuration {change.key}")
    if definition.type is not ConfigType.LIST:
        raise KafkaError(
            ErrorCode.INVALID_CONFIG,
            f"Can't {change.op.name} to key {change.key} because its type is not LIST.",
        )
    return definition


def _split(value: str) -> list[str]:
    return [item for item in (part.strip() for part in value.split(",")) if item]


def _check_unique(keys: Sequence[str]) -> None:
    if len(set(keys)) != len(keys):
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Error due to duplicate config keys")


def _check_resource(image: ClusterImage, resource: ConfigResource) -> None:
    match resource.type:
        case ResourceType.TOPIC:
            if resource.name not in image.topics:
                raise KafkaError(
                    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"The topic {resource.name!r} does not exist"
                )
        case ResourceType.BROKER:
            if resource.name and not _is_broker(image, resource.name):
                raise KafkaError(
                    ErrorCode.INVALID_REQUEST, f"No broker with the id {resource.name!r} is registered"
                )
        case _:
            raise KafkaError(
                ErrorCode.INVALID_REQUEST, f"Resources of type {resource.type.name} cannot be configured here"
            )


def _is_broker(image: ClusterImage, name: str) -> bool:
    return any(str(node) == name for node in image.brokers)
