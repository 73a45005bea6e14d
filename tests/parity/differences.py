"""The differences of two transcripts, and their explanations."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from tests.parity.golden import Transcript

# Elements of arrays are compared by these, and by their position where they have none.
_KEYS = (
    "name",
    "topic",
    "topic_name",
    "topic_id",
    "group_id",
    "resource_name",
    "config_name",
    "api_key",
    "key",
    "partition_index",
    "partition",
    "partition_id",
    "index",
    "resource_type",
)
ABSENT = "absent"
ANY = "any"

# Texts of errors are each broker's own words; whether there is one is compared.
_TEXTS = frozenset({"error_message", "batch_index_error_message"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One value. `path` is the number of the exchange, then names of fields and keys of elements."""

    scenario: str
    path: str
    kafka: Any
    chronik: Any

    def __str__(self) -> str:
        return f"{self.scenario} {self.path}: Kafka {self.kafka!r}, Chronik {self.chronik!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Differences that are known: where, which, and why. In patterns (fnmatch's) `*` takes slashes too."""

    scenarios: tuple[str, ...]
    paths: tuple[str, ...]
    reason: str
    kafka: Any = ANY
    chronik: Any = ANY
    # On how many nodes it is seen.
    nodes: tuple[int, ...] = (1, 3)

    def __str__(self) -> str:
        return f"{' '.join(self.scenarios)}: {' '.join(self.paths)}"

    def concerns(self, scenario: str) -> bool:
        """True if the entry may cover differences of a scenario."""
        return any(fnmatchcase(scenario, pattern) for pattern in self.scenarios)

    def covers(self, difference: Difference, nodes: int) -> bool:
        """True if this is the difference it is about."""
        return (
            nodes in self.nodes
            and self.concerns(difference.scenario)
            and any(fnmatchcase(difference.path, pattern) for pattern in self.paths)
            and self.kafka in (ANY, difference.kafka)
            and self.chronik in (ANY, difference.chronik)
        )


def differences(scenario: str, kafka: Transcript, chronik: Transcript) -> list[Difference]:
    """All that differs in a scenario."""
    return [
        Difference(scenario=scenario, path=path.lstrip("/"), kafka=theirs, chronik=ours)
        for path, theirs, ours in _compare("", list(kafka), list(chronik))
    ]


def _compare(path: str, kafka: Any, chronik: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(kafka, dict) and isinstance(chronik, dict):
        for name in [*kafka, *(name for name in chronik if name not in kafka)]:
            yield from _compare(f"{path}/{name}", kafka.get(name, ABSENT), chronik.get(name, ABSENT))
    elif isinstance(kafka, list) and isinstance(chronik, list) and _is_structs([*kafka, *chronik]):
        yield from _compare(path, _keyed(kafka), _keyed(chronik))
    elif kafka != chronik and not _are_texts(path, kafka, chronik):
        yield path, kafka, chronik


def _is_structs(values: list[Any]) -> bool:
    return bool(values) and all(isinstance(value, dict) for value in values)


def _keyed(values: list[dict[str, Any]]) -> dict[str, Any]:
    keyed: dict[str, Any] = {}
    for index, value in enumerate(values):
        key = next((str(value[name]) for name in _KEYS if value.get(name) is not None), str(index))
        while key in keyed:
            key += "+"
        keyed[key] = value
    return keyed


def _are_texts(path: str, kafka: Any, chronik: Any) -> bool:
    name = path.rpartition("/")[2]
    return name in _TEXTS and isinstance(kafka, str) and isinstance(chronik, str)
