"""Python source under construction, and the names it is compiled with. Shared by decoding.py and
encoding.py.
"""

import struct
from functools import cache
from typing import Any

from chronik.wire.schema import Field, Message, Struct, fields, fields_in

# struct's format and size of the types that always take as many bytes.
FIXED = {
    "bool": ("?", 1),
    "int8": ("b", 1),
    "int16": ("h", 2),
    "uint16": ("H", 2),
    "int32": ("i", 4),
    "uint32": ("I", 4),
    "int64": ("q", 8),
    "float64": ("d", 8),
    "uuid": ("16s", 16),
}


# Elements in one step of a function in steps: 20 to 200 microseconds.
STEP_ELEMENTS = 64


@cache
def packer(formats: str) -> struct.Struct:
    """The Struct of a format; one for all messages, because a few dozen of them are all there is."""
    return struct.Struct(">" + formats)


def is_flexible(message: type[Message], version: int) -> bool:
    """True if a version has compact lengths and tagged fields."""
    return message.FLEXIBLE_FROM is not None and version >= message.FLEXIBLE_FROM


class Source:
    """Lines at a depth, and the names they use. Made for one function, compiled once, then dropped."""

    def __init__(self, message: type[Message], version: int, *, in_steps: bool) -> None:
        self.version = version
        self.in_steps = in_steps
        self.flexible = is_flexible(message, version)
        self.lines: list[str] = []
        self.names: dict[str, Any] = {}
        self.depth = 0

    def line(self, text: str) -> None:
        """Adds one statement, or several separated by semicolons."""
        self.lines.append("    " * self.depth + text)

    def name(self, value: Any, name: str) -> str:
        """Make a value known to the function; returns `name`."""
        self.names[name] = value
        return name

    def compile(self, what: str, function: str) -> Any:
        """Run the source and return the function it defines."""
        code = compile("\n".join(self.lines), f"<{what} version {self.version}>", "exec")
        exec(code, self.names)
        return self.names[function]

    # A function in steps is a generator that yields where its caller may let others go first.

    def begin_steps(self) -> None:
        """Called at the start of the function."""
        if self.in_steps:
            # Makes the function a generator, whatever it has to do.
            self.line("k = 0")
            self.line(f"if k: {self.pause_text()}")

    def count_step(self) -> None:
        """Called at the start of an element."""
        if self.in_steps:
            self.line("k += 1")
            self.pause(f"if not k % {STEP_ELEMENTS}: {{pause}}")

    def pause(self, text: str) -> None:
        """A line that yields, in a function in steps; `{pause}` stands for how."""
        if self.in_steps:
            self.line(text.format(pause=self.pause_text()))

    def pause_text(self) -> str:
        """The statement that yields."""
        return "yield"

    def plain_fields(self, struct_class: type[Struct]) -> list[Field]:
        """The fields of this version that come in order."""
        return [field for field in fields_in(struct_class, self.version) if field.tag is None]

    def tagged_fields(self, struct_class: type[Struct]) -> list[Field]:
        """The fields of this version that come with a tag, by tag."""
        tagged = [field for field in fields_in(struct_class, self.version) if field.tag is not None]
        return sorted(tagged, key=lambda field: field.tag or 0)

    def absent_fields(self, struct_class: type[Struct]) -> list[Field]:
        """The fields that this version does not have."""
        return [field for field in fields(struct_class) if self.version not in field.versions]
