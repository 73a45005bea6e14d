"""One node answers as Apache Kafka did, but for what is listed. The broker runs in this process."""

from collections.abc import Iterator, Sequence

import pytest

from chronik.testing import Broker
from chronik.wire.apis import SUPPORTED
from tests.parity import golden, runner
from tests.parity.comparison import Comparison, on, scenarios_on
from tests.parity.differences import Known
from tests.parity.intended import INTENDED
from tests.parity.open_differences import OPEN
from tests.parity.registry import Scenario, all_scenarios
from tests.parity.summary import versions_asked

# They share a broker, and with it what was found, so one worker takes them all.
SCENARIOS_MIN = 300

pytestmark = pytest.mark.xdist_group("parity")


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comparison]:
    directory = tmp_path_factory.mktemp("parity")
    with Broker(data_dir=directory) as broker:
        where = runner.target({1: broker.bootstrap_servers}, str(directory))
        runner.warm_up(where)
        yield Comparison(where)


def marks(name: str) -> Sequence[pytest.MarkDecorator]:
    """Requests for very many things take seconds together, and `./check --fast` has few."""
    return [pytest.mark.long] if "large." in name else []


@pytest.mark.parametrize(
    "scenario", [pytest.param(each, id=each.name, marks=marks(each.name)) for each in scenarios_on(1)]
)
def test_scenario(comparison: Comparison, scenario: Scenario) -> None:
    assert comparison.unknown(scenario) == []


@pytest.mark.parametrize(
    "entry", [pytest.param(each, id=str(each), marks=marks(str(each))) for each in on(1, INTENDED)]
)
def test_an_intended_difference_is_there(comparison: Comparison, entry: Known) -> None:
    assert comparison.is_seen(entry), "nothing differs any more: remove the entry"


@pytest.mark.parametrize("entry", [pytest.param(each, id=str(each)) for each in on(1, OPEN)])
@pytest.mark.xfail(strict=True, reason="a fault that is known; remove the entry when it is mended")
def test_an_open_difference_is_gone(comparison: Comparison, entry: Known) -> None:
    assert not comparison.is_seen(entry)


def test_there_are_enough_scenarios() -> None:
    assert len(all_scenarios()) >= SCENARIOS_MIN


def test_every_api_is_asked_at_its_lowest_and_highest_version() -> None:
    asked = versions_asked()
    missing = [
        f"{api_key.name} v{version}"
        for api_key, versions in SUPPORTED.items()
        for version in versions
        if version not in asked.get(api_key.name, {})
    ]
    assert missing == []


def test_what_is_recorded_is_of_one_kafka_version() -> None:
    assert golden.versions() == {"4.4.0"}


def test_nothing_is_recorded_that_is_no_scenario() -> None:
    names = {name for nodes in (1, 3) for area in golden.areas() for name in golden.load(area, nodes)}
    assert names - set(all_scenarios()) == set()
