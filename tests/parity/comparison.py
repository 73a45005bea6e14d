"""Chronik's answers beside those recorded, for the tests of both sizes of cluster."""

from collections.abc import Sequence

from tests.parity import golden, runner
from tests.parity.differences import Difference, Known, differences
from tests.parity.intended import INTENDED
from tests.parity.open_differences import OPEN
from tests.parity.registry import Scenario, all_scenarios
from tests.parity.session import Target

RERECORD = "record it: python -m tests.parity record --jars DIR"


class Comparison:
    """Plays each scenario once, when its differences are first asked for. Made for one running target."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._found: dict[str, list[Difference]] = {}

    def of(self, scenario: Scenario) -> list[Difference]:
        """All differences, known ones too. Raises AssertionError where nothing is recorded."""
        if scenario.name not in self._found:
            recorded = golden.load(scenario.area, self._target.nodes).get(scenario.name)
            assert recorded is not None, f"{scenario.name} is not recorded; {RERECORD} {scenario.area}"
            played = runner.play(scenario, self._target)
            asked = [(each["ask"], each["request"]) for each in played]
            assert asked == [(each["ask"], each["request"]) for each in recorded], (
                f"{scenario.name} asks something else than what was recorded; {RERECORD} {scenario.area}"
            )
            self._found[scenario.name] = differences(scenario.name, recorded, played)
        return self._found[scenario.name]

    def unknown(self, scenario: Scenario) -> list[str]:
        """Differences that no list covers, as text."""
        return [str(found) for found in self.of(scenario) if not self._is_covered(found, (*INTENDED, *OPEN))]

    def is_seen(self, entry: Known) -> bool:
        """True if an entry of a list covers any difference at all."""
        return any(
            entry.covers(found, self._target.nodes)
            for scenario in scenarios_on(self._target.nodes)
            if entry.concerns(scenario.name)
            for found in self.of(scenario)
        )

    def _is_covered(self, found: Difference, known: Sequence[Known]) -> bool:
        return any(entry.covers(found, self._target.nodes) for entry in known)


def scenarios_on(nodes: int) -> list[Scenario]:
    """Those that run on so many nodes."""
    return [scenario for scenario in all_scenarios().values() if scenario.runs_on(nodes)]


def on(nodes: int, known: Sequence[Known]) -> list[Known]:
    """The entries that are to be seen on so many nodes."""
    return [entry for entry in known if nodes in entry.nodes]
