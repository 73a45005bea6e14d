"""Writes docs/log-lines.md: every line the server can log, with its severity, from the code.

python tools/generate_log_lines.py             write the page
python tools/generate_log_lines.py --check     fail when the committed page differs
"""

import argparse
import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "log-lines.md"
# Rooms that run in a server. The simulator and the command line are not read by operators at night.
ROOMS = ("broker", "cluster", "log", "node", "raft", "server")

SEVERITIES = {
    "critical": ("CRITICAL", "A defect, or a part of this node that does not come back without a restart."),
    "error": ("ERROR", "Something is lost, damaged or refused on this node: look at it."),
    "warning": ("WARNING", "The node mends it by itself; look at it when it repeats."),
    "info": ("INFO", "What the node does."),
}

HEAD = """# Log lines

Written by `tools/generate_log_lines.py` from the code. A line begins with one of these texts, which stay the
same from release to release; fields follow as `name=value`, or as JSON with `log.format=json`. `%s` and `%d`
stand for a name or a number. [Operations](operations.md) says what to do about the important ones.
"""


class Line(NamedTuple):
    severity: str
    text: str
    module: str


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    is_check = parser.parse_args().check
    page = "\n".join(_page())
    if not is_check:
        TARGET.write_text(page, encoding="utf-8")
    elif not TARGET.exists() or TARGET.read_text(encoding="utf-8") != page:
        raise SystemExit("docs/log-lines.md is out of date: run python tools/generate_log_lines.py")
    print("up to date" if is_check else f"wrote {TARGET}")
    return 0


def _page() -> Iterator[str]:
    lines = sorted(set(_lines()), key=lambda line: (line.text, line.module))
    yield HEAD
    for method, (name, meaning) in SEVERITIES.items():
        yield f"## {name}\n\n{meaning}\n\n| line | logged by |\n| --- | --- |"
        for line in lines:
            if line.severity == method:
                yield f"| {line.text} | `{line.module}` |"
        yield ""


def _lines() -> Iterator[Line]:
    source = ROOT / "src" / "chronik"
    for room in ROOMS:
        for path in sorted((source / room).rglob("*.py")):
            module = path.relative_to(source).with_suffix("").as_posix()
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                line = _line(node, module)
                if line is not None:
                    yield line


def _line(node: ast.AST, module: str) -> Line | None:
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="_log"), attr=method), args=[*arguments]):
            # `log` has its level in front, and is used where that depends: a warning or an error.
            severity = {"exception": "critical", "log": "error"}.get(method, method)
            text = arguments[1 if method == "log" else 0] if arguments else None
            match text:
                case ast.Constant(value=str(value)) if severity in SEVERITIES:
                    return Line(severity, value, module)
    return None


if __name__ == "__main__":
    raise SystemExit(main())
