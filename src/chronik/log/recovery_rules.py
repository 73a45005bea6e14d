"""The decisions of recovery, as tables: finding and consequence. Pure; `log.recovery` carries them out.

All depend on the *vouched end*: everything below it is durable for certain. Records damaged or missing there
were acknowledged once, so they are reported and never removed; records after it were never acknowledged.
"""

from enum import Enum

from chronik.log.intact import Damaged


class Front(Enum):
    """The consequence of the position at which the first segment begins."""

    # It is read.
    KEPT = "kept"
    # It is read, and the records in front of it are reported as lost.
    GAP = "gap"
    # Its segments are removed, and it begins empty at the log start.
    REMOVED = "removed"


def judge_front(first_base: int, *, log_start: int, vouched_end: int, is_noted: bool) -> Front:
    """`is_noted`: the last clean stop noted the segments, by which missing ones are reported already.

    | the first segment begins                                      | the log |
    | --------------------------------------------------------------- | ------- |
    | behind the log start and the vouched end                       | REMOVED |
    | behind the log start, below the vouched end, and is not noted  | GAP     |
    | anywhere else                                                   | KEPT    |

    REMOVED: a later segment is durable, and the first ones never were.
    Segments go only after the log start is durable or, should its file be lost, behind the recovery point.
    """
    if first_base > max(log_start, vouched_end):
        return Front.REMOVED
    if log_start < first_base < vouched_end and not is_noted:
        return Front.GAP
    return Front.KEPT


class Joint(Enum):
    """Whether a segment goes on where the one before it ended."""

    FOLLOWS = "follows"
    # It belongs to the log, and the records in front of it are lost.
    BEHIND_GAP = "behind a gap"
    # It is a remnant of an older log, or was written when the records before it were not durable: it is
    # removed.
    FOREIGN = "foreign"


def judge_joint(base: int, *, end_offset: int, vouched_end: int, has_gaps: bool) -> Joint:
    """`end_offset`: where the records before it end. `has_gaps`: compaction may have left any.

    | the segment begins                                           | it         |
    | ------------------------------------------------------------- | ---------- |
    | where the records end, or anywhere in a log that has gaps    | FOLLOWS    |
    | behind their end, and at the vouched end at the latest       | BEHIND_GAP |
    | anywhere else                                                 | FOREIGN    |
    """
    if base == end_offset or has_gaps:
        return Joint.FOLLOWS
    return Joint.BEHIND_GAP if end_offset < base <= vouched_end else Joint.FOREIGN


class OnDamage(Enum):
    """The consequence of bytes that are no batch, and of the batches after them."""

    # They and all that follows are removed.
    CUT = "cut"
    # They are reported, and the log goes on with the next batch.
    STEP_OVER = "step over"
    # They are reported, and the log goes on with the next segment.
    SKIP_SEGMENT = "skip the segment"
    # The end of the log is lost.
    END_LOST = "end lost"


def judge_damage(damaged: Damaged, *, segment_end: int | None, vouched_end: int) -> OnDamage:
    """`segment_end`: where the next segment begins; None for the last.

    | the damaged bytes                                                            | they         |
    | ----------------------------------------------------------------------------- | ------------ |
    | begin at the vouched end or behind it                                        | CUT          |
    | are followed by a batch that begins at the vouched end at the latest         | STEP_OVER    |
    | are the rest of a segment that ends at the vouched end at the latest         | SKIP_SEGMENT |
    | are anything else                                                             | END_LOST     |
    """
    if damaged.first_offset >= vouched_end:
        return OnDamage.CUT
    if damaged.next_offset is not None and damaged.next_offset <= vouched_end:
        return OnDamage.STEP_OVER
    if segment_end is not None and segment_end <= vouched_end:
        return OnDamage.SKIP_SEGMENT
    return OnDamage.END_LOST
