"""`python -m benchmarks.paced.cluster`: three nodes with an fsync before each acknowledgement, until standard
input ends.

Run with the source tree to be measured first in PYTHONPATH. Uses `chronik.testing` only, which every commit
that can be compared has. Prints one line of JSON: where the cluster listens, and the processes of its nodes.
"""

import json
import sys
from tempfile import TemporaryDirectory

from chronik.testing import Cluster


def main() -> None:
    data_parent = sys.argv[1] if len(sys.argv) > 1 else None
    with TemporaryDirectory(prefix="chronik-benchmark-", dir=data_parent) as directory:
        config = {"default.replication.factor": 3, "write.caching": False}
        with Cluster(3, data_dir=directory, config=config) as cluster:
            told = {"bootstrap": cluster.bootstrap_servers, "pids": [node.pid for node in cluster.nodes]}
            print(json.dumps(told), flush=True)
            sys.stdin.read()


if __name__ == "__main__":
    main()
