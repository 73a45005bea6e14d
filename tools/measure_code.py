"""Counts what the shape of the code is judged by: files, functions, lines by room, fan-out of imports.

python tools/measure_code.py [ROOT]     of this repository, or of another tree of it

Generated message modules are left out, as are tests. A function's lines are those from its `def` to its end,
docstring included; a function within another one counts in both. Fan-out: how many other modules of the
package a module imports, and how many other rooms a room does.
"""

import argparse
import ast
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path
from statistics import median

PACKAGE = "chronik"
_GENERATED = ("wire/messages/", "wire/compiled/")
_LONG_FUNCTION = 40
_LONG_FILE = 400
_TOP = 10

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Module:
    """One source file."""

    def __init__(self, root: Path, path: Path) -> None:
        relative = path.relative_to(root).with_suffix("")
        parts = relative.parts[:-1] if relative.name == "__init__" else relative.parts
        self.name = ".".join(parts)
        self.room = parts[1] if len(parts) > 1 else PACKAGE
        text = path.read_text(encoding="utf-8")
        self.lines = len(text.splitlines())
        tree = ast.parse(text)
        self.functions = [node for node in ast.walk(tree) if isinstance(node, Function)]
        self.imports = frozenset(_imported(tree))


def _imported(tree: ast.AST) -> Iterator[str]:
    """Names of the package that are imported anywhere in the file: modules, or what is in them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules(source: Path) -> list[Module]:
    """Those of a `src` directory, in order."""
    paths = sorted((source / PACKAGE).rglob("*.py"))
    return [
        Module(source, path)
        for path in paths
        if not any(part in path.relative_to(source / PACKAGE).as_posix() for part in _GENERATED)
    ]


def targets(module: Module, known: frozenset[str]) -> frozenset[str]:
    """The other modules that one imports: the longest known beginning of each name."""
    found = set()
    for name in module.imports:
        while name and name not in known:
            name = name.rpartition(".")[0]
        if name and name not in (module.name, PACKAGE):
            found.add(name)
    return frozenset(found)


def quantile(values: Sequence[int], part: float) -> int:
    """The smallest value that so many do not exceed."""
    return sorted(values)[ceil(part * len(values)) - 1]


def report(found: Sequence[Module]) -> Iterator[str]:
    sizes = [module.lines for module in found]
    yield (
        f"files: {len(sizes)}, {sum(sizes)} lines, median {median(sizes):g}, p90 {quantile(sizes, 0.9)}, "
        f"largest {max(sizes)}, {sum(size > _LONG_FILE for size in sizes)} over {_LONG_FILE}"
    )
    lengths = [
        (node.end_lineno or node.lineno) - node.lineno + 1 for each in found for node in each.functions
    ]
    yield (
        f"functions: {len(lengths)}, median {median(lengths):g}, p90 {quantile(lengths, 0.9)}, "
        f"longest {max(lengths)}, {sum(length > _LONG_FUNCTION for length in lengths)} over {_LONG_FUNCTION}"
    )
    known = frozenset(module.name for module in found)
    fan_out = {module.name: targets(module, known) for module in found}
    counts = [len(each) for each in fan_out.values()]
    yield f"fan-out of modules: median {median(counts):g}, p90 {quantile(counts, 0.9)}, most {max(counts)}"
    yield from _rooms(found, fan_out)
    yield "modules that import most:"
    for name, count in Counter({name: len(each) for name, each in fan_out.items()}).most_common(_TOP):
        yield f"  {count:3} {name}"


def _rooms(found: Sequence[Module], fan_out: dict[str, frozenset[str]]) -> Iterator[str]:
    room_of = {module.name: module.room for module in found}
    lines: Counter[str] = Counter()
    files: Counter[str] = Counter()
    imported: defaultdict[str, set[str]] = defaultdict(set)
    for module in found:
        lines[module.room] += module.lines
        files[module.room] += 1
        imported[module.room] |= {room_of[name] for name in fan_out[module.name]} - {module.room}
    yield "rooms: files, lines, rooms they import"
    for room, count in lines.most_common():
        others = sorted(imported[room])
        yield f"  {room:10} {files[room]:4} {count:6}  {len(others)}: {', '.join(others)}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).resolve().parent.parent)
    print(*report(modules(parser.parse_args().root / "src")), sep="\n")


if __name__ == "__main__":
    main()
