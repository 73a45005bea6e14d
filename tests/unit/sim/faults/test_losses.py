"""Files that are lost where it hurts: a cluster survives it, and one that believes what is left does not."""

import asyncio
from collections.abc import Callable
from random import Random

import pytest

from chronik.sim.checks.commits import CommitCheck
from chronik.sim.checks.damages import check_damages
from chronik.sim.checks.problems import Problems
from chronik.sim.client import ClientNetwork
from chronik.sim.cluster import SimNode
from chronik.sim.disk import CrashDisk
from chronik.sim.faults import losses
from chronik.sim.faults.disks import DiskFaults
from chronik.sim.faults.lives import Lives
from chronik.sim.faults.losses import LostFiles
from chronik.sim.faults.stage import Stage
from chronik.sim.mutants import MUTANTS
from chronik.sim.process import on_processes
from chronik.sim.trace import Trace
from tests.support.cluster_scene import ClusterScene

pytestmark = pytest.mark.long

Loss = Callable[[LostFiles, CrashDisk], str | None]
LOGS: list[Loss] = [
    LostFiles._lose_directory,
    LostFiles._lose_segment,
    LostFiles._cut_log,
    LostFiles._lose_inner_segment,
    LostFiles._rot_end,
]


class Watched:
    """A cluster at work whose committed records are compared all the time."""

    async def open(self) -> "Watched":
        self.scene = await ClusterScene().open(internal_segment_bytes="500")
        await self.scene.acknowledged(10)
        self.room = self.scene.room
        trace = Trace(asyncio.get_running_loop().time)
        self.problems = Problems(trace)
        self._commits = CommitCheck(self.problems)
        crashed = self.room.on_crashed

        def on_crashed(node: SimNode) -> None:
            self._commits.forget(node)
            crashed(node)

        self.room.on_crashed = on_crashed  # type: ignore[method-assign]
        self._looking = asyncio.create_task(self._look())
        self.stage = Stage(self.room, ClientNetwork(self.room, Random(1)), trace, Random(1))
        lives = Lives(self.stage)
        self.losses = LostFiles(self.stage, lives, DiskFaults(self.stage, lives))
        return self

    async def _look(self) -> None:
        while True:
            for node in list(self.room.nodes.values()):
                if node.is_open:
                    self._commits.look(node, node.broker.replicas.partitions())
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        self._looking.cancel()
        await self.scene.check()


def choose(monkeypatch: pytest.MonkeyPatch, loss: Loss) -> None:
    """Always this loss, after a clean stop, without the others."""
    monkeypatch.setattr(losses, "_WITHOUT_OTHERS", 1.0)
    monkeypatch.setattr(losses, "_CLEAN_STOPS", 1.0)
    original = LostFiles._lose_one
    monkeypatch.setattr(
        LostFiles, "_lose_one", lambda self, node, how, kinds: original(self, node, how, [self_loss(self)])
    )

    def self_loss(faults: LostFiles) -> Callable[[CrashDisk], str | None]:
        return lambda disk: loss(faults, disk)


@pytest.mark.parametrize("loss", LOGS)
@on_processes
async def test_a_cluster_survives_it(loss: Loss, monkeypatch: pytest.MonkeyPatch) -> None:
    choose(monkeypatch, loss)
    watched = await Watched().open()
    await watched.losses.lose()
    assert watched.stage.counts["lost files"] == 1
    assert not watched.stage.is_reserved
    assert not watched.stage.is_wiping, "it votes again"
    check_damages(list(watched.room.nodes.values()), watched.problems)
    assert watched.problems.found == watched.stage.problems == []
    await watched.close()


# What rots may be what nobody was told of.
@pytest.mark.parametrize("loss", LOGS[:3])
@on_processes
async def test_who_votes_with_less_is_found(loss: Loss, monkeypatch: pytest.MonkeyPatch) -> None:
    choose(monkeypatch, loss)
    with MUTANTS["lost-files-vote"].planted():
        watched = await Watched().open()
        await watched.losses.lose()
    assert any("committed before" in text for text in watched.problems.found)


@on_processes
async def test_who_leads_with_a_gap_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    choose(monkeypatch, LostFiles._lose_inner_segment)
    with MUTANTS["gaps-vote"].planted():
        watched = await Watched().open()
        await watched.losses.lose()
        check_damages(list(watched.room.nodes.values()), watched.problems)
    assert any("goes on so" in text for text in watched.problems.found)
