from pathlib import Path

import pytest

from chronik.server.settings import host as settings_host
from chronik.server.settings.listeners import Address, Listener
from chronik.server.settings.loading import Settings, SettingsError
from chronik.vocab.config.definition import ConfigSource

KAFKA_COMPOSE = {
    "KAFKA_NODE_ID": "1",
    "KAFKA_PROCESS_ROLES": "broker,controller",
    "KAFKA_LISTENERS": "PLAINTEXT://:19092,CONTROLLER://:9093,PLAINTEXT_HOST://:9092",
    "KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT://broker:19092,PLAINTEXT_HOST://localhost:9092",
    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": (
        "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT"
    ),
    "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
    "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@broker:9093",
    "KAFKA_INTER_BROKER_LISTENER_NAME": "PLAINTEXT",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_LOG_DIRS": "/tmp/kraft-combined-logs",
    "KAFKA_HEAP_OPTS": "-Xmx1g",
    "KAFKA_LOG_FLUSH_INTERVAL_MESSAGES": "9223372036854775807",
    "CLUSTER_ID": "4L6g3nShT-eMCtK--X86sw",
}


def problems(command_line: dict[str, str], **sources: object) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        Settings.load(command_line, **sources)  # type: ignore[arg-type]  # the tests name them right
    return caught.value.problems


def test_without_a_word_a_node_serves_this_machine() -> None:
    settings = Settings.load()
    assert settings.node_id == 1
    assert settings.cluster_id is None
    assert settings.data_dir == "./chronik-data"
    assert settings.listeners == (Listener("PLAINTEXT", "localhost", 9092),)
    assert settings.advertised("PLAINTEXT", 9092) == Address("localhost", 9092)
    assert settings.http_address == Address("localhost", 9101)
    assert settings.str("log.level") == "info"
    assert settings.notes == ()
    assert settings.origin("num.partitions") == "default"


def test_sources_in_rising_precedence(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text("[num]\npartitions = 1\n")
    kafka = {"KAFKA_NUM_PARTITIONS": "2"}
    chronik = {"CHRONIK_NUM_PARTITIONS": "3"}

    def partitions(command_line: dict[str, str], environment: dict[str, str]) -> tuple[int, str]:
        settings = Settings.load(command_line, config_file=path, environment=environment)
        assert settings.config.source("num.partitions") is ConfigSource.STATIC_BROKER_CONFIG
        return settings.config.int("num.partitions"), settings.origin("num.partitions")

    assert partitions({}, {}) == (1, f"{path}, line 2")
    assert partitions({}, kafka) == (2, "KAFKA_NUM_PARTITIONS")
    assert partitions({}, kafka | chronik) == (3, "CHRONIK_NUM_PARTITIONS")
    assert partitions({"num.partitions": "4"}, kafka | chronik) == (4, "command line")


def test_a_variable_may_name_the_file(tmp_path: Path) -> None:
    path, other = tmp_path / "node.toml", tmp_path / "other.toml"
    path.write_text("node.id = 7\n")
    other.write_text("node.id = 8\n")
    environment = {"CHRONIK_CONFIG": str(path)}
    assert Settings.load(environment=environment).node_id == 7
    assert Settings.load(config_file=other, environment=environment).node_id == 8


def test_a_compose_file_written_for_kafka_works() -> None:
    settings = Settings.load(environment=KAFKA_COMPOSE)
    assert settings.data_dir == "/tmp/kraft-combined-logs"
    assert settings.listeners == (
        Listener("PLAINTEXT", "", 19092),
        Listener("PLAINTEXT_HOST", "", 9092),
    )
    assert settings.advertised("PLAINTEXT", 19092) == Address("broker", 19092)
    assert settings.advertised("PLAINTEXT_HOST", 9092) == Address("localhost", 9092)
    said = "\n".join(settings.notes)
    for variable in ("KAFKA_PROCESS_ROLES", "KAFKA_HEAP_OPTS"):
        assert f"{variable} is ignored" in said
    assert settings.voters == {}
    assert (
        "controller.quorum.voters (KAFKA_CONTROLLER_QUORUM_VOTERS): it names this node alone, which then is "
        "its own cluster" in said
    )
    assert "listener CONTROLLER is not opened" in said
    assert (
        "inter.broker.listener.name (KAFKA_INTER_BROKER_LISTENER_NAME) is accepted and has no effect yet"
        in said
    )


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text("num.partitons = 3\nlog.level = 'loud'\n")
    environment = {
        "KAFKA_MESSAGE_MAX_BYTES": "big",
        "CHRONIK_NOTHING": "1",
        "KAFKA_SSL_KEYSTORE_LOCATION": "x",
    }
    command_line = {
        "listeners": "SSL://:9092,nonsense",
        "advertised.listeners": "A://0.0.0.0:1",
        "http.address": "9101",
        "log.retention.ms": "0",
    }
    assert problems(command_line, config_file=path, environment=environment) == (
        f"{path}, line 1: there is no setting num.partitons; did you mean num.partitions?",
        "KAFKA_SSL_KEYSTORE_LOCATION: ssl.keystore.location cannot be set: "
        "TLS, SASL and authorization are not available yet",
        "CHRONIK_NOTHING: there is no setting nothing",
        f"{path}, line 2: Invalid value loud for configuration log.level: "
        "String must be one of: debug, info, warning, error",
        "KAFKA_MESSAGE_MAX_BYTES: Invalid value big for configuration message.max.bytes: Not a number of "
        "type INT",
        "command line: listeners: 'nonsense' is not a listener: "
        "write NAME://host:port, with brackets around an IPv6 host",
        "command line: advertised.listeners: A is advertised, but no listener has that name",
        "command line: advertised.listeners: "
        "A://0.0.0.0:1 cannot be advertised: clients connect to a host, not to every interface",
        "command line: http.address: '9101' is not an address: "
        "write host:port, with brackets around an IPv6 host",
        "command line: log.retention.ms: it must be at least 1, or -1 for no limit",
    )


def test_one_problem_is_a_sentence_and_several_are_a_list() -> None:
    assert str(SettingsError(("a: b",))) == "a: b"
    assert str(SettingsError(("a", "b"))) == "2 things are wrong with the settings:\n  a\n  b"


@pytest.mark.parametrize(
    ("listener", "http", "are_the_same"),
    [
        ("127.0.0.1:9092", "127.0.0.1:9092", True),
        ("localhost:9092", "127.0.0.1:9092", True),
        ("[::1]:9092", "localhost:9092", True),
        (":9092", "127.0.0.1:9092", True),
        ("192.0.2.1:9092", "0.0.0.0:9092", True),
        ("127.0.0.1:9092", "127.0.0.1:9093", False),
        ("192.0.2.1:9092", "127.0.0.1:9092", False),
        ("127.0.0.1:0", "127.0.0.1:0", False),
    ],
)
def test_http_cannot_have_a_listeners_address(listener: str, http: str, are_the_same: bool) -> None:
    given = {"listeners": f"PLAINTEXT://{listener}", "http.address": http}
    if are_the_same:
        with pytest.raises(SettingsError, match="is what listener PLAINTEXT wants too"):
            Settings.load(given)
    else:
        Settings.load(given)


def test_one_directory() -> None:
    assert problems({"log.dirs": "/a,/b"}) == (
        "command line: log.dirs: one directory is supported; several are not",
    )
    assert Settings.load({"data.dir": "/a"}).config.list("log.dirs") == ("/a",)


@pytest.mark.parametrize(
    "command_line",
    [
        {"log.retention.minutes": "0"},
        {"log.retention.hours": "-2"},
        {"listener.security.protocol.map": "A"},
        {"listeners": "A://:1,A://:2"},
        {"data.dir": ""},
        {"listeners": ""},
        {"node.id": "1", "broker.id": "2"},
    ],
)
def test_rules_between_settings(command_line: dict[str, str]) -> None:
    assert problems(command_line)


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        ("message.max.bytes", "socket.request.max.bytes"),
        ("group.min.session.timeout.ms", "group.max.session.timeout.ms"),
        ("log.cleaner.min.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms"),
    ],
)
def test_contradictions_that_kafka_starts_with_are_noted(lower: str, upper: str) -> None:
    settings = Settings.load({lower: "2000", upper: "1000"})
    (note,) = [note for note in settings.notes if "more than" in note]
    assert note.startswith(f"{lower} (command line): 2000 is more than {upper}=1000: ")
    assert not [note for note in Settings.load({lower: "1000", upper: "1000"}).notes if "more than" in note]


@pytest.mark.parametrize("text", ["off", ""])
def test_http_can_be_switched_off(text: str) -> None:
    assert Settings.load({"http.address": text}).http_address is None


def test_an_address_is_advertised_by_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings_host, "own_host", lambda wildcard: f"own[{wildcard}]")
    settings = Settings.load(
        {
            "listeners": "A://:0,B://0.0.0.0:2,C://[::]:3,D://127.0.0.1:0,E://:5,F://:6",
            "advertised.listeners": "E://outside:50,F://outside:0",
        }
    )
    assert settings.advertised("A", 41) == Address("own[]", 41)
    assert settings.advertised("B", 2) == Address("own[0.0.0.0]", 2)
    assert settings.advertised("C", 3) == Address("own[::]", 3)
    assert settings.advertised("D", 44) == Address("127.0.0.1", 44)
    assert settings.advertised("E", 5) == Address("outside", 50)
    assert settings.advertised("F", 6) == Address("outside", 6)
