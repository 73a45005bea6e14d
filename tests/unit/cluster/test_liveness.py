"""Fencing: which brokers and when, and how a live node ends it, in virtual time."""

import asyncio

import pytest

from chronik.cluster.liveness import Liveness
from chronik.cluster.metadata.topics import CreateTopic
from chronik.cluster.registration import RETRY_SECONDS, Registration
from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.errors import KafkaError
from chronik.vocab.ids import NodeId

from .builders import register
from .cluster_stage import NODES, ONE, THREE, TWO, ClusterStage

SESSION_SECONDS = 9.0


class Scene:
    """Liveness on all nodes. A node's registration renews itself when the play gives it one."""

    def __init__(self, stage: ClusterStage) -> None:
        self.stage = stage
        self.liveness = {
            node: Liveness(stage.services[node], stage.peers[node], lambda: int(SESSION_SECONDS * 1000))
            for node in NODES
        }

    @classmethod
    async def begin(cls) -> "Scene":
        scene = cls(await ClusterStage().start())
        for liveness in scene.liveness.values():
            liveness.start()
        return scene

    def end(self) -> None:
        for liveness in self.liveness.values():
            liveness.stop()

    def lose(self, node: NodeId) -> None:
        for other in NODES:
            if other != node:
                self.stage.cut(node, other)
                self.liveness[other].on_peer_down(node)
                self.liveness[node].on_peer_down(other)

    def find(self, node: NodeId) -> None:
        self.stage.mend()
        for other in NODES:
            if other != node:
                self.liveness[other].on_peer_up(node)
                self.liveness[node].on_peer_up(other)

    def fenced(self, seen_by: NodeId = ONE) -> set[NodeId]:
        return set(self.stage.image(seen_by).fenced)

    def registration(self, node: NodeId) -> Registration:
        service = self.stage.services[node]
        registration = Registration(service, lambda: register(node))
        service.subscribe(registration.on_metadata)
        return registration


def soon() -> float:
    return asyncio.get_running_loop().time() + 1


@virtual
async def test_a_broker_that_is_away_for_a_session_is_fenced() -> None:
    scene = await Scene.begin()
    await asyncio.sleep(100)
    assert scene.fenced() == set()
    scene.lose(THREE)
    await asyncio.sleep(SESSION_SECONDS - 0.1)
    assert scene.fenced() == set()
    await asyncio.sleep(0.1 * SESSION_SECONDS + 0.2)
    assert scene.fenced() == {THREE}
    scene.end()


@virtual
async def test_one_that_is_back_in_time_is_not_fenced() -> None:
    scene = await Scene.begin()
    for _ in range(5):
        scene.lose(THREE)
        await asyncio.sleep(0.9 * SESSION_SECONDS)
        scene.find(THREE)
        await asyncio.sleep(0.01)
    assert scene.fenced() == set()
    scene.end()


@virtual
async def test_only_the_controller_fences_and_a_new_one_knows_since_when() -> None:
    scene = await Scene.begin()
    stage = scene.stage
    scene.lose(THREE)
    stage.depose(keeps=False)
    await asyncio.sleep(10 * SESSION_SECONDS)
    assert scene.fenced(TWO) == set()
    stage.elect(TWO)
    await asyncio.sleep(0.1 * SESSION_SECONDS + 0.1)
    assert scene.fenced(TWO) == {THREE}
    scene.end()


@virtual
async def test_a_broker_that_was_never_seen_is_fenced_a_session_after_the_start() -> None:
    stage = await ClusterStage().start()
    stage.cut(ONE, THREE)
    scene = Scene(stage)
    scene.liveness[ONE].start()
    await asyncio.sleep(1.2 * SESSION_SECONDS)
    assert scene.fenced() == {THREE}
    scene.end()


@virtual
async def test_a_fence_that_fails_is_tried_again() -> None:
    scene = await Scene.begin()
    scene.stage.commits_at_once = False
    scene.lose(THREE)
    await asyncio.sleep(1.2 * SESSION_SECONDS)
    scene.stage.depose(keeps=False)
    await asyncio.sleep(1.2 * SESSION_SECONDS)
    scene.stage.commits_at_once = True
    scene.stage.elect(ONE)
    await asyncio.sleep(0.2 * SESSION_SECONDS)
    assert scene.fenced() == {THREE}
    scene.end()


@virtual
async def test_a_stopped_liveness_does_nothing_more() -> None:
    scene = await Scene.begin()
    scene.end()
    scene.lose(THREE)
    await asyncio.sleep(3 * SESSION_SECONDS)
    assert scene.fenced() == set()


@virtual
async def test_a_fenced_node_that_is_back_and_caught_up_registers_again() -> None:
    scene = await Scene.begin()
    stage = scene.stage
    await scene.registration(THREE).register(soon())
    scene.lose(THREE)
    stage.spreads = False
    await asyncio.sleep(1.2 * SESSION_SECONDS)
    await stage.services[ONE].submit(CreateTopic(name="a"))
    scene.find(THREE)
    stage.show_one_more(THREE)
    assert scene.fenced(THREE) == {THREE}
    await asyncio.sleep(2 * RETRY_SECONDS)
    # It does not know of the topic yet.
    assert scene.fenced() == {THREE}
    stage.show_one_more(THREE)
    await wait_until_idle()
    assert scene.fenced() == set()
    assert stage.image(ONE).brokers[THREE].epoch == 1
    scene.end()
    stage.show_all()


@virtual
async def test_a_fenced_node_tries_until_somebody_can_be_asked() -> None:
    scene = await Scene.begin()
    stage = scene.stage
    await scene.registration(THREE).register(soon())
    scene.lose(THREE)
    await asyncio.sleep(1.2 * SESSION_SECONDS)
    # It has read of it, and nobody is there.
    assert scene.fenced(THREE) == {THREE}
    stage.depose(keeps=False)
    scene.find(THREE)
    await asyncio.sleep(30)
    stage.elect(TWO)
    await asyncio.sleep(2 * RETRY_SECONDS)
    assert scene.fenced(TWO) == set()
    scene.end()


@virtual
async def test_a_node_that_leaves_is_fenced_at_once_and_stays_so() -> None:
    scene = await Scene.begin()
    registration = scene.registration(TWO)
    await registration.register(soon())
    await registration.leave(soon())
    assert scene.fenced() == {TWO}
    await asyncio.sleep(10 * SESSION_SECONDS)
    assert scene.fenced() == {TWO}
    # Its next life.
    await scene.registration(TWO).register(soon())
    assert scene.fenced() == set()
    scene.end()


@virtual
async def test_who_cannot_tell_anybody_that_it_leaves_hears_so() -> None:
    scene = await Scene.begin()
    registration = scene.registration(TWO)
    await registration.register(soon())
    scene.lose(TWO)
    with pytest.raises(KafkaError):
        await registration.leave(soon())
    scene.end()


@virtual
async def test_a_node_that_did_not_register_is_not_registered_by_its_fencing() -> None:
    scene = await Scene.begin()
    scene.registration(TWO)
    await scene.registration(TWO).leave(soon())
    await asyncio.sleep(10)
    assert scene.fenced() == {TWO}
    scene.end()
