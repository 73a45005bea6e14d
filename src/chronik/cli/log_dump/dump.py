"""The kinds of files, and the rows of the small ones."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from chronik.cli.failure import Failure
from chronik.cli.log_dump.batches import batch_rows, record_rows
from chronik.log.checkpoint import parse_lines
from chronik.log.index import OFFSET_ENTRY, TIME_ENTRY
from chronik.log.names import (
    LEADER_EPOCHS,
    LOG,
    LOG_START,
    OFFSET_INDEX,
    PARTITION_METADATA,
    RECOVERY_POINT,
    SNAPSHOT,
    TIME_INDEX,
    TXN_INDEX,
    parse_offset,
)
from chronik.log.producer_snapshot import parse_snapshot
from chronik.log.txn_index import TXN_ENTRY

Row = Mapping[str, object]
# Rows add the problems of the file here.
Problems = list[str]

META_PROPERTIES = "meta.properties"
LEADER_EPOCH = "leader-epoch"


@dataclass(slots=True)
class Dump:
    """One file. `problems` is complete when the rows have been read to their end."""

    path: Path
    kind: str
    rows: Iterable[Row]
    problems: Problems = field(default_factory=list)


def dump_path(path: Path, *, records: bool) -> list[Dump]:
    """Returns one file, or the readable files of a partition's directory, in the order of offsets. Raises
    Failure.
    """
    if not path.exists():
        raise Failure(f"there is no {path}")
    if path.is_file():
        found = dump_file(path, records=records)
        if found is None:
            raise Failure(f"{path.name} is none of a partition's files", f"Known are: {', '.join(_known())}.")
        return [found]
    names = sorted((file for file in path.iterdir() if file.is_file()), key=_order)
    dumps = [dump for file in names if (dump := dump_file(file, records=records)) is not None]
    if not dumps:
        partitions = partition_directories(path)
        hint = f"Its partitions: {', '.join(partitions)}." if partitions else ""
        raise Failure(f"{path} is no partition's directory", hint)
    return dumps


def partition_directories(path: Path) -> list[str]:
    """The names of the partitions in a data directory; none for anything else."""
    if not path.is_dir():
        return []
    return sorted(inner.name for inner in path.iterdir() if inner.is_dir() and "-" in inner.name)


def dump_file(path: Path, *, records: bool) -> Dump | None:
    """Returns one file by its name; None when the name is none of a log's."""
    dump = Dump(path, "", ())
    if parse_offset(path.name, LOG) is not None:
        dump.kind = "records" if records else "batches"
        dump.rows = (record_rows if records else batch_rows)(path, dump.problems)
        return dump
    for suffix, (kind, read) in _BY_SUFFIX.items():
        base = parse_offset(path.name, suffix)
        if base is not None:
            dump.kind, dump.rows = kind, read(path.read_bytes(), base, dump.problems)
            return dump
    if path.name in _BY_NAME:
        dump.kind, parse = _BY_NAME[path.name]
        dump.rows = parse(path.read_bytes(), dump.problems)
        return dump
    return None


def _offset_index(content: bytes, base: int, problems: Problems) -> Iterator[Row]:
    last = -1
    for relative, position in OFFSET_ENTRY.iter_unpack(_whole(content, OFFSET_ENTRY.size, problems)):
        if relative <= last:
            problems.append(f"offset {base + relative} does not come after {base + last}")
        last = relative
        yield {"offset": base + relative, "position": position}


def _time_index(content: bytes, base: int, problems: Problems) -> Iterator[Row]:
    last = -1
    for timestamp, relative in TIME_ENTRY.iter_unpack(_whole(content, TIME_ENTRY.size, problems)):
        if timestamp < last:
            problems.append(f"timestamp {timestamp} comes after {last}")
        last = timestamp
        yield {"timestamp": timestamp, "offset": base + relative}


def _txn_index(content: bytes, base: int, problems: Problems) -> Iterator[Row]:
    for entry in TXN_ENTRY.iter_unpack(_whole(content, TXN_ENTRY.size, problems)):
        _, producer_id, first, last, last_stable = entry
        yield {
            "producer_id": producer_id,
            "first_offset": first,
            "last_offset": last,
            "last_stable_offset": last_stable,
        }


def _snapshot(content: bytes, base: int, problems: Problems) -> Iterator[Row]:
    state = parse_snapshot(content)
    if state is None:
        problems.append("not a producer snapshot, or its CRC is wrong")
        return
    for entry in state:
        last = entry.batches[-1] if entry.batches else None
        yield {
            "producer_id": entry.producer_id,
            "epoch": entry.epoch,
            "last_sequence": None if last is None else last.last_sequence,
            "last_offset": None if last is None else last.last_offset,
            "last_timestamp": entry.last_timestamp,
            "batches": len(entry.batches),
            "open_transaction_at": entry.txn_first_offset,
        }


def _checkpoint(*names: str) -> Callable[[bytes, Problems], Iterator[Row]]:
    def read(content: bytes, problems: Problems) -> Iterator[Row]:
        lines = parse_lines(content)
        if lines is None:
            problems.append("not a whole checkpoint")
            return
        for line in lines:
            yield dict(zip(names, (int(word) if word.isdigit() else word for word in line), strict=False))

    return read


def _properties(separator: str) -> Callable[[bytes, Problems], Iterator[Row]]:
    def read(content: bytes, problems: Problems) -> Iterator[Row]:
        for line in content.decode(errors="replace").splitlines():
            name, found, value = line.partition(separator)
            if found and not line.startswith("#"):
                yield {"name": name.strip(), "value": value.strip()}

    return read


_BY_SUFFIX: dict[str, tuple[str, Callable[[bytes, int, Problems], Iterator[Row]]]] = {
    OFFSET_INDEX: ("offset index", _offset_index),
    TIME_INDEX: ("time index", _time_index),
    TXN_INDEX: ("aborted transactions", _txn_index),
    SNAPSHOT: ("producers", _snapshot),
}
_BY_NAME: dict[str, tuple[str, Callable[[bytes, Problems], Iterator[Row]]]] = {
    LEADER_EPOCHS: ("leader epochs", _checkpoint("epoch", "start_offset")),
    LOG_START: ("log start offset", _checkpoint("topic", "partition", "offset")),
    RECOVERY_POINT: ("recovery point", _checkpoint("topic", "partition", "offset")),
    PARTITION_METADATA: ("partition metadata", _properties(":")),
    META_PROPERTIES: ("identity", _properties("=")),
}


def _known() -> list[str]:
    return [f"*{suffix}" for suffix in (LOG, *_BY_SUFFIX)] + list(_BY_NAME)


def _order(path: Path) -> tuple[str, int, str]:
    """By base offset, the log before its indexes; checkpoints last."""
    stem = path.name.partition(".")[0]
    return (stem if stem.isdigit() else "~", path.suffix != LOG, path.name)


def _whole(content: bytes, entry_bytes: int, problems: Problems) -> bytes:
    """The content up to the last whole entry. Kafka leaves zeros behind the entries of an active segment."""
    rest = len(content) % entry_bytes
    if rest:
        problems.append(f"{rest} bytes after the last whole entry")
    used = len(content) - rest
    while used > entry_bytes and not any(content[used - entry_bytes : used]):
        used -= entry_bytes
    return content[:used]
