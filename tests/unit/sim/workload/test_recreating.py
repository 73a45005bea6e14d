"""The client under whom a topic is deleted and made again sees what no client may see."""

import asyncio
from random import Random

import pytest

from chronik.sim.client import ClientNetwork, SimClient
from chronik.sim.cluster import SimCluster
from chronik.sim.process import ProcessLoop
from chronik.sim.simulation import simulate
from chronik.sim.workload.history import History
from chronik.sim.workload.recreating import STEP, TOPIC, SimRecreator
from chronik.vocab.ids import TopicId

pytestmark = pytest.mark.long


def recreator(history: History) -> SimRecreator:
    """Of which nothing is asked."""
    client = SimClient(ClientNetwork(SimCluster(), Random(1)), "recreator")
    return SimRecreator(client, history, asyncio.Event())


async def seen(*epochs: tuple[int, int, int]) -> list[str]:
    """The problems with epochs that were seen: number of the topic, partition, epoch."""
    history = History()
    it = recreator(history)
    for number, partition, epoch in epochs:
        it._see(number, partition, epoch)
    return history.problems


@pytest.mark.parametrize(
    ("epochs", "is_right"),
    [
        ([(0, 0, 1), (0, 0, 5), (1, 0, 6), (2, 0, 7)], True),
        # A node that was away shows an earlier topic late.
        ([(0, 0, 1), (1, 0, 6), (0, 0, 5), (0, 0, 3)], True),
        # Another partition is another matter.
        ([(0, 0, 5), (1, 1, 1)], True),
        ([(0, 0, 5), (1, 0, 5)], False),
        ([(0, 0, 5), (1, 0, 1)], False),
        ([(1, 0, 6), (0, 0, 7)], False),
        ([(0, 0, 9), (1, 0, 10), (2, 0, 8)], False),
    ],
)
def test_epochs_rise_over_the_topics(epochs: list[tuple[int, int, int]], is_right: bool) -> None:
    with asyncio.Runner(loop_factory=ProcessLoop) as runner:
        problems = runner.run(seen(*epochs))
    assert (problems == []) == is_right


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({0: STEP + 3, 1: STEP + 2}, None),
        ({0: STEP + 3, 1: STEP + 9}, None),
        ({0: STEP + 3, 1: 7}, "offset 7 of topic 0 is given for topic 1"),
        ({0: STEP + 3, 1: -1}, f"is at -1, {STEP + 2} was committed"),
        ({0: STEP + 3, 1: STEP + 1}, f"is at {STEP + 1}, {STEP + 2} was committed"),
    ],
)
def test_offsets_are_held_against_the_present_topic(given: dict[int, int], problem: str | None) -> None:
    history = History()

    async def hold() -> None:
        it = recreator(history)
        it._ids = [TopicId(b"a" * 16), TopicId(b"b" * 16)]
        it._acknowledged = {0: STEP + 3, 1: STEP + 2}
        it._hold(given, it._client.nodes[0])

    with asyncio.Runner(loop_factory=ProcessLoop) as runner:
        runner.run(hold())
    assert (history.problems == []) == (problem is None)
    if problem is not None:
        assert problem in history.problems[0]
        assert history.problems[0].startswith(TOPIC)


def test_a_run_makes_topics_again_and_looks_at_them() -> None:
    outcome = simulate(2)
    assert outcome.problems == []
    assert outcome.topics_made_again > 2
    assert outcome.offsets_held_to_topics > 2
