"""The length of the state journal, in another file: a journal that was cut between two records looks whole.

`raft-state-checkpoint` says how much of which generation of the file was durable; less cannot be there later.
It is made durable at a clean stop and when the journal is compacted. In between it is written without a sync,
so that the death of a process costs nothing and the loss of power only the latest sizes. Its last line is a
CRC-32C: a crash left 559 of an unsynced 556 in the place of 469, and a whole journal passed for a cut one.
"""

from contextlib import suppress
from typing import NamedTuple

from chronik.log.checkpoint import format_lines, parse_lines, read_file, replace_unsynced, seal, unseal
from chronik.log.disk import Disk, write_atomically

WITNESS_FILE = "raft-state-checkpoint"


class Witness(NamedTuple):
    """This many bytes of this generation of the journal were durable. Later ones compare as greater."""

    generation: int
    durable_bytes: int


def read_witness(disk: Disk) -> Witness | None:
    """Returns None if there is none, or if a crash left only a part. Raises OSError."""
    content = read_file(disk, WITNESS_FILE)
    lines = None if content is None else unseal(content)
    rows = None if lines is None else parse_lines(lines)
    if rows is None or len(rows) != 1 or len(rows[0]) != 2 or not all(map(str.isdigit, rows[0])):
        return None
    return Witness(int(rows[0][0]), int(rows[0][1]))


def write_witness(disk: Disk, witness: Witness, *, is_durable: bool) -> None:
    """If there is no room for it, the older one stays, which is valid as well."""
    write = write_atomically if is_durable else replace_unsynced
    with suppress(OSError):
        write(disk, WITNESS_FILE, seal(format_lines([witness])))
