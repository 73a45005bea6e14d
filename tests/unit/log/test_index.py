"""Sparse indexes and the transaction index: Kafka's bytes, lookups against a linear scan."""

import errno
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronik.log.entry_file import TAIL_ENTRIES_MAX
from chronik.log.handle_cache import HandleCache, LazyFile
from chronik.log.index import OFFSET_ENTRY, TIME_ENTRY, SparseIndex
from chronik.log.source import BLOCKING
from chronik.log.txn_index import TXN_ENTRY, AbortedTxn, TxnIndex
from chronik.sim.disk import CrashDisk


def index(disk: CrashDisk, entry: struct.Struct = OFFSET_ENTRY) -> SparseIndex:
    return SparseIndex(LazyFile(disk, HandleCache(), "0.index"), entry)


def floor(entries: list[tuple[int, int]], key: int) -> tuple[int, int] | None:
    return max((entry for entry in entries if entry[0] <= key), default=None)


class TestSparseIndex:
    def test_bytes_are_kafkas(self) -> None:
        disk = CrashDisk()
        offsets = index(disk)
        offsets.append(23, 4097)
        offsets.append(50, 8300)
        offsets.flush()
        assert disk.content("0.index") == bytes.fromhex("00000017 00001001 00000032 0000206c")

    def test_time_entries_are_kafkas(self) -> None:
        disk = CrashDisk()
        times = index(disk, TIME_ENTRY)
        times.append(1_700_000_000_000, 23)
        times.flush()
        assert disk.content("0.index") == bytes.fromhex("0000018bcfe56800 00000017")

    def test_empty(self) -> None:
        disk = CrashDisk()
        offsets = index(disk)
        assert len(offsets) == 0
        assert offsets.last(BLOCKING) is None
        assert offsets.floor(10**6, BLOCKING) is None
        assert offsets.entries(BLOCKING) == []
        assert not offsets.flush()
        assert disk.list("") == [], "no file before it has an entry"

    @settings(max_examples=60, derandomize=True, deadline=None)
    @given(st.integers(0, 1500), st.integers(0, 1500), st.integers(1, 50))
    def test_lookups_agree_with_a_scan(self, flushed: int, waiting: int, step: int) -> None:
        disk = CrashDisk()
        offsets = index(disk)
        entries = [(5 + number * step, number * 100) for number in range(flushed + waiting)]
        for entry in entries[:flushed]:
            offsets.append(*entry)
        offsets.flush()
        for entry in entries[flushed:]:
            offsets.append(*entry)
        assert len(offsets) == len(entries)
        assert offsets.entries(BLOCKING) == entries
        assert offsets.last(BLOCKING) == (entries[-1] if entries else None)
        for key in range(0, len(entries) * step + 10, max(1, step * 37)):
            assert offsets.floor(key, BLOCKING) == floor(entries, key), key

    def test_blocks_are_written_when_enough_waits(self) -> None:
        disk = CrashDisk()
        offsets = index(disk)
        for number in range(TAIL_ENTRIES_MAX):
            offsets.append(number, number)
        assert len(disk.content("0.index")) == TAIL_ENTRIES_MAX * 8
        assert offsets.file.is_pinned

    def test_a_full_disk_makes_entries_wait(self) -> None:
        disk = CrashDisk()
        offsets = index(disk)
        disk.fail("write", ".index", OSError(errno.ENOSPC, "no space"))
        for number in range(TAIL_ENTRIES_MAX + 10):
            offsets.append(number, number)
        assert offsets.floor(TAIL_ENTRIES_MAX + 3, BLOCKING) == (TAIL_ENTRIES_MAX + 3, TAIL_ENTRIES_MAX + 3)
        with pytest.raises(OSError, match="no space"):
            offsets.flush()
        disk.heal()
        offsets.flush()
        reopened = index(disk)
        assert reopened.load()
        assert reopened.entries(BLOCKING) == [(number, number) for number in range(TAIL_ENTRIES_MAX + 10)]

    def test_load_says_whether_entries_are_whole(self) -> None:
        disk = CrashDisk()
        disk.write("0.index", bytes(20))
        offsets = index(disk)
        assert not offsets.load()
        disk.write("0.index", bytes(16))
        offsets.file.close()
        assert offsets.load()
        assert len(offsets) == 2

    def test_keep_drops_the_rest_from_file_and_memory(self) -> None:
        disk = CrashDisk()
        offsets = index(disk)
        for number in range(10):
            offsets.append(number, number * 10)
            if number == 6:
                offsets.flush()
        offsets.keep(lambda offset, _: offset < 4, BLOCKING)
        assert offsets.entries(BLOCKING) == [(number, number * 10) for number in range(4)]
        offsets.flush()
        assert len(disk.content("0.index")) == 4 * 8

    def test_clear(self) -> None:
        disk = CrashDisk()
        offsets = index(disk)
        offsets.append(1, 1)
        offsets.flush()
        offsets.append(2, 2)
        offsets.clear()
        assert len(offsets) == 0
        assert disk.content("0.index") == b""


class TestTxnIndex:
    TXN = AbortedTxn(producer_id=7, first_offset=100, last_offset=120, last_stable_offset=90)

    def make(self, disk: CrashDisk) -> TxnIndex:
        return TxnIndex(LazyFile(disk, HandleCache(), "0.txnindex"), TXN_ENTRY)

    def test_bytes_are_kafkas(self) -> None:
        disk = CrashDisk()
        txns = self.make(disk)
        txns.append(self.TXN)
        txns.flush()
        assert disk.content("0.txnindex") == bytes.fromhex(
            "0000 0000000000000007 0000000000000064 0000000000000078 000000000000005a"
        )
        assert txns.entries(BLOCKING) == [self.TXN]

    def test_keep(self) -> None:
        txns = self.make(CrashDisk())
        txns.keep(10, BLOCKING)
        txns.append(self.TXN)
        txns.append(self.TXN._replace(last_offset=130))
        txns.keep(130, BLOCKING)
        assert txns.entries(BLOCKING) == [self.TXN]
