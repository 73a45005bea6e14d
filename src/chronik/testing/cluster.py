"""A cluster for tests. See `Cluster`."""

import secrets
import shutil
import tempfile
import time
import weakref
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from chronik.cli.local_cluster.node_process import COMMAND_LINE
from chronik.cli.local_cluster.ports import free_ports
from chronik.cli.local_cluster.secret_file import secret_settings
from chronik.testing.cluster_node import ClusterNode
from chronik.testing.errors import BrokerError
from chronik.testing.setting_texts import TEST_SETTINGS, SettingValue, dotted, setting_texts

if TYPE_CHECKING:
    from chronik.client.client import Client
    from chronik.testing.forwarders import Forwarders

# How long `leader` waits for an election; with the default timings one takes a tenth of it.
_LEADER_TIMEOUT_S = 20.0
_POLL_S = 0.02

# For one question to one node, which may be paused between the choice and the question.
_ASK_TIMEOUT_S = 5.0


class Cluster:
    """Nodes in processes of their own, on free ports of 127.0.0.1, ready when `start` returns.

        with Cluster() as cluster:
            cluster.create_topic("orders", partitions=3, replication_factor=3)
            cluster.kill(cluster.leader("orders"))

    Node ids count from 1. All nodes die with this process, however that ends. Not for several threads at
    once. May be started again after `stop()`: on the same ports and, where it was given a directory, with its
    data.
    """

    def __init__(
        self,
        nodes: int = 3,
        *,
        data_dir: str | Path | None = None,
        http: bool = False,
        can_isolate: bool = False,
        node_module: str = COMMAND_LINE,
        config: Mapping[str, SettingValue] | None = None,
        node_config: Mapping[int, Mapping[str, SettingValue]] | None = None,
        **settings: SettingValue,
    ) -> None:
        """Starts nothing yet.

        `data_dir` gets a directory and a log file for each node, and is kept; the default is a temporary one,
        which is not. `http` serves /health and /metrics at each node's `http_url`. `can_isolate` puts
        forwarders between the nodes, which `isolate`, `cut` and `delay` need. `node_module` is run instead of
        the command line's module, with the same arguments. Settings have Kafka's names, in `config` or as
        keywords with `_` for `.`; those in `node_config` are for single nodes. They take precedence over the
        test default, of which there is one: `write.caching=true`.
        """
        if nodes < 1:
            raise BrokerError("a cluster has at least one node")
        self._given_dir = None if data_dir is None else Path(data_dir)
        self._temporary: Path | None = None
        # Removes the temporary directory: with the stop, or with the last reference to this cluster.
        self._remove_temporary: weakref.finalize[..., Cluster] | None = None
        self._settings = setting_texts({**(config or {}), **dotted(settings)})
        self._node_settings = {node: setting_texts(each) for node, each in (node_config or {}).items()}
        self._can_isolate = can_isolate
        self._node_module = node_module
        self._forwarders: Forwarders | None = None
        self._isolated: set[int] = set()
        self._cluster_id = ""
        # With which nodes know each other.
        self._secret: Mapping[str, str] = {}
        self._ids = range(1, nodes + 1)
        ports = iter(free_ports(3 * nodes))
        self._raft_ports = {node: next(ports) for node in self._ids}
        self._kafka_ports = {node: next(ports) for node in self._ids}
        self._http_ports = {node: next(ports) for node in self._ids} if http else {}
        # The voters setting of each node, by its id.
        self._voters: dict[int, str] = {}
        self.nodes: Sequence[ClusterNode] = tuple(map(self._make_node, self._ids))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        running = sum(node.is_running for node in self.nodes)
        return f"<chronik.testing.Cluster {self.bootstrap_servers} ({running} of {len(self.nodes)} running)>"

    # All nodes.

    def start(self) -> Self:
        """Return when all nodes are ready. Raises BrokerError; then none is left."""
        if any(node.is_running for node in self.nodes):
            raise BrokerError("the cluster is running already")
        self._cluster_id = self._known_cluster_id() or f"test-{secrets.token_hex(8)}"
        self._secret = secret_settings(self._root(), self._settings) if len(self._ids) > 1 else {}
        try:
            self._connect_nodes()
            # All of them before the first is waited for: a new cluster forms when they have seen each other.
            for node in self.nodes:
                node.spawn()
            for node in self.nodes:
                node.wait_started()
        except BaseException:
            self._kill_all()
            self._clean_up()
            raise
        return self

    def stop(self, node_id: int | None = None) -> None:
        """Stops all nodes cleanly and removes the temporary directory, or with `node_id` stops that node.

        No-op for nodes that do not run. Raises BrokerError when one had ended by itself, or does not end.
        """
        if node_id is not None:
            self.stop_node(node_id)
            return
        failures = []
        try:
            for node in self.nodes:
                node.terminate()
            for node in self.nodes:
                try:
                    node.stop()
                except BrokerError as error:
                    failures.append(str(error))
        except BaseException:
            self._kill_all()
            raise
        finally:
            self._clean_up()
        if failures:
            raise BrokerError("\n".join(failures))

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` of all nodes, running or not, with commas."""
        return ",".join(node.bootstrap_servers for node in self.nodes)

    # One node.

    def node(self, node_id: int) -> ClusterNode:
        """Raises BrokerError when there is no such node."""
        if node_id not in self._ids:
            raise BrokerError(f"there is no node {node_id}; nodes are 1 to {len(self._ids)}")
        return self.nodes[node_id - 1]

    def kill(self, node_id: int) -> None:
        """End it as `kill -9` does. Raises BrokerError when it does not run."""
        self.node(node_id).kill()

    def stop_node(self, node_id: int) -> None:
        """SIGTERM, and wait: it hands its leaderships over first. Raises BrokerError."""
        self.node(node_id).stop()

    def restart(self, node_id: int, *, wait: bool = True) -> None:
        """Start it, after a clean stop if it runs, with its ports and its data. Raises BrokerError.

        Returns when it is ready; with `wait=False` at once, for clusters that lack a majority until then.
        """
        node = self.node(node_id)
        if node.is_running:
            node.stop()
        node.spawn()
        if wait:
            node.wait_started()

    def wait_started(self, node_id: int) -> None:
        """Return when a node that was restarted with `wait=False` is ready. Raises BrokerError."""
        self.node(node_id).wait_started()

    def wipe(self, node_id: int) -> None:
        """Remove the data directory of a node that does not run, as a new disk would. Raises BrokerError."""
        self.node(node_id).wipe()

    def pause(self, node_id: int) -> None:
        """Hold its process (SIGSTOP) until `resume`. Raises BrokerError when it does not run."""
        self.node(node_id).pause()

    def resume(self, node_id: int) -> None:
        """Let a paused node go on (SIGCONT). Raises BrokerError when it does not run."""
        self.node(node_id).resume()

    def isolate(self, node_id: int) -> None:
        """Let its connections to the other nodes carry nothing, and stay open, until `heal`.

        Clients still reach it. Raises BrokerError without `can_isolate=True`.
        """
        node = self.node(node_id)
        self._required_forwarders().isolate(node.node_id)
        self._isolated.add(node_id)

    def heal(self, node_id: int | None = None) -> None:
        """Lets an isolated node's connections carry data again. Raises BrokerError.

        Without `node_id` all connections of all nodes: isolations, cuts and delays end.
        """
        forwarders = self._required_forwarders()
        if node_id is None:
            forwarders.heal_all()
            self._isolated.clear()
            return
        forwarders.heal(self.node(node_id).node_id)
        self._isolated.discard(node_id)

    def restore(self) -> None:
        """Have every node run, and be a broker that each of them knows. Raises BrokerError.

        Ends what `isolate`, `cut`, `delay` and `pause` began, and starts nodes that do not run. Returns at
        once where there is nothing to do.
        """
        if self._can_isolate:
            self.heal()
        gone = [node for node in self.nodes if not node.is_running]
        for node in self.nodes:
            if node.is_paused:
                node.resume()
        # All of them before the first is waited for: without a majority none becomes ready.
        for node in gone:
            node.spawn()
        for node in gone:
            node.wait_started()
        self._wait_known()

    def _wait_known(self) -> None:
        """Waits until each node names all as brokers: one that was away is fenced, and gets no replicas."""
        deadline = time.monotonic() + _LEADER_TIMEOUT_S
        while not all(self._knows_all(node.bootstrap_servers) for node in self.nodes):
            if time.monotonic() > deadline:
                raise BrokerError(f"nodes do not know each other after {_LEADER_TIMEOUT_S:g} s")
            time.sleep(_POLL_S)

    def _knows_all(self, server: str) -> bool:
        from chronik.client.client import Client
        from chronik.client.errors import ClientError

        try:
            with Client(server, timeout_s=_ASK_TIMEOUT_S) as client:
                return len(client.metadata(()).brokers) == len(self.nodes)
        except ClientError:
            return False

    def cut(self, sender: int, receiver: int) -> None:
        """Let nothing that one node sends to another arrive, until `mend`; the other way is open.

        Both ways are two cuts. Their connections stay open, and they make no new ones. Raises BrokerError
        without `can_isolate=True`.
        """
        sender, receiver = self.node(sender).node_id, self.node(receiver).node_id
        self._required_forwarders().cut(sender, receiver)

    def mend(self, sender: int, receiver: int) -> None:
        """Undo a cut. Raises BrokerError."""
        sender, receiver = self.node(sender).node_id, self.node(receiver).node_id
        self._required_forwarders().mend(sender, receiver)

    def delay(self, sender: int, receiver: int, seconds: float) -> None:
        """Delays data from one node to another by `seconds`, in order; 0 ends it.

        Raises BrokerError without `can_isolate=True`.
        """
        sender, receiver = self.node(sender).node_id, self.node(receiver).node_id
        self._required_forwarders().delay(sender, receiver, seconds)

    # Topics.

    def create_topic(
        self,
        name: str,
        partitions: int = 1,
        *,
        replication_factor: int = -1,
        config: Mapping[str, SettingValue] | None = None,
    ) -> None:
        """Create a topic, ready for use when this returns. Raises chronik.client.ClientError."""
        from chronik.client import topics

        with self._client() as client:
            topics.create(
                client,
                name,
                partitions=partitions,
                replication_factor=replication_factor,
                config=setting_texts(config or {}),
            )

    def delete_topic(self, name: str) -> None:
        """Delete a topic. Raises chronik.client.ClientError."""
        from chronik.client import topics

        with self._client() as client:
            topics.delete(client, [name])

    def leader(self, topic: str, partition: int = 0, *, timeout: float = _LEADER_TIMEOUT_S) -> int:
        """Returns the node that leads a partition, according to a node that is neither paused nor isolated.

        Waits `timeout` seconds for there to be one. Raises BrokerError.
        """
        deadline = time.monotonic() + timeout
        while True:
            found, why_not = self._ask_leader(topic, partition)
            if found is not None:
                return found
            if time.monotonic() > deadline:
                raise BrokerError(f"{topic}-{partition} has no leader after {timeout:g} s: {why_not}")
            time.sleep(_POLL_S)

    def _ask_leader(self, topic: str, partition: int) -> tuple[int | None, str]:
        """The leader, or why there is none."""
        from chronik.client import topics
        from chronik.client.client import Client
        from chronik.client.errors import ClientError

        why_not = "no node leads it"
        for server in self._reachable():
            # A node that is cut off from the others knows of no leader; the others may know one.
            try:
                with Client(server, timeout_s=_ASK_TIMEOUT_S) as client:
                    places = topics.find(client, topic).partitions
            except ClientError as error:
                why_not = error.message
                continue
            leaders = [place.leader for place in places if place.partition == partition]
            if not leaders:
                return None, "there is no such partition"
            if leaders[0] is not None:
                return leaders[0], ""
        return None, why_not

    def _client(self) -> "Client":
        from chronik.client.client import Client

        return Client(",".join(self._reachable()), timeout_s=_ASK_TIMEOUT_S)

    def _reachable(self) -> list[str]:
        servers = [
            node.bootstrap_servers
            for node in self.nodes
            if node.is_running and not node.is_paused and node.node_id not in self._isolated
        ]
        if not servers:
            raise BrokerError("no node of the cluster is running: use `with Cluster() as cluster`")
        return servers

    # Settings of nodes.

    def _make_node(self, node_id: int) -> ClusterNode:
        return ClusterNode(
            node_id,
            root=self._root,
            kafka_port=self._kafka_ports[node_id],
            http_port=self._http_ports.get(node_id),
            settings=partial(self._settings_of, node_id),
            module=self._node_module,
        )

    def _settings_of(self, node_id: int) -> dict[str, str]:
        http_port = self._http_ports.get(node_id)
        voters = {}
        if len(self._ids) > 1:
            voters = {
                "cluster.id": self._cluster_id,
                "controller.quorum.voters": self._voters[node_id],
                "raft.address": f"127.0.0.1:{self._raft_ports[node_id]}",
                **self._secret,
            }
        return {
            **TEST_SETTINGS,
            "listeners": f"PLAINTEXT://127.0.0.1:{self._kafka_ports[node_id]}",
            "http.address": "" if http_port is None else f"127.0.0.1:{http_port}",
            **voters,
            **self._settings,
            **self._node_settings.get(node_id, {}),
            "node.id": str(node_id),
            "data.dir": str(self.node(node_id).data_dir),
        }

    def _known_cluster_id(self) -> str | None:
        """The id in an existing directory. Nodes cannot derive the id: each has other addresses."""
        for node in self.nodes:
            properties = node.data_dir / "meta.properties"
            if properties.exists():
                for line in properties.read_text(encoding="utf-8").splitlines():
                    name, _, value = line.partition("=")
                    if name == "cluster.id":
                        return value
        return None

    def _connect_nodes(self) -> None:
        """Find out under which port each node finds each other one."""
        if self._can_isolate:
            from chronik.testing.forwarders import Forwarders

            self._forwarders = Forwarders()
        for node in self._ids:
            ports = {other: self._port_seen(node, other) for other in self._ids}
            self._voters[node] = ",".join(f"{other}@127.0.0.1:{port}" for other, port in ports.items())

    def _port_seen(self, node: int, other: int) -> int:
        if node == other or self._forwarders is None:
            return self._raft_ports[other]
        return self._forwarders.add(node, other, self._raft_ports[other])

    def _required_forwarders(self) -> "Forwarders":
        if not self._can_isolate:
            raise BrokerError("only a cluster made with Cluster(can_isolate=True) can isolate nodes")
        if self._forwarders is None:
            raise BrokerError("the cluster is not running: use `with Cluster() as cluster`, or call start()")
        return self._forwarders

    # Directories and the end.

    def _root(self) -> Path:
        if self._given_dir is not None:
            return self._given_dir
        if self._temporary is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="chronik-cluster-"))
            self._remove_temporary = weakref.finalize(
                self, shutil.rmtree, self._temporary, ignore_errors=True
            )
        return self._temporary

    def _kill_all(self) -> None:
        for node in self.nodes:
            node.end()

    def _clean_up(self) -> None:
        self._isolated.clear()
        if self._forwarders is not None:
            self._forwarders.close()
        self._forwarders = None
        if self._remove_temporary is not None:
            self._remove_temporary()
        self._temporary = self._remove_temporary = None
