"""Two kinds of shards in one topic."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from chronik.broker.coordinator.combined import CombinedShard, Part
from chronik.broker.coordinator.host import CoordinatorSetting
from chronik.broker.coordinator.log import EndOfTransaction, ProducerStamp
from chronik.broker.coordinator.primitives import MalformedRecord
from chronik.broker.coordinator.runtime import CoordinatorRuntime
from chronik.broker.coordinator.shard import Command, MetadataChange, Now, Outcome, Ticket, UnknownRecordKind
from chronik.records.batch import BatchHeader
from chronik.sim.virtual_time import LoopClock, virtual, wait_until_idle
from chronik.vocab.ids import LeaderEpoch
from chronik.vocab.invariant import InvariantViolation

from .held_log import HeldLog, batch_of, marker_batch
from .test_runtime import EPOCH, P, change, start
from .toy import TOPIC, Add, Applied, Committed, Read, Remind, ToyShard, Wait, key_of

OTHER_KIND = 1


@dataclass(frozen=True, slots=True)
class AddOther(Command[int]):
    name: str


@dataclass(frozen=True, slots=True)
class ReadOther(Command[int]):
    name: str


class OtherShard(ToyShard):
    """Counters of another kind, which see those of the first."""

    def __init__(self, epoch: LeaderEpoch, first: ToyShard) -> None:
        super().__init__(epoch)
        self.first = first

    def replay(self, key: bytes, value: bytes | None, batch: BatchHeader) -> None:
        super().replay(key_of(key[2:].decode()), value, batch)

    def handle(self, command: Command[int], ticket: Ticket, now: Now) -> Outcome[int]:
        match command:
            case AddOther(name):
                outcome = super().handle(Add(name), ticket, now)
                outcome.records = [(key_of(name, OTHER_KIND), outcome.records[0][1])]
                outcome.follow_ups = ()
                return outcome
            case ReadOther(name):
                both = self.counters.get(name, 0) + self.first.counters.get(name, 0)
                return Outcome(answers=[(ticket, both)])
        return super().handle(command, ticket, now)


def combined(epoch: LeaderEpoch = EPOCH) -> tuple[CombinedShard, ToyShard, OtherShard]:
    first = ToyShard(epoch)
    other = OtherShard(epoch, first)
    own = {Add, Read, Remind, Wait, Committed}
    shard = CombinedShard(
        [
            Part(shard=first, record_kinds=(0,), commands=own),
            Part(shard=other, record_kinds=(OTHER_KIND,), commands=(AddOther, ReadOther)),
        ]
    )
    return shard, first, other


@virtual
async def test_two_kinds_share_a_log_and_its_order() -> None:
    log, made = HeldLog(), list[tuple[CombinedShard, ToyShard, OtherShard]]()

    def make(partition: int, epoch: LeaderEpoch) -> CombinedShard:
        made.append(combined(epoch))
        return made[-1][0]

    async def ensure_topic() -> int:
        return 1

    runtime = CoordinatorRuntime(
        CoordinatorSetting(
            topic=TOPIC, ensure_topic=ensure_topic, make=make, log=log, clock=LoopClock(), metadata=Applied()
        )
    )
    runtime.on_leader(0, EPOCH)
    await wait_until_idle()
    log.is_held = True
    asked = [start(runtime.run(0, command)) for command in _commands()]
    await wait_until_idle()
    assert not any(answer.done() for answer in asked)
    log.commit(1)
    await wait_until_idle()
    # What one kind has written, the other's answers wait for.
    assert [answer.done() for answer in asked] == [True, False, False]
    log.commit()
    assert await asyncio.gather(*asked) == [1, 1, 2]
    runtime.on_leader(0, LeaderEpoch(2))
    log.is_held = False
    assert await runtime.run(0, ReadOther("a")) == 2
    _, first, other = made[-1]
    assert (first.counters, other.counters) == ({"a": 1}, {"a": 1})
    await runtime.close()


def _commands() -> list[Command[int]]:
    return [Add("a"), AddOther("a"), ReadOther("a")]


def test_records_go_to_the_part_that_knows_their_kind() -> None:
    shard, first, other = combined()
    batch = batch_of([(key_of("a"), b"1")]).header
    shard.replay(key_of("a"), b"1", batch)
    shard.replay(key_of("b", OTHER_KIND), b"2", batch)
    assert (first.counters, other.counters) == ({"a": 1}, {"b": 2})
    with pytest.raises(UnknownRecordKind):
        shard.replay(key_of("a", kind=2), b"1", batch)
    with pytest.raises(MalformedRecord):
        shard.replay(b"\x00", b"1", batch)


def test_ends_of_transactions_and_turns_without_command_go_to_all() -> None:
    shard, first, other = combined()
    now = Now(0, 1_000)
    other.required = 7
    assert shard.metadata_required() == 7
    stamped = batch_of([(key_of("a"), b"5")], P).header
    shard.replay(key_of("a"), b"5", stamped)
    shard.replay(key_of("a", OTHER_KIND), b"6", stamped)
    end = EndOfTransaction(P, is_commit=True, coordinator_epoch=1)
    shard.replay_marker(end, marker_batch(end).header)
    assert (first.counters, other.counters) == ({"a": 5}, {"a": 6})
    shard.on_loaded(now)
    shard.handle(Remind("a", 200), Ticket(1), now)
    other.deadlines.set(("b",), 1_100)
    assert shard.next_deadline_ms == 1_100
    ticked = shard.tick(Now(0, 1_200))
    assert [value for _, value in ticked.records] == [b"6", b"1"]
    assert len(ticked.follow_ups) == 2
    assert shard.next_deadline_ms is None
    delta, image = change(deleted="b")
    shard.on_metadata(MetadataChange(image=image, delta=delta), now)
    assert first.told[-1] == other.told[-1] == "deleted b"


def test_who_waits_is_abandoned_where_it_asked() -> None:
    shard, first, other = combined()
    now = Now(0, 0)
    shard.handle(Wait("a"), Ticket(1), now)
    shard.abandon(Wait("a"), Ticket(1), now)
    assert (first.told, other.told) == (["abandoned"], [])


def test_two_parts_cannot_claim_the_same() -> None:
    parts: list[Part] = [Part(shard=ToyShard(EPOCH), record_kinds=(0,), commands=()) for _ in range(2)]
    with pytest.raises(InvariantViolation):
        CombinedShard(parts)


def test_only_a_command_writes_for_a_transaction() -> None:
    class Stamps(ToyShard):
        def tick(self, now: Now) -> Outcome[Any]:
            return Outcome(records=[(key_of("a"), b"1")], transaction=ProducerStamp(1, 0))

    shard = CombinedShard([Part(shard=Stamps(EPOCH), record_kinds=(0,), commands=())])
    with pytest.raises(InvariantViolation):
        shard.tick(Now(0, 0))
