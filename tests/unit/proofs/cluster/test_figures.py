"""Quantiles are values that were measured."""

import pytest

from tests.proofs.cluster.figures import Figures


def test_of_many() -> None:
    figures = Figures.of_seconds([number / 1000 for number in range(200, 0, -1)])
    assert figures == Figures(count=200, p50=100.0, p99=198.0, longest=200.0)


def test_of_few_the_99th_percentile_is_the_longest() -> None:
    assert Figures.of_seconds([0.001, 0.004]) == Figures(count=2, p50=1.0, p99=4.0, longest=4.0)


def test_of_none_there_are_no_figures() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        Figures.of_seconds([])
