"""A small blocking Kafka client for the command line and for tests: one request at a time, in bounded time.

Works with any broker that speaks Kafka's protocol. `Client` finds nodes, leaders and coordinators; the other
modules say in functions what can be asked of them (`topics.create(client, ...)`), and answer with plain
values.
"""

from chronik.cli.client.client import Client
from chronik.cli.client.errors import ClientError, Unreachable

__all__ = ["Client", "ClientError", "Unreachable"]
