"""A final log, compared with the records sent to it."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from chronik.history.events import Place, Records, Send
from chronik.history.violations import STRICT, Allowances, Violation

# In the words of the three libraries.
_HOLE = re.compile("OUT_OF_ORDER_SEQUENCE|OutOfOrderSequence|UNKNOWN_PRODUCER_ID|UnknownProducerId")


def check_log(
    place: Place, sends: Sequence[Send], records: Records, allowed: Allowances = STRICT
) -> Iterator[Violation]:
    start = allowed.starts.get(place, 0)
    senders = {send.number: send.producer for send in sends}
    yield from _check_offsets(place, records, start)
    yield from _check_acknowledged(place, sends, records, start)
    for number, count in Counter(number for _, number in records).items():
        offsets = [offset for offset, each in records if each == number] if count > 1 else []
        if offsets and senders.get(number) not in allowed.repeating:
            yield Violation("duplicate", f"{place}: record {number} is at {offsets}")
    for offset, number in records:
        if number not in senders:
            yield Violation("phantom", f"{place}: record {number}, at {offset}, was never sent")
    yield from _check_order(place, sends, records, allowed)
    yield from _check_sequences(place, sends)


def _check_sequences(place: Place, sends: Sequence[Send]) -> Iterator[Violation]:
    told = [send for send in sends if send.error is not None and _HOLE.search(send.error)]
    if told:
        yield Violation(
            "sequence", f"{place}: {len(told)} records, from {told[0].number} on: {told[0].error}"
        )


def _check_offsets(place: Place, records: Records, start: int) -> Iterator[Violation]:
    for expected, (offset, _) in enumerate(records, start):
        if offset != expected:
            yield Violation("hole", f"{place}: offset {offset} where {expected} was to be")
            return


def _check_acknowledged(
    place: Place, sends: Sequence[Send], records: Records, start: int
) -> Iterator[Violation]:
    numbers = dict(records)
    where = {number: offset for offset, number in records}
    # Of each producer, the first record that is there: later ones were not deleted by request.
    firsts: dict[str, int] = {}
    for send in sorted(sends, key=lambda each: each.number):
        if send.number in where:
            firsts.setdefault(send.producer, send.number)
    for send in sends:
        if send.offset is None or 0 <= send.offset < start:
            continue
        found = where.get(send.number)
        if send.offset < 0:
            may_be_deleted = start > 0 and firsts.get(send.producer, send.number) >= send.number
            if found is None and not may_be_deleted:
                yield Violation("loss", f"{place}: record {send.number}, acknowledged, is not there")
        elif numbers.get(send.offset) != send.number:
            kind = "loss" if found is None else "moved"
            yield Violation(
                kind, f"{place}: record {send.number}, acknowledged at {send.offset}, is at {found}"
            )


def _check_order(
    place: Place, sends: Sequence[Send], records: Records, allowed: Allowances
) -> Iterator[Violation]:
    """Existing records at their first position, deleted ones at the acknowledged position."""
    positions: dict[int, int] = {}
    for offset, number in records:
        positions.setdefault(number, offset)
    start = allowed.starts.get(place, 0)
    by_producer: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for send in sends:
        if send.offset is None or send.producer in allowed.unordered:
            continue
        position = positions.get(send.number, send.offset if 0 <= send.offset < start else None)
        if position is not None:
            by_producer[send.producer].append((position, send.number))
    for producer, kept in by_producer.items():
        of = f" of {producer}" if producer else ""
        for (_, before), (_, after) in pairwise(sorted(kept)):
            if after < before:
                yield Violation("order", f"{place}: record {after}{of} comes after {before}")
