"""File names as Kafka has them."""

import pytest

from chronik.log.names import LOG, OFFSET_INDEX, is_leftover, offset_name, parse_offset


def test_names_have_twenty_digits() -> None:
    assert offset_name(0, LOG) == "00000000000000000000.log"
    assert offset_name(368769, OFFSET_INDEX) == "00000000000000368769.index"


@pytest.mark.parametrize(
    ("name", "offset"),
    [
        ("00000000000000000042.log", 42),
        ("00000000000000000042.index", None),
        ("42.log", None),
        ("0000000000000000004x.log", None),
        ("٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٤٢.log", None),
        ("00000000000000000042.log.deleted", None),
        ("leader-epoch-checkpoint", None),
    ],
)
def test_offsets_of_names(name: str, offset: int | None) -> None:
    assert parse_offset(name, LOG) == offset


@pytest.mark.parametrize(
    "name", ["0.log.deleted", "leader-epoch-checkpoint.tmp", "0.log.swap", "0.log.cleaned"]
)
def test_leftovers(name: str) -> None:
    assert is_leftover(name)
    assert not is_leftover(name.rpartition(".")[0])
