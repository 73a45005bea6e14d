from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronik.server.settings.sources import (
    CHRONIK_PREFIX,
    KAFKA_PREFIX,
    Findings,
    Given,
    known,
    merge,
    read_command_line,
    read_file,
    read_variables,
    setting_of_variable,
    variable_of_setting,
)
from chronik.vocab.config.names import BROKER_CONFIGS


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("KAFKA_NUM_PARTITIONS", "num.partitions"),
        ("KAFKA_A__B", "a_b"),
        ("KAFKA_A___B", "a-b"),
        ("KAFKA_A___B__C_D", "a-b_c.d"),
    ],
)
def test_a_variable_names_a_setting_as_in_kafkas_image(variable: str, name: str) -> None:
    assert setting_of_variable(variable, KAFKA_PREFIX) == name
    assert variable_of_setting(name, KAFKA_PREFIX) == variable


@pytest.mark.parametrize("prefix", [KAFKA_PREFIX, CHRONIK_PREFIX])
def test_every_setting_has_a_variable(prefix: str) -> None:
    for name in sorted(set(BROKER_CONFIGS) - {"cluster.id"}):
        findings = Findings()
        variable = variable_of_setting(name, prefix)
        assert read_variables({variable: "1"}, prefix, findings) == [Given(name, "1", variable)]
        assert findings.notes == []


@given(st.from_regex(r"[a-z0-9]+([._-][a-z0-9]+)*", fullmatch=True))
def test_names_survive_being_variables(name: str) -> None:
    assert setting_of_variable(variable_of_setting(name, "X_"), "X_") == name


def test_other_variables_are_nobodys_business() -> None:
    findings = Findings()
    assert read_variables({"PATH": "/bin", "kafka_num_partitions": "1"}, KAFKA_PREFIX, findings) == []
    assert read_variables({"CHRONIK_CONFIG": "node.toml"}, CHRONIK_PREFIX, findings) == []
    assert findings.notes == findings.problems == []


@pytest.mark.parametrize(
    "variable",
    [
        "KAFKA_HEAP_OPTS",
        "KAFKA_OPTS",
        "KAFKA_JMX_PORT",
        "KAFKA_JVM_PERFORMANCE_OPTS",
        "KAFKA_LOG4J_OPTS",
        "KAFKA_LOG4J_ROOT_LOGLEVEL",
        "KAFKA_CLUSTER_ID",
        "KAFKA_PROCESS_ROLES",
        "KAFKA_CONTROLLER_QUORUM_FETCH_TIMEOUT_MS",
        "KAFKA_ZOOKEEPER_CONNECT",
        "KAFKA_ZOOKEEPER_CONNECTION_TIMEOUT_MS",
        "KAFKA_BOOTSTRAP_SERVERS",
        "KAFKA_BROKERS",
        "KAFKA_TOPIC",
        "KAFKA_SECURITY_PROTOCOL",
        "KAFKA_SASL_PASSWORD",
        "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR",
        "KAFKA_CONFLUENT_SUPPORT_METRICS_ENABLE",
    ],
)
def test_variables_of_kafkas_image_and_clients_are_noted(variable: str) -> None:
    findings = Findings()
    assert read_variables({variable: "x"}, KAFKA_PREFIX, findings) == []
    [note] = findings.notes
    assert note.startswith(f"{variable} is ignored: it ")
    assert "x" not in note.split(": ")[1].split()


def problems(*given_settings: Given) -> list[str]:
    findings = Findings()
    assert list(known(given_settings, findings)) == []
    return findings.problems


def test_an_unknown_setting_says_where_it_is_and_what_is_near() -> None:
    assert problems(Given("num.partitons", "1", "node.toml, line 7")) == [
        "node.toml, line 7: there is no setting num.partitons; did you mean num.partitions?"
    ]
    assert problems(Given("zzz", "1", "KAFKA_ZZZ")) == ["KAFKA_ZZZ: there is no setting zzz"]


@pytest.mark.parametrize(
    "name",
    ["ssl.keystore.location", "sasl.enabled.mechanisms", "authorizer.class.name", "super.users"],
)
def test_what_would_close_the_broker_is_not_passed_over(name: str) -> None:
    [problem] = problems(Given(name, "x", "here"))
    assert problem == f"here: {name} cannot be set: TLS, SASL and authorization are not available yet"


def test_known_settings_pass() -> None:
    findings = Findings()
    setting = Given("num.partitions", "nonsense", "here")
    assert list(known([setting], findings)) == [setting]
    assert findings.problems == []


def merged(*sources: dict[str, str]) -> dict[str, str]:
    findings = Findings()
    result = merge([read_command_line(source) for source in sources], findings)
    assert findings.problems == []
    return {name: setting.text for name, setting in result.items()}


def test_later_sources_win() -> None:
    assert merged({"num.partitions": "1", "log.level": "info"}, {"num.partitions": "2"}) == {
        "num.partitions": "2",
        "log.level": "info",
    }


def test_aliases_are_one_setting() -> None:
    assert merged({"broker.id": "3"}) == {"broker.id": "3", "node.id": "3"}
    assert merged({"node.id": "3"}, {"broker.id": "4"}) == {"broker.id": "4", "node.id": "4"}
    everywhere = {"data.dir": "b", "log.dirs": "b", "log.dir": "b"}
    assert merged({"data.dir": "a"}, {"log.dir": "b"}) == everywhere
    assert merged({"log.dirs": "b", "log.dir": "b"}) == everywhere


def test_aliases_of_one_source_must_agree() -> None:
    findings = Findings()
    merge([read_command_line({"node.id": "1", "broker.id": "2"})], findings)
    assert findings.problems == [
        "node.id=1 (command line) and broker.id=2 (command line) are the same setting and disagree"
    ]


def test_a_unit_in_a_later_source_replaces_the_units_of_earlier_ones() -> None:
    assert merged({"log.retention.ms": "1"}, {"log.retention.hours": "2"}) == {"log.retention.hours": "2"}
    # Within one source all stay, and the finer one goes first when they are resolved.
    both = {"log.retention.ms": "1", "log.retention.hours": "2"}
    assert merged(both) == both


single = sorted(set(BROKER_CONFIGS) - {"node.id", "broker.id", "data.dir", "log.dirs", "log.dir"})
single = [name for name in single if not name.startswith(("log.retention.", "log.roll.", "log.flush."))]
source = st.dictionaries(st.sampled_from(single), st.text(max_size=3))


@given(st.lists(source, max_size=5))
def test_the_last_source_that_sets_a_name_decides(sources: list[dict[str, str]]) -> None:
    expected: dict[str, str] = {}
    for each in sources:
        expected.update(each)
    assert merged(*sources) == expected


def test_a_file_names_itself_and_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text("# one node\nnum.partitions = 3\nlog = {level = 'debug'}\n")
    findings = Findings()
    assert read_file(path, findings) == [
        Given("num.partitions", "3", f"{path}, line 2"),
        Given("log.level", "debug", str(path)),
    ]
    assert findings.problems == []


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    findings = Findings()
    assert read_file(tmp_path / "node.toml", findings) == []
    assert findings.problems == [f"{tmp_path / 'node.toml'} cannot be read: No such file or directory"]


@pytest.mark.parametrize("content", [b"a = \n", b"\xff\xfe", b"a = 1\n[a]\n"])
def test_a_file_that_cannot_be_parsed(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "node.toml"
    path.write_bytes(content)
    findings = Findings()
    assert read_file(path, findings) == []
    [problem] = findings.problems
    assert problem.startswith(f"{path}: ")
