"""pytest fixtures, installed with the package: a broker for the session, a fresh topic for each test.

    def test_orders(chronik_bootstrap_servers, chronik_topic):
        ...

* `chronik_broker`: a running `chronik.testing.Broker`, one per session (and per worker of pytest-xdist).
* `chronik_bootstrap_servers`: its `host:port`.
* `chronik_topic`: the name of a topic that was created for this test.
  `@pytest.mark.chronik_topic(partitions=3, config={"cleanup.policy": "compact"})` says how.
* `chronik_config`: the broker's settings; override it in your conftest, session-scoped, to change them.
* `chronik_cluster`: a running `chronik.testing.Cluster` of three nodes, one per session. A test may kill,
  stop, pause, isolate, cut and delay its nodes: before the next test all run and reach each other.
* `chronik_cluster_topic`: the name of a topic of it that was created for this test, with a replica on each
  node unless `@pytest.mark.chronik_topic(replication_factor=1)` says otherwise.
* `chronik_cluster_config`: the settings of its nodes; override it as `chronik_config`.

A test that needs a broker of its own, to stop or kill it, makes one with `chronik.testing.Broker`.
"""

import re
import secrets
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from chronik.testing.broker import Broker
    from chronik.testing.cluster import Cluster
    from chronik.testing.setting_texts import SettingValue

# Kafka allows 249 characters; the rest is for what makes the name unique.
_NAME_CHARS_MAX = 200


def pytest_configure(config: pytest.Config) -> None:
    """Registers the marker."""
    config.addinivalue_line(
        "markers",
        "chronik_topic(partitions=1, config=None, replication_factor=-1): how a topic of `chronik_topic` or "
        "`chronik_cluster_topic` is created; replicas are for the latter",
    )


@pytest.fixture(scope="session")
def chronik_config() -> "Mapping[str, SettingValue]":
    """Settings of the session's broker under Kafka's names. Override it to change them."""
    return {}


@pytest.fixture(scope="session")
def chronik_broker(chronik_config: "Mapping[str, SettingValue]") -> "Iterator[Broker]":
    """A running broker, shared by all tests of the session."""
    from chronik.testing.broker import Broker

    with Broker(config=chronik_config) as broker:
        yield broker


@pytest.fixture(scope="session")
def chronik_cluster_config() -> "Mapping[str, SettingValue]":
    """Settings of the session's cluster under Kafka's names. Override it to change them."""
    return {}


@pytest.fixture(scope="session")
def chronik_cluster(chronik_cluster_config: "Mapping[str, SettingValue]") -> "Iterator[Cluster]":
    """A running cluster of three nodes, shared by all tests of the session; whole again after each."""
    from chronik.testing.cluster import Cluster

    with Cluster(can_isolate=True, config=chronik_cluster_config) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def _chronik_cluster_is_whole(request: pytest.FixtureRequest) -> Iterator[None]:
    """Undoes a test's changes to the nodes. Costs nothing where there is no cluster."""
    yield
    if "chronik_cluster" in request.fixturenames:
        cluster: Cluster = request.getfixturevalue("chronik_cluster")
        cluster.restore()


@pytest.fixture
def chronik_bootstrap_servers(chronik_broker: "Broker") -> str:
    """`host:port` of the session's broker."""
    return chronik_broker.bootstrap_servers


@pytest.fixture
def chronik_topic(chronik_broker: "Broker", request: pytest.FixtureRequest) -> str:
    """The name of a new, empty topic for this test alone."""
    marker = request.node.get_closest_marker("chronik_topic")
    options = {} if marker is None else marker.kwargs
    name = f"{topic_name(request.node.name)}-{secrets.token_hex(4)}"
    chronik_broker.create_topic(name, **options)
    return name


@pytest.fixture
def chronik_cluster_topic(chronik_cluster: "Cluster", request: pytest.FixtureRequest) -> str:
    """The name of a new, empty topic of the session's cluster, for this test alone."""
    marker = request.node.get_closest_marker("chronik_topic")
    options = {} if marker is None else marker.kwargs
    name = f"{topic_name(request.node.name)}-{secrets.token_hex(4)}"
    chronik_cluster.create_topic(name, **options)
    return name


def topic_name(test_name: str) -> str:
    """A test's name as far as it can stand in a topic's."""
    return re.sub(r"[^A-Za-z0-9-]+", "-", test_name).strip("-")[:_NAME_CHARS_MAX]
