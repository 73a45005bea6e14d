"""Every node that answers as a leader knows the records acknowledged some time ago.

Reads are answered from the leader's committed records without asking the others, as in Kafka. A leader that
is cut off notices within election timeouts, and answers no more; until then its answers may be old, but never
older than that.
"""

import asyncio

from chronik.history.events import Look
from chronik.sim.client import NoReply, SimClient
from chronik.sim.workload.history import History
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import NodeId, TopicPartition
from chronik.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)

# Two election timeouts, and the delay of a slow network.
STALE_SECONDS_MAX = 3.0

_LATEST = -1
_SECONDS = 1.0
_PAUSE_SECONDS_MAX = 0.05


class SimAuditor:
    """Requests the end of every partition from every node, whether it is known to lead or not."""

    def __init__(self, client: SimClient, history: History, topics: dict[str, int]) -> None:
        self._client = client
        self._history = history
        self._partitions = [TopicPartition(topic, index) for topic, n in topics.items() for index in range(n)]
        self._is_stopping = False
        self.answers = 0

    def stop(self) -> None:
        self._is_stopping = True

    async def run(self) -> None:
        while not self._is_stopping and not self._history.problems:
            await asyncio.sleep(self._client.random.random() * _PAUSE_SECONDS_MAX)
            partition = self._client.random.choice(self._partitions)
            await self._audit(self._client.random.choice(self._client.nodes), partition)

    async def _audit(self, node: NodeId, partition: TopicPartition) -> None:
        began = asyncio.get_running_loop().time()
        asked = ListOffsetsPartition(partition_index=partition.partition, timestamp=_LATEST)
        request = ListOffsetsRequest(
            replica_id=-1, topics=[ListOffsetsTopic(name=partition.topic, partitions=[asked])]
        )
        try:
            answer = await self._client.ask(node, request, 5, ListOffsetsResponse, _SECONDS)
        except NoReply:
            return
        found = answer.topics[0].partitions[0]
        if found.error_code != ErrorCode.NONE or self._client.was_paused(node, began - STALE_SECONDS_MAX):
            # A process that was stopped does not know for how long.
            return
        self.answers += 1
        ended = asyncio.get_running_loop().time()
        self._history.told.append(Look(began=began, ended=ended, ends={str(partition): found.offset}))
