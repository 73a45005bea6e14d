"""Writes src/chronik/wire/messages from the schemas that kio carries (docs/decisions/0002), and
tests/parity/messages, the APIs that are not served: Kafka is asked them all the same.

    python tools/generate_messages.py            write the modules
    python tools/generate_messages.py --check    fail when the committed modules differ

kio has one class per version, generated from Kafka's own schema files; here the versions of a struct are
merged into one class, whose table says which field is in which. The output depends on kio's version, and on
which APIs are served: enter an API in `chronik.wire.apis.SUPPORTED` and run this to have its messages.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kio.schema.index import api_key_map
from kio.static.constants import EntityType

from chronik.wire.apis import SUPPORTED, ApiKey
from kio_schemas import FieldSource, MessageSource, StructSource, disambiguate, read_message

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "src" / "chronik" / "wire" / "messages"
# Of APIs that nothing in the package uses.
TEST_TARGET = ROOT / "tests" / "parity" / "messages"

# Beside the APIs that are served: what the command line asks other brokers.
CLIENT_APIS = {ApiKey.CONSUMER_GROUP_DESCRIBE}

# APIs that are between Kafka's own brokers and controllers, whose work is done by other means here.
INTERNAL_API_KEYS = {52, 53, 54, 56, 58, 59, 62, 63, 67, 70, 73, *range(82, 90)}
DATA_SCHEMAS = ("consumer_protocol_assignment", "consumer_protocol_subscription")

ANNOTATIONS = {
    "string": "str",
    "bytes": "bytes",
    "uuid": "bytes",
    "bool": "bool",
    "float64": "float",
    "records": "Records",
}
ZEROES = {
    "string": '""',
    "bytes": 'b""',
    "records": 'b""',
    "uuid": "ZERO_UUID",
    "bool": "False",
    "float64": "0.0",
}


def versions_text(versions: list[int], last: int) -> str:
    """Kafka's notation: `4`, `4-12`, `4+`."""
    if versions != list(range(versions[0], versions[-1] + 1)):
        raise SystemExit(f"versions with a gap: {versions}")
    if versions[-1] == last:
        return f"{versions[0]}+"
    return f"{versions[0]}-{versions[-1]}" if len(versions) > 1 else str(versions[0])


def row_text(field: FieldSource, last: int) -> str:
    """The row of the codec's table (chronik/wire/schema.py)."""
    text = f"{field.name}: {'[]' if field.is_array else ''}{field.type} {versions_text(field.versions, last)}"
    if field.nullable:
        text += f" nullable {versions_text(field.nullable, last)}"
    if field.tag is not None:
        text += f" tag {field.tag}"
    return text


def value_annotation(field: FieldSource) -> str:
    """What the attribute holds. A tagged struct may be absent, which stands for all its defaults."""
    text = field.type if field.is_struct else ANNOTATIONS.get(field.type, "int")
    if field.is_array:
        text = f"list[{text}]"
    is_absent_struct = field.is_struct and not field.is_array and field.tag is not None
    return f"{text} | None" if field.nullable or is_absent_struct else text


def parameter_text(field: FieldSource) -> str:
    """The parameter of `__init__`, with a default that is not shared between instances."""
    annotation = value_annotation(field)
    if field.default is not None:
        return f"{field.name}: {annotation} = {field.default}"
    if field.is_array:
        plain, _, null = annotation.partition(" | ")
        return f"{field.name}: {plain} | tuple[()]{' | None' if null else ''} = ()"
    if field.is_struct:
        return f"{field.name}: {annotation.removesuffix(' | None')} | None = None"
    return f"{field.name}: {annotation} = {ZEROES.get(field.type, '0')}"


def assignment_text(field: FieldSource) -> str:
    """The line of `__init__` that stores a field."""
    name = field.name
    if field.is_array and field.default is None:
        return f"self.{name}: {value_annotation(field)} = [] if isinstance({name}, tuple) else {name}"
    if field.is_struct and not field.is_array and "None" not in value_annotation(field):
        return f"self.{name} = {field.type}() if {name} is None else {name}"
    return f"self.{name} = {name}"


def tuple_text(names: list[str]) -> str:
    """A tuple of strings that the formatter may put on one line."""
    return f"({', '.join(repr(name) for name in names)}{',' if len(names) == 1 else ''})"


def struct_lines(struct: StructSource, message: MessageSource) -> Iterator[str]:
    """The source of one class."""
    is_message = struct is message.structs[-1]
    yield f"class {struct.name}({'Message' if is_message else 'Struct'}):"
    yield f"    __slots__ = {tuple_text(sorted(field.name for field in struct.fields))}"
    yield ""
    if is_message:
        yield f"    VERSIONS = VersionRange({message.first}, {message.last})"
        if message.flexible_from is not None:
            yield f"    FLEXIBLE_FROM = {message.flexible_from}"
    yield "    FIELDS = ("
    yield from (f'        "{row_text(field, message.last)}",' for field in struct.fields)
    yield "    )"
    yield ""
    yield "    def __init__("
    yield "        self,"
    yield "        *,"
    yield from (f"        {parameter_text(field)}," for field in struct.fields)
    yield "    ) -> None:"
    yield from (f"        {assignment_text(field)}" for field in struct.fields)
    yield ""
    yield ""


def message_text(message: MessageSource) -> str:
    """The source of all classes of one message."""
    text = "\n".join(line for struct in message.structs for line in struct_lines(struct, message))
    # Requests arrive as one buffer; only what is sent may be in several.
    return text.replace(": Records", ": bytes") if message.structs[-1].name.endswith("Request") else text


def module_text(title: str, messages: list[MessageSource]) -> str:
    """The source of one module."""
    text = "".join(message_text(message) for message in messages)
    used = {
        "VersionRange": "VersionRange(",
        "Records": ": Records",
        "Struct": "(Struct)",
        "ZERO_UUID": "ZERO_UUID",
    }
    names = ["Message", *(name for name, sign in used.items() if sign in text)]
    imports = ", ".join(sorted(names, key=lambda name: (not name.isupper(), name)))
    docstring = f'"""{title}. Generated by tools/generate_messages.py; do not edit."""'
    return f"{docstring}\n\nfrom chronik.wire.schema import {imports}\n\n\n{text}"


def index_text(known: dict[int, tuple[str | None, int, int, int | None]]) -> str:
    """The module that says which APIs there are, without importing any."""
    rows = "\n".join(
        f"    {key}: ({quoted(name)}, {first}, {last}, {flexible}),"
        for key, (name, first, last, flexible) in known.items()
    )
    title = "All APIs, and which have message modules"
    return (
        f'"""{title}. Generated by tools/generate_messages.py; do not edit."""\n\n'
        "# api key: module, if there is one; first and last version, first flexible version\n"
        f"MODULES: dict[int, tuple[str | None, int, int, int | None]] = {{\n{rows}\n}}\n"
    )


def quoted(name: str | None) -> str:
    return "None" if name is None else f'"{name}"'


def generate(directory: Path, test_directory: Path) -> None:
    """Write the modules of what the package uses, and of what only tests do, formatted as the project is."""
    known: dict[int, tuple[str | None, int, int, int | None]] = {}
    for key in sorted(set(api_key_map) - INTERNAL_API_KEYS):
        schema = api_key_map[key]
        request, response = (
            read_message(schema, EntityType.request),
            read_message(schema, EntityType.response),
        )
        disambiguate(request, response)
        title = request.structs[-1].name.removesuffix("Request")
        if schema.title().replace("_", "") != title:
            raise SystemExit(f"{schema} does not name {title}")
        is_used = key in SUPPORTED or key in CLIENT_APIS
        target = directory if is_used else test_directory
        (target / f"{schema}.py").write_text(module_text(title, [request, response]))
        known[key] = (schema if is_used else None, request.first, request.last, request.flexible_from)
    for schema in DATA_SCHEMAS:
        data = read_message(schema, EntityType.data)
        (directory / f"{schema}.py").write_text(module_text(data.structs[-1].name, [data]))
    (directory / "index.py").write_text(index_text(known))
    for target in (directory, test_directory):
        (target / "__init__.py").write_text(
            '"""Generated by tools/generate_messages.py: one module per API."""\n'
        )
        config = str(ROOT / "pyproject.toml")
        subprocess.run(
            [sys.executable, "-m", "ruff", "format", "--quiet", "--config", config, str(target)], check=True
        )


def differences(generated: Path, committed: Path) -> list[str]:
    """Names of modules that are missing, left over or different."""
    names = {path.name for directory in (generated, committed) for path in directory.glob("*.py")}

    def content(directory: Path, name: str) -> str | None:
        path = directory / name
        return path.read_text() if path.exists() else None

    return sorted(name for name in names if content(generated, name) != content(committed, name))


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the message modules from kio's schemas.")
    parser.add_argument(
        "--check", action="store_true", help="only compare; exit 1 when the committed modules differ"
    )
    check: bool = parser.parse_args().check
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as test_name:
        generated = {TARGET: Path(name), TEST_TARGET: Path(test_name)}
        generate(*generated.values())
        different = [
            (target / name, source / name)
            for target, source in generated.items()
            for name in differences(source, target)
        ]
        if check:
            found = [f"differs: {target.relative_to(ROOT)}" for target, _ in different]
            print("\n".join(found) or "up to date")
            return 1 if different else 0
        for target, source in different:
            if source.exists():
                target.parent.mkdir(exist_ok=True)
                target.write_text(source.read_text())
            else:
                target.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
