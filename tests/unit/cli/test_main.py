import subprocess
import sys

import pytest

from chronik.cli.exit_codes import ExitCode
from chronik.cli.main import main


def modules_after(code: str, *names: str) -> list[str]:
    """Which of the modules a fresh interpreter has imported after some code."""
    shown = f"{code}\nimport sys\nprint(*[name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_a_start_imports_nothing_for_people() -> None:
    code = "import chronik.cli.main, chronik.cli.start, chronik.cli.start_options, chronik.server.node"
    heavy = ("typer", "rich", "pydantic", "uvicorn", "starlette", "prometheus_client", "cramjam")
    assert modules_after(code, *heavy) == []


def test_commands_import_the_client_only_when_they_run() -> None:
    assert modules_after("import chronik.cli.app", "chronik.cli.client", "rich.table", "asyncio") == []


def test_wrong_settings_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["start", "--set", "no.such.setting=1"]) == ExitCode.USAGE
    assert "no.such.setting" in capsys.readouterr().err


def test_a_settings_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["start", "--config", "/nowhere/node.toml"]) == ExitCode.USAGE
    assert "/nowhere/node.toml" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["start", "--nonsense"], ["start", "--set", "x"], ["nonsense"], ["topic", "create"]]
)
def test_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == ExitCode.USAGE
    assert "Usage:" in capsys.readouterr().err


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
