"""Whatever the log does to commits in flight, no answer is ever taken back."""

import asyncio
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from chronik.broker.groups.commands import Commit, FetchOffsets, OffsetToCommit
from chronik.broker.groups.config import GroupConfig
from chronik.broker.groups.record_format import decode_offset_value
from chronik.broker.groups.service import GroupService
from chronik.sim.virtual_time import LoopClock, VirtualLoop, wait_until_idle
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import LeaderEpoch, TopicPartition

from .known_topics import KnownTopics
from .memory_log import MemoryLog

T0 = TopicPartition("t", 0)
NOTHING = -1

_steps = st.one_of(
    st.just("commit"),
    st.just("commit"),
    st.just("fetch"),
    st.just("log commits one"),
    st.just("log commits all"),
    st.sampled_from(["log fails", "log refuses", "moves", "waits"]),
)


class _Run:
    """Clients commit rising offsets to one partition."""

    def __init__(self) -> None:
        self.log = MemoryLog()
        self.log.is_held = True
        self.service = GroupService(
            log=self.log,
            ensure_topic=self._partitions,
            clock=LoopClock(),
            randomness=random.Random(1),
            config=GroupConfig(),
            topics=KnownTopics(),
        )
        self.epoch = 1
        self.service.runtime.on_leader(0, LeaderEpoch(1))
        self.offset = 0
        self.acknowledged = NOTHING
        self.clients: list[asyncio.Task[None]] = []

    async def _partitions(self) -> int:
        return 1

    def committed(self) -> list[int]:
        values = (value for _, value in self.log.committed[0] if value is not None)
        return [decode_offset_value(value).offset for value in values]

    async def step(self, step: str) -> None:
        if step == "commit":
            self.clients.append(asyncio.ensure_future(self.commit()))
        elif step == "fetch":
            self.clients.append(asyncio.ensure_future(self.fetch()))
        elif step == "log commits one":
            self.log.commit(min(1, self.log.in_flight))
        elif step == "log commits all":
            self.log.commit()
        elif step == "log fails":
            self.log.fail(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        elif step == "log refuses":
            self.log.refusal = KafkaError(ErrorCode.KAFKA_STORAGE_ERROR)
        elif step == "moves":
            # A leader change settles what is in flight, in one way or the other.
            self.log.commit(self.log.in_flight // 2)
            self.log.fail(ErrorCode.NOT_LEADER_OR_FOLLOWER)
            self.epoch += 1
            self.service.runtime.on_leader(0, LeaderEpoch(self.epoch))
        else:
            await asyncio.sleep(3)
        await wait_until_idle()

    async def commit(self) -> None:
        self.offset += 1
        offset = self.offset
        try:
            answer = await self.service.run(
                Commit("g", offsets=(OffsetToCommit(partition=T0, offset=offset),))
            )
        except KafkaError:
            return
        assert answer.errors == (ErrorCode.NONE,)
        assert offset in self.committed(), "acknowledged before it was committed"
        self.acknowledged = max(self.acknowledged, offset)

    async def fetch(self) -> None:
        known = self.acknowledged
        try:
            answer = await self.service.run(FetchOffsets("g", partitions=(T0,)))
        except KafkaError:
            return
        found = answer.offsets[T0].offset if answer.offsets else NOTHING
        assert found >= known, "an acknowledged commit was not seen"
        assert found in [NOTHING, *self.committed()], "a commit was seen that is not durable"

    async def end(self) -> None:
        self.log.commit()
        self.log.is_held = False
        self.log.refusal = None
        await wait_until_idle()
        await self.fetch()
        await self.service.close()
        for client in self.clients:
            await client


@settings(max_examples=150, deadline=None)
@given(st.lists(_steps, max_size=40))
def test_no_answer_is_ever_taken_back(steps: list[str]) -> None:
    async def run() -> None:
        stage = _Run()
        for step in steps:
            await stage.step(step)
        await stage.end()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())
