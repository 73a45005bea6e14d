"""Compiles decoders: for a message class and version one Python function that reads it straight through.

Runs of fields of fixed size, and the length or count that follows them, are one `Struct.unpack_from`. Reading
past the end shows as struct.error or IndexError, which the function turns into MalformedMessage; lengths are
checked, because slices do not complain. Nested structs are read in place, so that a message is one call.

Names in the source: b buffer, p position, end of b, left elements still allowed, m/m1/m2... the object being
filled, n a length, count or marker, q the end of a value, k elements read (sliced decoders only).
"""

import struct
from collections.abc import Callable, Generator
from typing import Any, TypeVar

from chronik.wire.primitives import (
    ARRAY_ELEMENTS_MAX,
    TAGGED_FIELDS_MAX,
    MalformedMessage,
    read_uvarint,
    skip_tagged_fields,
)
from chronik.wire.schema import Buffer, Field, Message, Struct
from chronik.wire.source import FIXED, Source, packer

M = TypeVar("M", bound=Message)
Decoder = Callable[[Buffer, int], tuple[M, int]]
# Returns how many elements all arrays have together, too.
DecodeSteps = Generator[None, Buffer | None, tuple[M, int, int]]
SlicedDecoder = Callable[[Buffer, int], DecodeSteps[M]]


def compile_decoder(message: type[M], version: int) -> "Decoder[M]":
    """See codec.decoder."""
    decoder: Decoder[M] = _DecoderSource(message, version, in_steps=False).build()
    return decoder


def compile_sliced_decoder(message: type[M], version: int) -> "SlicedDecoder[M]":
    """See codec.sliced_decoder."""
    decoder: SlicedDecoder[M] = _DecoderSource(message, version, in_steps=True).build()
    return decoder


def _malformed(what: str, error: Exception) -> MalformedMessage:
    reason = "invalid UTF-8" if isinstance(error, UnicodeDecodeError) else "ends too early"
    return MalformedMessage(f"{what}: {reason}")


class _DecoderSource(Source):
    """The source of one decoder."""

    def __init__(self, message: type[Message], version: int, *, in_steps: bool) -> None:
        super().__init__(message, version, in_steps=in_steps)
        self.message = message
        self.what = f"{message.__name__} version {version}"
        # Fields of fixed size that are still to be read: struct's format, size, and where the value goes.
        self.run: list[tuple[str, int, str]] = []
        self.names |= {
            "new": object.__new__,
            "Malformed": MalformedMessage,
            "malformed": _malformed,
            "read_uvarint": read_uvarint,
            "skip_tagged_fields": skip_tagged_fields,
            "unpack_from": struct.unpack_from,
            "Failures": (struct.error, IndexError, UnicodeDecodeError),
        }

    def build(self) -> Any:
        """The compiled function."""
        self.line("def decode(b, p):")
        self.depth += 1
        self.line("try:")
        self.depth += 1
        self.line(f"end = len(b); left = allowed = min({ARRAY_ELEMENTS_MAX}, end - p)")
        self.begin_steps()
        self.structure(self.message, "m", 0)
        self.line("return m, p, allowed - left" if self.in_steps else "return m, p")
        self.depth -= 1
        # Raised outside, so that it does not hold on to the buffer through the error that caused it.
        self.line("except Failures as error:")
        self.line(f"    failure = malformed({self.what!r}, error)")
        self.line("raise failure")
        return self.compile(f"decoder of {self.message.__name__}", "decode")

    # Structs.

    def structure(self, struct_class: type[Struct], target: str, level: int) -> None:
        """Make an instance called `target` and fill it."""
        self.line(f"{target} = new({self.name(struct_class, struct_class.__name__)})")
        tagged = self.tagged_fields(struct_class)
        default = struct_class()
        for field in [*self.absent_fields(struct_class), *tagged]:
            self.line(f"{target}.{field.name} = {self.default_text(getattr(default, field.name))}")
        for field in self.plain_fields(struct_class):
            self.value(field, f"{target}.{field.name}", level, in_tag=False)
        if self.flexible:
            self.tags(tagged, target, level)
        self.flush()

    def default_text(self, default: object) -> str:
        """Source of a default: a new one where it is mutable."""
        if isinstance(default, Struct):
            return f"{self.name(type(default), type(default).__name__)}()"
        return repr(default)

    def tags(self, tagged: list[Field], target: str, level: int) -> None:
        """The tagged fields that end a flexible struct; unknown ones are skipped."""
        self.fixed("B", 1, "n")
        self.flush()
        self.line("if n:")
        self.depth += 1
        self.line("if n > 127: n, p = read_uvarint(b, p, n)")
        self.line("left -= n")
        too_many = f"{self.what}: too many tagged fields"
        self.line(f"if n > {TAGGED_FIELDS_MAX} or left < 0: raise Malformed({too_many!r})")
        self.pause("if n > 127: {pause}")
        if not tagged:
            self.line("p = skip_tagged_fields(b, p, n)")
        else:
            self.line("for _ in range(n):")
            self.depth += 1
            self.line("t = b[p]; p += 1")
            self.line("if t > 127: t, p = read_uvarint(b, p, t)")
            self.length("n")
            end = f"end{level}"
            self.line(f"{end} = p + n")
            self.line(
                f"if {end} > end: raise Malformed({self.what + ': a tagged field ends behind the message'!r})"
            )
            for number, field in enumerate(tagged):
                self.line(f"{'el' if number else ''}if t == {field.tag}:")
                self.depth += 1
                self.value(field, f"{target}.{field.name}", level, in_tag=True)
                self.flush()
                self.line(
                    f"if p != {end}: raise Malformed({self.of(field, 'is not as long as its tag says')!r})"
                )
                self.depth -= 1
            self.line(f"else: p = {end}")
            self.depth -= 1
        self.depth -= 1

    # Values.

    def value(self, field: Field, target: str, level: int, *, in_tag: bool) -> None:
        """Decodes one field of any type."""
        if field.is_array:
            self.array(field, target, level)
        elif field.struct is not None:
            self.single_struct(field, field.struct, target, level, in_tag)
        elif field.type_name in FIXED:
            self.fixed(*FIXED[field.type_name], target)
        else:
            self.text_or_bytes(field, target, is_nullable=self.version in field.nullable)

    def single_struct(
        self, field: Field, struct_class: type[Struct], target: str, level: int, in_tag: bool
    ) -> None:
        """A struct in place; where it can be null, a flag byte comes first (KIP-893)."""
        inner = f"m{level + 1}"
        if self.version in field.nullable and not in_tag:
            self.fixed("b", 1, "n")
            self.flush()
            self.line(f"if n < 0: {target} = None")
            self.line("else:")
            self.depth += 1
            self.structure(struct_class, inner, level + 1)
            self.line(f"{target} = {inner}")
            self.depth -= 1
        else:
            self.structure(struct_class, inner, level + 1)
            self.line(f"{target} = {inner}")

    def text_or_bytes(self, field: Field, target: str, *, is_nullable: bool) -> None:
        """A string, bytes or records. Bytes are copied: the buffer is the connection's."""
        wide = field.type_name in {"bytes", "records"}
        self.length("n", "i" if wide else "h")
        null = self.null_line(field, target if is_nullable else None)
        self.line(f"q = p + n{' - 1' if self.flexible else ''}")
        self.line(f"if q > end: raise Malformed({self.of(field, 'ends behind the message')!r})")
        self.line(f"{target} = bytes(b[p:q])" if wide else f"{target} = str(b[p:q], 'utf-8')")
        self.line("p = q")
        self.depth -= null

    def array(self, field: Field, target: str, level: int) -> None:
        """An array, of which each element counts against the message's budget."""
        self.length("n", "i")
        null = self.null_line(field, target if self.version in field.nullable else None)
        if self.flexible:
            self.line("n -= 1")
        self.line("left -= n")
        self.line(f"if left < 0: raise Malformed({self.of(field, 'has too many elements')!r})")
        if field.struct is None and field.type_name in FIXED and field.type_name != "uuid":
            code, size = FIXED[field.type_name]
            self.line(f"{target} = list(unpack_from(f'>{{n}}{code}', b, p)); p += {size} * n")
        else:
            self.elements(field, target, level)
        self.depth -= null

    def elements(self, field: Field, target: str, level: int) -> None:
        """Elements read one by one."""
        items, inner = f"a{level}", f"m{level + 1}"
        self.line(f"{items} = {target} = []")
        self.line("for _ in range(n):")
        self.depth += 1
        self.count_step()
        if field.struct is not None:
            self.structure(field.struct, inner, level + 1)
        elif field.type_name == "uuid":
            self.fixed("16s", 16, inner)
            self.flush()
        else:
            self.text_or_bytes(field, inner, is_nullable=False)
        self.line(f"{items}.append({inner})")
        self.depth -= 1

    # Where a sliced decoder may be interrupted: it can be sent a copy of the buffer there.

    def pause_text(self) -> str:
        return "b = (yield) or b"

    # Parts of values.

    def null_line(self, field: Field, target: str | None) -> int:
        """Writes the test for a length that means null; returns the indentation of the code that follows."""
        sign = "n == 0" if self.flexible else "n < 0"
        if target is None:
            self.line(f"if {sign}: raise Malformed({self.of(field, 'is null')!r})")
            return 0
        # Kafka's own null is -1, and so is any other negative length.
        self.line(f"if {sign}: {target} = None")
        self.line("else:")
        self.depth += 1
        return 1

    def length(self, target: str, legacy: str = "i") -> None:
        """A length or count, in its encoding: compact ones are one more than the number."""
        if self.flexible:
            self.fixed("B", 1, target)
            self.flush()
            self.line(f"if {target} > 127: {target}, p = read_uvarint(b, p, {target})")
        else:
            self.fixed(legacy, 2 if legacy == "h" else 4, target)
            self.flush()

    def fixed(self, code: str, size: int, target: str) -> None:
        """A value of fixed size, read with its neighbours."""
        self.run.append((code, size, target))

    def flush(self) -> None:
        """Read the run."""
        if not self.run:
            return
        targets = ", ".join(target for _, _, target in self.run)
        formats = "".join(code for code, _, _ in self.run)
        size = sum(size for _, size, _ in self.run)
        if formats == "B":
            self.line(f"{targets} = b[p]; p += 1")
        else:
            unpack = self.name(packer(formats).unpack_from, f"unpack_{formats.replace('?', 'o')}")
            self.line(f"{targets}{',' if len(self.run) == 1 else ''} = {unpack}(b, p); p += {size}")
        self.run.clear()

    def of(self, field: Field, complaint: str) -> str:
        """A complaint about a field."""
        return f"{self.what}: {field.name} {complaint}"
