"""Replaying the log gives the state that living through it gave, whatever the log and the leadership do."""

import asyncio

from hypothesis import example, given, settings
from hypothesis import strategies as st

from chronik.broker.coordinator.log import LoggedBatch, ProducerStamp
from chronik.broker.coordinator.shard import Command
from chronik.sim.virtual_time import VirtualLoop, wait_until_idle
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import LeaderEpoch

from .held_log import HeldLog
from .test_runtime import change
from .toy import Add, AddInTransaction, Ask, End, Peek, Read, Remind, Toys, ToyShard, key_of

NAMES = ("a", "b")

names = st.sampled_from(NAMES)
producers = st.builds(ProducerStamp, st.integers(7, 8), st.just(0))
commands = st.one_of(
    st.builds(Add, names, st.integers(1, 9)),
    st.builds(Ask, names),
    st.builds(Read, names),
    st.builds(Peek, names),
    st.builds(Remind, names, st.integers(1, 3_000)),
    st.builds(AddInTransaction, names, producers, st.integers(1, 9)),
    st.builds(End, producers, st.booleans()),
)
steps = st.one_of(
    st.tuples(st.just("command"), commands),
    st.tuples(st.just("commands"), st.lists(commands, min_size=2, max_size=5)),
    st.tuples(st.just("topic deleted"), names),
    st.tuples(st.sampled_from(["log commits", "leads again"]), st.integers(0, 4)),
    st.tuples(st.just("log refuses"), commands),
    st.tuples(st.sampled_from(["log fails", "follows"]), st.none()),
    st.tuples(st.just("time passes"), st.integers(1, 6_000)),
)


class _Run:
    """One partition; its log is held, and commits when a step says so."""

    def __init__(self) -> None:
        self.log = HeldLog()
        self.log.is_held = True
        self.toys = Toys(self.log)
        self.epoch = 1
        self.leads = True
        self.toys.runtime.on_leader(0, LeaderEpoch(1))
        self.clients: list[asyncio.Task[None]] = []

    async def step(self, step: str, given: object) -> None:
        match step, given:
            case "command", Command() as command:
                self.ask(command)
            case "commands", list() as several:
                for command in several:
                    self.ask(command)
            case "topic deleted", str() as name:
                self.toys.runtime.on_metadata(*change(deleted=name))
            case "log commits", int() as count:
                self.log.commit(count)
            case "log fails", _:
                self.log.fail()
            case "log refuses", Command() as command:
                self.log.refusal = KafkaError(ErrorCode.KAFKA_STORAGE_ERROR)
                self.ask(command)
            case "follows", _:
                self.toys.runtime.on_follower(0)
                self.leads = False
            case "leads again", int() as kept:
                self.lead_again(kept)
            case _, int() as ms:
                await asyncio.sleep(ms / 1000)
        await wait_until_idle()
        self.check()

    def lead_again(self, kept: int) -> None:
        """Before a leader reads it is decided what becomes of earlier leaders' appends."""
        self.log.commit(kept)
        self.log.fail()
        self.epoch += 1
        self.leads = True
        self.toys.runtime.on_leader(0, LeaderEpoch(self.epoch))

    def ask(self, command: Command[int]) -> None:
        if self.leads:
            self.clients.append(asyncio.ensure_future(self._ask(command)))

    async def _ask(self, command: Command[int]) -> None:
        before = len(self.log.committed[0])
        try:
            answer = await self.toys.runtime.run(0, command)
        except KafkaError:
            return
        match command:
            case Add(name) | Ask(name):
                assert answer in values(self.log.committed[0][before:], name), "answered before the commit"
            case Read(name) | Peek(name):
                assert answer in states(self.log.committed[0], name), "told what was not committed"

    def check(self) -> None:
        """A shard with nothing on its way is what its log adds up to."""
        live = self.toys.runtime.shard(0)
        if live is not None and not self.log.in_flight:
            assert live.durable == replayed(self.log.committed[0]).durable

    async def end(self) -> None:
        self.log.refusal = None
        self.log.is_held = False
        if not self.leads:
            self.lead_again(9)
        self.log.commit()
        # A load that was put off is tried again meanwhile.
        await asyncio.sleep(10)
        self.check()
        assert self.toys.runtime.shard(0) is not None
        asked = [effect for _, effect in self.toys.effects]
        for name in NAMES:
            assert asked.count(f"asked {name}") <= len(values(self.log.committed[0], name))
        await self.toys.runtime.close()
        await asyncio.gather(*self.clients)


def replayed(batches: list[LoggedBatch]) -> ToyShard:
    shard = ToyShard(LeaderEpoch(0))
    for batch in batches:
        if batch.marker is not None:
            shard.replay_marker(batch.marker, batch.header)
        for key, value in batch.records:
            shard.replay(key, value, batch.header)
    return shard


def values(batches: list[LoggedBatch], name: str) -> list[int]:
    """What was written of a counter outside of transactions."""
    records = (record for batch in batches if not batch.header.is_transactional for record in batch.records)
    return [int(value) for key, value in records if key == key_of(name) and value is not None]


def states(batches: list[LoggedBatch], name: str) -> set[int]:
    """Every value that a counter has had in the log."""
    shard, seen = ToyShard(LeaderEpoch(0)), {0}
    for batch in batches:
        if batch.marker is not None:
            shard.replay_marker(batch.marker, batch.header)
        for key, value in batch.records:
            shard.replay(key, value, batch.header)
        seen.add(shard.counters.get(name, 0))
    return seen


@settings(max_examples=100, deadline=None)
@given(st.lists(steps, max_size=40))
# What is in flight when the shard is loaded again may still be committed.
@example([("command", Add("a")), ("log refuses", Add("a"))])
def test_a_replay_comes_to_what_was_lived_through(schedule: list[tuple[str, object]]) -> None:
    async def run() -> None:
        stage = _Run()
        for step, given_ in schedule:
            await stage.step(step, given_)
        await stage.end()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())
