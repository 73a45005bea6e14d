"""The way nodes go down and come back, for all faults."""

import asyncio

from chronik.raft.state_store import STATE_FILE
from chronik.sim.cluster import SimNode
from chronik.sim.faults.stage import Stage
from chronik.sim.process import ProcessDied, outside
from chronik.sim.traps import Traps
from chronik.vocab.ids import NodeId

DOWN_SECONDS_MAX = 2.0
_SUPERVISOR_SECONDS = 0.5
_LOOK_SECONDS = 0.01


class Lives:
    """Owned by `schedule.Faults`. Created with it, ends with the run."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._cluster = stage.cluster
        self._opening: set[NodeId] = set()
        self.traps = Traps(stage.cluster, stage.random, self._on_death)
        # The loop holds tasks only weakly.
        self._revivals: set[asyncio.Task[None]] = set()

    async def open(self, node: NodeId) -> None:
        """Brings it back, whatever prevents it."""
        while node not in self._cluster.nodes:
            if node in self._opening:
                await asyncio.sleep(_LOOK_SECONDS)
                continue
            self._opening.add(node)
            try:
                await self._open_once(node)
                self._stage.trace.tell(f"node {node}", "serves")
            except ProcessDied:
                pass
            except OSError as error:
                # Its disk; it tries again, as a supervisor would have it.
                self._give_up(node, error)
                await asyncio.sleep(0.2)
            except Exception as error:
                self._give_up(node, error)
                self._stage.problems.append(f"node {node} does not come back: {error!r}")
                return
            finally:
                self._opening.discard(node)

    async def _open_once(self, node: NodeId) -> None:
        """A node whose metadata log fails while it starts stays, and is never ready: a supervisor ends it."""
        opening = asyncio.create_task(self._cluster.open_node(node))
        while not opening.done():
            await asyncio.wait([opening], timeout=_SUPERVISOR_SECONDS)
            running = self._cluster.nodes.get(node)
            if (
                running is not None
                and running.is_made
                and running.local.metadata_partition.failure is not None
            ):
                self._stage.trace.tell(f"node {node}", "is never ready: its metadata log failed")
                running.crash(is_power_lost=False)
        await opening

    def _give_up(self, node: NodeId, error: Exception) -> None:
        self._stage.trace.tell(f"node {node}", f"does not start: {error!r}")
        failed = self._cluster.nodes.get(node)
        if failed is not None:
            failed.crash(is_power_lost=False)

    async def take_down(self, kind: str, node: NodeId, *, is_power_lost: bool) -> None:
        """Takes it down for a while; no-op for a node that another fault has taken down."""
        if node in self._stage.down:
            return
        self._stage.begin(kind, node)
        self._stage.down.add(node)
        running = self._cluster.nodes.get(node)
        if running is not None:
            running.crash(is_power_lost=is_power_lost)
        await self.bring_back(node)

    async def bring_back(self, node: NodeId) -> None:
        # Mostly short: a node that is back at once may receive the same requests again.
        await asyncio.sleep(self._stage.random.random() ** 3 * DOWN_SECONDS_MAX)
        self._stage.down.discard(node)
        await self.open(node)

    async def replace_process(self, node: NodeId) -> None:
        """A log that failed stays closed until an operator has the node start again."""
        running = self._cluster.nodes.get(node)
        if running is not None and running.has_failed_logs:
            await self.take_down("kill", node, is_power_lost=False)

    def check_failures(self, life: SimNode, text: str, cause: str) -> None:
        """Nothing of a node may have failed for good by a transient condition: `text` is in the error it
        causes.
        """
        if not life.is_open or self._cluster.nodes.get(life.node) is not life:
            return
        logs = {str(each.name): each.log.failure for each in life.broker.replicas.partitions()}
        # A log that was cut, and whose markers could not be, stays closed until the next start: indexes and
        # offsets would diverge. A real node has a reserve for its store (`server.reserve`), and this one
        # none.
        failures = {name: error for name, error in logs.items() if error and STATE_FILE not in str(error)}
        if life.store.failure is not None:
            failures["the store of terms and markers"] = life.store.failure
        for what, failure in failures.items():
            if text in str(failure):
                self._stage.problems.append(
                    f"{what} of node {life.node} ended for want of {cause}: {failure}"
                )

    def _on_death(self, node: NodeId, how: str, is_trap: bool) -> None:
        down = self._stage.down
        self._stage.begin("death at work", how)
        if is_trap:
            down.add(node)
        elif node not in down and node not in self._opening:
            # Otherwise the fault that takes it down, or opens it, brings it back.
            down.add(node)
            with outside():
                revival = asyncio.get_running_loop().create_task(self.bring_back(node))
            self._revivals.add(revival)
            revival.add_done_callback(self._revivals.discard)
