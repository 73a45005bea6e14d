"""Reset of a group's offsets: the target, the plan, and its table."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from chronik.cli.exit_codes import ExitCode
from chronik.cli.failure import Failure
from chronik.cli.output import left, print_note, print_table, right
from chronik.cli.parsing import parsed
from chronik.cli.units import parse_duration_ms, parse_time_ms
from chronik.client import groups, offsets
from chronik.client.client import Client
from chronik.client.errors import ClientError
from chronik.client.partitioner import partitions_text
from chronik.vocab.errors import ErrorCode

# States in which no consumer reads for the group.
_FREE_STATES = ("", "Empty", "Dead")


class Kind(Enum):
    EARLIEST = "earliest"
    LATEST = "latest"
    OFFSET = "offset"
    TIMESTAMP = "timestamp"
    SHIFT = "shift"


@dataclass(frozen=True, slots=True)
class Target:
    """`number` is the offset, the milliseconds since 1970, or the records to shift by."""

    kind: Kind
    number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """One partition's change; `before` is None where nothing was committed."""

    topic: str
    partition: int
    before: int | None
    after: int


def target_of(
    *,
    to_earliest: bool,
    to_latest: bool,
    to_offset: int | None,
    to_datetime: str | None,
    by_duration: str | None,
    shift_by: int | None,
) -> Target:
    """The one target that was named. Raises Failure for none or several, and for times that are none."""
    named = []
    if to_earliest:
        named.append(Target(Kind.EARLIEST))
    if to_latest:
        named.append(Target(Kind.LATEST))
    if to_offset is not None:
        named.append(Target(Kind.OFFSET, to_offset))
    if to_datetime is not None:
        named.append(Target(Kind.TIMESTAMP, parsed(parse_time_ms, to_datetime)))
    if by_duration is not None:
        ago_ms = parsed(parse_duration_ms, by_duration)
        named.append(Target(Kind.TIMESTAMP, int(time.time() * 1000) - ago_ms))
    if shift_by is not None:
        named.append(Target(Kind.SHIFT, shift_by))
    if len(named) != 1:
        raise Failure(
            "reset to where?",
            "Give one of --to-earliest, --to-latest, --to-offset, --to-datetime, --by-duration, --shift-by.",
            ExitCode.USAGE,
        )
    return named[0]


def plan(client: Client, group: str, topics: Sequence[str], target: Target) -> list[Reset]:
    """Returns the changes; no topics means all that the group has offsets for. Raises ClientError,
    Failure.
    """
    state = groups.find_state(client, group)
    if state not in _FREE_STATES:
        raise Failure(
            f"group {group} is {state}: its consumers are running",
            "Stop them first; `chronik group describe` shows them.",
        )
    committed = groups.committed(client, group)
    wanted = _wanted(topics) if topics else {topic: None for topic, _ in committed}
    if not wanted:
        raise Failure(f"group {group} has no committed offsets", "Name topics with --topic.")
    resets: list[Reset] = []
    for topic, partitions in wanted.items():
        before = {
            partition: place.offset for (owner, partition), place in committed.items() if owner == topic
        }
        resets += _plan_topic(client, topic, partitions, before, target)
    return resets


def print_plan(resets: Sequence[Reset], *, executed: bool) -> None:
    print_table(
        [left("Topic", is_cut=True), right("Partition"), right("Before"), right("After")],
        [(reset.topic, reset.partition, reset.before, reset.after) for reset in resets],
    )
    if not executed:
        print_note("Nothing was changed; --execute does it.")


def _wanted(topics: Sequence[str]) -> dict[str, list[int] | None]:
    """Partitions by topic; None is all of them."""
    wanted: dict[str, list[int] | None] = {}
    for text in topics:
        topic, colon, numbers = text.partition(":")
        wanted[topic] = parsed(_partitions, numbers) if colon else None
    return wanted


def _partitions(text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise ValueError(f"{text!r} is not a list of partitions: write 0,1,2") from None


def _plan_topic(
    client: Client, topic: str, partitions: list[int] | None, before: dict[int, int], target: Target
) -> list[Reset]:
    try:
        first, end = offsets.earliest(client, topic), offsets.latest(client, topic)
    except ClientError as error:
        if error.code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION and partitions is None and before:
            return []  # deleted since
        raise
    chosen = list(first) if partitions is None else partitions
    unknown = [partition for partition in chosen if partition not in first]
    if unknown:
        raise Failure(f"{topic} has no partition {unknown[0]}", f"It has {partitions_text(len(first))}.")
    found = offsets.at_timestamp(client, topic, target.number) if target.kind is Kind.TIMESTAMP else {}
    return [
        Reset(
            topic=topic,
            partition=partition,
            before=before.get(partition),
            after=offset_after(
                target,
                first=first[partition],
                end=end[partition],
                before=before.get(partition),
                found=found.get(partition),
            ),
        )
        for partition in chosen
        if target.kind is not Kind.SHIFT or partition in before
    ]


def offset_after(target: Target, *, first: int, end: int, before: int | None, found: int | None) -> int:
    """Returns a partition's new offset, within its range. `found` is the time's offset, -1 for none."""
    match target.kind:
        case Kind.EARLIEST:
            wanted = first
        case Kind.LATEST:
            wanted = end
        case Kind.OFFSET:
            wanted = target.number
        case Kind.TIMESTAMP:
            # No record is as young as that: go on with the next one.
            wanted = end if found is None or found < 0 else found
        case Kind.SHIFT:
            wanted = (before or 0) + target.number
    return min(max(wanted, first), end)
