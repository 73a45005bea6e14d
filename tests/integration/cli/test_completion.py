"""The completions that a shell receives."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from chronik.cli.exit_codes import ExitCode
from chronik.cli.main import main
from chronik.testing import Broker
from tests.integration.cli.command import Command

pytestmark = pytest.mark.integration

SECONDS = 60

# A shell's own words for: what comes after this line?
ASK = {
    "bash": "source <(chronik completion bash); COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}}-1)); "
    '_chronik_completion chronik; printf "%s\\n" "${{COMPREPLY[@]}}"',
    "fish": 'chronik completion fish | source; complete -C "{line}"',
    # Without a terminal there is no completion system, so its words are stood in for.
    "zsh": "compdef() {{ }}; _files() {{ }}; _arguments() {{ print -r -- $@ }}; "
    "source <(chronik completion zsh); "
    "words=({line}); CURRENT=${{#words}}; _chronik_completion",
}


@pytest.fixture
def shell_path(tmp_path: Path) -> str:
    """A PATH with a `chronik` of this interpreter in front."""
    command = tmp_path / "bin" / "chronik"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m chronik.cli.main "$@"\n')
    command.chmod(0o755)
    return f"{command.parent}{os.pathsep}{os.environ['PATH']}"


def completed(shell: str, line: str, path: str, servers: str) -> str:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    environment = {**os.environ, "PATH": path, "CHRONIK_BOOTSTRAP_SERVER": servers}
    done = subprocess.run(
        [shell, "-c", ASK[shell].format(line=line)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env=environment,
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("shell", ASK)
def test_a_shell_completes_the_names_of_topics(
    shell: str, shell_path: str, broker: Broker, topic: str
) -> None:
    start = topic[:-2]
    assert topic in completed(shell, f"chronik topic describe {start}", shell_path, broker.bootstrap_servers)


@pytest.mark.parametrize("shell", ASK)
def test_a_shell_completes_commands_and_choices(shell: str, shell_path: str, broker: Broker) -> None:
    words = completed(shell, "chronik topic de", shell_path, broker.bootstrap_servers)
    assert "delete" in words
    assert "describe" in words
    assert "create" not in words
    assert "zstd" in completed(shell, "chronik produce t -z zs", shell_path, broker.bootstrap_servers)


@pytest.mark.parametrize("shell", ASK)
def test_nobody_there_is_no_message_in_the_line(shell: str, shell_path: str) -> None:
    assert "error" not in completed(shell, "chronik topic describe o", shell_path, "127.0.0.1:1")


def asked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str) -> list[str]:
    """As fish asks."""
    monkeypatch.setenv("_CHRONIK_COMPLETE", "complete_fish")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line)
    capsys.readouterr()
    assert main([]) == ExitCode.OK
    return [word.partition("\t")[0] for word in capsys.readouterr().out.split("\n") if word]


def test_a_cluster_is_asked_that_the_line_names(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], broker: Broker, topic: str
) -> None:
    line = f"chronik consume -b {broker.bootstrap_servers} {topic[:-2]}"
    assert asked(monkeypatch, capsys, line) == [topic]


def test_groups(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], broker: Broker, chronik: Command
) -> None:
    chronik.run("topic", "create", "completed", "--if-not-exists")
    chronik.run("consume", "completed", "--group", "complete-readers", "--no-follow", "--from-beginning")
    chronik.run(
        "group", "reset-offsets", "complete-readers", "--topic", "completed", "--to-earliest", "--execute"
    )
    line = f"chronik group describe -b {broker.bootstrap_servers} complete-re"
    assert asked(monkeypatch, capsys, line) == ["complete-readers"]


def test_a_shell_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "tcsh"]) == ExitCode.USAGE
    assert capsys.readouterr().err.startswith("error: SHELL: one of bash, zsh, fish is expected, not 'tcsh'")
