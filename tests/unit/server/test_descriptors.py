"""The limit on open files: raised as far as the system lets it be, and how many clients fit below it."""

import os
import resource

import pytest

from chronik.server import descriptors

INFINITE = resource.RLIM_INFINITY


class Limits:
    """The kernel's side: a soft and a hard limit, and the most that it grants."""

    def __init__(self, soft: int, hard: int, granted_max: int = 2**31) -> None:
        self.soft = soft
        self.hard = hard
        self._granted_max = granted_max

    def get(self, kind: int) -> tuple[int, int]:
        return self.soft, self.hard

    def set(self, kind: int, limits: tuple[int, int]) -> None:
        soft, hard = limits
        if soft > self._granted_max or (self.hard != INFINITE and soft > self.hard):
            raise ValueError("not allowed")
        self.soft, self.hard = soft, hard


def install(monkeypatch: pytest.MonkeyPatch, limits: Limits) -> Limits:
    monkeypatch.setattr(resource, "getrlimit", limits.get)
    monkeypatch.setattr(resource, "setrlimit", limits.set)
    return limits


@pytest.mark.parametrize(
    ("limits", "raised"),
    [
        (Limits(1024, 4096), 4096),
        (Limits(1024, 2**20 * 1000), 2**20),
        (Limits(1024, INFINITE), 2**20),
        # macOS names no limit and grants 10,240.
        (Limits(256, INFINITE, granted_max=10_240), 10_240),
        (Limits(4096, 4096), 4096),
        (Limits(INFINITE, INFINITE), INFINITE),
        (Limits(256, INFINITE, granted_max=256), 256),
    ],
)
def test_the_limit_is_raised_as_far_as_it_goes(
    monkeypatch: pytest.MonkeyPatch, limits: Limits, raised: int
) -> None:
    hard = install(monkeypatch, limits).hard
    descriptors.raise_limit()

    assert (limits.soft, limits.hard) == (raised, hard)


@pytest.mark.parametrize(
    ("soft", "files", "connections"),
    [(64, 24, 24), (256, 96, 96), (1024, 448, 448), (20_000, 512, 19_360), (INFINITE, 512, 2**20)],
)
def test_files_and_connections_leave_room_for_each_other(
    monkeypatch: pytest.MonkeyPatch, soft: int, files: int, connections: int
) -> None:
    install(monkeypatch, Limits(soft, INFINITE))

    assert descriptors.budget(512) == (files, connections)
    assert files + connections < soft or soft == INFINITE


def test_a_spare_descriptor_is_free_while_it_is_lent() -> None:
    spares = descriptors.SpareDescriptors(1)
    before = set(os.listdir("/dev/fd"))
    with spares.lend():
        during = set(os.listdir("/dev/fd"))
        with spares.lend():
            assert set(os.listdir("/dev/fd")) == during, "there was only one"
    assert len(during) == len(before) - 1
    assert len(os.listdir("/dev/fd")) == len(before)
    spares.close()
