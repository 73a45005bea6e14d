"""What the disk says of room and descriptors, and what becomes of it."""

import errno
import logging
import os
from pathlib import Path

import pytest

from chronik.server.disk_trouble import DiskTroubles, Trouble
from chronik.server.reserve import RESERVE_BYTES, RESERVE_FILE, Reserve


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def full(number: int = errno.ENOSPC) -> OSError:
    return OSError(number, os.strerror(number))


def test_one_line_a_minute_and_one_when_it_has_passed(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    troubles = DiskTroubles(clock)
    with caplog.at_level(logging.INFO):
        for _ in range(100):
            troubles.on_error(full(), "orders-0/0.log")
        assert len(caplog.records) == 1
        clock.now += 61
        troubles.on_error(full(), "orders-0/0.log")
        assert [getattr(line, "refused", None) for line in caplog.records] == [1, 100]
        troubles.on_success(Trouble.DISK_FULL)
        troubles.on_success(Trouble.DISK_FULL)
    assert [line.levelname for line in caplog.records] == ["ERROR", "ERROR", "INFO"]
    assert troubles.refused == {Trouble.DISK_FULL: 101, Trouble.DESCRIPTORS: 0}


def test_health_says_what_lasts() -> None:
    troubles = DiskTroubles()
    assert not troubles.warnings()
    troubles.on_error(full(), "orders-0/0.log")
    troubles.on_error(full(errno.EMFILE), "orders-1/0.log")
    troubles.on_error(full(errno.EIO), "orders-2/0.log")
    assert troubles.warnings() == [
        "disk full: No space left on device (orders-0/0.log)",
        "file descriptors used up: Too many open files (orders-1/0.log)",
    ]
    troubles.on_success(Trouble.DESCRIPTORS)
    assert troubles.lasting() == [Trouble.DISK_FULL]


def test_a_reserve_is_given_back_in_pieces(tmp_path: Path) -> None:
    reserve, file = Reserve(str(tmp_path)), tmp_path / RESERVE_FILE
    assert not reserve.give(), "nothing is there yet"
    reserve.keep(free_bytes=1024)
    assert not file.exists(), "a disk with hardly any room keeps it"
    reserve.keep(free_bytes=1 << 40)
    assert file.stat().st_blocks * 512 >= RESERVE_BYTES
    sizes = []
    while reserve.give():
        sizes.append(file.stat().st_size)
    assert (len(sizes), sizes[-1]) == (16, 0)
    reserve.keep(free_bytes=1 << 40)
    assert file.stat().st_size == RESERVE_BYTES
