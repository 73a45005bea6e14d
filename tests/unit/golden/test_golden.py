"""Formats of what is stored or sent between nodes are byte for byte those of the golden files."""

from collections.abc import Iterable
from typing import get_args

import pytest

from chronik.cluster.answers import Outcome
from chronik.cluster.metadata.subjects import SUBJECTS
from chronik.history.events import Event
from chronik.raft.core.messages import Message
from chronik.raft.state_codec import Kind
from chronik.raft.transport import FrameKind
from chronik.server.peers.framing import LinkKind
from chronik.sim.agreement import runtime_of
from chronik.sim.cluster import SimCluster
from chronik.sim.process import on_processes

from .sample import Sample, names, read
from .samples import SAMPLES


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_format_is_what_it_was(sample: Sample) -> None:
    golden = read(sample.name)
    if sample.encoded is not None:
        assert sample.encoded == golden
    assert sample.decode(golden) == sample.value


def test_there_is_no_golden_file_of_nothing() -> None:
    assert names() == {sample.name for sample in SAMPLES}
    assert len(SAMPLES) == len(names())


def kinds(folder: str) -> set[str]:
    return {sample.kind for sample in SAMPLES if sample.folder == folder}


@pytest.mark.parametrize(
    ("folder", "every"),
    [
        ("meta", SUBJECTS.records),
        ("commands", SUBJECTS.commands),
        ("outcomes", [outcome.name for outcome in Outcome]),
        ("histories", [event.__name__ for event in get_args(Event)]),
        ("raft", [message.__name__ for message in get_args(Message)]),
        ("raft-state", [kind.name for kind in Kind]),
        ("peers", [kind.name for kind in (*FrameKind, *LinkKind)]),
    ],
)
def test_every_kind_has_a_golden_file(folder: str, every: Iterable[str]) -> None:
    assert set(every) - kinds(folder) == set()


@on_processes
async def test_every_call_between_nodes_has_a_golden_file() -> None:
    room = await SimCluster().open()
    for node in room.nodes.values():
        methods = {method.replace(".", "-") for method in runtime_of(node).calls._handlers}
        assert "metadata-submit" in methods
        assert methods - kinds("calls") == set()
    await room.close()
