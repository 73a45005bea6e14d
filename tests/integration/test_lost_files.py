"""Files of one replica are lost, cut short or damaged while its node is down (tests/proofs/lost_files.py)."""

import pytest

from tests.proofs.lost_files import run

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("mode", ["dir", "log", "rot", "middle", "front", "rs-trunc"])
def test_nothing_that_was_acknowledged_is_lost(mode: str) -> None:
    report = run(mode, records=200)
    assert report.problems == []
    assert report.acknowledged >= 350
    assert report.read[-1] >= report.acknowledged
