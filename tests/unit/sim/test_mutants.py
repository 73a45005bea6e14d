"""Faults that are planted in nodes."""

from contextlib import AbstractContextManager

import pytest

from chronik.sim.mutants import MUTANTS, Mutant
from chronik.sim.simulation import simulate


@pytest.mark.parametrize("name", MUTANTS)
def test_each_can_be_planted(name: str) -> None:
    with MUTANTS[name].planted():
        pass


def test_one_that_cannot_be_planted_is_no_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def planted() -> AbstractContextManager[None]:
        raise AttributeError("renamed")

    monkeypatch.setitem(MUTANTS, "renamed", Mutant(what="", planted=planted))
    with pytest.raises(AttributeError, match="renamed"):
        simulate(1, mutant="renamed")
