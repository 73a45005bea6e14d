"""PartitionLog against a list, on a disk that loses power between any two operations."""

import asyncio
import errno
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chronik.log.config import LogConfig
from chronik.log.partition_log import PartitionLog
from chronik.log.vouched import VouchedLog
from chronik.records.batch import Batch, parse_header, stamp
from chronik.records.build import BatchOptions, build_batch, build_end_txn_marker
from chronik.records.control import ControlType
from chronik.records.record import Record
from chronik.sim.disk import CrashDisk, PowerLost
from chronik.vocab.ids import LeaderEpoch
from tests.support.manual_clock import ManualClock
from tests.unit.log.drivers import close_cleanly, open_log, sync
from tests.unit.log.log_model import LogModel, adopt, check_all, check_content, check_written

pytestmark = pytest.mark.long

# A few batches to a segment, a few index entries too; retention by size for the cleanup operation.
CONFIG = LogConfig(segment_bytes=700, index_interval_bytes=120, retention_ms=-1, retention_bytes=-1)

ENOSPC = OSError(errno.ENOSPC, "no space left on device")


@dataclass(slots=True)
class World:
    """A log, its model, and those who use it."""

    random: Random
    disk: CrashDisk = field(default_factory=CrashDisk)
    # Near the records' timestamps, so that no producer expires.
    clock: ManualClock = field(default_factory=lambda: ManualClock(2000))
    model: LogModel = field(default_factory=LogModel)
    epoch: int = 1
    # Where a reset that lost power was to go.
    resetting: int | None = None
    # The note of the last clean stop; only a log that no leader truncates since has one after a crash.
    vouched: VouchedLog | None = None
    log: PartitionLog = field(init=False)

    def __post_init__(self) -> None:
        self.log = open_log(self.disk, self.clock, CONFIG)

    # What happens to it. Each is atomic for the model unless power is lost.

    def append(self) -> None:
        batches = [
            self._data_batch(with_producer=number == 0) for number in range(self.random.choice([1, 1, 1, 3]))
        ]
        self._append(batches)

    def append_marker(self) -> None:
        opened = sorted(
            producer_id
            for producer_id, producer in self.model.producers().items()
            if producer.txn_first_offset is not None
        )
        if not opened:
            return
        producer_id = self.random.choice(opened)
        marker = build_end_txn_marker(
            self.random.choice([ControlType.ABORT, ControlType.COMMIT]),
            producer_id=producer_id,
            producer_epoch=self.model.producers()[producer_id].epoch,
            coordinator_epoch=1,
            timestamp=self._timestamp(),
        )
        self._append([marker])

    def append_without_space(self) -> None:
        before = self.log.end_offset
        self.disk.fail("write", ".log", ENOSPC)
        with pytest.raises(OSError, match="no space"):
            self.log.append([self._data_batch(with_producer=True)], LeaderEpoch(self.epoch))
        self.disk.heal()
        assert self.log.end_offset == before
        assert not self.log.is_failed

    def new_epoch(self) -> None:
        self.epoch += self.random.choice([1, 1, 3])

    def sync(self) -> None:
        end_offset = self.log.end_offset
        sync(self.log, self.disk)
        self.model.synced_offset = end_offset

    def roll(self) -> None:
        self.log.roll()

    def truncate(self) -> None:
        end_offset = self.random.randint(self.model.start_offset, self.model.end_offset)
        floor = self._kept_by_truncation(end_offset)
        if floor < self.model.start_offset:
            # The start is committed, and nobody cuts into the batch that holds it.
            return
        # From here on, until it returns, either is allowed.
        self.model.synced_offset = min(self.model.synced_offset, floor)
        self.vouched = None
        self.log.truncate(end_offset)
        self.model.truncate(floor)

    def reset(self) -> None:
        """As a follower whose leader has no longer what it needs; after a crash it does it again."""
        offset = self.random.randint(self.log.first_offset, self.model.end_offset + 50)
        self.resetting = offset
        self.vouched = None
        self.log.reset(offset)
        self._on_reset(offset)

    def advance_start(self) -> None:
        offset = self.random.randint(self.model.start_offset, self.model.synced_offset)
        self.log.advance_start(offset)
        self.model.start_offset = offset
        self._tidy()

    def retain(self) -> None:
        self.log.config = LogConfig(
            segment_bytes=CONFIG.segment_bytes,
            index_interval_bytes=CONFIG.index_interval_bytes,
            retention_ms=-1,
            retention_bytes=self.random.randint(0, 3000),
        )
        removed = self.log.apply_retention(self.clock.now_ms(), self.model.synced_offset)
        assert all(base < self.log.start_offset for base in removed)
        assert self.log.start_offset <= self.model.synced_offset
        self.model.start_offset = self.log.start_offset
        self._tidy()

    def restart(self) -> None:
        asyncio.run(self.log.tidy())
        close_cleanly(self.log, self.disk)
        self.model.durable_start_offset = self.model.start_offset
        self.model.synced_offset = self.model.end_offset
        self.vouched = self.log.vouch()
        self.log = open_log(self.disk, self.clock, CONFIG, was_clean=True, vouched=self.vouched)
        assert not self.log.recovery.was_scanned
        check_content(self.log, self.model)

    def kill(self) -> None:
        self.disk.kill()
        self.log = open_log(self.disk, self.clock, CONFIG, vouched=self.vouched)
        check_written(self.log, self.model)
        assert self.log.end_offset == self.model.end_offset
        adopt(self.log, self.model)

    def crash(self) -> None:
        # Power may be lost in the middle of the recovery, too.
        self.disk.crash(self.random)
        if self.random.random() < 0.3:
            self.disk.lose_power_at(self.random.randrange(0, 12))
        try:
            self.log = open_log(self.disk, self.clock, CONFIG, vouched=self.vouched)
            if self.resetting is not None:
                self.log.reset(self.resetting)
        except PowerLost:
            self.crash()
            return
        self.disk.lose_power_at(None)
        if self.resetting is not None:
            self._on_reset(self.resetting)
        check_written(self.log, self.model)
        adopt(self.log, self.model)
        self.epoch = max(self.epoch, self.log.latest_epoch)

    def _on_reset(self, offset: int) -> None:
        self.model = LogModel(start_offset=offset, durable_start_offset=offset, synced_offset=offset)
        self.resetting = None
        # Its leader's log may be older than what this one had.
        self.epoch = self.random.randint(max(1, self.epoch - 2), self.epoch)

    def _append(self, batches: list[Batch]) -> None:
        stamped = []
        offset = self.model.end_offset
        for batch in batches:
            data = bytearray(batch.data)
            stamp(data, offset, self.epoch)
            stamped.append(Batch(parse_header(data), bytes(data)))
            offset = stamped[-1].header.next_offset
            # Before the append: power may be lost in the middle of it.
            self.model.written.setdefault(stamped[-1].header.base_offset, set()).add(bytes(data))
        for batch in batches:
            assert batch.header.is_control or self.log.producers.check(batch.header) is None
        if self.random.random() < 0.2:
            result = self.log.append_stamped([batch.data for batch in stamped])
        else:
            result = self.log.append(batches, LeaderEpoch(self.epoch))
        assert result.base_offset == stamped[0].header.base_offset
        assert result.end_offset == offset == self.log.end_offset
        for batch in stamped:
            self.model.append(batch)
            if batch.header.producer_id >= 0 and not batch.header.is_control:
                again = self.log.producers.check(batch.header)
                assert again is not None
                assert again.base_offset == batch.header.base_offset

    def _data_batch(self, *, with_producer: bool) -> Batch:
        count = self.random.choice([1, 1, 2, 5])
        records = [
            Record(b"k", self.random.randbytes(self.random.choice([0, 10, 60])), self._timestamp())
            for _ in range(count)
        ]
        return build_batch(records, self._producer_options() if with_producer else BatchOptions())

    def _producer_options(self) -> BatchOptions:
        producer_id = self.random.randrange(-1, 3)
        if producer_id < 0:
            return BatchOptions()
        known = self.log.producers.get(producer_id)
        epoch, sequence, in_txn = 0, 0, False
        if known is not None:
            in_txn = known.txn_first_offset is not None
            epoch = known.epoch + (not in_txn and self.random.random() < 0.1)
            sequence = (known.last_sequence + 1) % 2**31 if epoch == known.epoch else 0
        return BatchOptions(
            producer_id=producer_id,
            producer_epoch=epoch,
            base_sequence=sequence,
            is_transactional=in_txn or self.random.random() < 0.3,
        )

    def _timestamp(self) -> int:
        return 1000 + self.model.end_offset * 2 + self.random.randrange(-6, 7)

    def _kept_by_truncation(self, end_offset: int) -> int:
        for batch in self.model.batches:
            if batch.header.last_offset >= end_offset:
                return max(batch.header.base_offset, 0)
        return end_offset

    def _tidy(self) -> None:
        if self.random.random() < 0.8:
            asyncio.run(self.log.tidy())
            self.model.durable_start_offset = self.model.start_offset


# By how often they come.
OPERATIONS = (
    (World.append, 30),
    (World.append_marker, 6),
    (World.append_without_space, 2),
    (World.new_epoch, 2),
    (World.sync, 8),
    (World.roll, 2),
    (World.truncate, 3),
    (World.reset, 2),
    (World.advance_start, 2),
    (World.retain, 2),
    (World.restart, 2),
    (World.kill, 2),
    (World.crash, 2),
)
_CHOICES = [operation for operation, weight in OPERATIONS for _ in range(weight)]


@settings(
    max_examples=400,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    st.integers(0, 2**32),
    st.lists(
        st.tuples(st.integers(0, len(_CHOICES) - 1), st.none() | st.integers(0, 12)), min_size=20, max_size=60
    ),
)
def test_the_log_is_a_list_that_survives_power_loss(seed: int, script: list[tuple[int, int | None]]) -> None:
    world = World(Random(seed))
    for choice, power_lost_at in script:
        # Rarely: a crash at every tenth operation leaves time for something to be lost.
        if power_lost_at is not None and world.random.random() < 0.2:
            world.disk.lose_power_at(power_lost_at)
        try:
            _CHOICES[choice](world)
        except PowerLost:
            world.crash()
        world.disk.lose_power_at(None)
        check_content(world.log, world.model)
    check_all(world.log, world.model)
    world.crash()
    check_all(world.log, world.model)
