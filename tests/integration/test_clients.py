"""The clients' proof in small: every client that needs no compiler, every codec, groups that change.

    python -m tests.proofs.clients

is the same with 100,000 records.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.proofs.clients.catalogue import CLIENTS
from tests.proofs.clients.client import Client
from tests.proofs.clients.missing import Missing
from tests.proofs.clients.rounds import Outcome, run_round
from tests.support.broker_process import BrokerProcess

pytestmark = pytest.mark.integration

RECORDS = 2000
# Node processes take a second of processor time each to start.
RECORDS_OF_COMMANDS = 300

# Those that need compilers take minutes to build, and each of Java's 25 JVMs a second of processor time:
# `python -m tests.proofs.clients` runs them, and test_java.py Java's tools.
CLIENTS_HERE = ("kafka-python", "aiokafka", "confluent-kafka", "kafkajs", "kcat")

PYTHON_CLIENTS = ("kafka-python", "aiokafka", "confluent-kafka")

# A client's rounds, or why it has none.
Played = Mapping[str, Sequence[Future[Outcome]] | Missing]


@pytest.fixture(scope="module")
def played(broker: BrokerProcess) -> Iterator[Played]:
    """All rounds at a time: most of one is waiting for heartbeats, by which members learn of a rebalance."""
    with ThreadPoolExecutor(max_workers=32) as threads:

        def start(client: Client | Missing) -> Sequence[Future[Outcome]] | Missing:
            if isinstance(client, Missing):
                return client
            return [threads.submit(_play, broker, client, codec) for codec in client.codecs]

        yield {name: start(CLIENTS[name]()) for name in CLIENTS_HERE}


@pytest.mark.parametrize("client_name", CLIENTS_HERE)
def test_what_a_client_writes_every_client_reads(played: Played, client_name: str) -> None:
    rounds = played[client_name]
    if isinstance(rounds, Missing):
        pytest.skip(rounds.reason)
    outcomes = [each.result() for each in rounds]

    assert [problem for outcome in outcomes for problem in outcome.problems] == []
    assert len(outcomes) >= 3
    others = {name for name in PYTHON_CLIENTS if name != client_name}
    assert all(set(outcome.also_read_by) == others for outcome in outcomes)


def _play(broker: BrokerProcess, client: Client, codec: str) -> Outcome:
    records = RECORDS if client.name in PYTHON_CLIENTS else RECORDS_OF_COMMANDS
    readers = [CLIENTS[name]() for name in PYTHON_CLIENTS if name != client.name]
    others = [reader for reader in readers if not isinstance(reader, Missing)]
    return run_round(broker.bootstrap_servers, client, codec, records, others)
