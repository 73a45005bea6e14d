"""The wall clocks of nodes, wrong by as much as a test says.

A file per node holds the offset, eight bytes that the node has mapped into its memory: reading the clock then
costs it no system call more. A time namespace would be the kernel's way, but it moves the monotonic clocks
alone. So the node's process has its `time.time` and `time.time_ns` replaced before anything of the node is
imported (`tests.chaos.node`); the loop's timers and `time.monotonic` go on as they do when a wall clock is
set.
"""

import mmap
import struct
import time
from collections.abc import Callable
from pathlib import Path

# Names the directory of the files.
VARIABLE = "CHAOS_CLOCKS"

_OFFSET_NS = struct.Struct("<q")


def set_offset(directory: Path, node: int, seconds: float) -> None:
    """Let a node's clock be wrong, from now on; it need not run yet."""
    path = _path(directory, node)
    if not path.exists():
        path.write_bytes(bytes(_OFFSET_NS.size))
    with path.open("r+b") as file:
        # In place: the node has this very file mapped.
        file.write(_OFFSET_NS.pack(round(seconds * 1e9)))


def shifted_time_ns(directory: Path, node: int) -> Callable[[], int]:
    """A `time.time_ns` that is wrong by what the node's file says at each call. Raises OSError."""
    with _path(directory, node).open("r+b") as file:
        offset = mmap.mmap(file.fileno(), _OFFSET_NS.size, access=mmap.ACCESS_READ)
    real = time.time_ns
    unpack = _OFFSET_NS.unpack_from

    def time_ns() -> int:
        shift: int = unpack(offset)[0]
        return real() + shift

    return time_ns


def _path(directory: Path, node: int) -> Path:
    return directory / f"clock-{node}"
