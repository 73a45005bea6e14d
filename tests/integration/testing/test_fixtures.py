"""The pytest plugin, as another project's test suite meets it."""

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import chronik

pytestmark = pytest.mark.integration

CONFTEST = """
import pytest

@pytest.fixture(scope="session")
def chronik_config():
    return {"num.partitions": 2}
"""

TESTS = """
import pytest
from confluent_kafka.admin import AdminClient

seen = []

def partitions(servers, topic):
    admin = AdminClient({"bootstrap.servers": servers})
    return len(admin.list_topics(topic, timeout=20).topics[topic].partitions)

def test_a_fresh_topic(chronik_bootstrap_servers, chronik_topic):
    seen.append((chronik_bootstrap_servers, chronik_topic))
    assert partitions(chronik_bootstrap_servers, chronik_topic) == 1

@pytest.mark.parametrize("text", ["a b/c"])
@pytest.mark.chronik_topic(partitions=3, config={"cleanup.policy": "compact"})
def test_another_one(chronik_bootstrap_servers, chronik_topic, text):
    seen.append((chronik_bootstrap_servers, chronik_topic))
    assert partitions(chronik_bootstrap_servers, chronik_topic) == 3

def test_the_broker_is_shared(chronik_broker):
    servers, topics = zip(*seen)
    assert set(servers) == {chronik_broker.bootstrap_servers}
    assert len(set(topics)) == 2

def test_settings_can_be_overridden(chronik_broker):
    chronik_broker.create_topic("by-default", partitions=-1)
    assert partitions(chronik_broker.bootstrap_servers, "by-default") == 2
"""


def run_pytest(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    is_installed = bool(entry_points(group="pytest11", name="chronik"))
    plugin = [] if is_installed else ["-p", "chronik.testing.fixtures"]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--strict-markers", *plugin, *words]
    environment = os.environ | {"PYTHONPATH": str(Path(chronik.__file__).parent.parent)}
    return subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_a_suite_that_uses_the_fixtures(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(TESTS)
    done = run_pytest(tmp_path, "-W", "error")
    assert "4 passed" in done.stdout, done.stdout


def test_a_suite_that_uses_a_cluster(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST.replace("chronik_config", "chronik_cluster_config"))
    (tmp_path / "test_it.py").write_text(
        "seen = []\n\n"
        "def test_by_default(chronik_cluster):\n"
        "    chronik_cluster.create_topic('orders', partitions=-1)\n"
        "    seen.append(chronik_cluster.leader('orders', 1))\n\n"
        "def test_the_cluster_is_shared(chronik_cluster):\n"
        "    assert seen == [chronik_cluster.leader('orders', 1)]\n"
    )
    done = run_pytest(tmp_path, "-W", "error")
    assert "2 passed" in done.stdout, done.stdout


def test_a_suite_that_breaks_its_cluster_finds_it_whole_again(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        """
import pytest

@pytest.fixture
def leader(chronik_cluster, chronik_cluster_topic):
    return chronik_cluster.leader(chronik_cluster_topic)

def whole(cluster):
    return all(node.is_running and not node.is_paused for node in cluster.nodes)

@pytest.mark.parametrize("way", ["isolate", "pause", "kill", "stop_node"])
def test_a_leader_is_lost(chronik_cluster, chronik_cluster_topic, leader, way):
    assert whole(chronik_cluster)
    getattr(chronik_cluster, way)(leader)
    if way != "pause":
        assert not whole(chronik_cluster) or way == "isolate"
    assert chronik_cluster.leader(chronik_cluster_topic) in (1, 2, 3)

@pytest.mark.chronik_topic(partitions=2, replication_factor=1)
def test_it_is_whole_again(chronik_cluster, chronik_cluster_topic):
    assert whole(chronik_cluster)
    assert chronik_cluster.leader(chronik_cluster_topic, 1) in (1, 2, 3)
"""
    )
    done = run_pytest(tmp_path, "-W", "error", "-p", "no:randomly")
    assert "5 passed" in done.stdout, done.stdout


def test_a_suite_that_does_not_pays_for_nothing(tmp_path: Path) -> None:
    heavy = ("uvloop", "chronik.server.node", "chronik.client", "chronik.wire.codec", "prometheus_client")
    (tmp_path / "test_it.py").write_text(
        "import sys\n\n"
        "def test_nothing():\n"
        f"    assert [name for name in {heavy!r} if name in sys.modules] == []\n"
    )
    done = run_pytest(tmp_path)
    assert "1 passed" in done.stdout, done.stdout


def test_fixtures_say_what_they_are(tmp_path: Path) -> None:
    shown = run_pytest(tmp_path, "--fixtures").stdout
    names = ("broker", "bootstrap_servers", "topic", "config", "cluster", "cluster_config", "cluster_topic")
    for name in names:
        assert f"\nchronik_{name}" in shown
    assert (
        "chronik_topic(partitions=1, config=None, replication_factor=-1)"
        in run_pytest(tmp_path, "--markers").stdout
    )
