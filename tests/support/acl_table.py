"""An authorizer with permissions by name: what tests deny, and what they allow."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chronik.broker.access import Action
from chronik.broker.session import Session
from chronik.vocab.acl import AclOperation, AclResourceType

# What comes with others, as in Kafka.
_IMPLIED_BY: dict[AclOperation, tuple[AclOperation, ...]] = {
    AclOperation.DESCRIBE: (AclOperation.READ, AclOperation.WRITE, AclOperation.DELETE, AclOperation.ALTER),
    AclOperation.DESCRIBE_CONFIGS: (AclOperation.ALTER_CONFIGS,),
}


@dataclass(frozen=True, slots=True)
class Allowed:
    """One permission of everybody; None for each operation, or for every name."""

    operation: AclOperation | None
    resource_type: AclResourceType
    name: str | None = None


class AclTable:
    """Denies what is not in the table, which may be replaced at any time. `asked` has all that was asked."""

    allows_all = False

    def __init__(self, *allowed: Allowed) -> None:
        self.allowed: Iterable[Allowed] = allowed
        self.asked: list[Action] = []

    def authorize(self, session: Session, actions: Sequence[Action]) -> Sequence[bool]:
        self.asked += actions
        return [self._is_allowed(action) for action in actions]

    def authorize_by_type(
        self, session: Session, operation: AclOperation, resource_type: AclResourceType
    ) -> bool:
        return any(
            each.resource_type is resource_type and each.operation in (None, operation)
            for each in self.allowed
        )

    def _is_allowed(self, action: Action) -> bool:
        sufficient = (None, action.operation, *_IMPLIED_BY.get(action.operation, ()))
        return any(
            each.resource_type is action.resource_type
            and each.name in (None, action.name)
            and each.operation in sufficient
            for each in self.allowed
        )
