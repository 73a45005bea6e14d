"""The end of unreadable records in a partition, where only the broker has seen it."""

from collections.abc import Callable


def first_readable(is_readable: Callable[[int], bool], unreadable: int, end: int) -> int:
    """The first offset behind `unreadable` that can be read, at most `end`.

    A fetch inside a damaged batch fails as one at its start does, so the end of one batch is found with some
    two questions for each doubling of its length.
    """
    below, step = unreadable, 1
    while below + step < end and not is_readable(below + step):
        below, step = below + step, 2 * step
    above = min(below + step, end)
    while above - below > 1:
        middle = (below + above) // 2
        if is_readable(middle):
            above = middle
        else:
            below = middle
    return above
