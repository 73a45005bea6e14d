"""A file in the format of Kafka's own server.properties, which is that of java.util.Properties.

A line that ends in an odd number of backslashes goes on in the next, whose indentation is dropped; comments
begin with `#` or `!`; a key ends at the first `=`, `:` or white space that no backslash stands before.
"""

import re
from collections.abc import Iterator

from chronik.server.settings.file import FileSetting

_WHITE = " \t\f"
_LINE_ENDS = re.compile(r"\r\n|\r|\n")
_ESCAPE = re.compile(r"\\(u([0-9a-fA-F]{4})?|.)", re.DOTALL)
_CHARACTERS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def decode_properties(content: bytes) -> str:
    """Java reads ISO 8859-1; content that is valid UTF-8 was meant as that."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("iso-8859-1")


def parse_properties(content: str) -> list[FileSetting]:
    """Returns all settings of a file; of a repeated one the last counts, as in Java.

    Raises ValueError with the problem.
    """
    settings: dict[str, FileSetting] = {}
    for number, line in _logical_lines(content):
        key, value = _split(line)
        try:
            name, text = _unescape(key), _unescape(value)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
        settings[name] = FileSetting(name, text, number)
    return list(settings.values())


def _logical_lines(content: str) -> Iterator[tuple[int, str]]:
    """Yields lines that are not blank or comments, continued ones joined, each with the number of its
    first line.
    """
    joined: str | None = None
    first = 0
    for number, natural in enumerate(_LINE_ENDS.split(content), start=1):
        line = natural.lstrip(_WHITE)
        if joined is None:
            if not line or line[0] in "#!":
                continue
            joined, first = "", number
        backslashes = len(line) - len(line.rstrip("\\"))
        if backslashes % 2:
            joined += line[:-1]
            continue
        yield first, joined + line
        joined = None
    if joined is not None:
        # The file ends in the middle.
        yield first, joined


def _split(line: str) -> tuple[str, str]:
    """Key and value, both with their escapes."""
    position = 0
    while position < len(line) and line[position] not in f"=:{_WHITE}":
        position += 2 if line[position] == "\\" else 1
    key, rest = line[:position], line[position:].lstrip(_WHITE)
    if rest[:1] in ("=", ":"):
        rest = rest[1:].lstrip(_WHITE)
    return key, rest


def _unescape(text: str) -> str:
    return _ESCAPE.sub(_character, text)


def _character(escape: re.Match[str]) -> str:
    if escape[1][0] != "u":
        return _CHARACTERS.get(escape[1], escape[1])
    if escape[2] is None:
        raise ValueError("\\u is not followed by four hexadecimal digits")
    return chr(int(escape[2], 16))
