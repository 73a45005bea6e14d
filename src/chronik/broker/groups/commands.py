"""The commands of a shard of groups, and their answers.

Every command names its group first, because the group decides the shard; `Command[A]` is answered with an
`A`.
"""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from chronik.broker.coordinator import shard as coordinator
from chronik.broker.coordinator.shard import Ticket
from chronik.broker.groups.offsets import CommittedOffset
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import NO_TOPIC_ID, TopicId, TopicPartition

# Name and metadata of each protocol, in order of preference.
Protocols = tuple[tuple[str, bytes], ...]

# What Kafka's clients send when the coordinator is to choose the member id.
UNKNOWN_MEMBER_ID = ""

# The generation of a request that takes no part in group membership.
NO_GENERATION = -1


A_co = TypeVar("A_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Command(coordinator.Command[A_co], Generic[A_co]):
    """A request to the shard that owns `group_id`."""

    group_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedMember:
    """One member as the group's leader sees it."""

    member_id: str
    instance_id: str | None
    metadata: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinAnswer:
    error: ErrorCode = ErrorCode.NONE
    member_id: str = UNKNOWN_MEMBER_ID
    generation: int = NO_GENERATION
    protocol_type: str | None = None
    protocol_name: str | None = None
    leader_id: str = ""
    # The leader keeps the assignment that the group has (KIP-814).
    skip_assignment: bool = False
    # Filled for the leader only.
    members: tuple[JoinedMember, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Join(Command[JoinAnswer]):
    member_id: str
    instance_id: str | None = None
    protocol_type: str
    protocols: Protocols
    session_timeout_ms: int
    rebalance_timeout_ms: int
    client_id: str
    client_host: str
    reason: str | None = None
    # A fresh id for a member that has none; the shard has no randomness of its own.
    new_member_id: str
    # KIP-394: a dynamic member without id is given one and sent back to join with it (JoinGroup v4).
    requires_known_member_id: bool
    # KIP-814 (JoinGroup v9).
    can_skip_assignment: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AbandonAnswer:
    was_removed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Abandon(Command[AbandonAnswer]):
    """The client of a waiting request is gone: its connection closed."""

    abandoned: Ticket


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncAnswer:
    error: ErrorCode = ErrorCode.NONE
    protocol_type: str | None = None
    protocol_name: str | None = None
    assignment: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync(Command[SyncAnswer]):
    member_id: str
    instance_id: str | None = None
    generation: int
    # None before SyncGroup v5 (KIP-559): then nothing is compared.
    protocol_type: str | None = None
    protocol_name: str | None = None
    # Member id and assignment; only the leader sends any.
    assignments: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatAnswer:
    error: ErrorCode = ErrorCode.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat(Command[HeartbeatAnswer]):
    member_id: str
    instance_id: str | None = None
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeavingMember:
    """Either by member id, or, for an administrator, by instance id alone."""

    member_id: str
    instance_id: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveAnswer:
    # One per leaving member, in the request's order.
    errors: tuple[ErrorCode, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave(Command[LeaveAnswer]):
    members: tuple[LeavingMember, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetToCommit:
    partition: TopicPartition
    offset: int
    leader_epoch: int = -1
    metadata: str = ""
    # The topic that is meant; NO_TOPIC_ID: the one that has the name.
    topic_id: TopicId = NO_TOPIC_ID


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitAnswer:
    """UNKNOWN_TOPIC_ID for an offset of a deleted topic, even if another topic has its name now."""

    # For the whole request; then `errors` is empty.
    error: ErrorCode = ErrorCode.NONE
    errors: tuple[ErrorCode, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit(Command[CommitAnswer]):
    member_id: str = UNKNOWN_MEMBER_ID
    instance_id: str | None = None
    generation: int = NO_GENERATION
    # Set by clients of OffsetCommit v2-v4; None leaves it to the broker's retention.
    retention_ms: int | None = None
    offsets: tuple[OffsetToCommit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetsAnswer:
    """Committed offsets; partitions without one are absent."""

    error: ErrorCode = ErrorCode.NONE
    offsets: dict[TopicPartition, CommittedOffset] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchOffsets(Command[OffsetsAnswer]):
    # None requests all.
    partitions: tuple[TopicPartition, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteOffsetsAnswer:
    # For the whole request; then `errors` is empty.
    error: ErrorCode = ErrorCode.NONE
    errors: tuple[ErrorCode, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteOffsets(Command[DeleteOffsetsAnswer]):
    partitions: tuple[TopicPartition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedMember:
    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    metadata: bytes
    assignment: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeAnswer:
    error: ErrorCode = ErrorCode.NONE
    state: str
    protocol_type: str = ""
    protocol_name: str = ""
    members: tuple[DescribedMember, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeGroup(Command[DescribeAnswer]):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteGroupAnswer:
    error: ErrorCode = ErrorCode.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteGroup(Command[DeleteGroupAnswer]):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedGroup:
    group_id: str
    protocol_type: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAnswer:
    groups: tuple[ListedGroup, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListGroups(Command[ListAnswer]):
    """Lists all groups of a shard; `group_id` is ignored."""

    group_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetTopicsAnswer:
    # Some of them in turns that follow.
    offsets_removed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetTopics(Command[ForgetTopicsAnswer]):
    """Topics were deleted: drop what any group of the shard has committed for them, and nothing of topics
    that have their names now; `group_id` is not looked at.
    """

    group_id: str = ""
    topics: frozenset[str]


Answer = (
    JoinAnswer
    | AbandonAnswer
    | SyncAnswer
    | HeartbeatAnswer
    | LeaveAnswer
    | CommitAnswer
    | OffsetsAnswer
    | DeleteOffsetsAnswer
    | DescribeAnswer
    | DeleteGroupAnswer
    | ListAnswer
    | ForgetTopicsAnswer
)
