"""The list to which checks add violations."""

from chronik.sim.trace import Trace


class Problems:
    """One per run. The first one matters; later ones may only follow from it."""

    MAX = 50

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self.found: list[str] = []

    def add(self, text: str) -> None:
        if len(self.found) < self.MAX and text not in self.found:
            self.found.append(text)
            self._trace.tell("PROBLEM", text)
