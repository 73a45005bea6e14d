import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronik.client.skipping import first_readable


@given(st.integers(0, 1000), st.integers(1, 500), st.integers(0, 500))
def test_the_end_of_one_damaged_batch_is_found(start: int, length: int, behind: int) -> None:
    end = start + length + behind
    asked = []

    def is_readable(offset: int) -> bool:
        asked.append(offset)
        return offset >= start + length

    assert first_readable(is_readable, start, end) == start + length
    assert all(start < offset < end for offset in asked)
    assert len(asked) <= 2 * length.bit_length() + 1


@pytest.mark.parametrize("end", [1, 2, 100])
def test_nothing_can_be_read_any_more(end: int) -> None:
    assert first_readable(lambda _: False, 0, end) == end


def test_behind_several_it_stands_at_the_end_of_one() -> None:
    damaged = {*range(10, 13), *range(20, 30)}
    found = first_readable(lambda offset: offset not in damaged, 10, 100)
    assert found == 13
