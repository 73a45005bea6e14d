"""Every play's transcript is as written; `CHRONIK_REWRITE_PLAYS=1` writes what it is now."""

import os
from pathlib import Path

import pytest

from tests.unit.raft.core.play import Play

PLAYS = sorted((Path(__file__).parent / "plays").glob("*.txt"))


@pytest.mark.parametrize("path", PLAYS, ids=lambda path: path.stem)
def test_play(path: Path) -> None:
    script = path.read_text()
    transcript = Play().perform(script)
    if os.environ.get("CHRONIK_REWRITE_PLAYS"):
        path.write_text(transcript)
    assert transcript == script or os.environ.get("CHRONIK_REWRITE_PLAYS")


def test_there_are_plays() -> None:
    assert PLAYS
