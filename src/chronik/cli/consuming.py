"""The run of `chronik consume`: start offsets, end, and commits."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from chronik.cli.exit_codes import ExitCode
from chronik.cli.failure import Failure
from chronik.cli.output import print_note
from chronik.cli.parsing import parsed
from chronik.cli.units import parse_time_ms
from chronik.client import groups, offsets
from chronik.client.client import Client
from chronik.client.fetching import FetchedRecord, Fetcher, Unreadable
from chronik.client.partitioner import partitions_text
from chronik.client.skipping import first_readable

# How long one fetch waits for records; also how late the limits are noticed.
_POLL_MS = 500

_COMMIT_SECONDS = 5.0

Write = Callable[[FetchedRecord], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When to end; None is never. Without `follows` it ends at the end offsets of its start."""

    records_max: int | None
    idle_seconds_max: float | None
    follows: bool


def start_positions(
    client: Client,
    topic: str,
    *,
    partitions: Sequence[int] | None,
    offset: str | None,
    group: str | None,
) -> dict[int, int]:
    """The first offset to read, by partition. Raises ClientError, Failure."""
    first, end = offsets.earliest(client, topic), offsets.latest(client, topic)
    unknown = [partition for partition in partitions or () if partition not in first]
    if unknown:
        raise Failure(f"{topic} has no partition {unknown[0]}", f"It has {partitions_text(len(first))}.")
    positions = _positions(client, topic, offset, first, end)
    if group is not None:
        committed = groups.committed(client, group)
        positions |= {
            partition: min(max(place.offset, first[partition]), end[partition])
            for (owner, partition), place in committed.items()
            if owner == topic and partition in first
        }
    return {partition: positions[partition] for partition in partitions or sorted(first)}


def _positions(
    client: Client, topic: str, offset: str | None, first: Mapping[int, int], end: Mapping[int, int]
) -> dict[int, int]:
    match offset:
        case "earliest":
            return dict(first)
        case None | "latest":
            return dict(end)
    if offset.removeprefix("-").isdigit():
        number = int(offset)
        return {
            partition: min(
                max(number if number >= 0 else end[partition] + number, first[partition]), end[partition]
            )
            for partition in first
        }
    found = offsets.at_timestamp(client, topic, parsed(parse_time_ms, offset))
    return {partition: end[partition] if place < 0 else place for partition, place in found.items()}


class Consumption:
    """One run of the command."""

    def __init__(
        self,
        client: Client,
        topic: str,
        positions: Mapping[int, int],
        limits: Limits,
        *,
        group: str | None,
        read_committed: bool,
        skips_unreadable: bool = False,
    ) -> None:
        self._skips_unreadable = skips_unreadable
        self._client = client
        self._topic = topic
        self._limits = limits
        self._group = group
        self._fetcher = Fetcher(client, topic, positions, read_committed=read_committed)
        # Without following: where to end.
        self._stop_at = {} if limits.follows else offsets.latest(client, topic)
        self._committed = dict(positions)
        self._commit_due = time.monotonic() + _COMMIT_SECONDS
        self._count = 0

    def run(self, write: Write) -> None:
        """Print until a limit is met. Ctrl-C is SystemExit INTERRUPTED, after the commit."""
        try:
            self._run(write)
        except KeyboardInterrupt:
            raise SystemExit(ExitCode.INTERRUPTED) from None
        finally:
            self._commit()

    def _run(self, write: Write) -> None:
        last_seen = time.monotonic()
        out = sys.stdout.buffer
        while not self._is_done(last_seen):
            try:
                for record in self._fetcher.poll(self._wait_ms(last_seen)):
                    out.write(write(record))
                    last_seen = time.monotonic()
                    self._count += 1
                    if self._count == self._limits.records_max:
                        break
            except Unreadable as error:
                out.flush()
                self._skip(error)
            out.flush()
            if time.monotonic() >= self._commit_due:
                self._commit()

    def _skip(self, unreadable: Unreadable) -> None:
        """Continues after unreadable records, and prints their offsets."""
        if not self._skips_unreadable:
            unreadable.hint = "--skip-unreadable goes on behind it, and says which offsets it left out."
            raise unreadable
        partition, first = unreadable.partition, unreadable.offset
        after = unreadable.next_offset
        if after is None:
            end = offsets.latest(self._client, self._topic)[partition]
            after = first_readable(lambda offset: self._fetcher.is_readable(partition, offset), first, end)
        self._fetcher.positions[partition] = after
        print_note(f"skipped offsets {first} to {after - 1} of {self._topic}-{partition}: {unreadable.why}")

    def _is_done(self, last_seen: float) -> bool:
        limits = self._limits
        if limits.records_max is not None and self._count >= limits.records_max:
            return True
        if limits.idle_seconds_max is not None and time.monotonic() - last_seen >= limits.idle_seconds_max:
            return True
        positions = self._fetcher.positions
        return not limits.follows and all(
            positions[partition] >= self._stop_at[partition] for partition in positions
        )

    def _wait_ms(self, last_seen: float) -> int:
        if self._limits.idle_seconds_max is None:
            return _POLL_MS
        left_ms = (last_seen + self._limits.idle_seconds_max - time.monotonic()) * 1000
        return max(1, min(_POLL_MS, int(left_ms) + 1))

    def _commit(self) -> None:
        """Commits the printed records for the group."""
        self._commit_due = time.monotonic() + _COMMIT_SECONDS
        moved = {
            (self._topic, partition): offset
            for partition, offset in self._fetcher.positions.items()
            if offset != self._committed.get(partition)
        }
        if self._group is not None and moved:
            groups.commit(self._client, self._group, moved)
            self._committed |= {partition: offset for (_, partition), offset in moved.items()}
