"""Open files with a bound."""

import errno
from contextlib import suppress
from random import Random

import pytest

from chronik.log.handle_cache import HandleCache, LazyFile
from chronik.sim.disk import CrashDisk, CrashFile


def files(disk: CrashDisk, handles: HandleCache, count: int) -> list[LazyFile]:
    made = [LazyFile(disk, handles, f"file{number}") for number in range(count)]
    for file in made:
        file.open(create=True).append([file.path.encode()])
    return made


class TestHandleCache:
    def test_the_least_recently_used_are_closed(self) -> None:
        disk, handles = CrashDisk(), HandleCache(3)
        first, *others = files(disk, handles, 3)
        first.open()
        LazyFile(disk, handles, "more").open(create=True)
        assert len(handles) == disk.open_files == 3
        before = disk.open_files
        first.open()
        assert disk.open_files == before, "it was still open"
        others[0].open()
        assert disk.open_files == 3, "it was opened again in place of another"

    def test_closed_files_open_again_with_their_content(self) -> None:
        disk = CrashDisk()
        for file in files(disk, HandleCache(1), 5):
            assert file.open().read_at(0, 100) == file.path.encode()

    def test_pinned_files_are_let_go_of_last(self) -> None:
        disk, handles = CrashDisk(), HandleCache(3)
        pinned, *others = files(disk, handles, 3)
        pinned.is_pinned = True
        LazyFile(disk, handles, "more").open(create=True)
        assert isinstance(pinned.to_sync(), CrashFile), "it is open"
        assert others[0].to_sync() is others[0]

    def test_more_pinned_files_than_may_be_open_are_synced_all_the_same(self) -> None:
        disk, handles = CrashDisk(), HandleCache(2)
        made = []
        for number in range(6):
            file = LazyFile(disk, handles, f"file{number}")
            file.is_pinned = True
            file.open(create=True).append([b"unsynced"])
            made.append(file)
        assert len(handles) == disk.open_files == 2
        disk.sync_directory("")
        for file in made:
            file.to_sync().sync()
        assert disk.open_files == 2
        disk.crash(Random(0))
        assert [disk.content(f"file{number}") for number in range(6)] == [b"unsynced"] * 6

    def test_a_file_that_is_being_synced_stays_open_for_it(self) -> None:
        disk, handles = CrashDisk(), HandleCache(1)
        (first,) = files(disk, handles, 1)
        first.is_pinned = True
        syncing = first.to_sync()
        files(disk, handles, 1)
        LazyFile(disk, handles, "more").open(create=True)
        assert first.to_sync() is first
        syncing.sync()
        del syncing
        assert disk.open_files == 1

    @pytest.mark.parametrize("is_pinned", [True, False])
    @pytest.mark.parametrize("limit", [1, 10])
    def test_nothing_closes_a_file_under_a_sync(self, limit: int, is_pinned: bool) -> None:
        # One that is synced and not pinned was truncated durably while the sync ran.
        disk, handles = CrashDisk(), HandleCache(limit)
        (file,) = files(disk, handles, 1)
        syncing = file.to_sync()
        file.is_pinned = is_pinned
        disk.descriptors_max = 1 if limit > 1 else None
        for number in range(2):
            with suppress(OSError):
                LazyFile(disk, handles, f"more{number}").open(create=True)
        assert file.to_sync() is file, "its handle was given up"
        syncing.sync()

    @pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
    def test_descriptors_that_others_took_are_made_up_for(self, number: int) -> None:
        disk = CrashDisk()
        handles = HandleCache(10)
        files(disk, handles, 5)
        disk.descriptors_max = 5
        disk.descriptor_error = number
        LazyFile(disk, handles, "more").open(create=True)
        assert disk.open_files == 1
        disk.descriptors_max = 0
        with pytest.raises(OSError, match="open files"):
            LazyFile(disk, handles, "another").open(create=True)

    def test_what_is_opened_now_stays_open_though_all_others_are_pinned(self) -> None:
        disk, handles = CrashDisk(), HandleCache(2)
        for file in files(disk, handles, 2):
            file.is_pinned = True
            file.open()
        LazyFile(disk, handles, "more").open(create=True).append([b"written"])
        assert disk.content("more") == b"written"


class TestLazyFile:
    def test_missing(self) -> None:
        file = LazyFile(CrashDisk(), HandleCache(), "missing")
        assert not file.exists()
        with pytest.raises(FileNotFoundError):
            file.open()
        file.remove()

    def test_abandoned_closes_unless_a_sync_may_need_it(self) -> None:
        disk, handles = CrashDisk(), HandleCache()
        synced, unsynced = files(disk, handles, 2)
        unsynced.is_pinned = True
        handle = unsynced.open()
        synced.abandon()
        unsynced.abandon()
        assert synced.is_abandoned
        assert unsynced.is_abandoned
        assert len(handles) == 0
        assert disk.open_files == 1
        handle.sync()

    def test_remove(self) -> None:
        disk = CrashDisk()
        (file,) = files(disk, HandleCache(), 1)
        file.remove()
        assert disk.list("") == []
        assert disk.open_files == 0

    def test_private_handles_are_apart(self) -> None:
        disk, handles = CrashDisk(), HandleCache()
        (file,) = files(disk, handles, 1)
        private = file.open_private()
        file.close()
        assert private.read_at(0, 10) == b"file0"
