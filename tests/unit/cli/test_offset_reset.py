import time
from typing import Any

import pytest

from chronik.cli.exit_codes import ExitCode
from chronik.cli.failure import Failure
from chronik.cli.offset_reset import Kind, Target, offset_after, target_of

NOTHING: dict[str, Any] = {
    "to_earliest": False,
    "to_latest": False,
    "to_offset": None,
    "to_datetime": None,
    "by_duration": None,
    "shift_by": None,
}


@pytest.mark.parametrize(
    ("said", "target"),
    [
        ({"to_earliest": True}, Target(Kind.EARLIEST)),
        ({"to_latest": True}, Target(Kind.LATEST)),
        ({"to_offset": 0}, Target(Kind.OFFSET, 0)),
        ({"to_datetime": "2023-11-14T22:13:20Z"}, Target(Kind.TIMESTAMP, 1_700_000_000_000)),
        ({"shift_by": -5}, Target(Kind.SHIFT, -5)),
    ],
)
def test_targets(said: dict[str, Any], target: Target) -> None:
    assert target_of(**(NOTHING | said)) == target


def test_a_duration_is_counted_back_from_now() -> None:
    before_ms = int(time.time() * 1000)
    target = target_of(**(NOTHING | {"by_duration": "1h"}))
    after_ms = int(time.time() * 1000)
    assert target.kind is Kind.TIMESTAMP
    assert before_ms <= target.number + 3_600_000 <= after_ms


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"to_earliest": True, "to_latest": True},
        {"to_offset": 0, "shift_by": 0},
        {"to_datetime": "soon"},
        {"by_duration": "long"},
    ],
)
def test_no_target_or_several(said: dict[str, Any]) -> None:
    with pytest.raises(Failure) as caught:
        target_of(**(NOTHING | said))
    assert caught.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize(
    ("target", "before", "found", "after"),
    [
        (Target(Kind.EARLIEST), 50, None, 10),
        (Target(Kind.LATEST), 50, None, 100),
        (Target(Kind.OFFSET, 42), None, None, 42),
        (Target(Kind.OFFSET, 3), None, None, 10),
        (Target(Kind.OFFSET, 300), None, None, 100),
        (Target(Kind.TIMESTAMP, 1), None, 60, 60),
        (Target(Kind.TIMESTAMP, 1), None, -1, 100),
        (Target(Kind.SHIFT, 5), 50, None, 55),
        (Target(Kind.SHIFT, -45), 50, None, 10),
        (Target(Kind.SHIFT, 51), 50, None, 100),
    ],
)
def test_offsets_stay_within_the_partition(
    target: Target, before: int | None, found: int | None, after: int
) -> None:
    assert offset_after(target, first=10, end=100, before=before, found=found) == after
