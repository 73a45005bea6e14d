"""What an anonymous client may do: the same list for Apache Kafka's authorizer and for Chronik's in tests."""

from dataclasses import dataclass

from tests.parity.session import Session

ANY = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """One operation on one resource, in the words of Kafka's tools; "All" for each, "*" for every name."""

    operation: str
    resource_type: str
    name: str = ANY


# Everything: for what has to be there before it is refused.
EVERYTHING = tuple(
    Permission(operation="All", resource_type=resource_type)
    for resource_type in ("topic", "group", "cluster", "transactional-id")
)


def some(s: Session) -> tuple[Permission, ...]:
    """Of the names in `conversations`. Nothing on the cluster."""
    topics = {
        "mine": "All",
        "doomed": "All",
        "new": "All",
        "seen": "Describe",
        "read": "Read",
        "fresh": "Describe",
        "made": "Create",
    }
    groups = {"mine": "All", "doomed": "All", "seen": "Describe", "read": "Read"}
    return (
        *(
            Permission(operation=what, resource_type="topic", name=s.name(name))
            for name, what in topics.items()
        ),
        *(
            Permission(operation=what, resource_type="group", name=s.name(name))
            for name, what in groups.items()
        ),
    )
