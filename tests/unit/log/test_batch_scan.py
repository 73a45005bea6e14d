"""Walking headers through chunks and files."""

import pytest

from chronik.log.batch_scan import BatchScan, iterate_batches, scan_batches
from chronik.log.handle_cache import HandleCache, LazyFile
from chronik.log.source import BLOCKING
from chronik.records.batch import parse_header, stamp
from chronik.sim.disk import CrashDisk
from tests.unit.log.drivers import batch_of

FAR = 10**9


def stamped(*counts: int, size: int = 20) -> list[bytes]:
    """Batches of so many records, one after another from offset 0."""
    made, offset = [], 0
    for count in counts:
        data = bytearray(batch_of(count, size=size).data)
        stamp(data, offset, 1)
        offset += count
        made.append(bytes(data))
    return made


ONE, THREE, TWO = stamped(1, 3, 2)
CHUNK = ONE + THREE + TWO


class TestWalk:
    def scan(self, chunk: bytes = CHUNK, offset: int = 0, end: int = FAR, size: int = FAR) -> BatchScan:
        return scan_batches(chunk, offset, end, size, at_least_one=True)

    def test_all(self) -> None:
        assert self.scan() == BatchScan(0, len(CHUNK), 0, 6, 0, False, False, 6)

    @pytest.mark.parametrize(
        ("offset", "start", "base"), [(1, len(ONE), 1), (2, len(ONE), 1), (3, len(ONE), 1)]
    )
    def test_from_the_batch_that_holds_the_offset(self, offset: int, start: int, base: int) -> None:
        found = self.scan(offset=offset)
        assert (found.start, found.end, found.base_offset, found.next_offset) == (start, len(CHUNK), base, 6)

    @pytest.mark.parametrize(("end", "batches"), [(0, 0), (1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (6, 3)])
    def test_batches_that_end_by_the_end_offset(self, end: int, batches: int) -> None:
        found = self.scan(end=end)
        assert found.end == sum(map(len, [ONE, THREE, TWO][:batches]))
        assert found.is_complete is (batches < 3)

    def test_at_least_one_whatever_its_size(self) -> None:
        assert self.scan(size=1).end == len(ONE)
        assert self.scan(size=len(ONE)).end == len(ONE)
        assert scan_batches(CHUNK, 0, FAR, 1, at_least_one=False) == BatchScan(0, 0, 0, 0, 0, False, True)

    def test_as_many_as_fit(self) -> None:
        assert self.scan(size=len(ONE) + len(THREE) - 1).end == len(ONE)
        assert self.scan(size=len(ONE) + len(THREE)).end == len(ONE) + len(THREE)

    def test_what_is_stepped_over_does_not_count(self) -> None:
        assert self.scan(offset=1, size=len(THREE)).end == len(ONE) + len(THREE)

    def test_a_chunk_that_ends_inside_a_batch_says_what_is_missing(self) -> None:
        found = self.scan(CHUNK[:-1])
        assert (found.end, found.missing) == (len(ONE) + len(THREE), len(TWO))
        found = self.scan(CHUNK[: len(ONE) + 20])
        assert (found.end, found.missing) == (len(ONE), 61)
        assert self.scan(CHUNK[: len(ONE) - 1], offset=0).missing == len(ONE)

    def test_skipping_may_leave_the_chunk(self) -> None:
        found = self.scan(ONE + THREE[:60], offset=5)
        assert found.start == found.end == len(ONE) + len(THREE)

    @pytest.mark.parametrize("position", [16, 17, 21, 61, len(ONE) - 1])
    def test_damage_is_noticed_where_it_is(self, position: int) -> None:
        damaged = bytearray(CHUNK)
        damaged[len(ONE) + position] ^= 0x40
        found = self.scan(bytes(damaged))
        assert (found.end, found.is_corrupt) == (len(ONE), True)

    @pytest.mark.parametrize(
        ("at", "field"), [(8, b"\xff\xff\xff\xff"), (8, bytes(4)), (23, b"\xff\xff\xff\xff")]
    )
    def test_impossible_fields(self, at: int, field: bytes) -> None:
        damaged = bytearray(CHUNK)
        damaged[at : at + 4] = field
        assert self.scan(bytes(damaged)).is_corrupt


class TestIterateBatches:
    def file(self, content: bytes) -> LazyFile:
        disk = CrashDisk()
        disk.write("0.log", content)
        return LazyFile(disk, HandleCache(), "0.log")

    @pytest.mark.parametrize("chunk_bytes", [1, 61, 100, 1000, 1 << 20])
    def test_any_chunk_size(self, chunk_bytes: int) -> None:
        batches = stamped(1, 1, 1, 1, size=300) + stamped(5)
        found = list(
            iterate_batches(
                self.file(b"".join(batches)),
                0,
                sum(map(len, batches)),
                BLOCKING,
                chunk_bytes=max(chunk_bytes, 61),
            )
        )
        assert [bytes(batch.data) for _, batch in found] == batches
        assert [position for position, _ in found] == [sum(map(len, batches[:n])) for n in range(5)]
        assert all(
            batch.header == parse_header(data) for (_, batch), data in zip(found, batches, strict=True)
        )

    @pytest.mark.parametrize("cut", [1, 30, 60, 61, 80])
    def test_ends_before_what_is_no_whole_batch(self, cut: int) -> None:
        content = ONE + THREE[:cut]
        assert len(list(iterate_batches(self.file(content), 0, len(content), BLOCKING))) == 1

    def test_ends_before_zeros(self) -> None:
        content = ONE + bytes(5000)
        assert len(list(iterate_batches(self.file(content), 0, len(content), BLOCKING, chunk_bytes=100))) == 1

    def test_heeds_the_end(self) -> None:
        assert len(list(iterate_batches(self.file(CHUNK), 0, len(ONE + THREE), BLOCKING))) == 2
        assert list(iterate_batches(self.file(CHUNK), len(CHUNK), len(CHUNK), BLOCKING)) == []
