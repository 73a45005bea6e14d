"""Each row of the tables of recovery, and the offsets next to where rows meet."""

import pytest

from chronik.log.intact import Damaged
from chronik.log.recovery_rules import (
    Front,
    Joint,
    OnDamage,
    judge_damage,
    judge_front,
    judge_joint,
)

VOUCHED_END = 100


@pytest.mark.parametrize(
    ("first_base", "log_start", "is_noted", "front"),
    [
        (101, 20, False, Front.REMOVED),
        (101, 20, True, Front.REMOVED),
        (121, 120, False, Front.REMOVED),
        (99, 20, False, Front.GAP),
        (21, 20, False, Front.GAP),
        # Reported by the note.
        (99, 20, True, Front.KEPT),
        # Everything below it was never durable, or went after the recovery point had passed it.
        (100, 20, False, Front.KEPT),
        (20, 20, False, Front.KEPT),
        (0, 20, False, Front.KEPT),
        (120, 120, False, Front.KEPT),
    ],
)
def test_where_the_first_segment_begins(
    first_base: int, log_start: int, is_noted: bool, front: Front
) -> None:
    found = judge_front(first_base, log_start=log_start, vouched_end=VOUCHED_END, is_noted=is_noted)
    assert found is front


@pytest.mark.parametrize(
    ("base", "end_offset", "has_gaps", "joint"),
    [
        (50, 50, False, Joint.FOLLOWS),
        (150, 150, False, Joint.FOLLOWS),
        (60, 50, True, Joint.FOLLOWS),
        (150, 50, True, Joint.FOLLOWS),
        (51, 50, False, Joint.BEHIND_GAP),
        (100, 50, False, Joint.BEHIND_GAP),
        (101, 50, False, Joint.FOREIGN),
        (120, 110, False, Joint.FOREIGN),
        (49, 50, False, Joint.FOREIGN),
    ],
)
def test_where_a_later_segment_begins(base: int, end_offset: int, has_gaps: bool, joint: Joint) -> None:
    found = judge_joint(base, end_offset=end_offset, vouched_end=VOUCHED_END, has_gaps=has_gaps)
    assert found is joint


@pytest.mark.parametrize(
    ("first_offset", "next_offset", "segment_end", "becomes"),
    [
        # Nobody was told of it, whatever follows.
        (100, None, None, OnDamage.CUT),
        (100, 105, 120, OnDamage.CUT),
        (99, 100, None, OnDamage.STEP_OVER),
        (40, 60, 80, OnDamage.STEP_OVER),
        (99, None, 100, OnDamage.SKIP_SEGMENT),
        (40, 101, 100, OnDamage.SKIP_SEGMENT),
        (99, None, None, OnDamage.END_LOST),
        (99, None, 101, OnDamage.END_LOST),
        (99, 101, None, OnDamage.END_LOST),
    ],
)
def test_damaged_bytes(
    first_offset: int, next_offset: int | None, segment_end: int | None, becomes: OnDamage
) -> None:
    damaged = Damaged(position=10, end=20, first_offset=first_offset, next_offset=next_offset)
    assert judge_damage(damaged, segment_end=segment_end, vouched_end=VOUCHED_END) is becomes
