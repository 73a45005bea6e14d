"""The controller's decisions about configuration: the new settings of a resource, or the refusal
(KIP-339).
"""

from collections.abc import Mapping, Sequence

from chronik.cluster.image import ClusterImage
from chronik.cluster.metadata.configs import (
    AlterConfigs,
    AlterOp,
    ConfigChange,
    ConfigChanged,
    ConfigChanges,
    ConfigResource,
    Configs,
    IncrementalAlterConfigs,
    read_config,
    write_config,
)
from chronik.cluster.metadata.premises import Premises, TopicSettings
from chronik.cluster.metadata.subject import CommandForm, MetadataRecord, RecordForm, Subject
from chronik.cluster.metadata.topics import TopicDeleted
from chronik.vocab.config.broker import validate_broker_config
from chronik.vocab.config.definition import ConfigDefinition, ConfigType, ResourceType
from chronik.vocab.config.names import (
    BROKER_CONFIGS,
    CLIENT_METRICS_CONFIGS,
    GROUP_CONFIGS,
    TOPIC_CONFIGS,
)
from chronik.vocab.config.resources import validate_client_metrics_config, validate_group_config
from chronik.vocab.config.topic import validate_topic_config
from chronik.vocab.config.topic_names import validate_topic_name
from chronik.vocab.errors import ErrorCode, KafkaError

# Everything stored here is in every node's memory, and in each snapshot of the metadata. Kafka's own names
# have at most 60 characters, a node some 200 settings, group ids seldom more than 100 characters.
CONFIG_NAME_CHARS_MAX = 1_000
SETTINGS_PER_RESOURCE_MAX = 1_000
RESOURCE_NAME_CHARS_MAX = 1_000
RESOURCES_MAX = 10_000


def incremental_alter_configs(
    image: ClusterImage, command: IncrementalAlterConfigs, premises: Premises
) -> list[MetadataRecord]:
    """Records of the settings that become different. Raises KafkaError."""
    defaults = premises.defaults.settings
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


def alter_configs(image: ClusterImage, command: AlterConfigs, premises: Premises) -> list[MetadataRecord]:
    """Records of the settings that become different, those not named included. Raises KafkaError."""
    _check_resource(image, command.resource)
    after = {}
    for key, value in command.entries.items():
        if value is None:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"Null value not supported for : {key}")
        after[key] = value
    before = image.config(command.resource)
    return _difference(command.resource, before, after, premises.defaults.settings)


def _difference(
    resource: ConfigResource, before: Mapping[str, str], after: Mapping[str, str], defaults: TopicSettings
) -> list[MetadataRecord]:
    keys = [*(key for key in before if key not in after), *after]
    changed = [key for key in keys if before.get(key) != after.get(key)]
    # What stands there already may come from another release, and must not stand in the way.
    news = {key: after[key] for key in changed if key in after}
    match resource.type:
        case ResourceType.TOPIC:
            validate_topic_config(after, defaults)
        case ResourceType.GROUP:
            validate_group_config(news)
        case ResourceType.CLIENT_METRICS:
            validate_client_metrics_config(news)
        case _:
            validate_broker_config(news, is_per_broker=bool(resource.name))
    _check_bounds(news, after)
    return [ConfigChanged(resource=resource, key=key, value=after.get(key)) for key in changed]


def _check_bounds(news: Mapping[str, str], after: Mapping[str, str]) -> None:
    if any(len(key) > CONFIG_NAME_CHARS_MAX for key in news):
        raise KafkaError(
            ErrorCode.INVALID_REQUEST, f"Names of settings have at most {CONFIG_NAME_CHARS_MAX} characters"
        )
    if news and len(after) > SETTINGS_PER_RESOURCE_MAX:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST, f"A resource has at most {SETTINGS_PER_RESOURCE_MAX} settings"
        )


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


_TABLES = {
    ResourceType.TOPIC: TOPIC_CONFIGS,
    ResourceType.BROKER: BROKER_CONFIGS,
    ResourceType.GROUP: GROUP_CONFIGS,
    ResourceType.CLIENT_METRICS: CLIENT_METRICS_CONFIGS,
}
# Kafka looks for lists of other resources in the brokers' table and finds none.
_TYPES_WITH_LISTS = (ResourceType.TOPIC, ResourceType.BROKER)


def _list_definition(resource: ConfigResource, change: ConfigChange) -> ConfigDefinition:
    definition = _TABLES[resource.type].get(change.key)
    is_list = definition is not None and definition.type is ConfigType.LIST
    if definition is not None and is_list and resource.type in _TYPES_WITH_LISTS:
        return definition
    if resource.type is not ResourceType.BROKER:
        problem = f"Can't {change.op.name} to key {change.key} because its type is not LIST."
    elif definition is None:
        problem = f"Unknown config name: {change.key}"
    else:
        problem = f"Config value {change.op.name.lower()} is not allowed for config key: {change.key}"
    raise KafkaError(ErrorCode.INVALID_CONFIG, problem)


def _split(value: str) -> list[str]:
    return [item for item in (part.strip() for part in value.split(",")) if item]


def _check_unique(keys: Sequence[str]) -> None:
    if len(set(keys)) != len(keys):
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Error due to duplicate config keys")


def _check_resource(image: ClusterImage, resource: ConfigResource) -> None:
    match resource.type:
        case ResourceType.TOPIC:
            if not resource.name:
                raise KafkaError(ErrorCode.INVALID_REQUEST, "Default topic resources are not allowed.")
            validate_topic_name(resource.name)
            if resource.name not in image.topics:
                raise KafkaError(
                    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"The topic '{resource.name}' does not exist."
                )
        case ResourceType.BROKER:
            if resource.name and not _is_broker(image, resource.name):
                raise KafkaError(
                    ErrorCode.INVALID_REQUEST, f"No broker with the id {resource.name!r} is registered"
                )
        case ResourceType.GROUP if not resource.name:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "Default group resources are not allowed.")
        case ResourceType.CLIENT_METRICS if not resource.name:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "Subscription name can't be empty")
        case ResourceType.GROUP | ResourceType.CLIENT_METRICS:
            _check_room(image, resource)
        case _:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unknown resource type {int(resource.type)}")


def _check_room(image: ClusterImage, resource: ConfigResource) -> None:
    """Groups and subscriptions need not exist to have settings: their number and names are bounded here."""
    if len(resource.name) > RESOURCE_NAME_CHARS_MAX:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST, f"The name has more than {RESOURCE_NAME_CHARS_MAX} characters"
        )
    if resource in image.configs:
        return
    if sum(other.type is resource.type for other in image.configs) >= RESOURCES_MAX:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST,
            f"{RESOURCES_MAX} resources of type {resource.type.name} have settings; no more are taken",
        )


def _is_broker(image: ClusterImage, name: str) -> bool:
    return any(str(node) == name for node in image.brokers)


SUBJECT = Subject(
    name="configs",
    image=Configs,
    changes=ConfigChanges,
    records=(RecordForm(kind=ConfigChanged, write=write_config, read=read_config),),
    commands=(
        CommandForm(kind=IncrementalAlterConfigs, decide=incremental_alter_configs),
        CommandForm(kind=AlterConfigs, decide=alter_configs),
    ),
    follows=(TopicDeleted,),
)
