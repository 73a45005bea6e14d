"""Producers that never give up, with the answers they received, for simulated clusters."""

import asyncio
from random import Random

from chronik.records.build import BatchOptions, build_batch
from chronik.records.record import Record
from chronik.sim.cluster import SimCluster, SimNode
from chronik.sim.process import ProcessDied
from chronik.sim.virtual_time import WALL_START_MS
from chronik.vocab.errors import ErrorCode
from chronik.wire.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)

_TIMEOUT_MS = 1500
_RETRY_SECONDS = 0.03
# Between two records of one producer.
_PAUSE_SECONDS_MAX = 0.3

# Errors of a cluster in trouble, after which every client tries again.
RETRIABLE = frozenset(
    {
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.REQUEST_TIMED_OUT,
        ErrorCode.NOT_ENOUGH_REPLICAS,
        ErrorCode.KAFKA_STORAGE_ERROR,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    }
)


class Producer:
    """Sends 0, 1, 2, … to one partition, each until it is acknowledged.

    `is_idempotent`: each is then in the log once. Made by the test; its life is `run`.
    """

    def __init__(
        self, room: SimCluster, topic: str, index: int, producer_id: int, *, is_idempotent: bool = True
    ) -> None:
        self.room = room
        self.topic = topic
        self.index = index
        self.producer_id = producer_id
        self.is_idempotent = is_idempotent
        # Offsets of acknowledged records, by number.
        self.acked: dict[int, int] = {}
        self.sent = 0
        self.refusals: list[str] = []
        self.is_stopping = False
        # As clients do, it does not go back to a leader of an earlier epoch: one that is cut off may not know
        # that it leads no more (KIP-320).
        self.epoch = -1
        self._chance = Random(producer_id)

    def value(self, number: int) -> bytes:
        return f"{self.topic}-{self.index}-{number}-{self._filling(number)}".encode()

    def _filling(self, number: int) -> str:
        return "x" * (number * 37 % 200)

    async def run(self) -> None:
        """Runs until `is_stopping`, and the last record is acknowledged."""
        while not self.is_stopping:
            await self.send()
            await asyncio.sleep(self._chance.random() * _PAUSE_SECONDS_MAX)

    async def send(self) -> None:
        """Sends one more record, acknowledged when this returns."""
        number = self.sent
        self.sent += 1
        while not self.refusals:
            offset = await self._try(number)
            if offset is not None:
                self.acked[number] = offset
                return
            await asyncio.sleep(_RETRY_SECONDS)

    async def _try(self, number: int) -> int | None:
        """The offset it was acknowledged at."""
        found = leader_of(self.room, self.topic, self.index, self.epoch)
        if found is None:
            return None
        node, self.epoch = found
        try:
            code, offset = await produce(node, self.topic, self.index, self._batch(number))
        except ProcessDied:
            return None
        if code is ErrorCode.NONE:
            return offset
        if code not in RETRIABLE:
            self.refusals.append(f"{self.topic}-{self.index}: {number} was refused: {code.name}")
        return None

    def _batch(self, number: int) -> bytes:
        options = BatchOptions()
        if self.is_idempotent:
            options = BatchOptions(producer_id=self.producer_id, producer_epoch=0, base_sequence=number)
        record = Record(key=b"k", value=self.value(number), timestamp=WALL_START_MS)
        return bytes(build_batch([record], options).data)


def open_nodes(room: SimCluster) -> list[SimNode]:
    """Returns the serving nodes, in order."""
    return [node for _, node in sorted(room.nodes.items()) if node.is_open]


def leader_of(room: SimCluster, topic: str, index: int, epoch: int = -1) -> tuple[SimNode, int] | None:
    """Returns the leader named by the newest of the leaders' tables, and its epoch, if it runs and is not
    older than `epoch`.
    """
    known = []
    for node in open_nodes(room):
        image = node.broker.metadata.image.topics.get(topic)
        leader = None if image is None else node.broker.leadership.leader(image.topic_id, index)
        if leader is not None and leader.epoch >= epoch:
            known.append((leader.epoch, leader.node))
    if not known:
        return None
    newest, leading = max(known)
    found = room.nodes.get(leading)
    return (found, newest) if found is not None and found.is_open else None


async def produce(node: SimNode, topic: str, index: int, records: bytes) -> tuple[ErrorCode, int]:
    """Code and base offset of one acks=all request. Raises ProcessDied."""
    message = ProduceRequest(
        acks=-1,
        timeout_ms=_TIMEOUT_MS,
        topic_data=[
            TopicProduceData(name=topic, partition_data=[PartitionProduceData(index=index, records=records)])
        ],
    )
    response = await node.ask(message, 9, ProduceResponse)
    answer = response.responses[0].partition_responses[0]
    return ErrorCode(answer.error_code), answer.base_offset
