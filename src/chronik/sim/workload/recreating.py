"""A topic that is deleted and created repeatedly, under a group that commits offsets for it.

Every offset encodes for which of the topics of this name it was committed: `STEP` times the topic's number,
and a rest. Checked against the cluster:

* No offset of one topic is returned for another, and one committed for the present topic is returned.
* The epochs of a topic lie above all epochs of those before it, in every answer of every node.

Commits and fetches name topics by name, as most clients do. A coordinator that is cut off from the controller
may not have applied the latest topic, and answers for the one it knows; such answers prove nothing. The
nodes' state shows which topic they know.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from chronik.sim.client import NoReply, SimClient
from chronik.sim.workload.history import History
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import NO_EPOCH, NO_TOPIC_ID, LeaderEpoch, NodeId, TopicId
from chronik.wire.messages.create_topics import CreatableTopic, CreateTopicsRequest, CreateTopicsResponse
from chronik.wire.messages.delete_topics import (
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from chronik.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from chronik.wire.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from chronik.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from chronik.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestTopic,
    OffsetFetchResponse,
)
from chronik.wire.schema import Message

R = TypeVar("R", bound=Message)

TOPIC = "again"
GROUP = "standing"
PARTITIONS = 2
STEP = 1_000

_SECONDS = 2.0
_TIMEOUT_MS = 1_500
_RETRY_SECONDS = 0.05
_ROUNDS_MAX = 4
_PAUSE_SECONDS_MAX = 0.3
# From the notice of a deletion to the faults until its request.
_WARNING_SECONDS_MAX = 0.1

# Proves that its coordinator leads: its answer for the other partition is not outdated.
_PROBE, _KEPT = range(PARTITIONS)


class SimRecreator:
    """Owned by the run. Runs until `stop`, and then until it has looked once more."""

    def __init__(self, client: SimClient, history: History, about_to_delete: asyncio.Event) -> None:
        """`about_to_delete` is set while a topic goes and the next comes."""
        self._client = client
        self._history = history
        self._about_to_delete = about_to_delete
        self._is_stopping = False
        # Of the topics made so far; the last is the present one.
        self._ids: list[TopicId] = []
        # By number of the topic and partition: the lowest and the highest epoch that was seen.
        self._epochs: dict[tuple[int, int], tuple[int, int]] = {}
        # Of the present topic, by partition: acknowledged offsets, and those that may be committed last.
        self._acknowledged: dict[int, int] = {}
        self._tried = 0
        # How often an answer was compared with committed offsets.
        self.answers_checked = 0

    @property
    def topics_made(self) -> int:
        return len(self._ids)

    def stop(self) -> None:
        self._is_stopping = True

    async def run(self) -> None:
        while not self._is_stopping and not self._history.problems:
            await self._make()
            await self._commit_late()
            for _ in range(self._client.random.randint(1, _ROUNDS_MAX)):
                await self._stand()
                await asyncio.sleep(self._client.random.random() * _PAUSE_SECONDS_MAX)
            if not self._is_stopping:
                await self._delete()
        await self._stand()

    # The topic.

    async def _make(self) -> None:
        topic = CreatableTopic(name=TOPIC, num_partitions=PARTITIONS, replication_factor=3)
        request = CreateTopicsRequest(topics=[topic], timeout_ms=_TIMEOUT_MS)

        async def attempt() -> bool:
            answer = await self._ask(request, 7, CreateTopicsResponse)
            code = answer.topics[0].error_code
            if code == ErrorCode.TOPIC_ALREADY_EXISTS:
                # An earlier attempt created it. Or a controller refuses that was paused since before the last
                # one was deleted: then it must be requested again.
                return await self._find_out_id()
            return code == ErrorCode.NONE and await self._find_out_id()

        self._acknowledged.clear()
        self._tried = 0
        await self._until(attempt)
        self._about_to_delete.clear()

    async def _find_out_id(self) -> bool:
        """A node that was away may show an earlier topic."""
        topic_id = await self._look()
        if topic_id in (None, NO_TOPIC_ID, *self._ids):
            return False
        assert topic_id is not None
        self._ids.append(topic_id)
        return True

    async def _delete(self) -> None:
        """Deletes by id: an attempt that comes late must not delete the next one."""
        state = DeleteTopicState(name=None, topic_id=self._ids[-1])
        request = DeleteTopicsRequest(topics=[state], timeout_ms=_TIMEOUT_MS)

        async def attempt() -> bool:
            answer = await self._ask(request, 6, DeleteTopicsResponse)
            return answer.responses[0].error_code in (ErrorCode.NONE, ErrorCode.UNKNOWN_TOPIC_ID)

        self._about_to_delete.set()
        await asyncio.sleep(self._client.random.random() * _WARNING_SECONDS_MAX)
        await self._until(attempt)

    # Epochs.

    async def _look(self) -> TopicId | None:
        """The id that any node shows; the epochs it shows are compared with all others."""
        request = MetadataRequest(topics=[MetadataRequestTopic(name=TOPIC)], allow_auto_topic_creation=False)
        answer = await self._ask(request, 12, MetadataResponse)
        (found,) = answer.topics
        topic_id = TopicId(found.topic_id)
        if topic_id in self._ids:
            for partition in found.partitions:
                if partition.error_code == ErrorCode.NONE:
                    self._see(self._ids.index(topic_id), partition.partition_index, partition.leader_epoch)
        return topic_id if found.error_code == ErrorCode.NONE else None

    def _see(self, number: int, partition: int, epoch: int) -> None:
        lowest, highest = self._epochs.get((number, partition), (epoch, epoch))
        self._epochs[number, partition] = min(lowest, epoch), max(highest, epoch)
        for (other, index), (least, most) in self._epochs.items():
            if index != partition or other == number:
                continue
            is_below = most >= epoch if other < number else least <= epoch
            if is_below:
                self._problem(f"epoch {epoch} of topic {number} and {least} to {most} of topic {other}")

    # Offsets.

    async def _stand(self) -> None:
        """Commits, checks committed offsets and that epochs do not go back; once, whatever is in the way."""
        try:
            await self._look()
            node = await self._coordinator()
            if node is not None and self._knows_the_topic(node):
                await self._commit_and_fetch(node)
        except NoReply:
            pass

    async def _coordinator(self) -> NodeId | None:
        found = await self._ask(FindCoordinatorRequest(key=GROUP), 2, FindCoordinatorResponse)
        return NodeId(found.node_id) if found.error_code == ErrorCode.NONE else None

    def _knows_the_topic(self, node: NodeId) -> bool:
        return self._client.topic_id_known(node, TOPIC) == self._ids[-1]

    async def _commit_and_fetch(self, node: NodeId) -> None:
        if not await self._commit(node, _PROBE):
            return
        given = await self._fetch(node)
        if given is None or not self._knows_the_topic(node):
            return
        self.answers_checked += 1
        self._hold(given, node)
        await self._commit(node, _KEPT)

    def _hold(self, given: Mapping[int, int], node: NodeId) -> None:
        """Compares offsets returned for the present topic with those committed for it."""
        number = len(self._ids) - 1
        for partition, offset in given.items():
            if offset >= 0 and offset // STEP != number:
                self._problem(
                    f"offset {offset} of topic {offset // STEP} is given for topic {number}, "
                    f"partition {partition}, by node {node}"
                )
            elif offset < self._acknowledged.get(partition, -1):
                least = self._acknowledged[partition]
                self._problem(f"partition {partition} is at {offset}, {least} was committed (node {node})")

    async def _commit(self, node: NodeId, partition: int) -> bool:
        """True if it is acknowledged."""
        self._tried += 1
        number = len(self._ids) - 1
        offset = STEP * number + self._tried
        _, epoch = self._epochs.get((number, partition), (NO_EPOCH, NO_EPOCH))
        code = await self._try_commit(node, partition, offset, LeaderEpoch(epoch))
        if code is ErrorCode.NONE:
            self._acknowledged[partition] = offset
        elif code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION and self._knows_the_topic(node):
            self._problem(f"node {node} takes no commit for a topic that it knows")
        return code is ErrorCode.NONE

    async def _commit_late(self) -> None:
        """As a consumer of the earlier topic, which does not know this one."""
        number = len(self._ids) - 2
        _, epoch = self._epochs.get((number, _KEPT), (NO_EPOCH, NO_EPOCH))
        if epoch == NO_EPOCH:
            return
        try:
            node = await self._coordinator()
            if node is not None:
                await self._try_commit(node, _KEPT, STEP * number + STEP - 1, LeaderEpoch(epoch))
        except NoReply:
            pass

    async def _try_commit(
        self, node: NodeId, partition: int, offset: int, leader_epoch: LeaderEpoch
    ) -> ErrorCode:
        committed = OffsetCommitRequestPartition(
            partition_index=partition, committed_offset=offset, committed_leader_epoch=leader_epoch
        )
        request = OffsetCommitRequest(
            group_id=GROUP, topics=[OffsetCommitRequestTopic(name=TOPIC, partitions=[committed])]
        )
        answer = await self._client.ask(node, request, 8, OffsetCommitResponse, _SECONDS)
        return ErrorCode(answer.topics[0].partitions[0].error_code)

    async def _fetch(self, node: NodeId) -> dict[int, int] | None:
        """By partition, -1 where nothing is committed; None where the request is not answered."""
        topic = OffsetFetchRequestTopic(name=TOPIC, partition_indexes=list(range(PARTITIONS)))
        request = OffsetFetchRequest(group_id=GROUP, topics=[topic])
        answer = await self._client.ask(node, request, 5, OffsetFetchResponse, _SECONDS)
        if answer.error_code != ErrorCode.NONE:
            return None
        return {each.partition_index: each.committed_offset for each in answer.topics[0].partitions}

    # Asking.

    async def _ask(self, request: Message, version: int, kind: type[R]) -> R:
        node = self._client.random.choice(self._client.nodes)
        return await self._client.ask(node, request, version, kind, _SECONDS)

    async def _until(self, attempt: Callable[[], Awaitable[bool]]) -> None:
        while not self._history.problems:
            try:
                if await attempt():
                    return
            except NoReply:
                pass
            await asyncio.sleep(_RETRY_SECONDS)

    def _problem(self, text: str) -> None:
        self._history.problems.append(f"{TOPIC}: {text}")
