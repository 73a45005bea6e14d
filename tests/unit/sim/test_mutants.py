"""Faults that are planted in nodes."""

from unittest.mock import patch

import pytest

from chronik.sim.mutants import MUTANTS, Mutant
from chronik.sim.simulation import simulate


@pytest.mark.parametrize("name", MUTANTS)
def test_each_can_be_planted(name: str) -> None:
    with MUTANTS[name].planted():
        pass


def test_one_that_cannot_be_planted_is_no_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    renamed = Mutant(what="", planted=lambda: patch.object(Mutant, "was_renamed"))
    monkeypatch.setitem(MUTANTS, "renamed", renamed)
    with pytest.raises(AttributeError, match="was_renamed"):
        simulate(1, mutant="renamed")
