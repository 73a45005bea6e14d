"""The widths of a table's columns in a terminal that is too narrow."""

from collections.abc import Sequence

# Between two columns.
GAP = 2


def fit(wanted: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Widths that fit into `room` with gaps between them: the widest give way first, none below its least.

    Where even that is too wide, the sum is: a row is then for the terminal to break.
    """
    widths = list(wanted)
    excess = sum(widths) + GAP * (len(widths) - 1) - room
    while excess > 0:
        spare = [
            (width - lower > 0, width, index)
            for index, (width, lower) in enumerate(zip(widths, least, strict=True))
        ]
        can_shrink, _, widest = max(spare)
        if not can_shrink:
            break
        widths[widest] -= 1
        excess -= 1
    return widths
