"""A TOML file as flat settings, each with its line.

Kafka's names are not TOML's: `max.connections` and `max.connections.per.ip` cannot both be dotted keys. So
dotted keys are quoted before the file is parsed; `num.partitions = 3`, `"num.partitions" = 3` and `[num]
partitions = 3` mean the same.
"""

import re
from collections.abc import Iterator, Mapping

from chronik.server.settings.file import FileSetting

_KEY = r"""(\s*)((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\.(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)(\s*=.*)"""
_HEADER = r"\s*\[([^\[\]]+)\]\s*(?:#.*)?"


def parse_toml(content: str) -> list[FileSetting]:
    """Returns all settings of a file. Raises ValueError (of which tomllib's errors are) with the problem."""
    import tomllib  # 5 ms that starts without a file need not pay

    lines: dict[str, int] = {}
    document = tomllib.loads("\n".join(_quoted(content, lines)))
    settings: list[FileSetting] = []
    names: set[str] = set()
    for name, value in _flatten(document, ""):
        line = lines.get(name, 0)
        if name in names:
            raise ValueError(f"{name} is set twice")
        names.add(name)
        settings.append(FileSetting(name, _text(name, value), line))
    return settings


def _quoted(content: str, lines: dict[str, int]) -> Iterator[str]:
    """The lines of the file with dotted keys quoted; notes down where each setting stands."""
    table = ""
    multiline = False
    for number, line in enumerate(content.splitlines(), start=1):
        header = re.fullmatch(_HEADER, line)
        key = re.fullmatch(_KEY, line, re.DOTALL)
        if not multiline and header is not None:
            table = _bare(header[1]) + "."
        elif not multiline and key is not None:
            name = _bare(key[2])
            lines.setdefault(table + name, number)
            line = f'{key[1]}"{name}"{key[3]}'
        # A string over several lines may hold anything; inside of one nothing is a key.
        if (line.count('"""') + line.count("'''")) % 2:
            multiline = not multiline
        yield line


def _bare(key: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in key.split("."))


def _flatten(table: Mapping[str, object], prefix: str) -> Iterator[tuple[str, object]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _text(name: str, value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case str():
            return value
        case list():
            return ",".join(_text(name, item) for item in value)
        case _:
            raise ValueError(f"{name} has a value of a kind that no setting has: {value}")
