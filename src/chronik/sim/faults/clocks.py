"""Clocks that step and drift."""

from chronik.sim.faults.stage import Stage

# Less than the hour after which a broker refuses records from its future.
_CLOCK_STEP_MS_MAX = 3_500_000
_DRIFT_MAX = 0.05


class ClockFaults:
    """Owned by `schedule.Faults`. Created with it, ends with the run."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._clocks = stage.cluster.clocks
        self._random = stage.random

    async def step(self) -> None:
        node = self._stage.node()
        offset = self._random.randint(-_CLOCK_STEP_MS_MAX, _CLOCK_STEP_MS_MAX)
        self._stage.begin("clock step", f"{node} to {offset} ms")
        self._clocks[node].set(offset)

    async def drift(self) -> None:
        node = self._stage.node()
        self._stage.begin("clock drift", node)
        self._clocks[node].drift(self._random.uniform(-_DRIFT_MAX, _DRIFT_MAX))
        await self._stage.last()
        self._stage.end("clock drift", node)
