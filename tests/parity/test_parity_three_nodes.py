"""Three nodes answer as three nodes of Apache Kafka did, but for what is listed."""

from collections.abc import Iterator

import pytest

from chronik.testing import Cluster
from tests.parity import runner
from tests.parity.comparison import Comparison, on, scenarios_on
from tests.parity.differences import Known
from tests.parity.intended import INTENDED
from tests.parity.open_differences import OPEN
from tests.parity.registry import Scenario

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("parity-three-nodes")]


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comparison]:
    directory = tmp_path_factory.mktemp("parity")
    with Cluster(3, data_dir=directory) as cluster:
        addresses = {node.node_id: node.bootstrap_servers for node in cluster.nodes}
        where = runner.target(addresses, str(directory))
        runner.warm_up(where)
        yield Comparison(where)


@pytest.mark.parametrize("scenario", [pytest.param(each, id=each.name) for each in scenarios_on(3)])
def test_scenario(comparison: Comparison, scenario: Scenario) -> None:
    assert comparison.unknown(scenario) == []


@pytest.mark.parametrize("entry", [pytest.param(each, id=str(each)) for each in on(3, INTENDED)])
def test_an_intended_difference_is_there(comparison: Comparison, entry: Known) -> None:
    assert comparison.is_seen(entry), "nothing differs any more: remove the entry"


@pytest.mark.parametrize("entry", [pytest.param(each, id=str(each)) for each in on(3, OPEN)])
@pytest.mark.xfail(strict=True, reason="a fault that is known; remove the entry when it is mended")
def test_an_open_difference_is_gone(comparison: Comparison, entry: Known) -> None:
    assert not comparison.is_seen(entry)
