"""Kafka's tools and its Java Admin client, where Java and Maven are: the core of the proof

    python -m tests.proofs.java

which has more tools, three nodes, Kafka Streams and MirrorMaker 2.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from tests.proofs.clients.missing import Missing
from tests.proofs.java import recorded
from tests.proofs.java.cases import CASES
from tests.proofs.java.compare import compare
from tests.proofs.java.jars import default_cache, prepare
from tests.proofs.java.session import Session, Step
from tests.proofs.java.targets import Target, chronik
from tests.proofs.java.tool_shell import ToolShell

pytestmark = pytest.mark.integration

CORE = ("topics", "groups", "reset-offsets", "get-offsets", "configs", "cluster", "admin")


@dataclass(frozen=True, slots=True)
class Tools:
    shell: ToolShell
    target: Target

    def steps(self, case: str) -> Sequence[Step]:
        session = Session(self.shell, self.target)
        CASES[case](session)
        return session.steps


@pytest.fixture(scope="module")
def tools() -> Iterator[Tools]:
    jars = prepare(default_cache())
    if isinstance(jars, Missing):
        pytest.skip(jars.reason)
    with chronik(1) as target, ToolShell(jars) as shell:
        yield Tools(shell, target)


@pytest.mark.parametrize("case", CORE)
def test_tools_say_of_chronik_what_they_say_of_kafka(tools: Tools, case: str) -> None:
    found = compare(case, recorded.read(case, 1), tools.steps(case))

    assert [(each.command, each.text) for each in found if each.reason is None] == []
