"""The schedule of faults, drawn from the seed.

Each fault is made, lasts a while, and is undone. Several may overlap. Some combinations are left out because
no cluster of this size survives them: two wiped disks at once, and a wiped disk while another replica is
behind. Lost files count as a wiped disk.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from random import Random

from chronik.sim.client import ClientNetwork
from chronik.sim.cluster import SimCluster
from chronik.sim.disk import WAIT_SECONDS_MAX
from chronik.sim.faults.clocks import ClockFaults
from chronik.sim.faults.crashes import CrashFaults
from chronik.sim.faults.disks import DiskFaults
from chronik.sim.faults.lives import Lives
from chronik.sim.faults.losses import LostFiles
from chronik.sim.faults.networks import NetworkFaults
from chronik.sim.faults.recreations import RecreationFaults
from chronik.sim.faults.scarcity import Scarcity
from chronik.sim.faults.stage import Stage
from chronik.sim.faults.storage import StorageFaults
from chronik.sim.faults.unlucky import UnluckyLeaders
from chronik.sim.trace import Trace

_PAUSE_SECONDS_MAX = 0.8
# For every kind of fault a run draws none, its usual weight, or more.
_SWARM = (0, 1, 1, 3)
# Of a kind that a run leans on: as much as most runs give to all others together.
_LEANT_ON_WEIGHT = 100

# Its frequency relative to others, and its action.
_Kind = tuple[int, Callable[[], Awaitable[None]]]


class Faults:
    """One per run. `begin`, `run` until `stop`, then `heal`."""

    def __init__(
        self,
        cluster: SimCluster,
        clients: ClientNetwork,
        trace: Trace,
        random: Random,
        lean_on: Collection[str] = (),
    ) -> None:
        """`lean_on` names kinds that come most of the time, by their functions: `DiskFaults.rot`."""
        self._stage = Stage(cluster, clients, trace, random)
        self._lives = Lives(self._stage)
        self._kinds = self._all_kinds()
        self._weights = [weight * random.choice(_SWARM) for weight, _ in self._kinds]
        names = [befall.__qualname__ for _, befall in self._kinds]
        for name in lean_on:
            self._weights[names.index(name)] = _LEANT_ON_WEIGHT

    def _all_kinds(self) -> list[_Kind]:
        networks = NetworkFaults(self._stage)
        disks = DiskFaults(self._stage, self._lives)
        crashes = CrashFaults(self._stage, self._lives, disks)
        losses = LostFiles(self._stage, self._lives, disks)
        unlucky = UnluckyLeaders(self._stage, self._lives, crashes)
        clocks = ClockFaults(self._stage)
        recreations = RecreationFaults(self._stage, self._lives)
        storage = StorageFaults(self._stage, self._lives)
        return [
            (4, crashes.kill),
            (3, crashes.lose_power),
            (1, crashes.lose_all_power),
            (3, crashes.lose_power_in_a_storm),
            (2, crashes.upheaval),
            (12, unlucky.befall),
            (2, crashes.restart),
            (1, crashes.roll),
            (4, crashes.pause),
            (3, networks.isolate),
            (2, networks.cut_pair),
            (3, networks.cut_one_way),
            (2, networks.slow_link),
            (4, networks.reset),
            (2, networks.cut_clients),
            (3, networks.lose_answers),
            (2, disks.slow_down),
            (2, disks.fail_syncs),
            (3, disks.fill),
            (2, disks.rot),
            (2, clocks.step),
            (1, clocks.drift),
            (3, crashes.transfer),
            (4, disks.wipe),
            (8, recreations.befall),
            (5, storage.damage_indexes),
            (5, storage.lose_a_segment),
            (3, storage.start_full),
            (2, storage.use_up_descriptors),
            (16, losses.lose),
        ]

    @property
    def counts(self) -> Counter[str]:
        """How many faults of each kind there were."""
        return self._stage.counts

    @property
    def about_to_delete(self) -> asyncio.Event:
        """To be set while a topic is deleted and the next one of its name is created."""
        return self._stage.about_to_delete

    @property
    def scarcity(self) -> Scarcity:
        """Which nodes must keep their files."""
        return self._stage.scarcity

    @property
    def problems(self) -> list[str]:
        """Reasons why a node could not come back when it should; a violation."""
        return self._stage.problems

    def begin(self) -> None:
        """Nodes may die by themselves from now on."""
        self._lives.traps.be_brittle()

    def stop(self) -> None:
        self._stage.is_stopping = True

    async def run(self) -> None:
        """Runs one fault after the other; several of these may run at once."""
        random = self._stage.random
        while not self._stage.is_stopping:
            await asyncio.sleep(random.random() * _PAUSE_SECONDS_MAX)
            if self._stage.is_stopping:
                break
            if self._stage.is_reserved:
                continue
            (chosen,) = random.choices([kind for _, kind in self._kinds], self._weights)
            await chosen()

    async def heal(self) -> None:
        """Ends lasting faults; every node comes back."""
        cluster = self._stage.cluster
        cluster.network.heal_all()
        self._stage.clients.cuts.clear()
        self._stage.clients.loss = 0.0
        self._lives.traps.clear()
        for node, disk in cluster.disks.items():
            disk.heal()
            disk.is_full = False
            disk.descriptors_max = None
            disk.wait_seconds_max = WAIT_SECONDS_MAX
            cluster.clocks[node].drift(0.0)
        for running in list(cluster.nodes.values()):
            running.resume()
        for node in list(cluster.rotten):
            # An operator notified of wrong checksums replaces the disk.
            self._stage.trace.tell("fault", f"new disk {node}")
            if node in cluster.nodes:
                cluster.nodes[node].crash(is_power_lost=True)
            cluster.replace_disk(node)
        # A log that failed stays closed until its process starts over, as an operator would have it.
        for node in cluster.all_nodes:
            running_now = cluster.nodes.get(node)
            if running_now is not None and running_now.has_failed_logs:
                running_now.crash(is_power_lost=False)
        await asyncio.gather(*(self._lives.open(node) for node in cluster.all_nodes))
