import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronik.cli.layout import GAP, fit


@pytest.mark.parametrize(
    ("wanted", "least", "room", "widths"),
    [
        ([5, 5], [5, 5], 80, [5, 5]),
        ([50, 5], [10, 5], 30, [23, 5]),
        ([50, 40], [10, 10], 62, [30, 30]),
        ([50, 40], [45, 10], 62, [45, 15]),
        ([50, 5], [50, 5], 30, [50, 5]),
        ([7], [7], 3, [7]),
    ],
)
def test_the_widest_give_way(wanted: list[int], least: list[int], room: int, widths: list[int]) -> None:
    assert fit(wanted, least, room) == widths


columns = st.lists(st.tuples(st.integers(1, 120), st.integers(1, 120)), min_size=1, max_size=8)


@given(columns=columns, room=st.integers(1, 200))
def test_it_fits_where_it_can(columns: list[tuple[int, int]], room: int) -> None:
    wanted = [max(pair) for pair in columns]
    least = [min(pair) for pair in columns]
    widths = fit(wanted, least, room)
    assert all(low <= width <= high for low, width, high in zip(least, widths, wanted, strict=True))
    gaps = GAP * (len(columns) - 1)
    assert sum(widths) + gaps <= max(room, sum(least) + gaps)
    if sum(wanted) + gaps <= room:
        assert widths == wanted
