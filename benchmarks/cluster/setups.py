"""What is compared: one node and three, with an fsync before each acknowledgement and without."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.processes import PeerError
from chronik.testing import BrokerError, Cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """`name` is its column in a report and its name on the command line."""

    name: str
    about: str
    nodes: int
    is_caching: bool


ONE = Setup(name="one", about="one node, fsync before each acknowledgement", nodes=1, is_caching=False)
THREE = Setup(
    name="three",
    about="three nodes, three replicas, acks=all, fsync on a majority before each acknowledgement",
    nodes=3,
    is_caching=False,
)
ONE_CACHING = Setup(name="one-caching", about="one node, write.caching=true", nodes=1, is_caching=True)
THREE_CACHING = Setup(
    name="three-caching",
    about="three nodes, three replicas, acks=all, write.caching=true: in a majority's memory",
    nodes=3,
    is_caching=True,
)

SETUPS = {setup.name: setup for setup in (ONE, THREE, ONE_CACHING, THREE_CACHING)}

# The cluster beside the node that makes the same promise to the device.
PAIRS = ((THREE.name, ONE.name), (THREE_CACHING.name, ONE_CACHING.name))


@contextmanager
def running(setup: Setup, data_parent: Path | None) -> Iterator[Cluster]:
    """Fresh nodes with empty directories below `data_parent`. Raises PeerError."""
    with TemporaryDirectory(prefix="chronik-benchmark-", dir=data_parent) as directory:
        cluster = Cluster(
            setup.nodes,
            data_dir=directory,
            http=True,
            config={"default.replication.factor": setup.nodes, "write.caching": setup.is_caching},
        )
        try:
            with cluster:
                yield cluster
        except BrokerError as error:
            raise PeerError(str(error)) from error
