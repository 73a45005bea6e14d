from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronik.cli.failure import Failure
from chronik.cli.log_dump import Dump, dump_file, dump_path
from chronik.log.checkpoint import format_lines
from chronik.log.index import OFFSET_ENTRY, TIME_ENTRY
from chronik.log.txn_index import TXN_ENTRY
from chronik.records.batch import Codec
from chronik.records.build import BatchOptions, build_batch, build_end_txn_marker
from chronik.records.control import ControlType
from chronik.records.record import Record

LOG = "00000000000000000010.log"


def batch(values: Sequence[bytes | None], base_offset: int, **options: Any) -> bytes:
    records = [Record(b"k", value, 1_700_000_000_000 + index) for index, value in enumerate(values)]
    return bytes(build_batch(records, BatchOptions(base_offset=base_offset, **options)).data)


def dumped(path: Path, content: bytes, *, records: bool = False) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows and problems of a file with this content."""
    path.write_bytes(content)
    dump = dump_file(path, records=records)
    assert dump is not None
    rows = [dict(row) for row in dump.rows]
    return rows, dump.problems


def test_batches(tmp_path: Path) -> None:
    first = batch([b"a", b"b"], 10, codec=Codec.ZSTD, leader_epoch=3)
    second = batch([b"c"], 12, producer_id=7, producer_epoch=1, base_sequence=5, is_transactional=True)
    rows, problems = dumped(tmp_path / LOG, first + second)
    assert problems == []
    assert [(row["position"], row["base_offset"], row["last_offset"], row["records"]) for row in rows] == [
        (0, 10, 11, 2),
        (len(first), 12, 12, 1),
    ]
    assert (rows[0]["codec"], rows[0]["epoch"], rows[0]["crc"]) == ("zstd", 3, "ok")
    assert (rows[1]["producer"], rows[1]["flags"]) == ("7/1:5", "transactional")


def test_records(tmp_path: Path) -> None:
    marker = build_end_txn_marker(
        ControlType.COMMIT, producer_id=7, producer_epoch=1, coordinator_epoch=0, timestamp=5
    )
    rows, problems = dumped(tmp_path / LOG, batch([b"a", None], 10) + bytes(marker.data), records=True)
    assert problems == []
    assert [(row["offset"], row["key"], row["value"]) for row in rows[:2]] == [
        (10, "k", "a"),
        (11, "k", None),
    ]
    assert rows[2]["key"] == "commit"


@pytest.mark.parametrize("records", [False, True])
def test_a_wrong_crc(tmp_path: Path, records: bool) -> None:
    damaged = bytearray(batch([b"a" * 50], 10))
    damaged[-1] ^= 1
    rows, problems = dumped(tmp_path / LOG, bytes(damaged) + batch([b"b"], 11), records=records)
    assert len(problems) == 1
    assert problems[0].startswith("position 0: the CRC")
    assert len(rows) == (1 if records else 2)


@pytest.mark.parametrize(
    "tail", [b"garbage", b"\x01" * 200, batch([b"x" * 100], 11)[:-1], batch([b"x"], 11)[:30]]
)
def test_a_torn_tail(tmp_path: Path, tail: bytes) -> None:
    whole = batch([b"a"], 10)
    rows, problems = dumped(tmp_path / LOG, whole + tail)
    assert len(rows) == 1
    assert len(problems) == 1
    assert problems[0].startswith(f"position {len(whole)}: {len(tail)} bytes")


@pytest.mark.parametrize("zeros", [0, 10, 61, 4096])
def test_what_kafka_preallocates_is_no_damage(tmp_path: Path, zeros: int) -> None:
    rows, problems = dumped(tmp_path / LOG, batch([b"a"], 10) + bytes(zeros))
    assert (len(rows), problems) == (1, [])


def test_an_empty_segment(tmp_path: Path) -> None:
    assert dumped(tmp_path / LOG, b"") == ([], [])


def test_indexes_have_absolute_offsets(tmp_path: Path) -> None:
    rows, problems = dumped(tmp_path / "00000000000000000010.index", OFFSET_ENTRY.pack(5, 4096) + bytes(16))
    assert (rows, problems) == ([{"offset": 15, "position": 4096}], [])
    rows, problems = dumped(tmp_path / "00000000000000000010.timeindex", TIME_ENTRY.pack(99, 5))
    assert (rows, problems) == ([{"timestamp": 99, "offset": 15}], [])


def test_indexes_out_of_order(tmp_path: Path) -> None:
    entries = OFFSET_ENTRY.pack(5, 1) + OFFSET_ENTRY.pack(4, 2)
    assert dumped(tmp_path / "00000000000000000010.index", entries)[1] == ["offset 14 does not come after 15"]
    times = TIME_ENTRY.pack(9, 1) + TIME_ENTRY.pack(8, 2)
    assert dumped(tmp_path / "00000000000000000010.timeindex", times)[1] == ["timestamp 8 comes after 9"]


def test_an_index_that_is_cut_off(tmp_path: Path) -> None:
    rows, problems = dumped(tmp_path / "00000000000000000010.index", OFFSET_ENTRY.pack(5, 1) + b"\1\2\3")
    assert (len(rows), problems) == (1, ["3 bytes after the last whole entry"])


def test_aborted_transactions(tmp_path: Path) -> None:
    rows, _ = dumped(tmp_path / "00000000000000000010.txnindex", TXN_ENTRY.pack(0, 7, 10, 12, 13))
    assert rows == [{"producer_id": 7, "first_offset": 10, "last_offset": 12, "last_stable_offset": 13}]


def test_a_damaged_snapshot(tmp_path: Path) -> None:
    rows, problems = dumped(tmp_path / "00000000000000000010.snapshot", b"nothing")
    assert (rows, problems) == ([], ["not a producer snapshot, or its CRC is wrong"])


def test_checkpoints(tmp_path: Path) -> None:
    rows, problems = dumped(tmp_path / "leader-epoch-checkpoint", format_lines([(1, 0), (2, 50)]))
    assert (rows, problems) == ([{"epoch": 1, "start_offset": 0}, {"epoch": 2, "start_offset": 50}], [])
    assert dumped(tmp_path / "leader-epoch-checkpoint", b"0\n5\n")[1] == ["not a whole checkpoint"]


def test_properties(tmp_path: Path) -> None:
    rows, _ = dumped(tmp_path / "partition.metadata", b"version: 0\ntopic_id: abc")
    assert rows == [{"name": "version", "value": "0"}, {"name": "topic_id", "value": "abc"}]
    rows, _ = dumped(tmp_path / "meta.properties", b"#comment\nnode.id=1\n")
    assert rows == [{"name": "node.id", "value": "1"}]


class TestDirectories:
    def names(self, dumps: list[Dump]) -> list[str]:
        return [dump.path.name for dump in dumps]

    def test_a_partition_in_the_order_of_its_offsets(self, tmp_path: Path) -> None:
        given = [
            "00000000000000000010.index",
            LOG,
            "00000000000000000000.log",
            "leader-epoch-checkpoint",
            "other",
        ]
        for name in given:
            (tmp_path / name).touch()
        assert self.names(dump_path(tmp_path, records=False)) == [
            "00000000000000000000.log",
            LOG,
            "00000000000000000010.index",
            "leader-epoch-checkpoint",
        ]

    def test_a_data_directory_names_its_partitions(self, tmp_path: Path) -> None:
        (tmp_path / "orders-0").mkdir()
        with pytest.raises(Failure) as caught:
            dump_path(tmp_path, records=False)
        assert "orders-0" in caught.value.hint

    @pytest.mark.parametrize("name", ["other", "10.log", "00000000000000000010.log.deleted"])
    def test_a_file_that_is_none_of_these(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).touch()
        with pytest.raises(Failure, match="none of a partition's files"):
            dump_path(tmp_path / name, records=False)

    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(Failure, match="there is no"):
            dump_path(tmp_path / "missing", records=False)


WHOLE = batch([b"a", b"bb"], 10, codec=Codec.GZIP) + batch([b"c" * 40], 12, codec=Codec.NONE)
CHANGES = st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=6)


@given(changes=CHANGES, end=st.integers(0, len(WHOLE)), records=st.booleans())
def test_damage_of_any_kind_is_told_and_never_raised(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], end: int, records: bool
) -> None:
    damaged = bytearray(WHOLE)
    for position, value in changes:
        damaged[position] = value
    content = bytes(damaged[:end])
    rows, problems = dumped(tmp_path_factory.mktemp("damaged") / LOG, content, records=records)
    assert rows or problems or not any(content[:61])


@given(content=st.binary(max_size=200), name=st.sampled_from(["index", "timeindex", "txnindex", "snapshot"]))
def test_garbage_in_small_files(tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str) -> None:
    dumped(tmp_path_factory.mktemp("garbage") / f"00000000000000000010.{name}", content)


@given(content=st.binary(max_size=200))
def test_garbage_in_checkpoints(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    for name in ("leader-epoch-checkpoint", "partition.metadata", "meta.properties"):
        dumped(tmp_path_factory.mktemp("garbage") / name, content)
