"""What is prepared for TLC, and what is said when there is none."""

from pathlib import Path

import pytest

from tests.proofs.model.__main__ import jobs
from tests.proofs.model.catalogue import BY_NAME, CONFIGURATIONS, MUTANTS
from tests.proofs.model.tlc import MODEL, TlcMissing, locate, prepare


def test_the_protocol_as_built_has_no_error_planted(tmp_path: Path) -> None:
    for configuration in CONFIGURATIONS:
        prepare(tmp_path, configuration, None)
        assert 'Mutant = "none"' in (tmp_path / f"{configuration}.cfg").read_text()


def test_an_error_is_planted_in_its_configuration(tmp_path: Path) -> None:
    for configuration, name in jobs("all", None):
        prepare(tmp_path, configuration, name)
        assert f'Mutant = "{name or "none"}"' in (tmp_path / f"{configuration}.cfg").read_text()


def test_the_specification_knows_each_planted_error_and_no_other() -> None:
    """A misspelt one would change nothing."""
    text = (MODEL / "Partition.tla").read_text()
    named = {part.split('"')[1] for part in text.split("Mutant")[1:] if part.startswith((" = ", " # "))}
    assert named == set(BY_NAME)


def test_without_a_path_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TLA2TOOLS", raising=False)
    with pytest.raises(TlcMissing, match="--tlc"):
        locate(None)


def test_a_path_to_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(TlcMissing, match="nowhere"):
        locate(str(tmp_path / "nowhere"))


def test_all_is_the_protocol_as_built_and_each_planted_error() -> None:
    assert jobs("all", None) == [
        *((name, None) for name in CONFIGURATIONS),
        *((name, mutant.name) for mutant in MUTANTS for name in mutant.configurations),
    ]


def test_one_error_runs_alone_in_its_configurations() -> None:
    assert jobs("wiped_votes", None) == [("disks", "wiped_votes")]
    assert jobs("made_of_present", None) == [
        ("lowering", "made_of_present"),
        ("returning", "made_of_present"),
    ]
    assert jobs("made_of_present", "returning") == [("returning", "made_of_present")]


def test_one_configuration_runs_with_its_errors() -> None:
    found = jobs("all", "disks")
    assert found[0] == ("disks", None)
    assert {configuration for configuration, _ in found} == {"disks"}
    assert jobs("none", "disks") == [("disks", None)]
