"""The options of `chronik start`, declared once: parsed here for a fast start, shown by typer in the help.

The import of typer takes as long as a third of a whole start may. So `parse` accepts exactly the forms it is
sure of, and returns None for all else (`--help`, mistakes): typer then explains.
"""

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """The treatment of an option's value."""

    SETTING = "sets one setting"
    ASSIGNMENT = "names a setting and its value"
    FILE = "names a file of settings"
    SWITCH = "takes no value"


class StartOption(NamedTuple):
    """One option. `setting` is the Kafka name it stands for, where it stands for one."""

    flag: str
    metavar: str
    help: str
    kind: Kind = Kind.SETTING
    setting: str = ""

    @property
    def parameter(self) -> str:
        """The flag as a Python name."""
        return self.flag.removeprefix("--").replace("-", "_")


START_OPTIONS = (
    StartOption(
        flag="--data-dir",
        setting="data.dir",
        metavar="DIR",
        help="Where everything is kept; made at the first start. Default ./chronik-data.",
    ),
    StartOption(
        flag="--listeners",
        setting="listeners",
        metavar="URL,...",
        help="Where clients connect, as NAME://HOST:PORT. Default PLAINTEXT://localhost:9092.",
    ),
    StartOption(
        flag="--advertised-listeners",
        setting="advertised.listeners",
        metavar="URL,...",
        help="What clients are told to connect to, where that differs from --listeners.",
    ),
    StartOption(
        flag="--http",
        setting="http.address",
        metavar="ADDRESS",
        help="Where /health/ready and /metrics answer, as HOST:PORT, or off. Default localhost:9101.",
    ),
    StartOption(
        flag="--node-id",
        setting="node.id",
        metavar="N",
        help="The node's number in its cluster. Default 1.",
    ),
    StartOption(
        flag="--config",
        kind=Kind.FILE,
        metavar="FILE",
        help="A file of settings: TOML, or Kafka's server.properties (any *.properties).",
    ),
    StartOption(
        flag="--set",
        kind=Kind.ASSIGNMENT,
        metavar="NAME=VALUE",
        help="One setting under Kafka's name; repeatable. Overrides the file and the environment.",
    ),
    StartOption(
        flag="--log-format",
        setting="log.format",
        metavar="FORMAT",
        help="How log lines are written to standard error: text (default) or json.",
    ),
    StartOption(
        flag="--log-level",
        setting="log.level",
        metavar="LEVEL",
        help="The least severe log lines: debug, info (default), warning or error.",
    ),
    StartOption(
        flag="--until-stdin-closes",
        kind=Kind.SWITCH,
        metavar="",
        help="Stop when standard input ends, as it does when the process that holds it dies.",
    ),
)

_BY_FLAG = {option.flag: option for option in START_OPTIONS}


class StartArguments:
    """The parsed command line. `settings` has texts under Kafka's names, the last one given."""

    __slots__ = ("config_file", "settings", "until_stdin_closes")

    def __init__(self) -> None:
        self.settings: dict[str, str] = {}
        self.config_file: str | None = None
        self.until_stdin_closes = False

    def take(self, option: StartOption, value: str) -> None:
        """Add one option. Raises ValueError when the value cannot belong to it."""
        match option.kind:
            case Kind.SETTING:
                self.settings[option.setting] = value
            case Kind.ASSIGNMENT:
                name, equals, text = value.partition("=")
                if not equals or not name.strip():
                    raise ValueError(f"{value!r} is not NAME=VALUE")
                self.settings[name.strip()] = text
            case Kind.FILE:
                self.config_file = value
            case Kind.SWITCH:
                self.until_stdin_closes = True


def parse(words: Sequence[str]) -> StartArguments | None:
    """The arguments after `start`; None when a word is not understood."""
    arguments = StartArguments()
    rest = iter(words)
    for word in rest:
        flag, equals, value = word.partition("=")
        option = _BY_FLAG.get(flag)
        if option is None or (equals and option.kind is Kind.SWITCH):
            return None
        if not equals and option.kind is not Kind.SWITCH:
            following = next(rest, None)
            if following is None or following.startswith("--"):
                return None
            value = following
        try:
            arguments.take(option, value)
        except ValueError:
            return None
    return arguments
