"""The core's queries to the log; the shell implements them with the partition's log and its marker
journal.
"""

from typing import Protocol

from chronik.raft.core.entries import Entries
from chronik.raft.core.types import RaftIndex, Term


class LogView(Protocol):
    """The log as written, synced or not. It changes only by carrying out `Ready`, and by retention, which
    raises `first_index` within the committed part.
    """

    @property
    def first_index(self) -> RaftIndex:
        """The first entry it still has; `last_index + 1` when it has none."""
        ...

    @property
    def last_index(self) -> RaftIndex:
        """`first_index - 1` when it has no entries."""
        ...

    def term_at(self, index: RaftIndex) -> Term:
        """For first_index - 1 <= index <= last_index. The term before the first entry is remembered; for a
        log that never lost its beginning it is NO_TERM.
        """
        ...

    def slice(self, next_index: RaftIndex, max_bytes: int) -> Entries | None:
        """Whole entries from `next_index`, which starts one, up to `max_bytes`, but at least one entry.

        None when they are not in memory: the shell loads them and takes `ready` again afterwards.
        """
        ...
