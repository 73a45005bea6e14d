"""Kafka's server.properties, and the variables of its images' compose files."""

from pathlib import Path

import pytest

from chronik.server.settings.listeners import Listener
from chronik.server.settings.loading import Settings, SettingsError
from chronik.server.settings.properties import decode_properties, parse_properties

# The settings that the file has which Kafka comes with for a node that is broker and controller.
KAFKAS_OWN = """\
############################# Server Basics #############################
# The role of this server.
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
controller.quorum.voters=1@localhost:9093

listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,\\
    SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs=/tmp/kraft-combined-logs
num.partitions=1
num.recovery.threads.per.data.dir=1
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
#log.flush.interval.messages=10000
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
"""


def pairs(content: str) -> dict[str, str]:
    return {setting.name: setting.text for setting in parse_properties(content)}


@pytest.mark.parametrize(
    ("content", "name", "text"),
    [
        ("a=b", "a", "b"),
        ("a:b", "a", "b"),
        ("a b", "a", "b"),
        ("a\t=  b  ", "a", "b  "),
        ("  a  :  b", "a", "b"),
        ("a = = b", "a", "= b"),
        ("a", "a", ""),
        ("a=", "a", ""),
        (r"a\ b\=c=d", "a b=c", "d"),
        (r"a=C:\\kafka\\logs", "a", r"C:\kafka\logs"),
        (r"a=\q\t\u00e9\"", "a", 'q\té"'),
        ("a=b\\\n    c,\\\r\n  d", "a", "bc,d"),
        ("a=b\\\\\nc=d", "a", "b\\"),
        ("a=b\\\n#c", "a", "b#c"),
        ("a=b\\", "a", "b"),
        ("a=1\na=2", "a", "2"),
    ],
)
def test_what_java_reads(content: str, name: str, text: str) -> None:
    assert pairs(content)[name] == text


@pytest.mark.parametrize("content", ["", "\n \t\n", "# a=b", "  ! a=b\r# c=d\\\r", "#a=b\\\n#c=d"])
def test_comments_and_blank_lines_say_nothing(content: str) -> None:
    assert parse_properties(content) == []


def test_lines_are_counted_as_a_person_does() -> None:
    assert [setting.line for setting in parse_properties("# a\r\n\r\nb=1\\\n 2\nc=3\n")] == [3, 5]


def test_an_escape_that_is_none() -> None:
    with pytest.raises(ValueError, match=r"line 2: .*four hexadecimal digits"):
        parse_properties("a=b\nc=\\u12")


def test_bytes_are_utf8_or_what_java_takes_them_for() -> None:
    assert decode_properties("é".encode()) == decode_properties("é".encode("iso-8859-1")) == "é"


def loaded(path: Path, content: str, *, name: str = "server.properties") -> Settings:
    file = path / name
    file.write_text(content)
    return Settings.load(config_file=file)


def test_kafkas_own_file_starts_a_node(tmp_path: Path) -> None:
    settings = loaded(tmp_path, KAFKAS_OWN)
    assert settings.listeners == (Listener("PLAINTEXT", "", 9092),)
    assert str(settings.advertised("PLAINTEXT", 9092)) == "localhost:9092"
    assert settings.data_dir == "/tmp/kraft-combined-logs"
    assert settings.config.int("num.partitions") == 1
    assert settings.voters == {}
    assert settings.origin("num.partitions") == f"{tmp_path}/server.properties, line 20"
    ignored = [note.partition(" ")[0] for note in settings.notes if "is ignored" in note]
    assert ignored == [
        "process.roles",
        "controller.quorum.bootstrap.servers",
        "share.coordinator.state.topic.replication.factor",
        "share.coordinator.state.topic.min.isr",
    ]


def test_names_that_nobody_knows_are_passed_over_as_in_kafka(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "num.partition=3\nplugin.of.mine=1")
    notes = [note for note in settings.notes if "is ignored" in note]
    assert "did you mean num.partitions?" in notes[0]
    assert notes[1].startswith("plugin.of.mine (")
    with pytest.raises(SettingsError, match=r"there is no setting num\.partition; did you mean"):
        loaded(tmp_path, '"num.partition" = 3', name="node.toml")


def test_what_asks_for_safety_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"line 2: ssl\.keystore\.location cannot be set"):
        loaded(tmp_path, "node.id=1\nssl.keystore.location=/keys")


def test_values_are_checked_and_named_with_their_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"server\.properties, line 1: Invalid value many"):
        loaded(tmp_path, "num.partitions=many")


def test_a_file_of_another_name_is_toml_and_says_how_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"when its name ends in \.properties"):
        loaded(tmp_path, "listeners=PLAINTEXT://:9092", name="server.conf")


CONFLUENT = {
    "KAFKA_NODE_ID": "1",
    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,"
    "PLAINTEXT_HOST:PLAINTEXT",
    "KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT://broker:29092,PLAINTEXT_HOST://localhost:9092",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_JMX_PORT": "9101",
    "KAFKA_JMX_HOSTNAME": "localhost",
    "KAFKA_PROCESS_ROLES": "broker,controller",
    "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@broker:29093",
    "KAFKA_INTER_BROKER_LISTENER_NAME": "PLAINTEXT",
    "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
    "KAFKA_LOG_DIRS": "/tmp/kraft-combined-logs",
    "CLUSTER_ID": "MkU3OEVBNTcwNTJENDM2Qk",
}
ZOOKEEPERS = {
    "KAFKA_BROKER_ID": "1",
    "KAFKA_ZOOKEEPER_CONNECT": "zookeeper:2181",
    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT",
    "KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT://broker:29092,PLAINTEXT_HOST://localhost:9092",
    "KAFKA_METRIC_REPORTERS": "io.confluent.metrics.reporter.ConfluentMetricsReporter",
    "KAFKA_CONFLUENT_LICENSE_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "CONFLUENT_METRICS_ENABLE": "true",
}


@pytest.mark.parametrize("environment", [CONFLUENT, ZOOKEEPERS], ids=["kraft", "zookeeper"])
def test_advertised_listeners_alone_say_which_ports_to_open(environment: dict[str, str]) -> None:
    settings = Settings.load(environment=environment)
    assert settings.listeners == (Listener("PLAINTEXT", "", 29092), Listener("PLAINTEXT_HOST", "", 9092))
    assert str(settings.advertised("PLAINTEXT", 29092)) == "broker:29092"
    assert str(settings.advertised("PLAINTEXT_HOST", 9092)) == "localhost:9092"
    assert any(note.startswith("listeners is PLAINTEXT://:29092,") for note in settings.notes)
    assert settings.voters == {}


def test_listeners_that_are_given_are_not_made_up() -> None:
    own = {"KAFKA_LISTENERS": "PLAINTEXT://broker:29092,CONTROLLER://broker:29093,PLAINTEXT_HOST://:9092"}
    settings = Settings.load(environment=CONFLUENT | own)
    assert [str(listener) for listener in settings.listeners] == [
        "PLAINTEXT://broker:29092",
        "PLAINTEXT_HOST://:9092",
    ]


def test_advertised_listeners_that_are_none_are_the_problem() -> None:
    with pytest.raises(
        SettingsError, match=r"KAFKA_ADVERTISED_LISTENERS: advertised\.listeners: 'broker:9092'"
    ):
        Settings.load(environment={"KAFKA_ADVERTISED_LISTENERS": "broker:9092"})


def test_a_node_that_is_only_a_controller_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"process\.roles=controller: .* broker"):
        Settings.load(environment={"KAFKA_PROCESS_ROLES": "controller"})
