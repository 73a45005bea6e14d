"""A node that the controller does not reach, and others do, gives away what it leads."""

import asyncio

from chronik.node.isolation_watchdog import LOOKS_PER_SESSION, IsolationWatchdog
from chronik.sim.process import on_processes
from chronik.sim.virtual_time import virtual
from chronik.vocab.ids import NodeId
from tests.support.cluster_scene import ClusterScene

SESSION = 3.0


class Outlook:
    """As the test says it is."""

    def __init__(self) -> None:
        self.cut_off = True
        self.ahead = True
        self.handed_over: list[float] = []

    def is_cut_off(self) -> bool:
        return self.cut_off

    def are_others_ahead(self) -> bool:
        return self.ahead

    async def drain(self, deadline: float) -> None:
        self.handed_over.append(asyncio.get_running_loop().time())

    def start(self) -> IsolationWatchdog:
        watchdog = IsolationWatchdog(self, lambda: round(SESSION * 1000), self.drain)
        watchdog.start()
        return watchdog


@virtual
async def test_it_is_patient_for_a_session_and_then_hands_over_until_it_is_heard() -> None:
    it = Outlook()
    watchdog = it.start()
    await asyncio.sleep(SESSION)
    assert it.handed_over == []
    # It was noticed at the first look, and a session has passed at the eleventh or twelfth.
    await asyncio.sleep(SESSION / LOOKS_PER_SESSION * 3.5)
    assert len(it.handed_over) in (2, 3)
    so_far = len(it.handed_over)
    it.cut_off = False
    await asyncio.sleep(SESSION)
    it.cut_off = True
    await asyncio.sleep(SESSION)
    assert len(it.handed_over) == so_far, "it starts over"
    await watchdog.stop()


@virtual
async def test_when_nobody_is_ahead_there_is_nobody_to_give_to() -> None:
    it = Outlook()
    it.ahead = False
    watchdog = it.start()
    await asyncio.sleep(3 * SESSION)
    assert it.handed_over == []
    await watchdog.stop()


@on_processes
async def test_partitions_are_led_and_written_though_their_leader_is_cut_from_the_controller() -> None:
    scene = await ClusterScene(broker_session_timeout_ms=str(round(SESSION * 1000))).open()
    controller = scene.controller()
    watchdog = next(
        node for node in scene.room.nodes.values() if node is not controller and scene.led_by(node)
    )
    scene.room.network.cut(controller.node, watchdog.node)
    third = next(node for node in scene.room.nodes.values() if node not in (controller, watchdog))

    def named() -> set[NodeId]:
        """Whom the third node's clients are sent to."""
        image = third.broker.metadata.image
        return {
            leader.node for leader in third.broker.leadership.leaders(image.topics["t"].topic_id).values()
        }

    await scene.until(lambda: watchdog.node in third.broker.metadata.image.fenced)
    await scene.until(lambda: scene.led_by(watchdog) == [], 3 * SESSION)
    await scene.until(lambda: named() <= {controller.node, third.node})
    await scene.acknowledged(3)
    scene.room.network.heal_all()
    await scene.check()
