"""No request holds the event loop for long, and none makes the node hold much: on a node that watches itself.

What is measured is processor time of the loop's thread in one turn, so that a busy machine does not matter
much. `python -m tests.proofs.loop_holds` prints the figures.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proofs.loop_holds.attacks import Attack, crowd, named
from tests.proofs.loop_holds.watching import WatchedNode

pytestmark = pytest.mark.integration

# Before: 100 to 8,400 ms. The aim is 50 ms, and they come to 31 (docs/correctness.md); processors that are
# shared are up to three times slower by the same count.
HOLD_MS_MAX = 100.0
# Before: 1,200 MB. The node alone has 35.
PEAK_MB_MAX = 400.0

# Of a crowd a fifth: it takes five seconds, and held the loop for 370 ms before.
ATTACKS = {
    attack.name: attack
    for attack in (*named(), crowd(1_000))
    if not attack.name.startswith("5,000 connections")
}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[WatchedNode]:
    watched = WatchedNode(tmp_path)
    watched.start()
    yield watched
    watched.kill()


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_no_attack_holds_the_loop(node: WatchedNode, attack: Attack) -> None:
    attack.run(node)
    seen = node.report()
    assert seen.longest_ms < HOLD_MS_MAX
    assert seen.peak_mb < PEAK_MB_MAX
    assert node.is_running
