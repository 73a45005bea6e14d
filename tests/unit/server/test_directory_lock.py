"""The lock of a data directory."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from chronik.node.data_directory import DataDirectoryError
from chronik.server.directory_lock import DirectoryLock

NO_SPACE = OSError(errno.ENOSPC, "No space left on device")


def test_a_directory_belongs_to_one_process(tmp_path: Path) -> None:
    lock = DirectoryLock(str(tmp_path / "data"))
    with pytest.raises(DataDirectoryError, match=f"in use by the process with pid {os.getpid()}"):
        DirectoryLock(str(tmp_path / "data"))
    lock.release()
    lock.release()
    DirectoryLock(str(tmp_path / "data")).release()


def test_a_file_system_without_locks_is_not_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", refuse)
        with pytest.raises(OSError, match="No locks available"):
            DirectoryLock(str(tmp_path))
    if before is not None:
        assert len(os.listdir("/proc/self/fd")) == before


def test_a_full_disk_does_not_keep_from_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise NO_SPACE

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", refuse)
        lock = DirectoryLock(str(tmp_path / "data"))
    with pytest.raises(DataDirectoryError, match="in use by the process with pid unknown"):
        DirectoryLock(str(tmp_path / "data"))
    lock.release()
