"""Shared by the requests about configuration: resources, and the check that this broker answers for them."""

from collections import Counter
from collections.abc import Iterable, Sequence

from chronik.cluster.metadata.configs import ConfigResource
from chronik.vocab.config.definition import ResourceType
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NodeId

# A resource as the wire has it: type and name.
WireResource = tuple[int, str]


def parse_resource(resource: WireResource) -> ConfigResource:
    """Raises KafkaError INVALID_REQUEST for a type that Kafka does not have."""
    number, name = resource
    try:
        type = ResourceType(number)
    except ValueError:
        type = ResourceType.UNKNOWN
    if type is ResourceType.UNKNOWN:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unknown resource type {number}")
    return ConfigResource(type, name)


def check_own_broker(name: str, node_id: NodeId) -> None:
    """Raise KafkaError INVALID_REQUEST unless `name` is the id of this node: no other knows its
    configuration.
    """
    if not name.removeprefix("-").isdecimal():
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Node id must be an integer, but it is: {name}")
    if int(name[:12]) != node_id:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST, f"Unexpected broker id, expected {node_id}, but received {name}"
        )


def check_described_broker(name: str, node_id: NodeId, expected: str) -> None:
    """As `check_own_broker`, with Kafka's wording where configuration is read."""
    if not name:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Broker id must not be empty")
    if not name.removeprefix("-").isdecimal():
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Broker id must be an integer, but it is: {name}")
    if int(name[:12]) != node_id:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unexpected broker id, {expected} but received {name}")


def repeated(resources: Iterable[WireResource]) -> frozenset[WireResource]:
    """Resources that a request names more than once: none of their mentions is carried out."""
    return frozenset(resource for resource, count in Counter(resources).items() if count > 1)


def check_alteration(
    resource: WireResource,
    repeated_resources: frozenset[WireResource],
    keys: Sequence[str],
    null_keys: Sequence[str],
) -> None:
    """Raises KafkaError INVALID_REQUEST for alterations that need not be sent to the controller."""
    if resource in repeated_resources:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Each resource must appear at most once.")
    if len(set(keys)) < len(keys):
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Error due to duplicate config keys")
    if null_keys:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Null value not supported for : {', '.join(null_keys)}")
