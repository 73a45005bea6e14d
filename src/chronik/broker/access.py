"""The authorizer, and the queries that handlers and dispatch make to it.

One `Access` per node, created with it. Its authorizer allows everything until there are ACLs. The needs of
each API are declared in its handler's module (`broker.needs`) and checked by `broker.authorization`, or by
the handler itself where it lists things.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from chronik.broker.session import Session
from chronik.vocab.acl import (
    CLUSTER_NAME,
    SUPPORTED_OPERATIONS,
    AclOperation,
    AclResourceType,
    operation_bits,
)

# The value in a response when the client did not request operations (Kafka's Integer.MIN_VALUE).
NOT_ASKED = -(1 << 31)


class Action(NamedTuple):
    """An operation on one resource."""

    operation: AclOperation
    resource_type: AclResourceType
    name: str


class Authorizer(Protocol):
    """Decides by a client's principal and host."""

    # True: no check is made. Does not change while the node lives.
    allows_all: bool

    def authorize(self, session: Session, actions: Sequence[Action]) -> Sequence[bool]:
        """Returns for each action, in order, whether it is allowed."""
        ...

    def authorize_by_type(
        self, session: Session, operation: AclOperation, resource_type: AclResourceType
    ) -> bool:
        """True if it is allowed on any resource of the type, there or not."""
        ...


class AllowAll:
    """Allows every operation to every principal."""

    allows_all = True

    def authorize(self, session: Session, actions: Sequence[Action]) -> Sequence[bool]:
        return [True] * len(actions)

    def authorize_by_type(
        self, session: Session, operation: AclOperation, resource_type: AclResourceType
    ) -> bool:
        return True


class Access:
    """See the module."""

    __slots__ = ("_authorizer", "allows_all")

    def __init__(self, authorizer: Authorizer | None = None) -> None:
        self._authorizer = authorizer if authorizer is not None else AllowAll()
        self.allows_all = self._authorizer.allows_all

    def is_allowed(
        self,
        session: Session,
        operation: AclOperation,
        resource_type: AclResourceType,
        name: str = CLUSTER_NAME,
    ) -> bool:
        if self.allows_all:
            return True
        (is_allowed,) = self._authorizer.authorize(session, [Action(operation, resource_type, name)])
        return is_allowed

    def is_allowed_by_type(
        self, session: Session, operation: AclOperation, resource_type: AclResourceType
    ) -> bool:
        """True if it is allowed on any resource of the type."""
        return self.allows_all or self._authorizer.authorize_by_type(session, operation, resource_type)

    def denied(
        self,
        session: Session,
        operation: AclOperation,
        resource_type: AclResourceType,
        names: Iterable[str],
    ) -> frozenset[str]:
        """Returns those of the names on which the operation is not allowed."""
        if self.allows_all:
            return frozenset()
        asked = list(dict.fromkeys(names))
        allowed = self._authorizer.authorize(
            session, [Action(operation, resource_type, name) for name in asked]
        )
        return frozenset(name for name, is_allowed in zip(asked, allowed, strict=True) if not is_allowed)

    def operations(self, session: Session, resource_type: AclResourceType, name: str = CLUSTER_NAME) -> int:
        """Returns the bit field of the operations allowed on a resource (KIP-430)."""
        if self.allows_all:
            return _ALL_BITS[resource_type]
        operations = SUPPORTED_OPERATIONS[resource_type]
        allowed = self._authorizer.authorize(
            session, [Action(operation, resource_type, name) for operation in operations]
        )
        return operation_bits(
            operation for operation, is_allowed in zip(operations, allowed, strict=True) if is_allowed
        )

    def cluster_operations(self, session: Session) -> int:
        """As `operations` of the cluster, but empty for a client that may not describe it (Kafka's rule)."""
        if not self.is_allowed(session, AclOperation.DESCRIBE, AclResourceType.CLUSTER):
            return 0
        return self.operations(session, AclResourceType.CLUSTER)


_ALL_BITS = {
    resource_type: operation_bits(operations) for resource_type, operations in SUPPORTED_OPERATIONS.items()
}
