"""Nodes that die, are paused or restarted, one or all at once; leaders that are handed over."""

import asyncio

from chronik.sim.faults.disks import DiskFaults
from chronik.sim.faults.lives import DOWN_SECONDS_MAX, Lives
from chronik.sim.faults.stage import Stage
from chronik.sim.process import ProcessDied

# Some batches of each producer.
_STORM_SECONDS_MAX = 0.5
_UPHEAVAL_TRANSFERS = 8
# Some round trips and syncs.
_UPHEAVAL_SECONDS_MAX = 0.02


class CrashFaults:
    """Owned by `schedule.Faults`. Created with it, ends with the run."""

    def __init__(self, stage: Stage, lives: Lives, disks: DiskFaults) -> None:
        self._stage = stage
        self._lives = lives
        self._disks = disks
        self._cluster = stage.cluster
        self._random = stage.random

    async def kill(self) -> None:
        await self._lives.take_down("kill", self._stage.node(), is_power_lost=False)

    async def lose_power(self) -> None:
        await self._lives.take_down("power loss", self._stage.node(), is_power_lost=True)

    async def lose_all_power(self) -> None:
        nodes = self._cluster.all_nodes
        await asyncio.gather(
            *(self._lives.take_down("power loss of all", node, is_power_lost=True) for node in nodes)
        )

    async def lose_power_in_a_storm(self) -> None:
        """All disks are slow, so that much is written and not synced when the power fails everywhere."""
        self._disks.slow_all_down()
        await asyncio.sleep(self._random.random() * _STORM_SECONDS_MAX)
        await self.lose_all_power()
        self._disks.end_slowness()

    async def restart(self) -> None:
        node = self._stage.node()
        running = self._cluster.nodes.get(node)
        if node in self._stage.down or running is None or not running.is_open or running.process.is_paused:
            return
        self._stage.begin("restart", node)
        self._stage.down.add(node)
        try:
            async with asyncio.timeout(DOWN_SECONDS_MAX * 4):
                await self._cluster.stop(node)
        except ProcessDied:
            pass
        except TimeoutError:
            running.crash(is_power_lost=False)
        self._stage.down.discard(node)
        await self._lives.open(node)

    async def roll(self) -> None:
        self._stage.begin("rolling restart")
        for _ in self._cluster.all_nodes:
            await self.restart()
            if self._stage.is_stopping:
                break

    async def pause(self) -> None:
        node = self._stage.node()
        running = self._cluster.nodes.get(node)
        if running is None or running.process.is_paused or node in self._stage.down:
            return
        self._stage.begin("pause", node)
        running.pause()
        await self._stage.last()
        running.resume()
        self._stage.end("pause", node)

    async def transfer(self) -> None:
        """Transfers a leadership."""
        nodes = [node for node in self._cluster.nodes.values() if node.is_open]
        led = [(node, partition) for node in nodes for partition in node.broker.replicas.led()]
        if not led:
            return
        node, partition = self._random.choice(led)
        others = [other for other in partition.replicas if other != node.node]
        self._stage.begin("transfer", partition.name)
        with node.process.inside():
            try:
                node.broker.transfers.begin(partition, self._random.choice(others))
            except Exception as error:  # refused, with a KafkaError
                self._stage.trace.feed("transfer", repr(error))

    async def upheaval(self) -> None:
        """Transfers all leaderships at once; nodes die while votes are in flight."""
        self._stage.begin("upheaval")
        for _ in range(_UPHEAVAL_TRANSFERS):
            await self.transfer()
        await asyncio.sleep(self._random.random() * _UPHEAVAL_SECONDS_MAX)
        await asyncio.gather(self.kill(), self.lose_power())
