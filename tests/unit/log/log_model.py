"""A log as a list, and the checks that a PartitionLog is that list."""

from collections import deque
from dataclasses import dataclass, field

from chronik.log.epochs import EpochEnd
from chronik.log.partition_log import PartitionLog
from chronik.log.producer_state import BATCHES_KEPT
from chronik.log.txn_index import AbortedTxn
from chronik.records.batch import Batch
from chronik.records.control import parse_end_txn_marker
from chronik.records.record import decode_records
from tests.unit.log.drivers import read, read_all


@dataclass(slots=True)
class ModelProducer:
    epoch: int
    # (base sequence, last sequence, base offset)
    batches: deque[tuple[int, int, int]] = field(default_factory=lambda: deque(maxlen=BATCHES_KEPT))
    txn_first_offset: int | None = None


@dataclass(slots=True)
class LogModel:
    """What the log must hold. `batches` are stamped, in order; some may lie below the start."""

    batches: list[Batch] = field(default_factory=list)
    start_offset: int = 0
    # The start a crash may fall back to.
    durable_start_offset: int = 0
    synced_offset: int = 0
    # What was ever written at an offset and not truncated since: what recovery may find there.
    written: dict[int, set[bytes]] = field(default_factory=dict)

    @property
    def end_offset(self) -> int:
        return self.batches[-1].header.next_offset if self.batches else self.start_offset

    def append(self, batch: Batch) -> None:
        self.batches.append(batch)
        self.written.setdefault(batch.header.base_offset, set()).add(bytes(batch.data))

    def truncate(self, end_offset: int) -> None:
        self.batches = [batch for batch in self.batches if batch.header.next_offset <= end_offset]
        self.synced_offset = min(self.synced_offset, self.end_offset)
        self.written = {base: data for base, data in self.written.items() if base < self.end_offset}

    def readable(self) -> list[Batch]:
        return [batch for batch in self.batches if batch.header.last_offset >= self.start_offset]

    # Expectations.

    def producers(self) -> dict[int, ModelProducer]:
        producers: dict[int, ModelProducer] = {}
        for batch in self.batches:
            header = batch.header
            if header.producer_id < 0:
                continue
            producer = producers.setdefault(header.producer_id, ModelProducer(header.producer_epoch))
            if producer.epoch != header.producer_epoch:
                producer.epoch = header.producer_epoch
                producer.batches.clear()
            if header.is_control:
                producer.txn_first_offset = None
                continue
            producer.batches.append((header.base_sequence, header.last_sequence, header.base_offset))
            if header.is_transactional and producer.txn_first_offset is None:
                producer.txn_first_offset = header.base_offset
        return producers

    def aborted(self) -> list[AbortedTxn]:
        open_txns: dict[int, int] = {}
        aborted = []
        for batch in self.batches:
            header = batch.header
            marker = parse_end_txn_marker(batch)
            if marker is not None:
                first = open_txns.pop(header.producer_id, None)
                if first is not None and marker.is_abort:
                    last_stable = min(open_txns.values(), default=header.base_offset + 1)
                    aborted.append(AbortedTxn(header.producer_id, first, header.base_offset, last_stable))
            elif header.is_transactional:
                open_txns.setdefault(header.producer_id, header.base_offset)
        return aborted

    def epoch_end(self, epoch: int) -> EpochEnd:
        """By the definition of OffsetForLeaderEpoch, over the batches that are not durably gone."""
        batches = [batch for batch in self.batches if batch.header.last_offset >= self.durable_start_offset]
        epochs = [batch.header.leader_epoch for batch in batches]
        if not epochs or epoch > epochs[-1]:
            return EpochEnd(-1, -1)
        if epoch == epochs[-1]:
            return EpochEnd(epoch, self.end_offset)
        known = max((e for e in epochs if e <= epoch), default=epoch)
        above = next(batch for batch in batches if batch.header.leader_epoch > epoch)
        return EpochEnd(known, max(above.header.base_offset, self.durable_start_offset))

    def first_at_least(self, timestamp: int) -> tuple[int, int] | None:
        for batch in self.readable():
            for record in decode_records(batch):
                if record.timestamp >= timestamp and record.offset >= self.start_offset:
                    return record.timestamp, record.offset
        return None


def check_content(log: PartitionLog, model: LogModel) -> None:
    assert log.start_offset == model.start_offset
    assert log.end_offset == model.end_offset, (log.end_offset, model.end_offset)
    found = [bytes(batch.data) for batch in read_all(log)]
    assert found == [bytes(batch.data) for batch in model.readable()]


def check_lookups(log: PartitionLog, model: LogModel) -> None:
    """Offsets, timestamps and epochs, each against a linear scan."""
    for batch in model.readable():
        for offset in {max(batch.header.base_offset, model.start_offset), batch.header.last_offset}:
            found = read(log, offset, 1)
            assert found.base_offset == batch.header.base_offset
            assert found.size == batch.header.size
            assert log.epoch_at(offset) == batch.header.leader_epoch
    timestamps = {record.timestamp for batch in model.readable() for record in decode_records(batch)}
    for timestamp in sorted(timestamps | {0, max(timestamps, default=0) + 1}):
        assert log.offset_for_timestamp(timestamp) == model.first_at_least(timestamp), timestamp
    # What is known of an empty log's epochs depends on what it was read from.
    for epoch in range(-1, log.latest_epoch + 2) if model.readable() else ():
        assert log.end_offset_for_epoch(epoch) == model.epoch_end(epoch), epoch


def check_producers(log: PartitionLog, model: LogModel) -> None:
    assert {entry.producer_id for entry in log.producers} == set(model.producers())
    for producer_id, expected in model.producers().items():
        entry = log.producers.get(producer_id)
        assert entry is not None, producer_id
        assert entry.epoch == expected.epoch
        assert entry.txn_first_offset == expected.txn_first_offset
        kept = [(batch.base_sequence, batch.last_sequence, batch.base_offset) for batch in entry.batches]
        assert kept == list(expected.batches)
    opened = [p.txn_first_offset for p in model.producers().values() if p.txn_first_offset is not None]
    assert log.last_stable_offset(log.end_offset) == min(opened, default=log.end_offset)
    aborted = [txn for txn in model.aborted() if txn.last_offset >= model.start_offset]
    assert log.aborted_txns(model.start_offset, model.end_offset) == aborted


def check_written(log: PartitionLog, model: LogModel) -> None:
    """After a crash: all that was synced is there, and what else is there was written there once."""
    found = read_all(log)
    assert log.end_offset >= model.synced_offset
    assert model.durable_start_offset <= log.start_offset <= model.start_offset
    expected: int = log.start_offset
    synced = {
        b.header.base_offset: bytes(b.data)
        for b in model.batches
        if b.header.last_offset < model.synced_offset
    }
    for number, batch in enumerate(found):
        base_offset = batch.header.base_offset
        assert base_offset == expected or (
            number == 0 and base_offset <= expected <= batch.header.last_offset
        )
        expected = batch.header.next_offset
        if base_offset in synced:
            assert bytes(batch.data) == synced[base_offset], base_offset
        else:
            assert bytes(batch.data) in model.written.get(base_offset, ()), base_offset
    assert expected == log.end_offset


def adopt(log: PartitionLog, model: LogModel) -> None:
    """Make the model what a crash has left."""
    found = read_all(log)
    first = found[0].header.base_offset if found else log.end_offset
    model.batches = [batch for batch in model.batches if batch.header.next_offset <= first]
    model.written = {}
    for batch in found:
        model.append(Batch(batch.header, bytes(batch.data)))
    model.start_offset = model.durable_start_offset = log.start_offset
    model.synced_offset = log.end_offset


def check_all(log: PartitionLog, model: LogModel) -> None:
    check_content(log, model)
    check_lookups(log, model)
    check_producers(log, model)
