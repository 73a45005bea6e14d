"""Loading toy shards: replay in slices, what cannot be read, and unloading meanwhile."""

import asyncio
import logging

import pytest

from chronik.broker.coordinator.host import CoordinatorState
from chronik.broker.coordinator.loading import replay
from chronik.broker.coordinator.log import EndOfTransaction, ProducerStamp
from chronik.broker.coordinator.registry import Coordinators
from chronik.broker.coordinator.shard import UnknownRecordKind
from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import LeaderEpoch, Offset, TopicPartition
from chronik.vocab.invariant import InvariantViolation, invariant

from .held_log import HeldLog, batch_of, marker_batch
from .test_runtime import EPOCH, P, change, code, leading, start
from .toy import TOPIC, Add, AddInTransaction, End, Read, Toys, ToyShard, key_of

NAME = TopicPartition(TOPIC, 0)


@virtual
async def test_a_shard_is_loaded_by_replay() -> None:
    log = HeldLog()
    before = await leading(log)
    for name in ("a", "b", "a"):
        await before.runtime.run(0, Add(name))
    before.runtime.on_metadata(*change(deleted="b"))
    await before.runtime.run(0, AddInTransaction("a", P, 5))
    await before.runtime.run(0, AddInTransaction("a", ProducerStamp(8, 0), 7))
    await before.runtime.run(0, AddInTransaction("c", ProducerStamp(9, 0)))
    await before.runtime.run(0, End(ProducerStamp(8, 0)))
    await before.runtime.run(0, End(ProducerStamp(9, 0), is_commit=False))
    after = await leading(log)
    assert after.made[0].durable == before.made[0].durable == ({"a": 9}, {7: (2, {"a": 5})})
    # A transaction that was open is ended by the next leader.
    assert await after.runtime.run(0, End(P)) == 1
    assert await after.runtime.run(0, Read("a")) == 14
    await before.runtime.close()
    await after.runtime.close()


@pytest.mark.parametrize("records_in_batch", [1, 10_000])
def test_a_load_lets_others_run_every_few_records(records_in_batch: int) -> None:
    """Whether they are many batches or one large one."""
    records = 10_000

    @virtual
    async def run() -> None:
        log = HeldLog()
        for _ in range(records // records_in_batch):
            log.committed[0].append(batch_of([(key_of("a"), b"1")] * records_in_batch))
        replayed: list[int] = []
        shard = ToyShard(EPOCH)
        original = shard.replay
        shard.replay = lambda *record: (original(*record), replayed.append(1))  # type: ignore
        most = turns = 0

        async def others() -> None:
            nonlocal most, turns
            while True:
                before = len(replayed)
                await asyncio.sleep(0)
                most, turns = max(most, len(replayed) - before), turns + 1

        watching = start(others())
        assert await replay(log, NAME, shard) == records
        watching.cancel()
        assert most <= 256
        assert turns >= records // 256 - 1

    run()


@virtual
async def test_clients_wait_a_little_for_a_load() -> None:
    log = HeldLog()
    log.read_gate.clear()
    toys = await leading(log)
    patient = start(toys.runtime.run(0, Add("a")))
    await asyncio.sleep(1.9)
    assert not patient.done()
    assert toys.runtime.states()[CoordinatorState.LOADING] == 1
    await asyncio.sleep(0.2)
    assert await code(patient) is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    late = start(toys.runtime.run(0, Add("a")))
    log.read_gate.set()
    assert await late == 1
    assert toys.runtime.states()[CoordinatorState.ACTIVE] == 1
    await toys.runtime.close()


@pytest.mark.parametrize("is_closed", [False, True])
def test_a_load_ends_when_the_leadership_does(is_closed: bool) -> None:
    @virtual
    async def run() -> None:
        log = HeldLog()
        log.read_gate.clear()
        toys = await leading(log)
        waiting = start(toys.runtime.run(0, Add("a")))
        await wait_until_idle()
        if is_closed:
            await toys.runtime.close()
        else:
            toys.runtime.on_follower(0)
        assert await code(waiting) is ErrorCode.NOT_COORDINATOR
        await wait_until_idle()
        # Its reader is closed, and nothing is loaded when the log could be read again.
        assert log.open_reads == 0
        log.read_gate.set()
        await wait_until_idle()
        assert toys.made[0].told == []
        assert toys.runtime.shards() == []
        await toys.runtime.close()

    run()


@virtual
async def test_a_load_that_the_next_epoch_overtakes_is_given_up() -> None:
    log = HeldLog()
    log.read_gate.clear()
    toys = await leading(log)
    toys.runtime.on_leader(0, LeaderEpoch(2))
    log.read_gate.set()
    assert await toys.runtime.run(0, Add("a")) == 1
    assert [shard.told for shard in toys.made] == [[], ["all: nothing", "loaded"]]
    await toys.runtime.close()


@pytest.mark.parametrize("failure", [KafkaError(ErrorCode.KAFKA_STORAGE_ERROR), OSError("bad sector")])
def test_a_log_that_cannot_be_read_is_tried_again(failure: KafkaError | OSError) -> None:
    @virtual
    async def run() -> None:
        log = HeldLog()
        log.read_failure = failure
        toys = await leading(log)
        for _ in range(2):
            assert await code(toys.runtime.run(0, Add("a"))) is ErrorCode.NOT_COORDINATOR
        assert toys.runtime.states()[CoordinatorState.FAILED] == 1
        await asyncio.sleep(5)
        assert await toys.runtime.run(0, Add("a")) == 1
        assert toys.runtime.states()[CoordinatorState.FAILED] == 0
        await toys.runtime.close()

    run()


@virtual
async def test_what_a_load_has_to_write_is_not_tried_without_end() -> None:
    """On a full disk it fails at once, and would again."""
    log = HeldLog()
    toys = Toys(log, writes_on_load=True)
    log.refusals = 1_000
    toys.runtime.on_leader(0, EPOCH)
    for _ in range(10):
        assert await code(toys.runtime.run(0, Read("a"))) is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    # Twenty seconds, every five.
    assert 3 <= log.reads <= 6
    log.refusals = 0
    await asyncio.sleep(6)
    assert await toys.runtime.run(0, Read("loads")) == 1
    await toys.runtime.close()


@virtual
async def test_a_load_waits_for_the_metadata_that_the_shard_asks_for() -> None:
    toys = Toys(HeldLog(), required=11)
    toys.runtime.on_leader(0, EPOCH)
    assert await code(toys.runtime.run(0, Read("a"))) is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    toys.applied.metadata_offset = Offset(11)
    await asyncio.sleep(5)
    assert await toys.runtime.run(0, Read("a")) == 0
    await toys.runtime.close()


@virtual
async def test_a_record_that_cannot_be_decoded_is_skipped_and_said(caplog: pytest.LogCaptureFixture) -> None:
    log = HeldLog()
    log.committed[0] = [
        batch_of([(key_of("a"), b"1"), (key_of("a"), b"garbage"), (b"\x00", b""), (key_of("b"), b"2")])
    ]
    with caplog.at_level(logging.ERROR):
        toys = await leading(log)
    assert toys.made[0].counters == {"a": 1, "b": 2}
    assert [record.message.split(":")[0] for record in caplog.records] == ["coordinator record skipped"] * 2
    assert caplog.records[0].__dict__["key"] == key_of("a").hex()
    await toys.runtime.close()


@virtual
async def test_a_record_of_a_later_release_stops_the_load_for_good(caplog: pytest.LogCaptureFixture) -> None:
    log = HeldLog()
    toys = await leading(log)
    await toys.runtime.run(0, Add("a"))
    log.committed[0].append(batch_of([(key_of("a", kind=3), b"1")]))
    with caplog.at_level(logging.ERROR):
        toys.runtime.on_leader(0, LeaderEpoch(2))
        assert await code(toys.runtime.run(0, Read("a"))) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    (said,) = caplog.records
    assert said.message == (
        "coordinator stopped loading: a later release wrote records this one does not know "
        "(kind 3 in the batch at offset 0); its clients get COORDINATOR_NOT_AVAILABLE"
    )
    assert (said.__dict__["topic"], said.__dict__["partition"]) == (TOPIC, 0)
    # Nothing is forgotten: nothing is written any more, and nothing read without the record.
    await asyncio.sleep(60)
    assert await code(toys.runtime.run(0, Add("a"))) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert log.reads == 2
    assert len(log.committed[0]) == 2
    assert toys.runtime.states() == {CoordinatorState.FAILED: 1}
    assert Coordinators([toys.runtime]).failed() == [(TOPIC, 0)]
    # Each epoch tries again: this node may be of a later release by then.
    toys.runtime.on_follower(0)
    assert Coordinators([toys.runtime]).failed() == []
    log.committed[0].pop()
    toys.runtime.on_leader(0, LeaderEpoch(3))
    assert await toys.runtime.run(0, Read("a")) == 1
    await toys.runtime.close()


@virtual
async def test_clients_that_wait_for_a_load_hear_when_it_stops() -> None:
    log = HeldLog()
    log.read_gate.clear()
    log.committed[0].append(batch_of([(key_of("a", kind=3), b"1")]))
    toys = await leading(log)
    waiting = start(toys.runtime.run(0, Read("a")))
    await wait_until_idle()
    log.read_gate.set()
    await wait_until_idle()
    assert waiting.done()
    assert await code(waiting) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    await toys.runtime.close()


@virtual
async def test_a_marker_of_a_later_release_stops_the_load_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: object) -> None:
        raise UnknownRecordKind("markers")

    monkeypatch.setattr(ToyShard, "replay_marker", refuse)
    log = HeldLog()
    log.committed[0].append(marker_batch(EndOfTransaction(P, is_commit=True, coordinator_epoch=1)))
    toys = await leading(log)
    assert toys.runtime.states() == {CoordinatorState.FAILED: 1}
    await toys.runtime.close()


@virtual
async def test_a_defect_in_a_load_is_reported_and_stops_it() -> None:
    reported: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: reported.append(context["exception"]))
    toys = Toys(HeldLog(), defect=lambda: invariant(False, "a defect"))
    toys.runtime.on_leader(0, EPOCH)
    assert await code(toys.runtime.run(0, Read("a"))) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert [type(error) for error in reported] == [InvariantViolation]
    await toys.runtime.close()
