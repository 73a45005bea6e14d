"""A cluster whose clients are listened to."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from chronik.testing import Cluster
from chronik.testing.setting_texts import SettingValue, dotted
from tests.proofs.cluster.wire_tap import WireTap

NODES = (1, 2, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class TappedCluster:
    """`addresses`: where clients reach each node, through the tap."""

    cluster: Cluster
    tap: WireTap
    addresses: dict[int, str]

    @property
    def bootstrap_servers(self) -> str:
        return ",".join(self.addresses.values())


@contextmanager
def tapped_cluster(**settings: SettingValue) -> Iterator[TappedCluster]:
    """Three nodes that write through to their disks before they acknowledge, as they do by default."""
    tap = WireTap()
    try:
        addresses = {node: f"127.0.0.1:{tap.add(node)}" for node in NODES}
        cluster = Cluster(
            len(NODES),
            node_config={
                node: {"advertised.listeners": f"PLAINTEXT://{address}"}
                for node, address in addresses.items()
            },
            config={"write.caching": False, **dotted(settings)},
        )
        for node in NODES:
            tap.connect(node, int(cluster.node(node).bootstrap_servers.rpartition(":")[2]))
        with cluster:
            yield TappedCluster(cluster=cluster, tap=tap, addresses=addresses)
    finally:
        tap.close()
