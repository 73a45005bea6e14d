"""The lag of a group."""


def unread(committed: int, start: int, end: int) -> int:
    """Returns the number of records from `committed` on, between log start and end (exclusive): records
    removed by retention or DeleteRecords can no longer be read.
    """
    return max(0, end - max(committed, start))
