"""An administrator: topics come and go, configurations change, leaders are moved, records are deleted."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from chronik.sim.client import NoReply, SimClient
from chronik.sim.workload.history import History
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import Offset, TopicId, TopicPartition
from chronik.wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from chronik.wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopic,
)
from chronik.wire.messages.delete_topics import (
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from chronik.wire.messages.elect_leaders import ElectLeadersRequest, ElectLeadersResponse
from chronik.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from chronik.wire.schema import Message

R = TypeVar("R", bound=Message)

_SECONDS = 6.0
_TIMEOUT_MS = 5_000
_RETRY_SECONDS = 0.1
_PAUSE_SECONDS_MAX = 1.5
_TOPIC_RESOURCE = 2
_SET = 0
_PREFERRED = 0
_END = Offset(2**62)

_CREATED = frozenset({ErrorCode.NONE, ErrorCode.TOPIC_ALREADY_EXISTS})
_DELETED = frozenset({ErrorCode.NONE, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION})
# Errors of a cluster in trouble.
_IN_TROUBLE = frozenset(
    {
        ErrorCode.NOT_CONTROLLER,
        ErrorCode.REQUEST_TIMED_OUT,
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.INVALID_REPLICATION_FACTOR,
        ErrorCode.KAFKA_STORAGE_ERROR,
        ErrorCode.NOT_ENOUGH_REPLICAS,
    }
)

# Often: replicas that were away then find nothing to go on from.
_TRIMS = 3


class SimAdministrator:
    """Changes `topics` (whose clients expect to be served) and `trimmed` (whose records may be removed),
    and creates and deletes others.
    """

    def __init__(
        self, client: SimClient, history: History, topics: Sequence[str], trimmed: TopicPartition | None
    ) -> None:
        self._client = client
        self._history = history
        self._topics = topics
        self._trimmed = trimmed
        self._is_stopping = False
        self._next_number = 0
        # Topics it created, and has not requested to delete.
        self.standing: list[str] = []
        # Topics whose deletion was acknowledged. By id: a retried creation may come late, and create another
        # one of that name.
        self.deleted: list[TopicId] = []

    def stop(self) -> None:
        self._is_stopping = True

    async def create(self, name: str, partitions: int, replication_factor: int = 3, **configs: str) -> None:
        """Retries until it is acknowledged."""
        wanted = CreatableTopic(
            name=name,
            num_partitions=partitions,
            replication_factor=replication_factor,
            configs=[
                CreatableTopicConfig(name=key.replace("_", "."), value=value)
                for key, value in configs.items()
            ],
        )
        request = CreateTopicsRequest(topics=[wanted], timeout_ms=_TIMEOUT_MS)

        async def attempt() -> ErrorCode:
            answer = await self._ask(request, 5, CreateTopicsResponse)
            return ErrorCode(answer.topics[0].error_code)

        await self._until(_CREATED, f"create {name}", attempt)

    async def run(self) -> None:
        works: list[Callable[[], Awaitable[None]]] = [
            self._make_another,
            self._make_another,
            self._delete_one,
            self._configure,
            self._elect,
        ]
        if self._trimmed is not None:
            works += [self._trim] * _TRIMS
        while not self._is_stopping and not self._history.problems:
            await self._client.random.choice(works)()
            await asyncio.sleep(self._client.random.random() * _PAUSE_SECONDS_MAX)

    async def _make_another(self) -> None:
        self._next_number += 1
        name = f"other-{self._next_number}"
        await self.create(name, self._client.random.randint(1, 2))
        self.standing.append(name)

    async def _delete_one(self) -> None:
        if not self.standing:
            return
        name = self.standing.pop(self._client.random.randrange(len(self.standing)))
        self._history.doomed.add(name)
        request = DeleteTopicsRequest(topics=[DeleteTopicState(name=name)], timeout_ms=_TIMEOUT_MS)

        async def attempt() -> ErrorCode:
            answer = await self._ask(request, 6, DeleteTopicsResponse)
            (found,) = answer.responses
            if found.error_code == ErrorCode.NONE:
                self.deleted.append(TopicId(found.topic_id))
            return ErrorCode(found.error_code)

        await self._until(_DELETED, f"delete {name}", attempt)

    async def _configure(self) -> None:
        name = self._client.random.choice(self._topics)
        value = str(self._client.random.randrange(100_000_000, 900_000_000))
        change = AlterableConfig(name="retention.ms", config_operation=_SET, value=value)
        resource = AlterConfigsResource(resource_type=_TOPIC_RESOURCE, resource_name=name, configs=[change])
        request = IncrementalAlterConfigsRequest(resources=[resource])

        async def attempt() -> ErrorCode:
            answer = await self._ask(request, 1, IncrementalAlterConfigsResponse)
            return ErrorCode(answer.responses[0].error_code)

        await self._until(frozenset({ErrorCode.NONE}), f"configure {name}", attempt)

    async def _elect(self) -> None:
        request = ElectLeadersRequest(election_type=_PREFERRED, topic_partitions=None, timeout_ms=_TIMEOUT_MS)
        with suppress(NoReply):
            await self._ask(request, 2, ElectLeadersResponse)

    async def _trim(self) -> None:
        assert self._trimmed is not None
        self._history.deleted_below[self._trimmed] = _END
        partition = DeleteRecordsPartition(partition_index=self._trimmed.partition, offset=-1)
        topic = DeleteRecordsTopic(name=self._trimmed.topic, partitions=[partition])
        request = DeleteRecordsRequest(topics=[topic], timeout_ms=_TIMEOUT_MS)
        with suppress(NoReply):
            await self._ask(request, 2, DeleteRecordsResponse)

    async def _ask(self, request: Message, version: int, kind: type[R]) -> R:
        node = self._client.random.choice(self._client.nodes)
        return await self._client.ask(node, request, version, kind, _SECONDS)

    async def _until(
        self, wanted: frozenset[ErrorCode], what: str, attempt: Callable[[], Awaitable[ErrorCode]]
    ) -> None:
        while not self._history.problems:
            try:
                code = await attempt()
            except NoReply:
                code = ErrorCode.REQUEST_TIMED_OUT
            if code in wanted:
                return
            if code not in _IN_TROUBLE:
                self._history.problems.append(f"{what}: {code.name}")
            await asyncio.sleep(_RETRY_SECONDS)
