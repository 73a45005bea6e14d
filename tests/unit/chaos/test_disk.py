"""Disks that take nothing for a while."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.disk import Limited, Mounted, small_disk

MIB = 1024 * 1024

# Writes a file for each line it is told, and says the error.
WRITER = """
import pathlib, sys
for number, _ in enumerate(sys.stdin):
    try:
        pathlib.Path(sys.argv[1], str(number)).write_bytes(b"x" * 8192)
    except OSError as error:
        print(error.errno, flush=True)
    else:
        print(0, flush=True)
"""


def test_a_disk_of_its_own_is_filled_and_freed_and_leaves_what_was_on_it(tmp_path: Path) -> None:
    directory = tmp_path / "node"
    with small_disk(directory, 4 * MIB) as disk:
        if not isinstance(disk, Mounted):
            pytest.skip("nothing can be mounted here")
        (directory / "before").write_bytes(b"kept")
        disk.fill(os.getpid())
        with pytest.raises(OSError, match="No space") as raised:
            (directory / "during").write_bytes(b"x")
        assert raised.value.errno == errno.ENOSPC
        disk.free(None)
        (directory / "after").write_bytes(bytes(MIB))
    assert not os.path.ismount(directory)
    assert (directory / "before").read_bytes() == b"kept"
    assert (directory / "after").stat().st_size == MIB


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process are Linux's")
def test_a_limit_is_set_and_lifted_while_a_process_runs(tmp_path: Path) -> None:
    disk = Limited()
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        told, answers = process.stdin, process.stdout
        assert told is not None
        assert answers is not None

        def written() -> int:
            print(file=told, flush=True)
            return int(answers.readline())

        assert written() == 0
        disk.fill(process.pid)
        assert written() == errno.EFBIG
        disk.free(process.pid)
        assert written() == 0
        told.close()
    disk.free(process.pid)
    disk.free(None)
