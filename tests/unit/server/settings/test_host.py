import socket
from typing import Any, ClassVar

import pytest

from chronik.server.settings.host import own_host


class FakeSocket:
    """A UDP socket on a machine with routes for some families only."""

    sources: ClassVar[dict[int, str]] = {}

    def __init__(self, family: int, type: int) -> None:
        self._family = family
        assert type == socket.SOCK_DGRAM

    def __enter__(self) -> "FakeSocket":
        return self

    def __exit__(self, *error: object) -> None: ...

    def connect(self, address: Any) -> None:
        if self._family not in self.sources:
            raise OSError("Network is unreachable")

    def getsockname(self) -> tuple[str, int]:
        return self.sources[self._family], 40_000


@pytest.mark.parametrize(
    ("sources", "wildcard", "host"),
    [
        ({socket.AF_INET: "10.1.2.3", socket.AF_INET6: "fd00::5"}, "0.0.0.0", "10.1.2.3"),
        ({socket.AF_INET: "10.1.2.3", socket.AF_INET6: "fd00::5"}, "", "10.1.2.3"),
        ({socket.AF_INET: "10.1.2.3", socket.AF_INET6: "fd00::5"}, "::", "fd00::5"),
        ({socket.AF_INET6: "fd00::5"}, "", "fd00::5"),
        ({socket.AF_INET: "10.1.2.3"}, "::", "10.1.2.3"),
        ({}, "", "localhost"),
    ],
)
def test_the_address_this_machine_sends_from(
    monkeypatch: pytest.MonkeyPatch, sources: dict[int, str], wildcard: str, host: str
) -> None:
    monkeypatch.setattr(FakeSocket, "sources", sources)
    monkeypatch.setattr(socket, "socket", FakeSocket)
    assert own_host(wildcard) == host


def test_on_this_machine_it_is_something_to_connect_to() -> None:
    assert own_host("") not in ("", "0.0.0.0", "::")
