"""The transaction index: which transactions in a segment were aborted, so that read_committed readers skip
them.

Kafka's format (org.apache.kafka.storage.internals.log.AbortedTxn), 34 bytes an entry.
"""

import struct
from typing import NamedTuple

from chronik.log.entry_file import EntryFile
from chronik.log.source import Source

_VERSION = 0
TXN_ENTRY = struct.Struct(">hqqqq")


class AbortedTxn(NamedTuple):
    """One aborted transaction; the offsets are those of its first record and of its marker."""

    producer_id: int
    first_offset: int
    last_offset: int
    # The last stable offset once the marker was appended: no later transaction can reach below it.
    last_stable_offset: int


class TxnIndex(EntryFile):
    """Aborted transactions in the order of their markers; the file exists only where there are some."""

    __slots__ = ()

    def append(self, txn: AbortedTxn) -> None:
        self._append(_VERSION, *txn)

    def keep(self, end_offset: int, source: Source) -> None:
        """Drops the transactions whose marker is at or after `end_offset`."""
        txns = self.entries(source)
        if txns:
            self.clear()
        for txn in txns:
            if txn.last_offset < end_offset:
                self.append(txn)

    def entries(self, source: Source) -> list[AbortedTxn]:
        return [AbortedTxn._make(values[1:]) for values in self._entries(source)]
