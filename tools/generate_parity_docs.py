"""Writes the part of docs/compatibility.md that the parity scenarios say: differences and what is covered.

python tools/generate_parity_docs.py            write the page
python tools/generate_parity_docs.py --check    fail when the committed page differs
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.parity import golden  # noqa: E402
from tests.parity.intended import INTENDED  # noqa: E402
from tests.parity.open_differences import OPEN  # noqa: E402
from tests.parity.registry import all_scenarios  # noqa: E402
from tests.parity.summary import versions_asked  # noqa: E402

TARGET = ROOT / "docs" / "compatibility.md"
BEGIN = "<!-- Written by tools/generate_parity_docs.py from tests/parity, from here -->"
END = "<!-- to here. -->"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    is_check = parser.parse_args().check
    before = TARGET.read_text(encoding="utf-8")
    head, begin, rest = before.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{TARGET} has lost the lines {BEGIN} and {END}")
    after = "\n".join([f"{head}{BEGIN}\n", *lines(), f"{END}{tail}"])
    if not is_check:
        TARGET.write_text(after, encoding="utf-8")
    elif after != before:
        print(f"{TARGET} is not what tests/parity says: run tools/generate_parity_docs.py", file=sys.stderr)
        return 1
    print("up to date")
    return 0


def lines() -> Iterator[str]:
    count = len(all_scenarios())
    (version,) = golden.versions()
    yield f"{count} conversations were recorded with Apache Kafka {version} and are repeated with one node"
    yield "and three (`tests/parity/`). Of error texts it is compared whether there are any.\n"
    yield "### Differences from Apache Kafka that are meant\n"
    yield from table("Where", "Reason")
    for entry in INTENDED:
        yield row(", ".join(f"`{each}`" for each in entry.scenarios), entry.reason)
    if OPEN:
        yield "\n### Differences that are faults and not mended yet\n"
        yield from table("Where", "What")
        for entry in OPEN:
            yield row(", ".join(f"`{each}`" for each in entry.scenarios), entry.reason)
    yield "\n### Scenarios for each API\n"
    yield from table("API", "Versions", "Scenarios")
    for api, versions in sorted(versions_asked().items()):
        names = {name for found in versions.values() for name in found}
        yield row(api, ", ".join(str(each) for each in sorted(versions)), str(len(names)))
    yield ""


def table(*titles: str) -> Iterator[str]:
    yield row(*titles)
    yield "|" + " --- |" * len(titles)


def row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    raise SystemExit(main())
