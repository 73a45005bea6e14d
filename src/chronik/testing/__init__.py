"""Real brokers for test suites: started in milliseconds, on free ports, in temporary directories.

    from chronik.testing import Broker

    with Broker() as broker:
        broker.create_topic("orders", partitions=3)
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers})

`Broker` runs inside the test process, in a thread of its own; `Broker(subprocess=True)` runs in a process
that can be killed. `AsyncBroker` is the same for tests that are coroutines. `Cluster` runs several nodes,
each in a process of its own, to be killed, paused, isolated and started again. The package brings pytest
fixtures, see `chronik.testing.fixtures`.
"""

from chronik.testing.async_broker import AsyncBroker
from chronik.testing.broker import Broker
from chronik.testing.cluster import Cluster
from chronik.testing.cluster_node import ClusterNode
from chronik.testing.errors import BrokerError

__all__ = ["AsyncBroker", "Broker", "BrokerError", "Cluster", "ClusterNode"]
