"""The settings that make a node one of several: who the others are, where they meet, and how soon they miss
each other.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from chronik.node.raft_ticks import ELECTION, HEARTBEAT, TICK, raft_ticks
from chronik.server.settings.checks import Addresses, Origins, Reporter
from chronik.server.settings.listeners import WILDCARD_HOSTS, Address, is_same_place, parse_address
from chronik.server.settings.sources import Findings
from chronik.vocab.config.broker import BrokerConfig
from chronik.vocab.config.names import BROKER_CONFIGS
from chronik.vocab.ids import NodeId

if TYPE_CHECKING:
    from chronik.server.peers.secret import SharedSecret

_VOTERS = "controller.quorum.voters"
_ADDRESS = "raft.address"
_SECRET = "raft.secret"
_SECRET_FILE = "raft.secret.file"

# Kafka's own default where it has the choice: two copies survive the loss of any node.
_REPLICAS_WANTED = 3
_REPLICATION_FACTORS = (
    "default.replication.factor",
    "offsets.topic.replication.factor",
    "transaction.state.log.replication.factor",
)

_NODE_ID_DIGITS_MAX = 10
_NODE_ID_MAX = 2**31 - 1


class Voter(NamedTuple):
    """One entry of `controller.quorum.voters`."""

    node: NodeId
    address: Address


class ClusterSettings(NamedTuple):
    """The cluster's part of `Settings`."""

    # All nodes by id, this one included; empty when it is its own cluster.
    voters: Mapping[NodeId, Address]
    # Where to listen for the others; None when there are none.
    raft_address: Address | None
    # The secret that nodes prove to each other; None where no other machine can reach the address.
    secret: "SharedSecret | None" = None


ALONE = ClusterSettings({}, None)


def parse_voter(text: str) -> Voter:
    """Parses `id@host:port`. Raises ValueError with the problem."""
    digits, at, rest = text.partition("@")
    if not at or not (digits.isascii() and digits.isdigit()) or len(digits) > _NODE_ID_DIGITS_MAX:
        raise ValueError(f"{text!r} is not a voter: write id@host:port")
    if int(digits) > _NODE_ID_MAX:
        raise ValueError(f"{text!r} has a node id above {_NODE_ID_MAX}")
    address = parse_address(rest)
    if address.host in WILDCARD_HOSTS:
        raise ValueError(f"{text!r} names no host: the other nodes connect to a host, not to every interface")
    if address.port == 0:
        raise ValueError(f"{text!r} has port 0: the other nodes cannot know which port that becomes")
    return Voter(NodeId(int(digits)), address)


def voter_problems(voters: Sequence[Voter], node_id: NodeId) -> Iterator[str]:
    """Yields problems between voters that are each well formed."""
    for node, count in Counter(voter.node for voter in voters).items():
        if count > 1:
            yield f"node {node} is in it {count} times"
    for address, count in Counter(voter.address for voter in voters).items():
        if count > 1:
            yield f"{count} nodes have the address {address}"
    if node_id not in {voter.node for voter in voters}:
        known = ", ".join(str(voter.node) for voter in voters)
        yield (
            f"this is node {node_id}, and only {known} {'are' if len(voters) > 1 else 'is'} in it; "
            "set node.id to this node's own number there, or add the node on every node"
        )


def check_cluster(
    config: BrokerConfig, origins: Origins, addresses: Addresses, findings: Findings
) -> ClusterSettings:
    """Checks everything about the cluster; errors become problems."""
    report = Reporter(origins, findings)
    _check_timings(config, report)
    voters = report.parsed(_VOTERS, _parse_voters, config) or ()
    node_id = NodeId(config.int("node.id"))
    problems = list(voter_problems(voters, node_id)) if voters else []
    report.problems(_VOTERS, problems)
    explicit = report.parsed(_ADDRESS, _parse_optional_address, config)
    if problems or len(voters) < 2:
        if not problems:
            _note_alone(voters, addresses, report, findings)
        return ALONE
    if len(voters) % 2 == 0:
        report.note(
            _VOTERS, f"{len(voters)} nodes survive the loss of {len(voters) // 2 - 1}, as one fewer would"
        )
    by_node = {voter.node: voter.address for voter in voters}
    raft_address = explicit or _default_address(by_node[node_id], addresses, findings)
    report.problems(_ADDRESS, _taken(raft_address, addresses))
    return ClusterSettings(by_node, raft_address, _check_secret(config, raft_address, report))


def _check_secret(config: BrokerConfig, address: Address, report: Reporter) -> "SharedSecret | None":
    # Not imported before it is needed: a node alone starts sooner.
    from chronik.server.peers.secret import SECRET_CHARACTERS_MIN, SharedSecret

    name, text = _SECRET, config.raw(_SECRET)
    path = config.raw(_SECRET_FILE)
    if not text and path:
        name = _SECRET_FILE
        try:
            text = Path(path).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            report.problems(name, [f"{path} cannot be read: {error}"])
            return None
    if text and len(text) < SECRET_CHARACTERS_MIN:
        report.problems(name, [f"{len(text)} characters can be guessed: {SECRET_CHARACTERS_MIN} at least"])
    elif text:
        return SharedSecret(text)
    elif not _is_loopback(address.host):
        report.problems(
            _SECRET,
            [
                f"nodes listen for each other at {address}, where anyone who reaches it could take the place "
                f"of a node that is down: set {_SECRET}, or {_SECRET_FILE}, to the same text on all nodes, "
                "for example what `openssl rand -hex 32` prints"
            ],
        )
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _note_alone(voters: Sequence[Voter], addresses: Addresses, report: Reporter, findings: Findings) -> None:
    if voters:
        report.note(_VOTERS, "it names this node alone, which then is its own cluster")
    elif report.is_given(_ADDRESS):
        report.note(_ADDRESS, f"it has no effect without {_VOTERS}")
    findings.notes += [
        f"listener {listener.name} is not opened: the controller needs none of its own"
        for listener in addresses.controllers
    ]


def _default_address(own: Address, addresses: Addresses, findings: Findings) -> Address:
    """Returns the address where Kafka would listen for other controllers, else this node's entry in the
    voters.
    """
    findings.notes += [
        f"listener {listener.name} is not opened: one address for the other nodes is enough"
        for listener in addresses.controllers[1:]
    ]
    return addresses.controllers[0].address if addresses.controllers else own


def _taken(address: Address, addresses: Addresses) -> list[str]:
    if address.port == 0:
        return []
    taken = [(f"listener {listener.name}", listener.address) for listener in addresses.listeners]
    if addresses.http is not None:
        taken.append(("http.address", addresses.http))
    return [f"{address} is what {name} wants too" for name, other in taken if is_same_place(other, address)]


def _check_timings(config: BrokerConfig, report: Reporter) -> None:
    tick_ms = config.int(TICK)
    names = (ELECTION, HEARTBEAT, "broker.session.timeout.ms", "replica.lag.time.max.ms")
    too_short = [name for name in names if config.int(name) < tick_ms]
    for name in too_short:
        report.problems(name, [f"{config.int(name)} is less than {TICK}={tick_ms}, the unit of time"])
    if too_short:
        return
    ticks = raft_ticks(config)
    if ticks.heartbeat * 3 >= ticks.election:
        report.problems(
            HEARTBEAT,
            [
                f"three times {config.int(HEARTBEAT)}, in steps of {TICK}={tick_ms}, does not fit below "
                f"{ELECTION}={config.int(ELECTION)}: a single lost heartbeat would elect new leaders"
            ],
        )


def _parse_voters(config: BrokerConfig, name: str) -> tuple[Voter, ...]:
    return tuple(parse_voter(item) for item in config.list(name))


def _parse_optional_address(config: BrokerConfig, name: str) -> Address | None:
    text = config.raw(name)
    return parse_address(text) if text else None


def cluster_defaults(nodes: int) -> dict[str, str]:
    """Defaults that `nodes` nodes, of which there are several, have in place of one node's."""
    return dict.fromkeys(_REPLICATION_FACTORS, str(min(_REPLICAS_WANTED, nodes)))


def replication_notes(config: BrokerConfig, origins: Origins, nodes: int) -> Iterable[str]:
    """Yields notes on configured replication factors that no topic can have."""
    for name in _REPLICATION_FACTORS:
        if name in origins and config.int(name) > nodes and BROKER_CONFIGS[name].has_effect:
            there = "is one node" if nodes == 1 else f"are {nodes} nodes"
            yield (
                f"{name} ({origins[name]}) is {config.int(name)}, and there {there}: "
                "topics that go by it cannot be created"
            )
