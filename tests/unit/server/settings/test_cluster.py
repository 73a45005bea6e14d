from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronik.node.raft_ticks import RaftTicks, raft_ticks
from chronik.server.peers.secret import SharedSecret, Side
from chronik.server.settings.cluster import cluster_defaults, parse_voter
from chronik.server.settings.listeners import Address
from chronik.server.settings.loading import Settings, SettingsError
from chronik.vocab.config.definition import ConfigSource
from chronik.vocab.config.names import BROKER_CONFIGS

SECRET = "what-nodes-know-of-each-other"
VOTERS = "1@one:5001,2@two:5002,3@[::1]:5003"
OFFSETS_FACTOR = "offsets.topic.replication.factor"


def load(**settings: str) -> Settings:
    """Keywords with `_` for `.`."""
    texts = {name.replace("_", "."): text for name, text in settings.items()}
    return Settings.load({"raft.secret": SECRET, **texts})


def problems(**settings: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load(**settings)
    return caught.value.problems


def test_without_voters_a_node_is_its_own_cluster() -> None:
    settings = load()
    assert settings.voters == {}
    assert settings.raft_address is None
    assert settings.notes == ()


def test_voters_are_read_as_kafka_writes_them() -> None:
    settings = load(controller_quorum_voters=VOTERS, node_id="2")
    assert settings.voters == {1: Address("one", 5001), 2: Address("two", 5002), 3: Address("::1", 5003)}
    assert settings.raft_address == Address("two", 5002)
    assert settings.notes == ()


def test_voters_from_a_variable_and_a_file(tmp_path: object) -> None:
    environment = {
        "KAFKA_CONTROLLER_QUORUM_VOTERS": VOTERS,
        "KAFKA_NODE_ID": "3",
        "KAFKA_RAFT_SECRET": SECRET,
    }
    assert Settings.load(environment=environment).raft_address == Address("::1", 5003)
    path = f"{tmp_path}/node.toml"
    with open(path, "w", encoding="utf-8") as file:
        file.write('[controller.quorum]\nvoters = ["1@one:5001", "2@two:5002", "3@three:5003"]\n')
        file.write(f'[raft]\nsecret = "{SECRET}"\n')
    assert Settings.load(config_file=path).raft_address == Address("one", 5001)


def test_one_voter_is_a_node_alone() -> None:
    settings = load(controller_quorum_voters="1@host:9093", raft_address="host:1")
    assert settings.voters == {}
    assert settings.raft_address is None
    assert settings.notes == (
        "controller.quorum.voters (command line): it names this node alone, which then is its own cluster",
    )


def test_an_address_to_listen_on_without_anybody_to_listen_to() -> None:
    assert load(raft_address="host:1").notes == (
        "raft.address (command line): it has no effect without controller.quorum.voters",
    )


def test_the_address_to_listen_on() -> None:
    assert load(controller_quorum_voters=VOTERS, raft_address=":5001").raft_address == Address("", 5001)
    assert load(controller_quorum_voters=VOTERS, raft_address="a:0").raft_address == Address("a", 0)
    # As in a configuration written for Kafka.
    settings = load(
        controller_quorum_voters=VOTERS,
        listeners="PLAINTEXT://:9092,A://:5001,B://:6001",
        controller_listener_names="A,B",
    )
    assert settings.raft_address == Address("", 5001)
    assert settings.notes == ("listener B is not opened: one address for the other nodes is enough",)
    assert [listener.name for listener in settings.listeners] == ["PLAINTEXT"]


@pytest.mark.parametrize(
    ("voters", "problem"),
    [
        ("1@one:1,one:2", "'one:2' is not a voter: write id@host:port"),
        ("1@one:1,-2@two:2", "'-2@two:2' is not a voter: write id@host:port"),
        ("1@one:1,\u0662@two:2", "'\u0662@two:2' is not a voter: write id@host:port"),
        ("1@one:1,2147483648@two:2", "'2147483648@two:2' has a node id above 2147483647"),
        ("1@one:1,12345678901@two:2", "'12345678901@two:2' is not a voter: write id@host:port"),
        (
            "1@one:1,2@two",
            "'two' is not an address: write host:port, with brackets around an IPv6 host",
        ),
        (
            "1@one:1,2@:2",
            "'2@:2' names no host: the other nodes connect to a host, not to every interface",
        ),
        (
            "1@one:1,2@0.0.0.0:2",
            "'2@0.0.0.0:2' names no host: the other nodes connect to a host, not to every interface",
        ),
        (
            "1@one:1,2@two:0",
            "'2@two:0' has port 0: the other nodes cannot know which port that becomes",
        ),
        ("1@one:1,2@two:2,2@three:3", "node 2 is in it 2 times"),
        ("1@one:1,2@two:2,3@two:2", "2 nodes have the address two:2"),
        (
            "2@two:2,3@three:3",
            "this is node 1, and only 2, 3 are in it; "
            "set node.id to this node's own number there, or add the node on every node",
        ),
        (
            "2@two:2",
            "this is node 1, and only 2 is in it; "
            "set node.id to this node's own number there, or add the node on every node",
        ),
    ],
)
def test_voters_that_cannot_be(voters: str, problem: str) -> None:
    assert problems(controller_quorum_voters=voters) == (
        f"command line: controller.quorum.voters: {problem}",
    )


def test_a_raft_address_that_is_none() -> None:
    assert problems(controller_quorum_voters=VOTERS, raft_address="5001") == (
        "command line: raft.address: '5001' is not an address: "
        "write host:port, with brackets around an IPv6 host",
    )


def test_an_address_for_two_purposes() -> None:
    assert problems(
        controller_quorum_voters="1@a:1,2@b:2,3@c:3", listeners="PLAINTEXT://a:1", http_address="a:1"
    ) == (
        "command line: http.address: a:1 is what listener PLAINTEXT wants too",
        "default: raft.address: a:1 is what listener PLAINTEXT wants too",
        "default: raft.address: a:1 is what http.address wants too",
    )


def test_an_even_number_of_nodes_is_noted() -> None:
    assert load(controller_quorum_voters="1@a:1,2@b:2").notes == (
        "controller.quorum.voters (command line): 2 nodes survive the loss of 0, as one fewer would",
    )


def test_timings_in_ticks() -> None:
    assert raft_ticks(load().config) == RaftTicks(20, 50, 8)
    settings = load(
        raft_tick_ms="10", raft_heartbeat_interval_ms="21", controller_quorum_election_timeout_ms="109"
    )
    assert raft_ticks(settings.config) == RaftTicks(10, 10, 3)


def test_timings_below_the_tick() -> None:
    assert problems(raft_tick_ms="200", broker_session_timeout_ms="199", replica_lag_time_max_ms="1") == (
        "default: raft.heartbeat.interval.ms: 150 is less than raft.tick.ms=200, the unit of time",
        "command line: broker.session.timeout.ms: 199 is less than raft.tick.ms=200, the unit of time",
        "command line: replica.lag.time.max.ms: 1 is less than raft.tick.ms=200, the unit of time",
    )


def test_three_heartbeats_fit_into_an_election_timeout() -> None:
    assert load(controller_quorum_election_timeout_ms="500").voters == {}
    # 24 ticks for the heartbeats, 24 for the election.
    assert problems(controller_quorum_election_timeout_ms="499") == (
        "default: raft.heartbeat.interval.ms: three times 150, in steps of raft.tick.ms=20, does not fit "
        "below controller.quorum.election.timeout.ms=499: a single lost heartbeat would elect new leaders",
    )


@pytest.mark.parametrize(("nodes", "factor"), [(1, 1), (2, 2), (3, 3), (5, 3)])
def test_replicas_are_as_many_as_nodes_up_to_three(nodes: int, factor: int) -> None:
    voters = ",".join(f"{node}@host:{node}" for node in range(1, nodes + 1))
    config = load(controller_quorum_voters=voters).config
    for name in cluster_defaults(nodes):
        assert config.int(name) == factor
        assert config.source(name) is ConfigSource.DEFAULT_CONFIG


def test_a_replication_factor_that_is_said_stays() -> None:
    settings = load(controller_quorum_voters=VOTERS, default_replication_factor="1")
    assert settings.config.int("default.replication.factor") == 1
    assert settings.config.int(OFFSETS_FACTOR) == 3
    assert settings.notes == ()


def test_a_replication_factor_that_no_topic_can_have_is_noted() -> None:
    settings = load(controller_quorum_voters=VOTERS, offsets_topic_replication_factor="4")
    assert settings.config.int(OFFSETS_FACTOR) == 4
    assert settings.notes == (
        f"{OFFSETS_FACTOR} (command line) is 4, and there are 3 nodes: "
        "topics that go by it cannot be created",
    )
    assert load(default_replication_factor="3").notes == (
        "default.replication.factor (command line) is 3, and there is one node: "
        "topics that go by it cannot be created",
    )


@given(st.text(max_size=20))
def test_any_text_is_a_voter_or_a_sentence(text: str) -> None:
    try:
        voter = parse_voter(text)
    except ValueError:
        return
    assert 0 <= voter.node < 2**31
    assert 0 < voter.address.port < 2**16


def without_secret(**settings: str) -> Settings:
    return Settings.load({name.replace("_", "."): text for name, text in settings.items()})


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "[::1]"])
def test_nodes_of_one_machine_need_no_secret(host: str) -> None:
    voters = f"1@{host}:1,2@{host}:2,3@{host}:3"
    assert without_secret(controller_quorum_voters=voters).cluster.secret is None


@pytest.mark.parametrize("address", ["", "0.0.0.0:1", "[::]:1", "10.0.0.1:1", "one:1"])
def test_a_port_that_others_reach_needs_one(address: str) -> None:
    with pytest.raises(SettingsError) as caught:
        without_secret(controller_quorum_voters=VOTERS, **({"raft_address": address} if address else {}))
    (problem,) = caught.value.problems
    assert problem.startswith("default: raft.secret: nodes listen for each other at ")
    assert "set raft.secret, or raft.secret.file, to the same text on all nodes" in problem


def test_a_node_alone_needs_none() -> None:
    assert without_secret(listeners="PLAINTEXT://0.0.0.0:9092").cluster.secret is None


def test_the_secret_may_be_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n")
    settings = without_secret(controller_quorum_voters=VOTERS, raft_secret_file=str(path))
    assert settings.cluster.secret is not None
    proof = settings.cluster.secret.prove(Side.DIALLER, b"a", b"b")
    assert SharedSecret(SECRET).is_proof(proof, Side.DIALLER, b"a", b"b")


@pytest.mark.parametrize("content", [None, b"", b"too short\n", b"\xff" * 20])
def test_a_secret_file_that_is_no_good(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"raft\.secret"):
        without_secret(controller_quorum_voters=VOTERS, raft_secret_file=str(path))


def test_a_secret_that_can_be_guessed() -> None:
    assert problems(controller_quorum_voters=VOTERS, raft_secret="hunter2") == (
        "command line: raft.secret: 7 characters can be guessed: 16 at least",
    )


def test_the_secret_is_shown_to_nobody() -> None:
    settings = load(controller_quorum_voters=VOTERS)
    assert SECRET not in repr(settings.cluster)
    assert BROKER_CONFIGS["raft.secret"].is_sensitive
