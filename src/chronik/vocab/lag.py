"""How far a group is behind."""


def unread(committed: int, start: int, end: int) -> int:
    """Records from `committed` on that are there, between log start and end (exclusive): what retention or
    DeleteRecords removed can be read by nobody.
    """
    return max(0, end - max(committed, start))
