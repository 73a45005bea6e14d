"""Leader epochs: what KIP-101 and KIP-320 ask, and the checkpoint's text."""

import pytest

from chronik.log.epochs import UNKNOWN_END, EpochEnd, EpochStart, LeaderEpochs, parse_epochs
from chronik.vocab.invariant import InvariantViolation

STARTS = [EpochStart(2, 0), EpochStart(3, 10), EpochStart(7, 25)]


class TestEndOf:
    @pytest.mark.parametrize(
        ("epoch", "expected"),
        [
            pytest.param(0, EpochEnd(0, 0), id="before the first known one"),
            pytest.param(2, EpochEnd(2, 10), id="first"),
            pytest.param(3, EpochEnd(3, 25), id="middle"),
            pytest.param(5, EpochEnd(3, 25), id="in a gap: the largest below it"),
            pytest.param(7, EpochEnd(7, 40), id="latest: the log end"),
            pytest.param(8, UNKNOWN_END, id="newer than all"),
        ],
    )
    def test_end(self, epoch: int, expected: EpochEnd) -> None:
        assert LeaderEpochs(STARTS).end_of(epoch, 40) == expected

    def test_nothing_known(self) -> None:
        assert LeaderEpochs().end_of(0, 40) == UNKNOWN_END
        assert LeaderEpochs().latest == -1


class TestChanges:
    def test_batches_add_an_epoch_once(self) -> None:
        epochs = LeaderEpochs()
        for epoch, offset in [(2, 0), (2, 5), (3, 10), (7, 25), (7, 30)]:
            epochs.on_batch(epoch, offset)
        assert epochs.entries() == STARTS
        assert epochs.latest == 7
        assert epochs.is_dirty

    def test_epochs_do_not_go_back(self) -> None:
        epochs = LeaderEpochs(STARTS)
        with pytest.raises(InvariantViolation):
            epochs.on_batch(6, 40)

    def test_an_epoch_without_records_makes_room(self) -> None:
        epochs = LeaderEpochs(STARTS)
        epochs.truncate_start(40)
        epochs.on_batch(9, 40)
        assert epochs.entries() == [EpochStart(9, 40)]

    @pytest.mark.parametrize(("offset", "epoch"), [(0, 2), (9, 2), (10, 3), (24, 3), (25, 7), (10**6, 7)])
    def test_epoch_at(self, offset: int, epoch: int) -> None:
        assert LeaderEpochs(STARTS).epoch_at(offset) == epoch

    def test_epoch_before_all(self) -> None:
        assert LeaderEpochs(STARTS[1:]).epoch_at(9) == -1

    @pytest.mark.parametrize(
        ("end_offset", "kept"), [(0, 0), (1, 1), (10, 1), (11, 2), (25, 2), (26, 3), (100, 3)]
    )
    def test_truncate_end(self, end_offset: int, kept: int) -> None:
        epochs = LeaderEpochs(STARTS)
        epochs.truncate_end(end_offset)
        assert epochs.entries() == STARTS[:kept]
        assert epochs.is_dirty is (kept < 3)

    @pytest.mark.parametrize(
        ("start_offset", "expected"),
        [
            (0, STARTS),
            (5, [EpochStart(2, 5), *STARTS[1:]]),
            (10, STARTS[1:]),
            (20, [EpochStart(3, 20), STARTS[2]]),
            (60, [EpochStart(7, 60)]),
        ],
    )
    def test_truncate_start(self, start_offset: int, expected: list[EpochStart]) -> None:
        epochs = LeaderEpochs(STARTS)
        epochs.truncate_start(start_offset)
        assert epochs.entries() == expected
        assert epochs.is_dirty is (expected != STARTS)


class TestCheckpoint:
    def test_text_is_kafkas(self) -> None:
        assert LeaderEpochs(STARTS).format() == b"0\n3\n2 0\n3 10\n7 25\n"

    def test_comes_back(self) -> None:
        parsed = parse_epochs(LeaderEpochs(STARTS).format())
        assert parsed is not None
        assert parsed.entries() == STARTS
        assert not parsed.is_dirty

    @pytest.mark.parametrize(
        "content",
        [b"", b"0\n1\n1\n", b"0\n1\n1 x\n", b"0\n2\n3 0\n2 5\n", b"0\n2\n2 5\n3 0\n", b"0\n1\n1 2 3\n"],
    )
    def test_damage_is_noticed(self, content: bytes) -> None:
        assert parse_epochs(content) is None
