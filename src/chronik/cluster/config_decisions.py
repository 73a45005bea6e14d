"""What the controller decides about configuration: the new settings of a resource, or why not (KIP-339)."""

from collections.abc import Mapping, Sequence
from typing import assert_never

from chronik.cluster.commands import AlterConfigs, AlterOp, ConfigChange, IncrementalAlterConfigs
from chronik.cluster.image import ClusterImage
from chronik.cluster.records import ConfigChanged, ConfigResource, MetadataRecord
from chronik.vocab.config.definition import ResourceType
from chronik.vocab.errors import ErrorCode, KafkaError


def check_config(resource: ConfigResource, entries: Mapping[str, str]) -> None:
    """Raise INVALID_CONFIG unless these may be the dynamic settings of `resource`."""


def incremental_alter_configs(image: ClusterImage, command: IncrementalAlterConfigs) -> list[MetadataRecord]:
    """Records of the settings that become different. Raises KafkaError."""
    _check_resource(image, command.resource)
    _check_unique([change.key for change in command.changes])
    before = image.config(command.resource)
    after = dict(before)
    for change in command.changes:
        value = _altered(command.resource, change, after.get(change.key))
        if value is None:
            after.pop(change.key, None)
        else:
            after[change.key] = value
    return _difference(command.resource, before, after)


def alter_configs(image: ClusterImage, command: AlterConfigs) -> list[MetadataRecord]:
    """Records of the settings that become different, those not named included. Raises KafkaError."""
    _check_resource(image, command.resource)
    after = {}
    for key, value in command.entries.items():
        if value is None:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"Null value not supported for : {key}")
        after[key] = value
    return _difference(command.resource, image.config(command.resource), after)


def _difference(
    resource: ConfigResource, before: Mapping[str, str], after: Mapping[str, str]
) -> list[MetadataRecord]:
    check_config(resource, after)
    keys = [*(key for key in before if key not in after), *after]
    return [
        ConfigChanged(resource=resource, key=key, value=after.get(key))
        for key in keys
        if before.get(key) != after.get(key)
    ]


def _altered(resource: ConfigResource, change: ConfigChange, current: str | None) -> str | None:
    if change.op is AlterOp.DELETE:
        return None
    if change.value is None:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Null value not supported for : {change.key}")
    match change.op:
        case AlterOp.SET:
            return change.value
        case AlterOp.APPEND:
            items = _items(resource, change, current)
            return ",".join([*items, *(item for item in _split(change.value) if item not in items)])
        case AlterOp.SUBTRACT:
            removed = _split(change.value)
            return ",".join(item for item in _items(resource, change, current) if item not in removed)
        case _:
            assert_never(change.op)


def _items(resource: ConfigResource, change: ConfigChange, current: str | None) -> list[str]:
    """The items of a list setting as it is now."""
    return _split(current) if current is not None else []


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
