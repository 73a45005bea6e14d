"""The groups of this node: which shard a group belongs to, and which shards are here.

The coordinator of a group is the leader of its partition of `__consumer_offsets`. The topic is made when
somebody first asks for a coordinator. Shards come and go with `on_leader` and `on_follower`; asking for a
group of a partition that this node does not lead raises NOT_COORDINATOR, and the client looks for the
coordinator again.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from chronik.broker.groups.config import CLIENT_ID_IN_MEMBER_ID_MAX, STRING_BYTES_MAX, GroupConfig
from chronik.broker.groups.log import CoordinatorLog
from chronik.broker.groups.partitioning import partition_of
from chronik.broker.groups.shard_host import ShardHost
from chronik.broker.groups.topics import Topics
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import LeaderEpoch
from chronik.vocab.seams import Clock, Randomness

if TYPE_CHECKING:
    from chronik.broker.groups.commands import Command, ListedGroup
    from chronik.broker.groups.group import Group

_log = logging.getLogger(__name__)

A = TypeVar("A")


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupStatistics:
    """A snapshot for metrics."""

    partitions_led: int
    partitions_loading: int
    # By state, in the names that clients see.
    groups: Counter[str]
    members: int
    offsets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupListing:
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
        self._log = log
        self._ensure_topic = ensure_topic
        self._clock = clock
        self._randomness = randomness
        self._config = config
        self._topics = topics
        self._hosts: dict[int, ShardHost] = {}
        self._epochs: dict[int, LeaderEpoch] = {}
        # None until the topic is known to exist. It never changes then: groups would be looked for elsewhere.
        self._partitions: int | None = None
        self._background: set[asyncio.Task[None]] = set()

    # For handlers.

    async def run(self, command: "Command[A]") -> A:
        """Ask the shard of the command's group. Raises KafkaError when it cannot be asked."""
        partition = await self.partition_for(command.group_id)
        host = self._hosts.get(partition)
        if host is None:
            raise KafkaError(ErrorCode.NOT_COORDINATOR)
        return await host.run(command)

    async def partition_for(self, group_id: str) -> int:
        """The partition a group lives in. Raises KafkaError COORDINATOR_NOT_AVAILABLE, INVALID_GROUP_ID."""
        if len(group_id) > STRING_BYTES_MAX or len(group_id.encode()) > STRING_BYTES_MAX:
            raise KafkaError(ErrorCode.INVALID_GROUP_ID, "the group id is too long for Kafka's records")
        if self._partitions is None:
            await self._learn_partitions()
        return partition_of(group_id, self._partitions or 1)

    async def _learn_partitions(self) -> None:
        try:
            self._partitions = await self._ensure_topic()
        except KafkaError as error:
            _log.warning(
                "could not create the offsets topic; clients get COORDINATOR_NOT_AVAILABLE",
                extra={"error": str(error)},
            )
            raise KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE, str(error)) from error

    async def list_groups(self) -> GroupListing:
        """All groups this node coordinates."""
        from chronik.broker.groups.commands import ListGroups

        groups: list[ListedGroup] = []
        error = ErrorCode.NONE
        hosts = list(self._hosts.values())
        asked = [host.run(ListGroups()) for host in hosts]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        for host, answer in zip(hosts, answers, strict=True):
            if not isinstance(answer, BaseException):
                groups.extend(answer.groups)
            elif not isinstance(answer, KafkaError):
                raise answer
            elif host.has_failed:
                # Kafka leaves its groups out; they would seem to be gone.
                error = ErrorCode.COORDINATOR_NOT_AVAILABLE
            elif answer.code is not ErrorCode.NOT_COORDINATOR:
                # A shard that has just left is another node's to list; this one is not ready.
                error = answer.code
        return GroupListing(groups=tuple(groups), error=error)

    def new_member_id(self, prefix: str) -> str:
        """`prefix` (a client or instance id) and a random UUID, as Kafka makes them."""
        raw = bytearray(self._randomness.randbytes(16))
        raw[6] = raw[6] & 0x0F | 0x40
        raw[8] = raw[8] & 0x3F | 0x80
        text = raw.hex()
        parts = (text[:8], text[8:12], text[12:16], text[16:20], text[20:])
        return "-".join((prefix[:CLIENT_ID_IN_MEMBER_ID_MAX], *parts))

    # For whoever follows leadership and metadata.

    def on_leader(self, partition: int, epoch: LeaderEpoch) -> None:
        """This node leads `partition` of `__consumer_offsets` since `epoch`: load it and serve it."""
        if self._epochs.get(partition) == epoch:
            return
        self.on_follower(partition)
        self._epochs[partition] = epoch
        self._hosts[partition] = ShardHost(partition, self._log, self._clock, self._config, self._topics)

    def on_follower(self, partition: int) -> None:
        """This node does not lead `partition` any more: send its clients away."""
        self._epochs.pop(partition, None)
        host = self._hosts.pop(partition, None)
        if host is not None:
            self._in_background(host.close())

    def on_topic_lost(self) -> None:
        """`__consumer_offsets` was deleted. Kafka does not allow it; should it happen, groups start from
        nothing.
        """
        self._partitions = None
        for partition in list(self._hosts):
            self.on_follower(partition)

    def on_topics_deleted(self, topics: Collection[str]) -> None:
        """Forget, in the background, what groups committed for these topics."""
        if topics and self._hosts:
            self._in_background(self._forget_topics(frozenset(topics)))

    async def _forget_topics(self, topics: frozenset[str]) -> None:
        hosts = list(self._hosts.values())
        await asyncio.gather(*(self._forget_topics_in(host, topics) for host in hosts))

    async def _forget_topics_in(self, host: ShardHost, topics: frozenset[str]) -> None:
        from chronik.broker.groups.commands import ForgetTopics

        while True:
            try:
                await host.run(ForgetTopics(topics=topics))
            except KafkaError as error:
                if error.code is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
                    # Each try waits for the load by itself.
                    continue
                _log.warning(
                    "could not remove offsets of deleted topics; the next load removes them",
                    extra={"error": str(error)},
                )
            return

    async def close(self) -> None:
        """Send all clients away; nothing is written any more."""
        for partition in list(self._hosts):
            self.on_follower(partition)
        if self._background:
            await asyncio.wait(self._background)

    def groups(self) -> "list[Group]":
        """The groups of all shards that are loaded; not to be changed."""
        shards = (host.shard for host in self._hosts.values())
        return [group for shard in shards if shard is not None for group in shard.groups.values()]

    def statistics(self) -> GroupStatistics:
        groups = self.groups()
        return GroupStatistics(
            partitions_led=len(self._hosts),
            partitions_loading=sum(host.shard is None for host in self._hosts.values()),
            groups=Counter(group.state.value for group in groups),
            members=sum(len(group.members) for group in groups),
            offsets=sum(
                len(partitions) for group in groups for partitions in group.offsets.by_topic.values()
            ),
        )

    def _in_background(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def check_group_id(group_id: str) -> None:
    """Membership needs a name. Offsets may be kept under the empty one, as Kafka's oldest clients did."""
    if not group_id:
        raise KafkaError(ErrorCode.INVALID_GROUP_ID, "the group id is empty")
