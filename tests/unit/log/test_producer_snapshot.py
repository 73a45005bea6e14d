"""Producer snapshots: Kafka's bytes, and which of them exist."""

import struct

import pytest
from crc32c import crc32c

from chronik.log.handle_cache import HandleCache
from chronik.log.log_directory import LogDirectory
from chronik.log.producer_snapshot import format_snapshot, parse_snapshot
from chronik.log.producer_state import AppendedBatch, ProducerEntry, ProducerState
from chronik.log.snapshots import Snapshots
from chronik.sim.disk import CrashDisk

IN_TXN = ProducerEntry(
    1,
    epoch=2,
    coordinator_epoch=3,
    last_timestamp=1_700_000_000_000,
    txn_first_offset=90,
    batches=[AppendedBatch(9, 95, 4, 1_699_999_999_000), AppendedBatch(14, 100, 4, 1_700_000_000_000)],
)
WITHOUT_BATCH = ProducerEntry(2, epoch=7, coordinator_epoch=1, last_timestamp=55)
STATE = ProducerState([IN_TXN, WITHOUT_BATCH])


def fields_of(state: ProducerState) -> list[tuple[object, ...]]:
    return [
        (e.producer_id, e.epoch, e.coordinator_epoch, e.last_timestamp, e.txn_first_offset, list(e.batches))
        for e in state
    ]


class TestFormat:
    def test_kafkas_reader_sees_its_own_schema(self) -> None:
        # As Kafka reads it: fields in order, a CRC over all after it, and nothing asked of what follows the
        # array.
        content = format_snapshot(STATE)
        version, crc, count = struct.unpack_from(">hIi", content)
        assert version == 1
        assert crc == crc32c(content[6:])
        assert count == 2
        entries = [struct.unpack_from(">qhiqiqiq", content, 10 + number * 46) for number in range(count)]
        assert entries == [
            (1, 2, 14, 100, 4, 1_700_000_000_000, 3, 90),
            (2, 7, -1, -1, 0, 55, 1, -1),
        ]

    def test_comes_back_with_all_batches(self) -> None:
        parsed = parse_snapshot(format_snapshot(STATE))
        assert parsed is not None
        assert fields_of(parsed) == fields_of(STATE)
        assert parsed.first_unstable_offset(200) == 90

    def test_kafkas_own_without_older_batches(self) -> None:
        content = format_snapshot(ProducerState([WITHOUT_BATCH]))
        parsed = parse_snapshot(content)
        assert parsed is not None
        assert fields_of(parsed) == fields_of(ProducerState([WITHOUT_BATCH]))

    def test_every_cut_and_every_flipped_byte_is_noticed(self) -> None:
        content = format_snapshot(STATE)
        for cut in range(len(content)):
            assert parse_snapshot(content[:cut]) is None
        for position in range(len(content)):
            damaged = bytearray(content)
            damaged[position] ^= 1
            assert parse_snapshot(bytes(damaged)) is None

    @pytest.mark.parametrize(
        "body", [struct.pack(">i", 1), struct.pack(">i", -1), struct.pack(">i", 0) + b"xyz"]
    )
    def test_a_valid_crc_over_nonsense(self, body: bytes) -> None:
        assert parse_snapshot(struct.pack(">hI", 1, crc32c(body)) + body) is None


class TestSnapshots:
    def make(self, disk: CrashDisk, *names: str) -> Snapshots:
        disk.make_directory("topic-0")
        return Snapshots(LogDirectory(disk, HandleCache(), "topic-0"), list(names))

    def test_none_without_producers(self) -> None:
        disk = CrashDisk()
        assert self.make(disk).write(10, ProducerState()) is None
        assert disk.list("topic-0") == []

    def test_after_the_first_even_an_empty_one(self) -> None:
        disk = CrashDisk()
        snapshots = self.make(disk)
        assert snapshots.write(10, STATE) is not None
        assert snapshots.write(10, STATE) is None, "written already"
        assert snapshots.write(20, ProducerState()) is not None
        loaded = snapshots.load(100)
        assert loaded is not None
        assert (loaded[0], len(loaded[1])) == (20, 0)

    def test_the_newest_up_to_an_offset(self) -> None:
        snapshots = self.make(CrashDisk())
        snapshots.write(10, STATE)
        snapshots.write(20, STATE)
        assert [found[0] for offset in (10, 19, 20) if (found := snapshots.load(offset))] == [10, 10, 20]
        assert snapshots.load(9) is None

    def test_damaged_ones_are_removed(self) -> None:
        disk = CrashDisk()
        snapshots = self.make(disk)
        snapshots.write(10, STATE)
        snapshots.write(20, STATE)
        disk.write("topic-0/00000000000000000020.snapshot", b"garbage")
        found = snapshots.load(30)
        assert found is not None
        assert found[0] == 10
        assert disk.list("topic-0") == ["00000000000000000010.snapshot"]

    def test_found_by_name(self) -> None:
        disk = CrashDisk()
        self.make(disk).write(10, STATE)
        again = self.make(disk, *disk.list("topic-0"), "x.snapshot", "10.log")
        assert again.latest == 10

    def test_those_after_the_end_go(self) -> None:
        disk = CrashDisk()
        snapshots = self.make(disk)
        for offset in (10, 20, 30):
            snapshots.write(offset, STATE)
        snapshots.remove_after(20)
        assert snapshots.latest == 20
        assert len(disk.list("topic-0")) == 2

    def test_the_newest_stays_whatever_goes_before(self) -> None:
        disk = CrashDisk()
        snapshots = self.make(disk)
        for offset in (10, 20, 30):
            snapshots.write(offset, STATE)
        assert snapshots.forget_before(20) == ["topic-0/00000000000000000010.snapshot"]
        assert snapshots.forget_before(99) == ["topic-0/00000000000000000020.snapshot"]
        assert snapshots.forget_before(99) == []
        assert snapshots.latest == 30
