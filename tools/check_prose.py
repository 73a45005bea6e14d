"""Checks the English of code and documents: fails on words that a reader stumbles over, and counts riddles.

python tools/check_prose.py             fail when a word of WORDS is in the code or the documents
python tools/check_prose.py --count     print the figures of MEASURES for docstrings and comments, by room

The house style is plain English of the field: docstrings begin with a verb in the third person or a noun,
things are named rather than described, machines send and receive.
"""

import argparse
import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Generated from Kafka's own words.
GENERATED = ROOT / "src" / "chronik" / "wire" / "messages"

# These have the words themselves.
_OWN = ("check_prose.py", "test_check_prose.py")

# Each with what to write in its place.
WORDS = {
    r"anew": "again, over, re-",
    r"for ever": "forever",
    r"who(?:so)?ever|whomever": "the noun: the caller, the leader, any client",
    r"he|him|his|she|her": "the noun: a client, a connection and a node are things",
    r"thereof|lest": "of it; so that ... not",
}

# What the review of ac96767 counted.
MEASURES = {
    "what is": r"\bwhat (?:is|was|it|came)\b",
    "tell, say": r"\b(?:tells?|told|telling|says?|said|saying|hears?|heard|learns?|learnt|learned)\b",
    "nobody": r"\b(?:nobody|everybody|everything|somebody|anybody)\b",
    "anew": r"\b(?:anew|yet|meanwhile|besides?)\b",
    "whoever": r"\b(?:whoever|whatever|whom)\b",
    "those who": r"\bthose (?:who|that|which|of)\b",
    "so many": r"\bso (?:many|long|much|few)\b",
}
# A docstring begins with its subject or verb.
BARE_START = re.compile(
    r"(?:what|whether|who|whom|how|which|where|when|why|those|that|it|its|they|these|this|of|for|to|from|in|on|at"
    r"|by|with|without|until|after|before|as|if|so|not|nothing|nobody)\b",
    re.IGNORECASE,
)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", action="store_true", help="print figures instead of checking")
    if parser.parse_args().count:
        print("\n".join(_figures()))
        return 0
    findings = [
        line for path in _texts() for line in find_words(path.read_text(encoding="utf-8"), _name(path))
    ]
    print("\n".join(findings) if findings else "plain")
    return 1 if findings else 0


def find_words(text: str, name: str) -> Iterator[str]:
    """Yields `name:line: word -> replacement` for each word of WORDS."""
    for number, line in enumerate(text.splitlines(), 1):
        for words, replacement in WORDS.items():
            for match in re.finditer(rf"\b(?:{words})\b", line, re.IGNORECASE):
                yield f"{name}:{number}: {match[0]} -> {replacement}"


def count(source: str) -> Counter[str]:
    """Returns the figures of one Python file, with its words and docstrings."""
    docstrings, comments = list(_docstrings(source)), list(_comments(source))
    prose = "\n".join([*docstrings, *comments])
    figures = Counter(
        {name: len(re.findall(found, prose, re.IGNORECASE)) for name, found in MEASURES.items()}
    )
    figures["bare start"] = sum(BARE_START.match(text) is not None for text in docstrings)
    figures["docstrings"] = len(docstrings)
    figures["words"] = len(prose.split())
    return figures


def _figures() -> Iterator[str]:
    columns = ["words", "docstrings", *MEASURES, "bare start"]
    total: Counter[str] = Counter()
    yield " | ".join(["room", *columns])
    for room in sorted(path for path in (ROOT / "src" / "chronik").iterdir() if path.is_dir()):
        figures: Counter[str] = Counter()
        for path in sorted(room.rglob("*.py")):
            if not path.is_relative_to(GENERATED):
                figures.update(count(path.read_text(encoding="utf-8")))
        if figures["words"]:
            yield " | ".join([room.name, *(str(figures[column]) for column in columns)])
        total.update(figures)
    yield " | ".join(["all", *(str(total[column]) for column in columns)])


def _docstrings(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield text


def _comments(source: str) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string.lstrip("# ")


def _texts() -> Iterator[Path]:
    for folder in ("src", "tests", "tools", "benchmarks", "docs"):
        for ending in ("*.py", "*.md"):
            for path in sorted((ROOT / folder).rglob(ending)):
                if not path.is_relative_to(GENERATED) and path.name not in _OWN:
                    yield path
    yield from (ROOT / "README.md", ROOT / "ARCHITECTURE.md")


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


if __name__ == "__main__":
    raise SystemExit(main())
