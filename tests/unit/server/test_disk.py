"""The real disk: what `log.disk` asks for, on a real directory."""

import asyncio
import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronik.log.disk import DirectorySync, write_atomically
from chronik.server import disk as disk_module
from chronik.server.disk import SYNC_THREADS, RealDisk, RealFile


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[RealDisk]:
    disk = RealDisk(str(tmp_path / "data"))
    yield disk
    disk.close()


def file_of(disk: RealDisk, content: bytes = b"") -> RealFile:
    file = disk.open("f", create=True)
    assert isinstance(file, RealFile)
    file.append([content])
    return file


# Files.


def test_appends_are_joined_at_the_end(disk: RealDisk) -> None:
    file = file_of(disk)
    file.append([b"ab", memoryview(b"cd"), bytearray(b"ef")])
    file.append([b"gh"])
    assert file.size() == 8
    assert file.read_at(0, 100) == b"abcdefgh"
    assert file.read_at(2, 3) == b"cde"
    assert file.read_at(8, 1) == b""
    file.close()


def test_more_buffers_than_one_call_takes(disk: RealDisk) -> None:
    file = file_of(disk)
    file.append([b"%04d" % number for number in range(3000)])
    assert file.read_at(0, 1 << 20) == b"".join(b"%04d" % number for number in range(3000))
    file.close()


def test_what_the_device_takes_in_pieces_is_written_whole(
    disk: RealDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = file_of(disk, b"start")

    def write_some(descriptor: int, buffers: list[bytes], position: int) -> int:
        return os.pwrite(descriptor, b"".join(buffers)[:3], position)

    monkeypatch.setattr(os, "pwritev", write_some)
    file.append([b"ab", b"cdef", b"g"])
    assert file.read_at(0, 100) == b"startabcdefg"
    file.close()


def test_a_failed_append_leaves_the_size_that_was(disk: RealDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    file = file_of(disk, b"start")

    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwritev", fail)
        with pytest.raises(OSError, match="No space"):
            file.append([b"more"])
    assert file.size() == 5
    file.append([b"!"])
    assert file.read_at(0, 100) == b"start!"
    file.close()


def test_reading_what_is_in_the_page_cache(disk: RealDisk) -> None:
    file = file_of(disk, b"abcdef")
    assert file.read_cached(1, 3) == b"bcd"
    assert file.read_cached(4, 100) == b"ef"
    assert file.read_cached(6, 1) == b""
    file.close()


@pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="this system cannot ask for the page cache only")
def test_what_is_not_in_the_page_cache_is_left_to_a_thread(
    disk: RealDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = file_of(disk, b"abcdef")

    def refuse(*_: object) -> int:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "preadv", refuse)
    assert file.read_cached(0, 3) is None
    monkeypatch.setattr(os, "preadv", lambda *_: 2)
    assert file.read_cached(0, 3) is None, "a part of it is not enough"

    def unsupported(*_: object) -> int:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "preadv", unsupported)
    assert file.read_cached(0, 3) == b"abc"

    def broken(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "preadv", broken)
    with pytest.raises(OSError, match="Input/output"):
        file.read_cached(0, 3)
    file.close()


def test_truncating_and_writing_in_the_middle(disk: RealDisk) -> None:
    file = file_of(disk, b"abcdef")
    file.write_at(1, b"XY")
    assert file.size() == 6
    file.truncate(4)
    assert (file.size(), file.read_at(0, 100)) == (4, b"aXYd")
    file.write_at(6, b"Z")
    assert (file.size(), file.read_at(0, 100)) == (7, b"aXYd\0\0Z")
    file.close()


def test_a_file_that_nobody_has_closes_itself(disk: RealDisk) -> None:
    file = file_of(disk)
    descriptor = file._descriptor
    file.close()
    file.close()
    del file
    again = file_of(disk)
    assert again._descriptor == descriptor
    del again
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


# Directories.


def test_names_come_sorted_and_a_directory_that_is_not_there_is_empty(disk: RealDisk) -> None:
    disk.make_directory("a/b")
    disk.make_directory("a/b")
    for name in ("2", "10", "1"):
        disk.open(f"a/b/{name}", create=True).close()
    assert disk.list("a/b") == ["1", "10", "2"]
    assert disk.list("absent") == []
    assert disk.exists("a/b/1")
    assert not disk.exists("a/b/3")


def test_opening_and_removing_what_is_not_there(disk: RealDisk) -> None:
    with pytest.raises(FileNotFoundError):
        disk.open("absent")
    with pytest.raises(FileNotFoundError):
        disk.remove("absent")
    disk.remove_tree("absent")


def test_renames_replace_and_trees_go_whole(disk: RealDisk) -> None:
    write_atomically(disk, "f", b"old")
    write_atomically(disk, "f", b"new")
    file = disk.open("f")
    assert file.read_at(0, 10) == b"new"
    file.close()
    disk.make_directory("t-0")
    disk.open("t-0/x", create=True).close()
    disk.rename("t-0", "t-0.gone-delete")
    assert not disk.exists("t-0")
    disk.remove_tree("t-0.gone-delete")
    assert disk.list("") == ["f"]


def test_the_root_is_made_and_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    disk = RealDisk("some/where")
    assert disk.root == str(tmp_path / "some" / "where")
    assert disk.free_bytes() > 0
    disk.close()


# Threads.


class Synced:
    """Notes in which thread it was synced."""

    def __init__(self, error: OSError | None = None) -> None:
        self.thread = ""
        self._error = error

    def sync(self) -> None:
        self.thread = threading.current_thread().name
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize("count", [0, 1, 3, SYNC_THREADS, 50])
def test_all_are_synced_beside_the_loop(disk: RealDisk, count: int) -> None:
    files = [Synced() for _ in range(count)]
    assert asyncio.run(disk.sync_many(files)) == {}
    assert all(file.thread.startswith("chronik-sync") for file in files)


@pytest.mark.parametrize("count", [1, 10])
def test_failures_are_told_by_file_and_do_not_keep_others_from_it(disk: RealDisk, count: int) -> None:
    error = OSError(errno.EIO, "Input/output error")
    bad = Synced(error)
    files = [bad, *(Synced() for _ in range(count - 1))]
    assert asyncio.run(disk.sync_many(files)) == {bad: error}
    assert all(file.thread for file in files)


def test_files_and_directories_can_be_synced(disk: RealDisk) -> None:
    file = file_of(disk, b"v")
    assert asyncio.run(disk.sync_many([file, DirectorySync(disk, "")])) == {}
    missing = DirectorySync(disk, "absent")
    assert isinstance(asyncio.run(disk.sync_many([missing]))[missing], FileNotFoundError)
    file.close()


def test_blocking_work_runs_beside_the_loop_and_its_error_comes_back(disk: RealDisk) -> None:
    def fail() -> None:
        raise FileNotFoundError("gone")

    assert asyncio.run(disk.run_blocking(lambda: threading.current_thread().name)).startswith("chronik-read")
    with pytest.raises(FileNotFoundError):
        asyncio.run(disk.run_blocking(fail))


def test_closing_waits_for_what_runs_and_for_nothing_else(tmp_path: Path) -> None:
    disk = RealDisk(str(tmp_path))
    begun, may_end = threading.Semaphore(0), threading.Event()
    done: list[int] = []

    def work() -> None:
        begun.release()
        may_end.wait(10)
        done.append(1)

    async def play() -> None:
        waiting = [asyncio.ensure_future(disk.run_blocking(work)) for _ in range(10)]
        await asyncio.sleep(0)
        for _ in range(disk_module.READ_THREADS):
            begun.acquire(timeout=10)
        threading.Timer(0.01, may_end.set).start()
        disk.close()
        await asyncio.wait(waiting)

    asyncio.run(play())
    assert len(done) == disk_module.READ_THREADS
