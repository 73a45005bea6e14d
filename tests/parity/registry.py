"""The registry of scenarios. Modules of `tests.parity.scenarios` register theirs when they are imported."""

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.parity import scenarios as package

if TYPE_CHECKING:
    from tests.parity.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One conversation. `name` is stable: golden files and lists of differences refer to it."""

    name: str
    play: "Callable[[Session], None]"
    # 1 where it is about a node alone, 3 where it needs three, None where it runs on both.
    nodes: int | None

    @property
    def area(self) -> str:
        """The module it is in, and the golden file."""
        return self.name.partition(".")[0]

    def runs_on(self, nodes: int) -> bool:
        return self.nodes in (None, nodes)


_SCENARIOS: dict[str, Scenario] = {}


def scenario(
    *cases: Iterable[Any], nodes: int | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Registers a function `(session, *case)` once for each combination of `cases`, or once without any.

    The name is `module.function/case/...`, so cases are numbers, or texts without a slash. Cases may be a
    dict, whose keys name them and whose values the function gets.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        base = f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
        for labels, values in _combinations(cases):
            name = "/".join([base, *labels])
            if name in _SCENARIOS:
                raise ValueError(f"two scenarios are called {name}")
            _SCENARIOS[name] = Scenario(name=name, play=_bound(function, values), nodes=nodes)
        return function

    return register


def all_scenarios() -> dict[str, Scenario]:
    """All scenarios by name, in the order of modules and of their definitions."""
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return dict(_SCENARIOS)


def _bound(function: Callable[..., None], values: tuple[Any, ...]) -> "Callable[[Session], None]":
    return lambda session: function(session, *values)


def _combinations(cases: tuple[Iterable[Any], ...]) -> list[tuple[tuple[str, ...], tuple[Any, ...]]]:
    combined: list[tuple[tuple[str, ...], tuple[Any, ...]]] = [((), ())]
    for case in cases:
        items = case.items() if isinstance(case, dict) else [(_label(each), each) for each in case]
        combined = [
            ((*labels, str(label)), (*values, value)) for labels, values in combined for label, value in items
        ]
    return combined


def _label(case: Any) -> str:
    return f"v{case}" if isinstance(case, int) else str(case)
