"""With a child that is not a node: what is written to its log is what the tests say."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

import chronik
from chronik.cli.local_cluster.node_process import NodeProcess, open_log, same_chronik, started_event


@pytest.fixture
def log(tmp_path: Path) -> Iterator[IO[bytes]]:
    with open_log(tmp_path / "node.log") as file:
        yield file


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: IO[bytes]) -> Iterator[NodeProcess]:
    """Waits for the end of its input, then ends with code 7."""
    script = tmp_path / "child"
    script.write_text(f"#!{sys.executable}\nimport sys\nsys.stdin.read()\nsys.exit(7)\n", encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    log.write(b"Kafka Server started, long ago\n")
    running = NodeProcess.spawn({}, log, os.environ)
    yield running
    running.kill()
    running.wait(20)
    running.close()


def test_it_has_started_when_its_log_says_so(process: NodeProcess, log: IO[bytes]) -> None:
    assert process.started() is None
    log.write(b"opening\n" * 10)
    assert process.started() is None
    log.write(b'{"event": "Kafka Server started", "bootstrap_')
    assert process.started() is None
    log.write(b'servers": "a:1"}\nserving\n')
    line = process.started()
    assert line is not None
    assert started_event(line)["bootstrap_servers"] == "a:1"
    assert process.started() == line


def test_a_long_log_is_searched_to_its_end(process: NodeProcess, log: IO[bytes]) -> None:
    log.write(b"opening\n" * (1 << 18))
    log.write(b"Kafka Server started\n")
    assert process.started() == "Kafka Server started\n"


def test_the_end_of_the_log(process: NodeProcess, log: IO[bytes]) -> None:
    log.write(b"x" * 5000 + b"\n")
    log.write(b"".join(b"line %d\n" % number for number in range(20)))
    assert process.log_tail().splitlines() == [f"line {number}" for number in range(8, 20)]


def test_it_ends_when_its_input_does(process: NodeProcess) -> None:
    assert process.code is None
    assert process.wait(0) is None
    assert process._process.stdin is not None
    process._process.stdin.close()
    assert process.wait(20) == process.code == 7
    # Nobody is hit by a signal to a process that is gone.
    process.terminate()
    process.kill()


def test_it_has_a_process_group_of_its_own(process: NodeProcess) -> None:
    assert os.getpgid(process.pid) == process.pid != os.getpgid(0)


def test_the_same_chronik() -> None:
    source = str(Path(chronik.__file__).parent.parent)
    assert same_chronik({"A": "b"}) == {"A": "b", "PYTHONPATH": source}
    assert same_chronik({"PYTHONPATH": "x"}) == {"PYTHONPATH": f"{source}{os.pathsep}x"}


def test_settings_are_arguments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "child"
    script.write_text(f"#!{sys.executable}\nimport sys\nprint(sys.argv[1:])\n", encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    running = NodeProcess.spawn({"node.id": "1", "a": "b=c"}, open_log(tmp_path / "log"), os.environ)
    assert running.wait(20) == 0
    words = [
        "-m",
        "chronik.cli.main",
        "start",
        "--until-stdin-closes",
        "--set",
        "node.id=1",
        "--set",
        "a=b=c",
    ]
    assert running.log_tail() == str(words)
    running.close()
