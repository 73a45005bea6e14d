"""`chronik completion`."""

from enum import StrEnum
from typing import Annotated

import typer

from chronik.cli.guard import guarded

# The environment variable by which the library is asked for its script.
_VARIABLE = "_CHRONIK_COMPLETE"


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@guarded
def completion(shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")]) -> None:
    """Print what makes a shell complete commands, options, topics and groups.

    In ~/.bashrc: `source <(chronik completion bash)`. In ~/.zshrc, after compinit: `source <(chronik
    completion zsh)`. For fish: `chronik completion fish > ~/.config/fish/completions/chronik.fish`.
    """
    import os

    from chronik.cli.app import run

    os.environ[_VARIABLE] = f"source_{shell.value}"
    raise SystemExit(run([]))
