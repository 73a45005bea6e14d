"""Members of consumer groups: they join, share the partitions, read, commit, and start over after trouble."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from chronik.records.batch import has_valid_crc, split_batches
from chronik.records.record import decode_records
from chronik.sim.client import NoReply, SimClient
from chronik.sim.workload.history import History
from chronik.sim.workload.view import ClusterView
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import NodeId, Offset, TopicPartition
from chronik.wire.messages.fetch import (
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    PartitionData,
)
from chronik.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from chronik.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from chronik.wire.messages.join_group import (
    JoinGroupRequest,
    JoinGroupRequestProtocol,
    JoinGroupResponse,
)
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
from chronik.wire.messages.sync_group import (
    SyncGroupRequest,
    SyncGroupRequestAssignment,
    SyncGroupResponse,
)

SESSION_MS = 3_000
REBALANCE_MS = 3_000

_SECONDS = 2.0
_JOIN_SECONDS = 8.0
_RETRY_SECONDS = 0.05
_FETCH_WAIT_MS = 100
_ROUNDS_PER_COMMIT = 3
_PROTOCOL = "sim"


class _Again(Exception):
    """Something has to be done again, from the coordinator on."""


@dataclass(slots=True)
class _Membership:
    """The membership of one generation."""

    coordinator: NodeId
    member_id: str
    generation: int
    positions: dict[TopicPartition, Offset] = field(default_factory=dict)


# What makes a member look for its coordinator, or join, again; anything else no client expects.
_EXPECTED = frozenset(
    {
        ErrorCode.NOT_COORDINATOR,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.REBALANCE_IN_PROGRESS,
        ErrorCode.ILLEGAL_GENERATION,
        ErrorCode.UNKNOWN_MEMBER_ID,
        ErrorCode.MEMBER_ID_REQUIRED,
        ErrorCode.REQUEST_TIMED_OUT,
        ErrorCode.NOT_ENOUGH_REPLICAS,
    }
)
_LOST_MEMBERSHIP = frozenset({ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.ILLEGAL_GENERATION})


class SimConsumer:
    """One member of a group that reads all partitions of `topics`, given with their counts."""

    def __init__(self, client: SimClient, history: History, group: str, topics: Mapping[str, int]) -> None:
        self._client = client
        self._history = history
        self._group = group
        self._partitions = [
            TopicPartition(topic, index) for topic, count in topics.items() for index in range(count)
        ]
        self._view = ClusterView(client, history)
        self._member_id = ""
        self._is_stopping = False
        # Rounds of fetches that it made as a member; its progress.
        self.rounds = 0

    def stop(self) -> None:
        self._is_stopping = True

    async def run(self) -> None:
        while not self._is_stopping and not self._history.problems:
            try:
                membership = await self._join()
                await self._read(membership)
            except (_Again, NoReply):
                await asyncio.sleep(_RETRY_SECONDS)

    # Membership.

    async def _join(self) -> _Membership:
        coordinator = await self._find_coordinator()
        request = JoinGroupRequest(
            group_id=self._group,
            session_timeout_ms=SESSION_MS,
            rebalance_timeout_ms=REBALANCE_MS,
            member_id=self._member_id,
            protocol_type="consumer",
            protocols=[JoinGroupRequestProtocol(name=_PROTOCOL, metadata=b"")],
        )
        joined = await self._client.ask(coordinator, request, 5, JoinGroupResponse, _JOIN_SECONDS)
        if joined.error_code == ErrorCode.MEMBER_ID_REQUIRED:
            self._member_id = joined.member_id
        self._check(joined.error_code, "join")
        self._member_id = joined.member_id
        membership = _Membership(coordinator, joined.member_id, joined.generation_id)
        assigned = await self._sync(membership, [member.member_id for member in joined.members])
        membership.positions = await self._committed(membership, assigned)
        return membership

    async def _find_coordinator(self) -> NodeId:
        node = self._client.random.choice(self._client.nodes)
        request = FindCoordinatorRequest(key=self._group)
        found = await self._client.ask(node, request, 2, FindCoordinatorResponse, _SECONDS)
        self._check(found.error_code, "find the coordinator")
        return NodeId(found.node_id)

    async def _sync(self, membership: _Membership, members: Sequence[str]) -> list[TopicPartition]:
        """`members` are named to the leader of the group only, which shares out."""
        request = SyncGroupRequest(
            group_id=self._group,
            generation_id=membership.generation,
            member_id=membership.member_id,
            assignments=[
                SyncGroupRequestAssignment(
                    member_id=member, assignment=_encode(self._partitions[number :: len(members)])
                )
                for number, member in enumerate(sorted(members))
            ],
        )
        synced = await self._client.ask(membership.coordinator, request, 3, SyncGroupResponse, _JOIN_SECONDS)
        self._check(synced.error_code, "sync")
        return _decode(synced.assignment)

    async def _committed(
        self, membership: _Membership, partitions: Sequence[TopicPartition]
    ) -> dict[TopicPartition, Offset]:
        topics = [
            OffsetFetchRequestTopic(name=each.topic, partition_indexes=[each.partition])
            for each in partitions
        ]
        request = OffsetFetchRequest(group_id=self._group, topics=topics)
        began = _now()
        answer = await self._client.ask(membership.coordinator, request, 5, OffsetFetchResponse, _SECONDS)
        self._check(answer.error_code, "fetch offsets")
        committed: dict[TopicPartition, int] = {}
        for topic in answer.topics:
            for found in topic.partitions:
                self._check(found.error_code, "fetch offsets")
                committed[TopicPartition(topic.name, found.partition_index)] = found.committed_offset
        life = self._life(membership)
        self._history.committed(self._group, committed, member=life, began=began, ended=_now())
        return {partition: Offset(max(offset, 0)) for partition, offset in committed.items()}

    async def _beat(self, membership: _Membership) -> None:
        request = HeartbeatRequest(
            group_id=self._group, generation_id=membership.generation, member_id=membership.member_id
        )
        answer = await self._client.ask(membership.coordinator, request, 3, HeartbeatResponse, _SECONDS)
        self._check(answer.error_code, "heartbeat")

    # Reading.

    async def _read(self, membership: _Membership) -> None:
        while not self._is_stopping:
            for _ in range(_ROUNDS_PER_COMMIT):
                await self._fetch_all(membership)
                self.rounds += 1
            await self._commit(membership)
            await self._beat(membership)

    async def _fetch_all(self, membership: _Membership) -> None:
        by_node: dict[NodeId, list[TopicPartition]] = {}
        for partition in membership.positions:
            leading = self._view.leader(partition)
            if leading is None:
                await self._view.refresh(partition.topic)
            else:
                by_node.setdefault(leading.node, []).append(partition)
        await asyncio.gather(*(self._fetch(membership, node, each) for node, each in by_node.items()))
        if not by_node:
            await asyncio.sleep(_FETCH_WAIT_MS / 1000)

    async def _fetch(
        self, membership: _Membership, node: NodeId, partitions: Sequence[TopicPartition]
    ) -> None:
        topics = [
            FetchTopic(topic=each.topic, partitions=[self._wish(membership, each)]) for each in partitions
        ]
        request = FetchRequest(max_wait_ms=_FETCH_WAIT_MS, min_bytes=1, max_bytes=1 << 20, topics=topics)
        began = _now()
        try:
            answer = await self._client.ask(node, request, 11, FetchResponse, _SECONDS)
        except NoReply:
            await self._refresh(partitions)
            return
        stale = []
        for topic in answer.responses:
            for found in topic.partitions:
                partition = TopicPartition(topic.topic, found.partition_index)
                if not self._take(membership, node, partition, found, began):
                    stale.append(partition)
        await self._refresh(stale)

    def _wish(self, membership: _Membership, partition: TopicPartition) -> FetchPartition:
        leading = self._view.leader(partition)
        assert leading is not None
        return FetchPartition(
            partition=partition.partition,
            current_leader_epoch=leading.epoch,
            fetch_offset=membership.positions[partition],
            partition_max_bytes=4096,
        )

    async def _refresh(self, partitions: Sequence[TopicPartition]) -> None:
        for topic in dict.fromkeys(partition.topic for partition in partitions):
            await self._view.refresh(topic)

    def _take(
        self,
        membership: _Membership,
        node: NodeId,
        partition: TopicPartition,
        found: PartitionData,
        began: float,
    ) -> bool:
        """True if the request went to the right node."""
        if found.error_code == ErrorCode.OFFSET_OUT_OF_RANGE:
            self._on_out_of_range(membership, partition, found)
            return True
        if found.error_code != ErrorCode.NONE:
            return False
        given = self._given(node, partition, found, membership.positions[partition])
        life = self._life(membership)
        self._history.consume(self._group, partition, given, member=life, began=began, ended=_now())
        if given:
            membership.positions[partition] = Offset(given[-1][0] + 1)
        return True

    def _given(
        self, node: NodeId, partition: TopicPartition, found: PartitionData, position: Offset
    ) -> list[tuple[Offset, bytes]]:
        """Offsets and values of the records from `position` on."""
        data = found.records
        assert isinstance(data, bytes)
        given: list[tuple[Offset, bytes]] = []
        for batch in split_batches(data):
            if not has_valid_crc(batch):
                if not self._client.may_be_rotten(node):
                    self._problem(f"{partition}: node {node} gave out a batch with a wrong CRC")
                break
            for number, record in enumerate(decode_records(batch)):
                offset = Offset(batch.header.base_offset + number)
                if offset >= position:
                    given.append((offset, record.value or b""))
        return given

    def _on_out_of_range(
        self, membership: _Membership, partition: TopicPartition, found: PartitionData
    ) -> None:
        position = membership.positions[partition]
        if position < self._history.deleted_below.get(partition, Offset(0)):
            membership.positions[partition] = Offset(max(found.log_start_offset, position + 1))
        else:
            self._problem(f"{partition}: {position} is out of range")

    async def _commit(self, membership: _Membership) -> None:
        if not membership.positions:
            return
        positions = dict(membership.positions)
        request = OffsetCommitRequest(
            group_id=self._group,
            generation_id_or_member_epoch=membership.generation,
            member_id=membership.member_id,
            topics=[
                OffsetCommitRequestTopic(
                    name=each.topic,
                    partitions=[
                        OffsetCommitRequestPartition(partition_index=each.partition, committed_offset=offset)
                    ],
                )
                for each, offset in positions.items()
            ],
        )
        began = _now()
        codes = dict.fromkeys(positions, ErrorCode.REQUEST_TIMED_OUT)
        try:
            answer = await self._client.ask(
                membership.coordinator, request, 7, OffsetCommitResponse, _SECONDS
            )
            for topic in answer.topics:
                for found in topic.partitions:
                    codes[TopicPartition(topic.name, found.partition_index)] = ErrorCode(found.error_code)
        finally:
            # Without an answer it may have come about.
            for code in dict.fromkeys(codes.values()):
                self._history.commit(
                    self._group,
                    {each: offset for each, offset in positions.items() if codes[each] is code},
                    member=self._life(membership),
                    began=began,
                    ended=_now(),
                    error=None if code is ErrorCode.NONE else code.name,
                )
        for code in codes.values():
            self._check(code, "commit")

    def _life(self, membership: _Membership) -> str:
        """Each generation begins at the committed offsets, and is another member to the check."""
        return f"{self._client.name} of generation {membership.generation}"

    # Answers.

    def _check(self, error_code: int, what: str) -> None:
        """Raises _Again for everything but success."""
        code = ErrorCode(error_code)
        if code is ErrorCode.NONE:
            return
        if code in _LOST_MEMBERSHIP:
            self._member_id = ""
        if code not in _EXPECTED:
            self._problem(f"{what}: {code.name}")
        raise _Again

    def _problem(self, text: str) -> None:
        self._history.problems.append(f"{self._client.name} of group {self._group}: {text}")


def _now() -> float:
    return asyncio.get_running_loop().time()


def _encode(partitions: Sequence[TopicPartition]) -> bytes:
    return json.dumps(partitions).encode()


def _decode(assignment: bytes) -> list[TopicPartition]:
    return [TopicPartition(topic, index) for topic, index in json.loads(assignment or b"[]")]
