import socket
from pathlib import Path

import pytest

from chronik.cli.local_cluster import ports
from chronik.cli.local_cluster.ports import busy, free_ports, is_free


def test_ports_are_free_different_and_not_the_systems_own() -> None:
    found = free_ports(20)
    assert len(set(found)) == 20
    assert all(is_free(port) for port in found)
    assert max(found) < ports._ephemeral_low()


def test_a_port_that_is_taken_is_not_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", free_ports(1)[0])) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(ports, "_FREE_LOW", port)
        monkeypatch.setattr(ports, "_EPHEMERAL_RANGE", write(tmp_path, f"{port + 21} 60999\n"))
        assert port not in free_ports(1)
        assert busy([port]) == [port]
    assert busy([port]) == []


def test_ports_that_somebody_else_is_to_have_are_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ports, "_FREE_LOW", 20_000)
    monkeypatch.setattr(ports, "_EPHEMERAL_RANGE", write(tmp_path, "20100 60999\n"))
    assert min(free_ports(1, taken=range(20_000, 20_050))) >= 20_050


def test_too_many_ports() -> None:
    with pytest.raises(OSError, match="there are no 1 free ports"):
        free_ports(1, taken=range(1, 65_536))


@pytest.mark.parametrize("content", ["", "nonsense", None])
def test_a_system_that_does_not_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "absent" if content is None else write(tmp_path, content)
    monkeypatch.setattr(ports, "_EPHEMERAL_RANGE", path)
    assert ports._ephemeral_low() == 49152


def test_a_small_range_is_searched_from_further_below(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ports, "_EPHEMERAL_RANGE", write(tmp_path, "1100 60999\n"))
    assert 1024 <= free_ports(1)[0] < 1100


def write(directory: Path, content: str) -> Path:
    path = directory / "range"
    path.write_text(content, encoding="ascii")
    return path
