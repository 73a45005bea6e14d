"""Medians, ratios and percentiles: the arithmetic between a measurement and a claim."""

import pytest

from benchmarks.results import Measured, Results
from chronik.cli.perf.figure import Direction, Figure, percentile


def _results(**values: dict[str, list[float]]) -> Results:
    """Results of figures `rate` (higher is better) and `latency` (lower), each `peer=[round, ...]`."""
    results = Results(machine={}, peers={}, rounds=1, seconds=1)
    for name, by_peer in values.items():
        better = Direction.LOWER if name == "latency" else Direction.HIGHER
        for peer, samples in by_peer.items():
            for value in samples:
                figure = Figure(name=name, value=value, unit="", better=better)
                results.add(Measured(peer=peer.replace("_", "-"), figures=[figure], syncs_per_second=None))
    return results


def test_figure_is_the_median_of_its_rounds() -> None:
    assert _results(rate={"tansu": [5, 900, 7]}).median("rate", "tansu") == 7


def test_ratio_above_one_is_better_whichever_way_the_figure_improves() -> None:
    results = _results(
        rate={"chronik_caching": [200], "tansu": [100]}, latency={"chronik_caching": [2], "tansu": [1]}
    )
    assert results.ratio("rate", "chronik-caching", "tansu") == 2
    assert results.ratio("latency", "chronik-caching", "tansu") == 0.5
    assert results.behind() == ["latency"]


def test_equal_is_not_behind_and_missing_is() -> None:
    results = _results(rate={"chronik_caching": [1], "tansu": [1]}, latency={"tansu": [1]})
    assert results.ratio("latency", "chronik-caching", "tansu") is None
    assert results.behind() == ["latency"]


@pytest.mark.parametrize(("percent", "expected"), [(50, 2), (75, 3), (99, 4), (1, 1)])
def test_percentile_is_the_nearest_rank(percent: float, expected: float) -> None:
    assert percentile([4, 1, 3, 2], percent) == expected
