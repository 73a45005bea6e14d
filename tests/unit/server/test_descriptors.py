"""The limit on open files: raised as far as the system lets it be, and how many clients fit below it."""

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


@pytest.mark.parametrize(("soft", "room"), [(256, 128), (1024, 512), (20_000, 19_232), (INFINITE, 2**20)])
def test_connections_leave_room_for_files(monkeypatch: pytest.MonkeyPatch, soft: int, room: int) -> None:
    install(monkeypatch, Limits(soft, INFINITE))

    assert descriptors.room_for_connections() == room
