"""Sequences, epochs and transactions as Kafka's ProducerStateManager decides them."""

import pytest

from chronik.log.producer_state import (
    NO_PRODUCER_EPOCH,
    Duplicate,
    ProducerEntry,
    ProducerState,
)
from chronik.log.txn_index import AbortedTxn
from chronik.records.batch import SEQUENCE_MAX, BatchHeader
from chronik.records.build import BatchOptions, build_batch
from chronik.records.record import Record
from chronik.vocab.errors import ErrorCode, KafkaError

PRODUCER = 4000


def header(
    sequence: int,
    count: int = 1,
    *,
    epoch: int = 0,
    producer_id: int = PRODUCER,
    timestamp: int = 1000,
    is_transactional: bool = False,
) -> BatchHeader:
    records = [Record(None, b"v", timestamp)] * count
    options = BatchOptions(
        producer_id=producer_id,
        producer_epoch=epoch,
        base_sequence=sequence,
        is_transactional=is_transactional,
    )
    return build_batch(records, options).header


def code_of(state: ProducerState, batch: BatchHeader) -> ErrorCode:
    with pytest.raises(KafkaError) as error:
        state.check(batch)
    return error.value.code


def state_after(*batches: BatchHeader) -> ProducerState:
    """Each batch checked, then appended at the offset that follows."""
    state, offset = ProducerState(), 0
    for batch in batches:
        assert state.check(batch) is None
        state.on_batch(batch, offset)
        offset += batch.last_offset_delta + 1
    return state


class TestSequences:
    def test_batches_without_a_producer_are_not_known(self) -> None:
        state = ProducerState()
        assert state.check(build_batch([Record(None, None, 0)]).header) is None
        assert len(state) == 0

    def test_the_next_sequence_follows_the_last_record(self) -> None:
        state = state_after(header(0, 3), header(3, 2))
        assert state.check(header(5)) is None

    @pytest.mark.parametrize("sequence", [4, 6, 100, SEQUENCE_MAX])
    def test_any_other_is_out_of_order(self, sequence: int) -> None:
        state = state_after(header(0, 3), header(3, 2))
        assert code_of(state, header(sequence)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER

    def test_an_unknown_producer_may_start_anywhere(self) -> None:
        # KIP-360: its earlier records may be gone by retention.
        assert ProducerState().check(header(17)) is None

    @pytest.mark.parametrize(("count", "following"), [(2, 0), (5, 3)])
    def test_sequences_wrap(self, count: int, following: int) -> None:
        state = state_after(header(SEQUENCE_MAX - 1, count))
        assert state.check(header(following)) is None
        assert code_of(state, header(following + 1)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
        again = state.check(header(SEQUENCE_MAX - 1, count))
        assert again is not None
        assert again.base_offset == 0


class TestDuplicates:
    def test_the_last_five_are_answered_with_their_offsets(self) -> None:
        state = state_after(*(header(number * 2, 2, timestamp=number) for number in range(7)))
        for number in range(2, 7):
            expected = Duplicate(number * 2, number * 2 + 1, number)
            assert state.check(header(number * 2, 2)) == expected

    def test_older_ones_are_out_of_order(self) -> None:
        state = state_after(*(header(number * 2, 2) for number in range(7)))
        assert code_of(state, header(2, 2)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER

    def test_other_bounds_are_no_duplicate(self) -> None:
        state = state_after(header(0, 3), header(3, 2))
        assert code_of(state, header(3, 1)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
        assert code_of(state, header(0, 5)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER

    def test_an_older_epoch_is_fenced_even_with_a_known_sequence(self) -> None:
        state = state_after(header(0), header(0, epoch=1))
        assert code_of(state, header(0, epoch=0)) is ErrorCode.INVALID_PRODUCER_EPOCH


class TestEpochs:
    def test_a_new_epoch_starts_at_zero(self) -> None:
        state = state_after(header(0, 3))
        assert code_of(state, header(3, epoch=1)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
        assert state.check(header(0, epoch=1)) is None

    def test_a_new_epoch_forgets_the_batches_of_the_old(self) -> None:
        state = state_after(header(0), header(1), header(0, epoch=1))
        entry = state.get(PRODUCER)
        assert entry is not None
        assert (entry.epoch, entry.last_sequence, len(entry.batches)) == (1, 0, 1)

    def test_an_older_epoch_is_refused(self) -> None:
        state = state_after(header(0, epoch=5))
        assert code_of(state, header(1, epoch=4)) is ErrorCode.INVALID_PRODUCER_EPOCH

    def test_without_a_known_epoch_any_sequence_goes(self) -> None:
        state = ProducerState([ProducerEntry(PRODUCER, epoch=NO_PRODUCER_EPOCH)])
        assert state.check(header(9, epoch=2)) is None

    def test_after_a_marker_of_a_new_epoch_sequences_start_at_zero(self) -> None:
        state = state_after(header(0, 3, is_transactional=True))
        state.on_end_marker(header(-1, epoch=1), 3, 0, is_abort=False)
        assert code_of(state, header(3, epoch=1)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
        assert state.check(header(0, epoch=1)) is None


class TestTransactions:
    def test_the_first_offset_is_unstable_until_the_marker_is_committed(self) -> None:
        state = state_after(
            header(0, 5), header(5, 2, is_transactional=True), header(7, is_transactional=True)
        )
        assert state.first_unstable_offset(8) == 5
        assert state.on_end_marker(header(-1), 8, 0, is_abort=False) is None
        assert state.first_unstable_offset(8) == 5, "the marker at 8 is not committed yet"
        assert state.first_unstable_offset(9) is None

    def test_plain_writes_in_a_transaction_are_refused(self) -> None:
        state = state_after(header(0, is_transactional=True))
        assert code_of(state, header(1)) is ErrorCode.INVALID_TXN_STATE

    def test_an_abort_goes_into_the_index(self) -> None:
        state = state_after(header(0, 4, is_transactional=True))
        aborted = state.on_end_marker(header(-1), 4, 3, is_abort=True)
        assert aborted == AbortedTxn(PRODUCER, 0, 4, 5)
        entry = state.get(PRODUCER)
        assert entry is not None
        assert (entry.txn_first_offset, entry.coordinator_epoch) == (None, 3)

    def test_its_last_stable_offset_is_below_other_open_transactions(self) -> None:
        other = header(0, is_transactional=True, producer_id=1)
        state = state_after(other, header(0, is_transactional=True))
        aborted = state.on_end_marker(header(-1), 2, 0, is_abort=True)
        assert aborted == AbortedTxn(PRODUCER, 1, 2, 0)
        assert state.first_unstable_offset(3) == 0

    def test_a_marker_without_a_transaction_ends_nothing(self) -> None:
        state = ProducerState()
        assert state.on_end_marker(header(-1), 0, 0, is_abort=True) is None
        assert state.first_unstable_offset(0) is None
        assert state.get(PRODUCER) is not None

    def test_open_transactions_are_known_from_entries(self) -> None:
        state = ProducerState(
            [ProducerEntry(1, txn_first_offset=50), ProducerEntry(2), ProducerEntry(3, txn_first_offset=20)]
        )
        assert state.first_unstable_offset(100) == 20


class TestExpiry:
    def test_silent_producers_go(self) -> None:
        state = state_after(header(0, timestamp=1000), header(0, producer_id=1, timestamp=1500))
        assert state.remove_expired(1999, 1000) == 0
        assert state.remove_expired(2000, 1000) == 1
        assert [entry.producer_id for entry in state.active()] == [1]

    def test_not_with_a_transaction_open(self) -> None:
        state = state_after(header(0, is_transactional=True))
        assert state.remove_expired(10**9, 1000) == 0
