"""A disk for one node that can be filled up and emptied.

As root a file system of its own, in memory, mounted where the node's directory is: what does not fit fails
with ENOSPC, as on a disk. Without root a limit on the size of the node's files, which Linux can set and lift
for a running process: each write fails with EFBIG. Neither, elsewhere. Which it is is found out by trying.
"""

import contextlib
import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

# Half an hour of load is some 150 MB with all indexes; memory is taken as it is written.
_DISK_BYTES = 1024 * 1024 * 1024
_BALLAST = "ballast"
_CHUNK_BYTES = 1024 * 1024
_PAGE_BYTES = 4096


class Disk(Protocol):
    """`how` is for the report."""

    how: str

    def fill(self, pid: int) -> None:
        """Let no write of the node succeed; `pid` is its process. Raises OSError."""
        ...

    def free(self, pid: int | None) -> None:
        """Let them succeed again; without `pid` it does not run."""
        ...


class Mounted:
    """Filled by a file beside the node's own."""

    how = "a tmpfs for the node's data.dir, filled to the last page (ENOSPC)"

    def __init__(self, directory: Path) -> None:
        self._ballast = directory / _BALLAST

    def fill(self, pid: int) -> None:
        with self._ballast.open("wb", buffering=0) as file:
            # Down to what no page can be had for. By single bytes it would race with a node that tries to
            # write, and frees what it wrote of a part.
            size = _CHUNK_BYTES
            while size >= _PAGE_BYTES:
                try:
                    file.write(bytes(size))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    size //= 2

    def free(self, pid: int | None) -> None:
        self._ballast.unlink(missing_ok=True)


class Limited:
    """Lost with the process: who is started again has no limit."""

    how = "a limit on the size of the node's files (RLIMIT_FSIZE: EFBIG), because nothing can be mounted here"

    def fill(self, pid: int) -> None:
        self._limit(pid, 1)

    def free(self, pid: int | None) -> None:
        import resource

        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                self._limit(pid, resource.RLIM_INFINITY)

    def _limit(self, pid: int, size: int) -> None:
        import resource

        if sys.platform != "linux":
            raise OSError(errno.ENOTSUP, "limits of another process are Linux's")
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


@contextlib.contextmanager
def small_disk(directory: Path, size: int = _DISK_BYTES) -> Iterator[Disk | None]:
    """The disk of the node whose data is in `directory`, which is made; None where there can be none."""
    directory.mkdir(parents=True, exist_ok=True)
    if _is_mounted(directory, size):
        try:
            yield Mounted(directory)
        finally:
            _unmount(directory)
    else:
        yield Limited() if sys.platform == "linux" else None


def _unmount(directory: Path) -> None:
    """What was on the disk is in the directory below it afterwards."""
    kept = directory.with_name(f"{directory.name}-kept")
    shutil.copytree(directory, kept, dirs_exist_ok=True)
    # Lazily: a process that was killed may not be gone yet.
    subprocess.run(["umount", "--lazy", str(directory)], check=False, capture_output=True)
    directory.rmdir()
    kept.rename(directory)


def _is_mounted(directory: Path, size: int) -> bool:
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "chaos", str(directory)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
