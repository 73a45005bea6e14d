import json
import socket
from pathlib import Path

import pytest

from chronik.cli.exit_codes import ExitCode
from chronik.cli.main import main
from chronik.testing import Broker
from tests.integration.cli.command import Command

pytestmark = pytest.mark.integration


def test_status(chronik: Command, topic: str, broker: Broker) -> None:
    report = chronik.json("cluster", "status")
    (node,) = report["nodes"]
    assert (node["address"], node["is_controller"]) == (broker.bootstrap_servers, True)
    assert node["leaders"] == report["partitions"] >= 3
    assert report["without_leader"] == report["under_replicated"] == []
    table = chronik.run("cluster", "status")
    assert broker.bootstrap_servers in table
    assert "Without leader    none" in table


def own_settings(chronik: Command, topic: str) -> dict[str, str]:
    """What was set on the topic itself; the broker under test has settings of its own."""
    settings = chronik.json("config", "describe", "topic", topic)
    return {setting["name"]: setting["value"] for setting in settings if setting["source"] == "topic"}


def test_settings_of_a_topic(chronik: Command, topic: str) -> None:
    chronik.run("config", "alter", "topic", topic, "-s", "retention.ms=1000", "-s", "cleanup.policy=compact")
    assert own_settings(chronik, topic) == {"retention.ms": "1000", "cleanup.policy": "compact"}
    row = next(
        line for line in chronik.run("config", "describe", "topic", topic).splitlines() if "retention" in line
    )
    assert row.split() == ["retention.ms", "1000", "topic"]
    chronik.run("config", "alter", "topic", topic, "-d", "retention.ms", "-d", "cleanup.policy")
    assert own_settings(chronik, topic) == {}


def test_a_dry_run_changes_nothing(chronik: Command, topic: str) -> None:
    chronik.run("config", "alter", "topic", topic, "-s", "retention.ms=1000", "--dry-run")
    assert own_settings(chronik, topic) == {}
    chronik.run("config", "alter", "topic", topic, "-s", "retention.ms=x", "--dry-run", code=ExitCode.FAILED)
    assert "INVALID_CONFIG" in chronik.errors


def test_settings_of_a_broker(chronik: Command) -> None:
    every = chronik.json("config", "describe", "broker", "1", "--all")
    assert {"listeners", "num.partitions"} <= {setting["name"] for setting in every}
    documented = chronik.run("config", "describe", "broker", "1", "--all", "--doc")
    assert "num.partitions = " in documented
    chronik.run("config", "describe", "broker", "9", code=ExitCode.FAILED)
    assert "no broker 9" in chronik.errors


def test_a_kind_without_a_name(chronik: Command) -> None:
    chronik.run("config", "describe", "topic", code=ExitCode.USAGE)
    assert "which topic?" in chronik.errors


def test_health_as_a_client_sees_it(chronik: Command, broker: Broker) -> None:
    assert chronik.run("health") == f"Ready: {broker.bootstrap_servers} answered Metadata\n"


def test_health_over_http(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHRONIK_BOOTSTRAP_SERVER", raising=False)
    with Broker(http=True) as broker:
        address = broker.http_url.removeprefix("http://")
        assert main(["health", "--http", address, "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out) == {
        "is_ready": True,
        "reasons": [],
        "asked": f"http://{address}/health/ready",
        "warnings": [],
    }


def test_health_asks_only_the_http_port_that_it_is_given(
    capsys: pytest.CaptureFixture[str], broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHRONIK_BOOTSTRAP_SERVER", broker.bootstrap_servers)
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = f"127.0.0.1:{gone.getsockname()[1]}"
    for nobody in (address, broker.bootstrap_servers):
        assert main(["health", "--http", nobody, "--timeout", "5"]) == ExitCode.UNREACHABLE
        assert f"nothing speaks HTTP at {nobody}" in capsys.readouterr().err


def test_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = f"127.0.0.1:{gone.getsockname()[1]}"
    for words in (["topic", "list"], ["health"], ["cluster", "status"]):
        assert main([*words, "--bootstrap-server", address]) == ExitCode.UNREACHABLE
        assert f"no broker answers at {address}" in capsys.readouterr().err


def test_the_variable_names_the_cluster(
    broker: Broker, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHRONIK_BOOTSTRAP_SERVER", broker.bootstrap_servers)
    assert main(["cluster", "status"]) == ExitCode.OK
    assert broker.bootstrap_servers in capsys.readouterr().out


def test_perf_of_something_unknown(chronik: Command) -> None:
    chronik.run("perf", "nothing", code=ExitCode.USAGE)
    assert "bulk-1kib" in chronik.errors


def test_perf(chronik: Command) -> None:
    figures = chronik.json("perf", "one-at-a-time", "--seconds", "0.2")
    assert [figure["name"] for figure in figures] == ["one at a time p50", "one at a time p99"]
    assert all(figure["value"] > 0 for figure in figures)


def test_dump_of_what_a_broker_wrote(chronik: Command, topic: str, broker: Broker, tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    lines.write_text("one\ntwo\n")
    chronik.run("produce", topic, "-f", str(lines), "-p", "0")
    directory = str(broker.data_dir / f"{topic}-0")
    assert main(["log", "dump", directory, "--records", "--json"]) == ExitCode.OK
