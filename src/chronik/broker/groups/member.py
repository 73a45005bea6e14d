"""A member of a group as its coordinator knows it."""

from dataclasses import dataclass

from chronik.broker.coordinator.shard import Ticket
from chronik.broker.groups.commands import Protocols

NO_ASSIGNMENT = b""


@dataclass(slots=True, kw_only=True)
class Member:
    """Made when a join is accepted or a group is replayed; ends when it leaves, fails or is replaced."""

    member_id: str
    # Static membership (KIP-345); None for a dynamic member.
    instance_id: str | None
    client_id: str
    client_host: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    # In the member's order of preference.
    protocols: Protocols
    assignment: bytes = NO_ASSIGNMENT
    # Until the first join is answered the client knows no generation, and so sends no heartbeats.
    is_new: bool = False
    # The requests parked here; at most one of the two is set.
    awaiting_join: Ticket | None = None
    awaiting_sync: Ticket | None = None

    @property
    def is_static(self) -> bool:
        return self.instance_id is not None

    def metadata(self, protocol: str | None) -> bytes:
        """Returns this member's metadata under a protocol's name; empty when it did not name it."""
        return next((metadata for name, metadata in self.protocols if name == protocol), b"")

    def vote(self, candidates: set[str]) -> str:
        """The first of this member's protocols that all members support."""
        return next(name for name, _ in self.protocols if name in candidates)
