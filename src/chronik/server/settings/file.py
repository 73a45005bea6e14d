"""One setting of a file, whatever the file's format."""

from typing import NamedTuple


class FileSetting(NamedTuple):
    """`line` counts from 1; 0 when it could not be found."""

    name: str
    text: str
    line: int
