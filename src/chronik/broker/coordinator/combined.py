"""Several kinds of shards in one topic: classic and consumer groups share `__consumer_offsets`, for example.

Each part owns kinds of records and of commands; state that parts share is an object that their creator gives
to each. To the runtime they are one shard: answers of one part wait for the appends of the others.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from chronik.broker.coordinator.log import EndOfTransaction
from chronik.broker.coordinator.primitives import MalformedRecord
from chronik.broker.coordinator.shard import (
    Command,
    CoordinatorShard,
    MetadataChange,
    Now,
    Outcome,
    Ticket,
    UnknownRecordKind,
)
from chronik.records.batch import BatchHeader
from chronik.vocab.invariant import invariant

# Keys of all internal topics begin with a number for the kind of record (Kafka's key version).
_KIND_BYTES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One kind of shard, the records it replays and the commands it handles, which no other part has."""

    shard: CoordinatorShard[Any]
    record_kinds: Collection[int]
    commands: Collection[type[Command[Any]]]


class CombinedShard:
    """Implements `CoordinatorShard` by its parts. In turns that all parts have, none may write for a
    transaction.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self._shards = [part.shard for part in parts]
        self._by_kind = {kind: part.shard for part in parts for kind in part.record_kinds}
        self._by_command = {command: part.shard for part in parts for command in part.commands}
        kinds = sum(len(part.record_kinds) for part in parts)
        commands = sum(len(part.commands) for part in parts)
        is_cut = (len(self._by_kind), len(self._by_command)) == (kinds, commands)
        invariant(is_cut, "two parts claim the same records or commands")

    @property
    def next_deadline_ms(self) -> int | None:
        due_ms = (shard.next_deadline_ms for shard in self._shards)
        return min((ms for ms in due_ms if ms is not None), default=None)

    def replay(self, key: bytes, value: bytes | None, batch: BatchHeader) -> None:
        if len(key) < _KIND_BYTES:
            raise MalformedRecord(f"a key of {len(key)} bytes")
        kind = int.from_bytes(key[:_KIND_BYTES], "big", signed=True)
        shard = self._by_kind.get(kind)
        if shard is None:
            raise UnknownRecordKind(f"key version {kind}")
        shard.replay(key, value, batch)

    def replay_marker(self, marker: EndOfTransaction, batch: BatchHeader) -> None:
        for shard in self._shards:
            shard.replay_marker(marker, batch)

    def metadata_required(self) -> int:
        return max(shard.metadata_required() for shard in self._shards)

    def on_loaded(self, now: Now) -> Outcome[Any]:
        return _joined(shard.on_loaded(now) for shard in self._shards)

    def handle(self, command: Command[Any], ticket: Ticket, now: Now) -> Outcome[Any]:
        return self._by_command[type(command)].handle(command, ticket, now)

    def abandon(self, command: Command[Any], ticket: Ticket, now: Now) -> Outcome[Any]:
        return self._by_command[type(command)].abandon(command, ticket, now)

    def on_metadata(self, change: MetadataChange, now: Now) -> Outcome[Any]:
        return _joined(shard.on_metadata(change, now) for shard in self._shards)

    def tick(self, now: Now) -> Outcome[Any]:
        return _joined(shard.tick(now) for shard in self._shards)


def _joined(outcomes: Iterable[Outcome[Any]]) -> Outcome[Any]:
    joined = Outcome[Any]()
    for outcome in outcomes:
        is_plain = outcome.transaction is None and outcome.marker is None
        invariant(is_plain, "only a command writes for a transaction")
        joined.records += outcome.records
        joined.answers += outcome.answers
        joined.events += outcome.events
        joined.immediate = (*joined.immediate, *outcome.immediate)
        joined.follow_ups = (*joined.follow_ups, *outcome.follow_ups)
        joined.effects = (*joined.effects, *outcome.effects)
    return joined
