"""Compiles encoders: for a message class and version one Python function that writes it straight through.

Runs of fields of fixed size, and the length or count that follows them, are one `Struct.pack`. Pieces are
collected and joined once; long records are passed on as they are. A value that cannot be written raises
somewhere within, and only then is the message searched for the culprit, so that a valid message pays for no
checks.

Names in the source: m/m1/m2... the object being written, w pieces, add their append, parts the joined pieces
and long records, s a string or bytes, a/a1... an array, n a length, x a struct.
"""

import struct
from collections.abc import Callable, Generator
from typing import Any, TypeVar

from chronik.wire.culprit import EncodeError, find_culprit
from chronik.wire.primitives import ONE_BYTE, add_records, records_size, uvarint
from chronik.wire.schema import NO_VERSIONS, Buffer, Field, Message, Struct
from chronik.wire.source import FIXED, Source, packer

M = TypeVar("M", bound=Message)
Encoder = Callable[[M], list[Buffer]]
SlicedEncoder = Callable[[M], Generator[None, None, list[Buffer]]]


def compile_encoder(message: type[M], version: int) -> "Encoder[M]":
    """See codec.encoder."""
    encoder: Encoder[M] = _EncoderSource(message, version, in_steps=False).build()
    return encoder


def compile_sliced_encoder(message: type[M], version: int) -> "SlicedEncoder[M]":
    """See codec.sliced_encoder."""
    encoder: SlicedEncoder[M] = _EncoderSource(message, version, in_steps=True).build()
    return encoder


class _EncoderSource(Source):
    """The source of one encoder, and of the functions for its tagged fields."""

    def __init__(self, message: type[Message], version: int, *, in_steps: bool) -> None:
        super().__init__(message, version, in_steps=in_steps)
        self.message = message
        # Values of fixed size that are still to be written: struct's format and an expression.
        self.run: list[tuple[str, str]] = []
        # Structs whose tagged fields need a function; it is written after the encoder.
        self.tag_functions: dict[str, tuple[type[Struct], list[Field]]] = {}
        self.names |= {
            "ONE_BYTE": ONE_BYTE,
            "add_records": add_records,
            "join": b"".join,
            "pack": struct.pack,
            "records_size": records_size,
            "uvarint": uvarint,
            "EncodeError": EncodeError,
            "find_culprit": find_culprit,
            "Failures": (struct.error, AttributeError, TypeError, UnicodeEncodeError),
        }

    def build(self) -> Any:
        """The compiled function."""
        self.line("def encode(m):")
        self.depth += 1
        self.line("try:")
        self.depth += 1
        self.line("parts = []; w = []; add = w.append")
        self.begin_steps()
        self.structure(self.message, "m", 0)
        self.flush()
        self.line("if w or not parts: parts.append(join(w))")
        self.line("return parts")
        self.depth -= 1
        self.line("except Failures as error:")
        self.line(f"    raise EncodeError(find_culprit(m, {self.version})) from error")
        self.depth -= 1
        self.in_steps = False  # tagged fields are written in one go
        while self.tag_functions:
            self.tag_function(*self.tag_functions.popitem())
        return self.compile(f"encoder of {self.message.__name__}", "encode")

    # Structs.

    def structure(self, struct_class: type[Struct], source: str, level: int) -> None:
        """Encodes the fields of one struct. The caller flushes the rest of the run."""
        for field in self.plain_fields(struct_class):
            self.value(field, f"{source}.{field.name}", level)
        if self.flexible:
            self.tags(struct_class, source)

    def tags(self, struct_class: type[Struct], source: str) -> None:
        """The tagged fields that end a flexible struct; mostly all are at their defaults and left out."""
        tagged = self.tagged_fields(struct_class)
        if not tagged:
            self.fixed("B", "0")
            return
        self.flush()
        default = struct_class()
        at_default = " and ".join(
            self.default_test(f"{source}.{field.name}", getattr(default, field.name)) for field in tagged
        )
        function = f"tags_of_{struct_class.__name__}"
        self.tag_functions[function] = (struct_class, tagged)
        self.line(f"add(b'\\0' if {at_default} else {function}({source}))")

    def default_test(self, value: str, default: object) -> str:
        """Returns source that tests whether a value is the default."""
        if default == []:
            return f"not {value}"
        return f"{value} is None" if default is None else f"{value} == {default!r}"

    def tag_function(self, name: str, section: tuple[type[Struct], list[Field]]) -> None:
        """A function that returns the tagged fields of a struct, with their count before them."""
        struct_class, tagged = section
        default = struct_class()
        self.line(f"def {name}(m):")
        self.depth += 1
        self.line("tags = []; k = 0")
        for field in tagged:
            value = f"m.{field.name}"
            absent = self.default_test(value, getattr(default, field.name))
            if field.struct is not None and not field.is_array:
                absent += f" or {value} == {self.name(field.struct, field.struct.__name__)}()"
            self.line(f"if not ({absent}):")
            self.depth += 1
            self.line("k += 1; w = []; add = w.append")
            if field.struct is not None and not field.is_array:
                self.structure(field.struct, value, 0)
            else:
                self.value(field, value, 0)
            self.flush()
            self.line("s = join(w)")
            self.line(f"tags += (uvarint({field.tag}), uvarint(len(s)), s)")
            self.depth -= 1
        self.line("return join((uvarint(k), *tags))")
        self.depth -= 1

    # Values.

    def value(self, field: Field, source: str, level: int) -> None:
        """Encodes one field of any type."""
        if field.is_array:
            self.array(field, source, level)
        elif field.struct is not None:
            self.single_struct(field, field.struct, source, level)
        elif field.type_name in FIXED:
            self.fixed(FIXED[field.type_name][0], source)
        elif field.type_name == "records":
            self.records(field, source)
        else:
            self.text_or_bytes(field, source)

    def single_struct(self, field: Field, struct_class: type[Struct], source: str, level: int) -> None:
        """A struct in place; where it can be null, a flag byte comes first (KIP-893)."""
        inner = f"m{level + 1}"
        if self.version not in field.nullable:
            self.flush()
            self.line(f"{inner} = {source}")
            self.structure(struct_class, inner, level + 1)
            return
        self.flush()
        self.line(f"{inner} = {source}")
        self.line(f"if {inner} is None: add(b'\\xff')")
        self.line("else:")
        self.depth += 1
        self.fixed("b", "1")
        self.structure(struct_class, inner, level + 1)
        self.flush()
        self.depth -= 1

    def text_or_bytes(self, field: Field, source: str) -> None:
        """A string or bytes. Both write None as empty in versions that lack the null which others have."""
        code = "h" if field.type_name == "string" else "i"
        encode = ".encode()" if field.type_name == "string" else ""
        empty = "''" if field.type_name == "string" else "b''"
        if self.version in field.nullable:
            self.null_or_else(source, "s", code)
            self.line(f"s = s{encode}")
            self.length("s", code)
            self.line("add(s)")
            self.depth -= 1
            return
        source = f"({source} or {empty})" if field.nullable != NO_VERSIONS else source
        self.line(f"s = {source}{encode}")
        self.length("s", code)
        self.line("add(s)")

    def records(self, field: Field, source: str) -> None:
        """Record batches in one buffer or several; they are not copied."""
        if self.version in field.nullable:
            self.null_or_else(source, "s", "i")
        else:
            self.line(f"s = {source}")
        self.line("n = records_size(s)")
        self.length("n", "i", is_number=True)
        self.line("add_records(s, w, parts)")
        if self.version in field.nullable:
            self.depth -= 1

    def array(self, field: Field, source: str, level: int) -> None:
        """An array; None is written as empty in versions that lack the null which others have."""
        items, inner = f"a{level}", f"m{level + 1}"
        is_nullable = self.version in field.nullable
        if is_nullable:
            self.null_or_else(source, items, "i")
        else:
            self.line(f"{items} = {source}{' or ()' if field.nullable != NO_VERSIONS else ''}")
        self.length(items, "i")
        if field.struct is None and field.type_name in FIXED:
            code = FIXED[field.type_name][0]
            many = f"'>' + {code!r} * len({items})" if code == "16s" else f"f'>{{len({items})}}{code}'"
            self.line(f"add(pack({many}, *{items}))")
        else:
            self.line(f"for {inner} in {items}:")
            self.depth += 1
            self.count_step()
            if field.struct is not None:
                self.structure(field.struct, inner, level + 1)
            else:
                self.text_or_bytes(field._replace(nullable=NO_VERSIONS), inner)
            self.flush()
            self.depth -= 1
        self.depth -= is_nullable

    # Where a sliced encoder may be interrupted. Joining millions of pieces at the end would take long, too.

    def pause_text(self) -> str:
        return "parts.append(join(w)); w.clear(); yield"

    # Parts of values.

    def null_or_else(self, source: str, name: str, code: str) -> None:
        """Writes the pending fields and a null if the value is None; leaves the source in the other
        branch.
        """
        self.line(f"{name} = {source}")
        before = list(self.run)
        self.line(f"if {name} is None:")
        self.depth += 1
        self.fixed(*(("B", "0") if self.flexible else (code, "-1")))
        self.flush()
        self.depth -= 1
        self.line("else:")
        self.depth += 1
        self.run = before

    def length(self, name: str, code: str, *, is_number: bool = False) -> None:
        """The length or count of the variable `name`, or `name` itself; compact ones are one more."""
        number = name if is_number else f"len({name})"
        if not self.flexible:
            self.fixed(code, number)
            self.flush()
            return
        self.flush()
        self.line(f"n = {number} + 1")
        self.line("add(ONE_BYTE[n] if n < 128 else uvarint(n))")

    def fixed(self, code: str, source: str) -> None:
        """A value of fixed size, written with its neighbours."""
        self.run.append((code, source))

    def flush(self) -> None:
        """Write the run."""
        if not self.run:
            return
        formats = "".join(code for code, _ in self.run)
        values = ", ".join(value for _, value in self.run)
        if self.run == [("B", "0")]:
            self.line("add(b'\\0')")
        else:
            self.line(
                f"add({self.name(packer(formats).pack, f'pack_{formats}'.replace('?', 'o'))}({values}))"
            )
        self.run.clear()
