"""The targets of the tools: Chronik or Apache Kafka, one node or three."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chronik.testing import Broker, Cluster
from tests.proofs.java.apache_kafka import ApacheKafka
from tests.proofs.java.jars import Jars


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Running nodes, whose ids count from 1."""

    # `host:port` of each node.
    servers: Sequence[str]
    # Where each node has its partitions' directories.
    data_dirs: Sequence[Path]

    @property
    def bootstrap_servers(self) -> str:
        return ",".join(self.servers)

    @property
    def nodes(self) -> int:
        return len(self.servers)


@contextmanager
def chronik(nodes: int) -> Iterator[Target]:
    """With its defaults: what is acknowledged has been synced."""
    if nodes == 1:
        with Broker(subprocess=True, write_caching=False) as broker:
            yield Target(servers=[broker.bootstrap_servers], data_dirs=[broker.data_dir])
        return
    with Cluster(nodes=nodes, write_caching=False) as cluster:
        yield Target(
            servers=[node.bootstrap_servers for node in cluster.nodes],
            data_dirs=[node.data_dir for node in cluster.nodes],
        )


@contextmanager
def apache_kafka(nodes: int, jars: Jars) -> Iterator[Target]:
    with tempfile.TemporaryDirectory(prefix="apache-kafka-") as directory:
        kafka = ApacheKafka(jars, Path(directory), nodes)
        kafka.start()
        try:
            yield Target(servers=kafka.servers, data_dirs=kafka.data_dirs)
        finally:
            kafka.stop()
