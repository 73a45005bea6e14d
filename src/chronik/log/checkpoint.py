"""Kafka's checkpoint files: a version line, a count line, and that many lines of fields between spaces.

`leader-epoch-checkpoint` and the `*-offset-checkpoint` files share it
(org.apache.kafka.server.common.CheckpointFile).
"""

import re
from collections.abc import Iterable, Sequence

from chronik.log.disk import Disk
from chronik.records.crc import crc32c

_VERSION = "0"

_CRC_LINE = re.compile(rb"(?s)(.*\n)crc32c ([0-9a-f]{8})\n")


def format_lines(rows: Sequence[Iterable[object]]) -> bytes:
    lines = [_VERSION, str(len(rows)), *(" ".join(map(str, row)) for row in rows)]
    return ("\n".join(lines) + "\n").encode()


def parse_lines(content: bytes) -> list[list[str]] | None:
    """Returns the rows' fields, or None if the checkpoint is not whole: each line must end, and the count
    must agree.
    """
    try:
        lines = content.decode().split("\n")
    except UnicodeDecodeError:
        return None
    if len(lines) < 3 or lines[-1] or lines[0] != _VERSION:
        return None
    rows = [line.split(" ") for line in lines[2:-1]]
    return rows if lines[1] == str(len(rows)) else None


def seal(content: bytes) -> bytes:
    """Returns `content`, which ends with a line, and a line with its CRC-32C.

    For files whose numbers are relied on: a crash may mix the bytes of an unsynced write with those of the
    file before, and digits of two numbers make a third.
    """
    return content + f"crc32c {crc32c(content):08x}\n".encode()


def unseal(sealed: bytes) -> bytes | None:
    """Returns the sealed content, None when it is not whole."""
    found = _CRC_LINE.fullmatch(sealed)
    return found[1] if found is not None and int(found[2], 16) == crc32c(found[1]) else None


def format_offset(directory: str, offset: int) -> bytes:
    """One partition's offset, as a line of Kafka's per-directory checkpoints."""
    topic, _, partition = directory.rpartition("/")[2].rpartition("-")
    return format_lines([(topic, partition, offset)])


def parse_offset_line(content: bytes) -> int | None:
    rows = parse_lines(content)
    if rows is None or len(rows) != 1 or len(rows[0]) != 3 or not rows[0][2].isdigit():
        return None
    return int(rows[0][2])


def read_file(disk: Disk, path: str) -> bytes | None:
    """The whole content of a small file, None when it is not there."""
    if not disk.exists(path):
        return None
    file = disk.open(path)
    try:
        return file.read_at(0, file.size())
    finally:
        file.close()


def replace_unsynced(disk: Disk, path: str, content: bytes) -> None:
    """Replaces a small file without waiting for the device.

    For files that may be lost or torn in a crash because their readers detect it and do without.
    """
    temporary = path + ".tmp"
    file = disk.open(temporary, create=True)
    try:
        file.truncate(0)
        file.append([content])
    finally:
        file.close()
    disk.rename(temporary, path)


def write_unsynced(disk: Disk, path: str, content: bytes) -> None:
    """`replace_unsynced` where there is no such file, or one of a try that failed."""
    file = disk.open(path, create=True)
    try:
        if file.size():
            file.truncate(0)
        file.append([content])
    finally:
        file.close()
