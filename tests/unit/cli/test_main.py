import gc
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from chronik import __version__
from chronik.cli.exit_codes import ExitCode
from chronik.cli.main import main


def modules_after(code: str, *names: str) -> list[str]:
    """Which of the modules a fresh interpreter has imported after some code."""
    shown = f"{code}\nimport sys\nprint(*[name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, check=True)
    return done.stdout.split()


def start_in_a_process(*words: str) -> subprocess.CompletedProcess[str]:
    """A start that fails; in a process of its own, because it sets up logs and signals."""
    command = [sys.executable, "-m", "chronik.cli.main", "start", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_a_start_imports_nothing_for_people() -> None:
    code = "import chronik.cli.main, chronik.cli.start, chronik.cli.start_options, chronik.server.node"
    heavy = ("typer", "rich", "pydantic", "uvicorn", "starlette", "prometheus_client", "cramjam")
    assert modules_after(code, *heavy) == []


def test_commands_import_the_client_only_when_they_run() -> None:
    assert modules_after("import chronik.cli.app", "chronik.client.client", "rich.table", "asyncio") == []


def test_wrong_settings_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["start", "--set", "no.such.setting=1"]) == ExitCode.USAGE
    assert "no.such.setting" in capsys.readouterr().err
    # It is off only while a start imports.
    assert gc.isenabled()


def test_a_settings_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["start", "--config", "/nowhere/node.toml"]) == ExitCode.USAGE
    assert "/nowhere/node.toml" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["start", "--nonsense"], ["start", "--set", "x"], ["nonsense"], ["topic", "create"]]
)
def test_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == ExitCode.USAGE
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize(
    "words",
    [
        ["topic", "list", "-b", "localhost:port"],
        ["health", "--http", "localhost:port"],
        ["config", "alter", "topic", "orders"],
        ["perf", "nonsense"],
    ],
)
def test_wrong_usage_that_is_found_by_a_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == ExitCode.USAGE
    assert capsys.readouterr().err.startswith("error: ")


def test_the_workloads_that_perf_knows_are_all_there_are() -> None:
    from chronik.cli.commands.perf import WORKLOAD_NAMES
    from chronik.cli.perf import Workload

    assert [workload.value for workload in Workload] == list(WORKLOAD_NAMES)


def test_help_of_perf_names_its_workloads(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["perf", "--help"]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert "small-requests" in shown
    assert "pip install confluent-kafka" in shown


def test_a_port_in_use_is_said_with_the_way_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        listeners = ["--listeners", f"PLAINTEXT://{address}", "--http", "off"]
        started = start_in_a_process(*listeners, "--data-dir", str(tmp_path))
    assert started.returncode == ExitCode.FAILED
    assert started.stderr.startswith(f"error: cannot listen on {address}: ")
    assert "another port with --listeners" in started.stderr


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    started = start_in_a_process("--data-dir", str(file), "--listeners", "PLAINTEXT://127.0.0.1:0")
    assert started.returncode == ExitCode.FAILED
    assert started.stderr.startswith(f"error: {file}: ")
    assert "another directory with --data-dir" in started.stderr


def test_help_lists_commands_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == ExitCode.OK
    shown = capsys.readouterr().out
    commands = ["start", "topic", "group", "produce", "consume", "cluster", "log", "perf", "health", "config"]
    assert all(command in shown for command in commands)
    assert "Exit codes" in shown


def test_help_of_start_has_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    from chronik.cli.start_options import START_OPTIONS

    assert main(["start", "--help"]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert all(option.flag in shown for option in START_OPTIONS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from chronik import __version__

    assert main(["version"]) == ExitCode.OK
    assert capsys.readouterr().out.startswith(f"chronik {__version__} ")


def test_variables_for_other_commands_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    from chronik.cli.start import settings_environment

    monkeypatch.setenv("CHRONIK_BOOTSTRAP_SERVER", "localhost:1")
    monkeypatch.setenv("CHRONIK_NODE_ID", "4")
    environment = settings_environment()
    assert "CHRONIK_BOOTSTRAP_SERVER" not in environment
    assert environment["CHRONIK_NODE_ID"] == "4"


@pytest.mark.parametrize("words", [["--version"], ["-V"]])
def test_the_version(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == ExitCode.OK
    assert capsys.readouterr().out == f"chronik {__version__}\n"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("foo", "there is no command 'foo'"),
        ("topc list", "there is no command 'topc'; did you mean topic?"),
        ("topic creat x", "there is no command 'creat'; did you mean create?"),
        ("topic create", "TOPIC is missing"),
        ("topic create x y", "too many words: y"),
        ("topic create x --partion 3", "there is no option --partion; did you mean --partitions?"),
        ("topic create x --partitions", "--partitions needs a value"),
        ("topic list --json=3", "--json takes no value"),
        ("topic create x --partitions y", "--partitions: a whole number from 1 on is expected, not 'y'"),
        ("topic create x -p 0", "--partitions: a whole number from 1 on is expected, not '0'"),
        ("topic create x -p1.5", "--partitions: a whole number from 1 on is expected, not '1.5'"),
        ("consume x -p 1 -p two", "--partition: a whole number from 0 on is expected, not 'two'"),
        ("topic list --timeout=0", "--timeout: a number from 0.1 on is expected, not '0'"),
        ("produce x --acks 7", "--acks: one of 0, 1, all is expected, not '7'"),
        ("start --foo", "there is no option --foo"),
        ("start --set x", "--set: 'x' is not NAME=VALUE"),
        ("start stray", "too many words: stray"),
    ],
)
def test_mistakes_are_said_in_words_of_our_own(
    command: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command.split()) == ExitCode.USAGE
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"error: {said}"
    assert "--help` shows" in lines[1]
    assert len(lines) == 2


def test_a_group_of_commands_alone_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["topic"]) == ExitCode.USAGE
    captured = capsys.readouterr()
    assert "describe" in captured.out + captured.err


def test_a_wrong_value_of_a_setting_with_two_names_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["start", "--node-id", "x"]) == ExitCode.USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: command line: Invalid value x for configuration node.id")
