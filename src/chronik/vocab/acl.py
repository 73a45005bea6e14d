"""Operations and the resources they are allowed on, by Kafka's numbers (AclOperation, ResourceType)."""

from collections.abc import Iterable
from enum import IntEnum

from chronik.vocab.errors import ErrorCode

# The one resource of type CLUSTER.
CLUSTER_NAME = "kafka-cluster"


class AclOperation(IntEnum):
    """Operations that may be allowed."""

    READ = 3
    WRITE = 4
    CREATE = 5
    DELETE = 6
    ALTER = 7
    DESCRIBE = 8
    CLUSTER_ACTION = 9
    DESCRIBE_CONFIGS = 10
    ALTER_CONFIGS = 11
    IDEMPOTENT_WRITE = 12


class AclResourceType(IntEnum):
    """Types of resources on which operations are allowed."""

    TOPIC = 2
    GROUP = 3
    CLUSTER = 4
    TRANSACTIONAL_ID = 5


_O = AclOperation

# The operations of each resource type, as clients receive them (KIP-430).
SUPPORTED_OPERATIONS: dict[AclResourceType, tuple[AclOperation, ...]] = {
    AclResourceType.TOPIC: (
        *(_O.READ, _O.WRITE, _O.CREATE, _O.DELETE, _O.ALTER, _O.DESCRIBE),
        *(_O.DESCRIBE_CONFIGS, _O.ALTER_CONFIGS),
    ),
    AclResourceType.GROUP: (_O.READ, _O.DELETE, _O.DESCRIBE, _O.DESCRIBE_CONFIGS, _O.ALTER_CONFIGS),
    AclResourceType.CLUSTER: (
        *(_O.CREATE, _O.ALTER, _O.DESCRIBE, _O.CLUSTER_ACTION),
        *(_O.DESCRIBE_CONFIGS, _O.ALTER_CONFIGS, _O.IDEMPOTENT_WRITE),
    ),
    AclResourceType.TRANSACTIONAL_ID: (_O.DESCRIBE, _O.WRITE),
}

# What clients are answered who may not.
AUTHORIZATION_ERRORS: dict[AclResourceType, ErrorCode] = {
    AclResourceType.TOPIC: ErrorCode.TOPIC_AUTHORIZATION_FAILED,
    AclResourceType.GROUP: ErrorCode.GROUP_AUTHORIZATION_FAILED,
    AclResourceType.CLUSTER: ErrorCode.CLUSTER_AUTHORIZATION_FAILED,
    AclResourceType.TRANSACTIONAL_ID: ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
}
# The texts besides the codes.
AUTHORIZATION_TEXTS: dict[ErrorCode, str] = {
    code: f"{resource_type.name.capitalize().replace('_', ' ')} authorization failed."
    for resource_type, code in AUTHORIZATION_ERRORS.items()
}


def operation_bits(operations: Iterable[AclOperation]) -> int:
    """The bit field of KIP-430: each operation's number is its bit."""
    return sum(1 << operation for operation in operations)
