"""Leaders that die one after the other before they commit anything (figure 8 of the Raft paper)."""

import asyncio
from contextlib import suppress

from chronik.sim.faults.crashes import CrashFaults
from chronik.sim.faults.lives import Lives
from chronik.sim.faults.stage import Stage
from chronik.sim.traps import Moment
from chronik.vocab.ids import NodeId, TopicPartition

_UNLUCKY = (2, 4)
_LOOKED_AT = 4
# Messages in flight arrive turn by turn, mostly those of other groups.
_TURNS_LEFT = (0, 0, 0, 1, 3)
# Long enough for two elections.
_UNLUCKY_SECONDS_MAX = 3.0


class UnluckyLeaders:
    """Owned by `schedule.Faults`. Created with it, ends with the run."""

    def __init__(self, stage: Stage, lives: Lives, crashes: CrashFaults) -> None:
        self._stage = stage
        self._lives = lives
        self._crashes = crashes
        self._cluster = stage.cluster
        self._random = stage.random

    async def befall(self) -> None:
        """Cuts off a leader, or fails all power, so that some replicas have records that others lack. The
        next leader then dies before it commits anything, and perhaps the one after it.
        """
        found = self._busy_leader()
        if found is None:
            return
        leader, partition = found
        self._stage.begin("unlucky leaders", partition)
        if self._random.random() < 0.3:
            storm = self._crashes.lose_power_in_a_storm()
            await asyncio.gather(storm, self._kill_leaders(partition, cut_off=None))
        else:
            self._cluster.network.isolate(leader)
            await self._kill_leaders(partition, cut_off=leader)

    def _busy_leader(self) -> tuple[NodeId, TopicPartition] | None:
        """Of a partition that clients write to, as far as observed."""
        nodes = [node for node in self._cluster.nodes.values() if node.is_open]
        led = [(node.node, partition) for node in nodes for partition in node.broker.replicas.led()]
        if not led:
            return None
        some = self._random.choices(led, k=_LOOKED_AT)
        leader, partition = max(some, key=lambda each: each[1].log.end_offset)
        return leader, partition.name

    async def _kill_leaders(self, partition: TopicPartition, cut_off: NodeId | None) -> None:
        """`cut_off` is so until the first died."""
        traps = self._lives.traps
        victims = []
        for number in range(self._random.randint(*_UNLUCKY)):
            moment = Moment.HALF_WAY if number % 2 else Moment.ELECTED
            trap = traps.set(partition, moment, self._random.choice(_TURNS_LEFT))
            with suppress(TimeoutError):
                await asyncio.wait_for(trap.sprung.wait(), _UNLUCKY_SECONDS_MAX)
            traps.drop(trap)
            if trap.victim is not None:
                victims.append(trap.victim)
            for other in self._cluster.all_nodes:
                if cut_off is not None and other != cut_off:
                    self._cluster.network.heal(cut_off, other)
        self._stage.end("unlucky leaders", partition)
        # All at once: a node without its votes opens when a majority has come back.
        await asyncio.gather(*(self._lives.bring_back(victim) for victim in victims))
