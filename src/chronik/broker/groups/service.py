"""The groups of this node: the handlers' interface to one group by its name, or to all of them.

The coordinator of a group is the leader of its partition of `__consumer_offsets`. The topic is created at the
first request for a coordinator.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from chronik.broker.coordinator.host import CoordinatorSetting, CoordinatorState
from chronik.broker.coordinator.log import CoordinatorLog
from chronik.broker.coordinator.partitioning import partition_of
from chronik.broker.coordinator.runtime import CoordinatorRuntime
from chronik.broker.groups.config import CLIENT_ID_IN_MEMBER_ID_MAX, STRING_BYTES_MAX, GroupConfig
from chronik.broker.groups.topics import Topics
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import CONSUMER_OFFSETS_TOPIC, LeaderEpoch
from chronik.vocab.seams import Clock, Randomness

if TYPE_CHECKING:
    from chronik.broker.groups.commands import Command, ListedGroup
    from chronik.broker.groups.group import Group
    from chronik.broker.groups.shard import Shard

A = TypeVar("A")


class GroupStatistics(NamedTuple):
    """A snapshot for metrics."""

    partitions_led: int
    partitions_loading: int
    # By state, in the names that clients see.
    groups: Counter[str]
    members: int
    offsets: int


class GroupListing(NamedTuple):
    """Groups of the partitions this node leads; incomplete, with the reason, while some are loaded."""

    groups: "tuple[ListedGroup, ...]"
    error: ErrorCode


class GroupService:
    """One per node, for the node's life."""

    def __init__(
        self,
        *,
        log: CoordinatorLog,
        ensure_topic: Callable[[], Awaitable[int]],
        clock: Clock,
        randomness: Randomness,
        config: GroupConfig,
        topics: Topics,
    ) -> None:
        """`ensure_topic` creates `__consumer_offsets` unless it exists, waits for its leaders, and returns
        its number of partitions; it raises KafkaError.
        """
        self._config = config
        self._topics = topics
        self._randomness = randomness
        # Follows leadership and metadata.
        self.runtime: CoordinatorRuntime[Shard] = CoordinatorRuntime(
            CoordinatorSetting(
                topic=CONSUMER_OFFSETS_TOPIC,
                ensure_topic=ensure_topic,
                make=self._make_shard,
                log=log,
                clock=clock,
                metadata=topics,
            )
        )

    def _make_shard(self, partition: int, epoch: LeaderEpoch) -> "Shard":
        # Not imported before it is needed: a node without groups starts sooner.
        from chronik.broker.groups.shard import Shard

        return Shard(self._config, self._topics)

    # For handlers.

    async def run(self, command: "Command[A]") -> A:
        """Runs a command on the shard of the command's group. Raises KafkaError when it cannot run."""
        return await self.runtime.run(await self.partition_for(command.group_id), command)

    async def partition_for(self, group_id: str) -> int:
        """The partition a group lives in. Raises KafkaError COORDINATOR_NOT_AVAILABLE, INVALID_GROUP_ID."""
        if len(group_id) > STRING_BYTES_MAX or len(group_id.encode()) > STRING_BYTES_MAX:
            raise KafkaError(ErrorCode.INVALID_GROUP_ID, "the group id is too long for Kafka's records")
        partitions = self.runtime.partitions
        if partitions is None:
            partitions = await self.runtime.find_partitions()
        return partition_of(group_id, partitions)

    async def list_groups(self) -> GroupListing:
        """Lists all groups this node coordinates."""
        from chronik.broker.groups.commands import ListGroups

        groups: list[ListedGroup] = []
        error = ErrorCode.NONE
        for answer in await self.runtime.run_all(ListGroups()):
            if not isinstance(answer, KafkaError):
                groups.extend(answer.groups)
            elif answer.code is not ErrorCode.NOT_COORDINATOR:
                # A shard that has just left is another node's to list; this one is not ready.
                error = answer.code
        if self.runtime.states()[CoordinatorState.FAILED]:
            # Kafka leaves the groups of a failed load out; they would seem to be gone.
            error = ErrorCode.COORDINATOR_NOT_AVAILABLE
        return GroupListing(groups=tuple(groups), error=error)

    def new_member_id(self, prefix: str) -> str:
        """`prefix` (a client or instance id) and a random UUID, as Kafka makes them."""
        raw = bytearray(self._randomness.randbytes(16))
        raw[6] = raw[6] & 0x0F | 0x40
        raw[8] = raw[8] & 0x3F | 0x80
        text = raw.hex()
        parts = (text[:8], text[8:12], text[12:16], text[16:20], text[20:])
        return "-".join((prefix[:CLIENT_ID_IN_MEMBER_ID_MAX], *parts))

    async def close(self) -> None:
        """Send all clients away; nothing is written any more."""
        await self.runtime.close()

    def groups(self) -> "list[Group]":
        """The groups of all shards that are loaded; not to be changed."""
        return [group for shard in self.runtime.shards() for group in shard.groups.values()]

    def statistics(self) -> GroupStatistics:
        groups, states = self.groups(), self.runtime.states()
        return GroupStatistics(
            partitions_led=states.total(),
            partitions_loading=states[CoordinatorState.LOADING],
            groups=Counter(group.state.value for group in groups),
            members=sum(len(group.members) for group in groups),
            offsets=sum(
                len(partitions) for group in groups for partitions in group.offsets.by_topic.values()
            ),
        )


def check_group_id(group_id: str) -> None:
    """Membership needs a name. Offsets may be kept under the empty one, as Kafka's oldest clients did."""
    if not group_id:
        raise KafkaError(ErrorCode.INVALID_GROUP_ID, "the group id is empty")
