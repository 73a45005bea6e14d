"""Threads that sync files: shared work, errors, and the end."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest

from chronik.server.sync_threads import Failures, SyncThreads

COUNT = 3


@pytest.fixture
def threads() -> Iterator[SyncThreads]:
    made = SyncThreads(COUNT)
    yield made
    made.close()


class Held:
    """Its sync begins, and ends when it may."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()
        self.has_ended = False

    def sync(self) -> None:
        self.begun.set()
        assert self.may_end.wait(10)
        self.has_ended = True


class Broken:
    def sync(self) -> NoReturn:
        raise ZeroDivisionError("a bug")


def running() -> set[threading.Thread]:
    """Those of other disks, that another test has left, are named the same."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("chronik-sync")}


def test_shares_are_synced_at_the_same_time(threads: SyncThreads) -> None:
    files = [Held() for _ in range(COUNT)]

    async def play() -> None:
        syncing = asyncio.ensure_future(threads.sync(files))
        await asyncio.sleep(0)
        assert all(file.begun.wait(10) for file in files)
        assert not syncing.done()
        for file in files:
            file.may_end.set()
        assert await syncing == {}

    asyncio.run(play())


def test_one_after_the_other_takes_one_thread(threads: SyncThreads) -> None:
    async def play() -> None:
        for _ in range(10):
            file = Held()
            file.may_end.set()
            assert await threads.sync([file]) == {}

    before = running()
    asyncio.run(play())
    assert len(running() - before) == 1


def test_a_bug_fails_its_file_alone_and_the_thread_goes_on(threads: SyncThreads) -> None:
    async def play() -> None:
        broken, file = Broken(), Held()
        file.may_end.set()
        failures = await threads.sync([broken, file])
        assert list(failures) == [broken]
        assert "a bug" in str(failures[broken])
        assert await threads.sync([file]) == {}

    asyncio.run(play())


def test_the_end_is_told_in_the_turn_in_which_the_last_thread_reports(threads: SyncThreads) -> None:
    async def play() -> None:
        order: list[str] = []
        done = asyncio.Event()
        answer = threads._answer

        def note(*told: Any) -> None:
            # Runs in a turn after this one, as all that is scheduled now.
            asyncio.get_running_loop().call_soon(order.append, "turn")
            answer(*told)

        def on_done(failures: Failures) -> None:
            order.append(f"done {dict(failures)}")
            done.set()

        threads._answer = note  # type: ignore[method-assign, assignment]
        file = Held()
        file.may_end.set()
        threads.begin([file], on_done)
        await done.wait()
        assert order == ["done {}", "turn"]

    asyncio.run(play())


def test_no_files_are_synced_in_a_later_turn(threads: SyncThreads) -> None:
    async def play() -> None:
        told: list[Failures] = []
        threads.begin([], told.append)
        assert told == []
        await asyncio.sleep(0)
        assert told == [{}]

    asyncio.run(play())


def test_nobody_waits_any_more(threads: SyncThreads) -> None:
    """Neither a cancelled wait nor a loop that has ended is a thread's concern."""
    cancelled, left = Held(), Held()

    async def play() -> None:
        syncing = asyncio.ensure_future(threads.sync([cancelled]))
        await asyncio.sleep(0)
        syncing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await syncing
        cancelled.may_end.set()
        last = Held()
        last.may_end.set()
        assert await threads.sync([last]) == {}
        asyncio.ensure_future(threads.sync([left]))  # noqa: RUF006  (the loop ends before it does)
        await asyncio.sleep(0)

    asyncio.run(play())
    left.may_end.set()
    threads.close()
    assert cancelled.has_ended
    assert left.has_ended


def test_closing_waits_for_what_was_begun() -> None:
    before = running()
    threads, file = SyncThreads(COUNT), Held()

    async def play() -> None:
        syncing = asyncio.ensure_future(threads.sync([file]))
        await asyncio.sleep(0)
        assert file.begun.wait(10)
        threading.Timer(0.01, file.may_end.set).start()
        threads.close()
        assert file.has_ended
        assert await syncing == {}

    asyncio.run(play())
    assert running() == before
