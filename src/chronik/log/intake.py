"""What a batch in the log means for the state beside it: producers, transactions, epochs.

Append, replication, recovery and replay after a truncation all go through here, so they cannot disagree.
"""

from chronik.log.producer_state import ProducerState
from chronik.log.txn_index import AbortedTxn
from chronik.records.batch import Batch
from chronik.records.control import parse_end_txn_marker


def apply_to_producer_state(producers: ProducerState, batch: Batch, base_offset: int) -> AbortedTxn | None:
    """Update the producers with a batch at `base_offset`; the transaction it aborts, if it does."""
    header = batch.header
    if header.producer_id < 0:
        return None
    if not header.is_control:
        producers.on_batch(header, base_offset)
        return None
    marker = parse_end_txn_marker(batch)
    if marker is None:
        return None
    return producers.on_end_marker(header, base_offset, marker.coordinator_epoch, is_abort=marker.is_abort)
