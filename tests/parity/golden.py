"""The recorded answers of Apache Kafka: one JSON file for each area, made to be read and compared as text.

`golden/AREA.json` is one node's. `golden/three_nodes/AREA.json` has only scenarios that three nodes answer
differently, or that need three.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent / "golden"

# What was asked and what was answered, in order.
Transcript = list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where recorded answers come from."""

    kafka: str
    command: str


def load(area: str, nodes: int) -> dict[str, Transcript]:
    """Transcripts by scenario for a number of nodes; empty where nothing is recorded."""
    found = _read(_path(area, 1))
    if nodes > 1:
        found |= _read(_path(area, nodes))
    return found


def store(area: str, nodes: int, origin: Origin, transcripts: dict[str, Transcript]) -> None:
    """Write an area's file; for three nodes only what differs from one."""
    if nodes > 1:
        alone = _read(_path(area, 1))
        transcripts = {name: each for name, each in transcripts.items() if alone.get(name) != each}
    path = _path(area, nodes)
    if not transcripts:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"kafka": origin.kafka, "recorded by": origin.command, "scenarios": transcripts}
    path.write_text(text(content) + "\n", encoding="utf-8")


def areas() -> list[str]:
    """All areas of which anything is recorded."""
    return sorted({path.stem for path in ROOT.rglob("*.json")})


def versions() -> set[str]:
    """The Kafka versions that the files name."""
    return {json.loads(path.read_text(encoding="utf-8"))["kafka"] for path in ROOT.rglob("*.json")}


def _path(area: str, nodes: int) -> Path:
    return ROOT / f"{area}.json" if nodes == 1 else ROOT / "three_nodes" / f"{area}.json"


def _read(path: Path) -> dict[str, Transcript]:
    if not path.exists():
        return {}
    found: dict[str, Transcript] = json.loads(path.read_text(encoding="utf-8"))["scenarios"]
    return found


def text(value: Any, indent: str = "") -> str:
    """JSON in which whatever fits on a line is on one."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(line) <= 110 or not isinstance(value, dict | list) or not value:
        return line
    deeper = indent + " "
    if isinstance(value, dict):
        parts = [f"{json.dumps(name)}: {text(each, deeper)}" for name, each in value.items()]
        opening, closing = "{}"
    else:
        parts = [text(each, deeper) for each in value]
        opening, closing = "[]"
    inner = ",\n".join(f"{deeper}{part}" for part in parts)
    return f"{opening}\n{inner}\n{indent}{closing}"
