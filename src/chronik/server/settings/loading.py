"""A node's settings: one validated record out of defaults, a file, variables and the command line, in rising
precedence.

All errors are reported at once, each with its source. `chronik.vocab.config` has the definitions as data;
changes while the node runs are made in `Settings.config`.
"""

import builtins
import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from chronik.server.settings.checks import (
    Addresses,
    check_addresses,
    check_rules,
    check_values,
    listeners_as_advertised,
)
from chronik.server.settings.cluster import (
    ClusterSettings,
    check_cluster,
    cluster_defaults,
    replication_notes,
)
from chronik.server.settings.listeners import Address, Listener
from chronik.server.settings.sources import (
    CHRONIK_PREFIX,
    CONFIG_FILE_VARIABLE,
    KAFKA_PREFIX,
    Findings,
    Given,
    known,
    merge,
    read_command_line,
    read_file,
    read_variables,
)
from chronik.vocab.config.broker import BrokerConfig
from chronik.vocab.config.names import BROKER_CONFIGS
from chronik.vocab.ids import NodeId

_NOTHING: Mapping[str, str] = {}


class SettingsError(Exception):
    """The node cannot start with these settings. `problems` are sentences for a person; `str()` is all of
    them.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        head = f"{len(problems)} things are wrong with the settings:"
        super().__init__(problems[0] if len(problems) == 1 else "\n  ".join([head, *problems]))


class Settings(NamedTuple):
    """Made by `load` before anything is opened; lives as long as its node."""

    # Every setting, resolved. The node feeds dynamic changes into it; all else here never changes.
    config: BrokerConfig
    # Where each setting that was given came from; the others have their defaults.
    origins: Mapping[str, str]
    addresses: Addresses
    cluster: ClusterSettings
    # Remarks that are no problems; for the log.
    notes: tuple[str, ...]

    @classmethod
    def load(
        cls,
        command_line: Mapping[str, str] = _NOTHING,
        *,
        config_file: str | os.PathLike[str] | None = None,
        environment: Mapping[str, str] = _NOTHING,
    ) -> "Settings":
        """Read and check all sources. `command_line` has texts under the settings' names.

        `KAFKA_` variables go before the file, `CHRONIK_` variables before those, the command line before all.
        The variable CHRONIK_CONFIG names the file where `config_file` does not. Raises SettingsError.
        """
        findings = Findings()
        given = check_values(_read(command_line, config_file, environment, findings), findings)
        given += listeners_as_advertised(given, findings)
        texts = {setting.name: setting.text for setting in given}
        config = BrokerConfig(texts)
        origins = {setting.name: setting.origin for setting in given}
        addresses = check_addresses(config, origins, findings)
        cluster = check_cluster(config, origins, addresses, findings)
        check_rules(config, origins, findings)
        if findings.problems:
            raise SettingsError(tuple(findings.problems))
        nodes = max(1, len(cluster.voters))
        if nodes > 1:
            config = BrokerConfig(texts, defaults=cluster_defaults(nodes))
        notes = (*findings.notes, *_effect_notes(given), *replication_notes(config, origins, nodes))
        return cls(config=config, origins=origins, addresses=addresses, cluster=cluster, notes=notes)

    @property
    def node_id(self) -> NodeId:
        return NodeId(self.config.int("node.id"))

    @property
    def cluster_id(self) -> str | None:
        """The cluster this node must belong to; None leaves it to the data directory."""
        return self.config.raw("cluster.id")

    @property
    def voters(self) -> Mapping[NodeId, Address]:
        """All nodes of the cluster with their addresses for each other; empty for a node that is its own
        cluster.
        """
        return self.cluster.voters

    @property
    def raft_address(self) -> Address | None:
        """The address for connections of other nodes, None without any. Port 0 is a free port."""
        return self.cluster.raft_address

    @property
    def data_dir(self) -> str:
        return self.config.str("data.dir")

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """The listeners to bind, in the order given. Host "" is every interface, port 0 a free port."""
        return self.addresses.listeners

    @property
    def http_address(self) -> Address | None:
        """The address of HTTP; None when it is switched off."""
        return self.addresses.http

    def advertised(self, listener: str, bound_port: int) -> Address:
        """Returns the address for clients of `listener`, once its port is known.

        That is the one in `advertised.listeners`, with `bound_port` for port 0; else the listener's own host,
        where it has one; else the address this machine sends from.
        """
        explicit = next((item for item in self.addresses.advertised if item.name == listener), None)
        if explicit is not None:
            return Address(explicit.host, explicit.port or bound_port)
        bound = next(item for item in self.listeners if item.name == listener)
        if not bound.is_wildcard:
            return Address(bound.host, bound_port)
        from chronik.server.settings.host import own_host  # only where a listener is open on every interface

        return Address(own_host(bound.host), bound_port)

    def origin(self, name: str) -> str:
        """Returns the source of a setting's value at the node's start, for people."""
        return self.origins.get(name, "default")

    # Below it, `str` would mean this method.
    def str(self, name: builtins.str) -> builtins.str:
        """A text as the node was started with; see `config` for all else."""
        return self.config.str(name)


def _read(
    command_line: Mapping[str, str],
    config_file: str | os.PathLike[str] | None,
    environment: Mapping[str, str],
    findings: Findings,
) -> Iterable[Given]:
    path = config_file or environment.get(CONFIG_FILE_VARIABLE)
    sources = (
        read_file(path, findings) if path else [],
        read_variables(environment, KAFKA_PREFIX, findings),
        read_variables(environment, CHRONIK_PREFIX, findings),
        read_command_line(command_line),
    )
    return merge([list(known(source, findings)) for source in sources], findings).values()


def _effect_notes(given: Iterable[Given]) -> list[str]:
    return [
        f"{setting.name} ({setting.origin}) is accepted and has no effect yet"
        for setting in given
        if not BROKER_CONFIGS[setting.name].has_effect
    ]
