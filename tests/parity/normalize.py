"""Answers as they are written down: everything that differs between two runs becomes a placeholder.

The same value gets the same placeholder within a scenario, so that it still shows where an id comes back. The
order of an answer's arrays is not written down: Kafka's own often is that of a hash table. Of very long
arrays it is written down how many elements are alike.
"""

import json
import re
import time
from collections import Counter
from collections.abc import Collection
from typing import Any
from uuid import UUID

from chronik.vocab.errors import ErrorCode
from tests.parity.records import readable

_NODES = frozenset(
    {
        "broker_id",
        "broker_ids",
        "controller_id",
        "isr_nodes",
        "leader_id",
        "node_id",
        "offline_replicas",
        "preferred_read_replica",
        "replica_id",
        "replica_nodes",
        "replicas",
    }
)
_NAMES = ("name", "topic", "topic_name", "group_id", "resource_name", "key", "group", "transactional_id")
_EPOCHS = frozenset({"leader_epoch", "current_leader_epoch", "committed_leader_epoch", "last_fetched_epoch"})
# In the order they were sent or stored, which is theirs.
_ORDERED = frozenset({"records", "headers"})

_MEMBER_ID = re.compile(r"[A-Za-z0-9_.-]{0,60}-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_LONG_NUMBER = re.compile(r"\d{4,}")
_ADDRESS = re.compile(r"(127\.0\.0\.1|localhost):\d+")
_HIDDEN = "<hidden>"

# Longer values are only there for their length.
_TEXT_MAX = 1000
# Elements of longer arrays are only there for how many of them are alike, but for what tells them apart.
_ARRAY_MAX = 250
_TELLING_APART = frozenset({*_NAMES, "topic_id", "partition", "partition_index"})

_TIMES = range(1_500_000_000_000, 2_500_000_000_000)
_NOW_MS = 600_000


class Normalizer:
    """The placeholders of one scenario. Made by its session."""

    def __init__(self, *, run: str, own: str, base_time: int, directory: str) -> None:
        """`own` is at the end of every name of this scenario and begins with `run`, which all of a run share.
        `base_time` (milliseconds) is the moment that the scenario's own times count from.
        """
        self._run = run
        self._own = own
        self._base_time = base_time
        self._directory = directory
        self._numbers: dict[str, dict[Any, int]] = {}
        # Of the first topic that the scenario made or was answered of; None before.
        self.first_epoch: int | None = None

    def request(self, values: Any) -> Any:
        """What was asked, as it was ordered."""
        return _Pass(self, is_answer=False).value(values, "")

    def answer(self, values: Any, request: Any, hide: Collection[str] = ()) -> Any:
        """What was answered. Topics and groups of others are left out, and internal ones nobody asked for."""
        return _Pass(self, is_answer=True, asked=str(request), hide=frozenset(hide)).value(values, "")

    def placeholder(self, kind: str, value: Any, is_numbered: bool) -> str:
        """Not numbered, a value that has no number yet gets none."""
        numbers = self._numbers.setdefault(kind, {})
        if not is_numbered and value not in numbers:
            return f"<{kind}>"
        return f"<{kind} {numbers.setdefault(value, len(numbers) + 1)}>"

    def text(self, text: str, is_numbered: bool) -> str:
        if len(text) > _TEXT_MAX:
            return f"<{len(text)} characters>"
        text = text.replace(f"-{self._own}", "").replace(self._directory, "<dir>")
        text = _ADDRESS.sub("<address>", text)
        return _MEMBER_ID.sub(lambda found: self.placeholder("member", found.group(), is_numbered), text)

    def message(self, text: str, is_numbered: bool) -> str:
        """The text of an error, without numbers that may be chance: not before names are as they are written
        down, since what makes them unique may have long numbers inside.
        """
        return _LONG_NUMBER.sub("<number>", self.text(text, is_numbered))

    def time(self, value: int) -> str:
        if abs(value - time.time() * 1000) < _NOW_MS:
            return "<now>"
        return f"T{value - self._base_time:+d}"

    def epoch(self, value: int) -> str:
        """Epochs count from the first that was seen: where they begin is each broker's own affair."""
        if self.first_epoch is None:
            self.first_epoch = value
        return f"E{value - self.first_epoch:+d}"

    def is_foreign(self, value: Any, asked: str) -> bool:
        if not isinstance(value, dict):
            return False
        if value.get("group_id") == "" and "''" not in asked:
            # The group without a name, which is nobody's own.
            return True
        names = [value[field] for field in _NAMES if isinstance(value.get(field), str)]
        return any(
            (self._run in name and self._own not in name) or (name.startswith("__") and name not in asked)
            for name in names
        )


class _Pass:
    """One way through one message."""

    def __init__(
        self,
        owner: Normalizer,
        *,
        is_answer: bool,
        asked: str = "",
        hide: frozenset[str] = frozenset(),
        is_numbered: bool = True,
    ) -> None:
        self._owner = owner
        self._is_answer = is_answer
        self._asked = asked
        self._hide = hide
        self._is_numbered = is_numbered

    def value(self, value: Any, field: str) -> Any:
        if field in self._hide:
            return _HIDDEN
        match value:
            case dict():
                return {name: self.value(each, name) for name, each in value.items()}
            case bool() | None | float():
                return value
            case list() | tuple():
                return self._list(list(value), field)
            case int():
                return self._number(value, field)
            case UUID():
                return self._owner.placeholder("id", value, self._is_numbered) if value.int else "zero id"
            case str():
                return self._text(value, field)
            case bytes():
                return self._bytes(value, field)
            case _:
                return self._owner.text(repr(value), self._is_numbered)

    def _list(self, values: list[Any], field: str) -> list[Any]:
        if self._is_answer:
            values = [each for each in values if not self._owner.is_foreign(each, self._asked)]
            if field not in _ORDERED and len(values) <= _ARRAY_MAX:
                unnumbered = _Pass(
                    self._owner,
                    is_answer=True,
                    asked=self._asked,
                    hide=self._hide,
                    is_numbered=False,
                )
                values.sort(key=lambda each: json.dumps(unnumbered.value(each, field), sort_keys=True))
        if len(values) > _ARRAY_MAX:
            return self._tally(values, field)
        return [self.value(each, field) for each in values]

    def _tally(self, values: list[Any], field: str) -> list[dict[str, Any]]:
        of_each = _Pass(
            self._owner,
            is_answer=self._is_answer,
            asked=self._asked,
            hide=self._hide | _TELLING_APART,
        )
        alike = Counter(
            json.dumps(of_each.value(each, field)) if isinstance(each, dict) else f'"{_HIDDEN}"'
            for each in values
        )
        return [{"times": times, "each": json.loads(text)} for text, times in sorted(alike.items())]

    def _number(self, value: int, field: str) -> Any:
        if field == "error_code":
            return ErrorCode(value).name if value in set(ErrorCode) else value
        if value in _TIMES:
            return self._owner.time(value)
        if field == "producer_id" and value >= 0:
            return self._owner.placeholder("producer", value, self._is_numbered)
        if field == "session_id" and value:
            return self._owner.placeholder("session", value, self._is_numbered)
        if field == "subscription_id" and value:
            return self._owner.placeholder("subscription", value, self._is_numbered)
        if field in _EPOCHS and value >= 0:
            return self._owner.epoch(value)
        if not self._is_answer or value < 0:
            return value
        if field in _NODES:
            return "<node>"
        if field == "port":
            return "<port>"
        if field in ("total_bytes", "usable_bytes"):
            return "<bytes>"
        if field == "batch_leader_epoch":
            return self._owner.epoch(value)
        return value

    def _text(self, value: str, field: str) -> str:
        if self._is_answer and value:
            if field == "host":
                return "<host>"
            if field == "cluster_id":
                return "<cluster id>"
            if field == "log_dir":
                return "<dir>"
            if field.endswith("error_message"):
                return self._owner.message(value, self._is_numbered)
        return self._owner.text(value, self._is_numbered)

    def _bytes(self, value: bytes, field: str) -> Any:
        if field == "records":
            found = readable(value)
            if not isinstance(found, bytes):
                return self.value(found, field)
        # Records that are none may hold times anywhere.
        if len(value) > _TEXT_MAX or field == "records":
            return f"<{len(value)} bytes>"
        if value.isascii() and value.decode("ascii").isprintable():
            return self._owner.text(value.decode("ascii"), self._is_numbered)
        return f"0x{value.hex()}"
