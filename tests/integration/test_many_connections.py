"""Clients that are many, slow, deaf or gone: memory stays bounded, others are served, and the broker still
stops at once.
"""

import resource
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from confluent_kafka import Consumer

from chronik.sim.frames import request
from chronik.wire.apis import ApiKey
from chronik.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from chronik.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from chronik.wire.messages.metadata import MetadataRequest, MetadataResponse
from tests.integration.producing import batch, create, fetch_request, produce
from tests.support.broker_process import BrokerProcess
from tests.support.protocol.client import RawClient
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

MIB = 1024 * 1024
FETCH_VERSION = 12


@pytest.fixture
def clients(own_broker: BrokerProcess) -> Iterator[ExitStack]:
    """Closes what a test connected. The broker runs."""
    own_broker.start()
    with ExitStack() as connected:
        yield connected


def test_a_thousand_idle_connections_cost_little(own_broker: BrokerProcess, clients: ExitStack) -> None:
    _allow_descriptors(1500)
    before_mb = own_broker.resident_mb()
    idle = [clients.enter_context(RawClient(own_broker.port)) for _ in range(1000)]
    for client in idle:
        assert _greet(client)

    assert own_broker.resident_mb() - before_mb < 20
    assert _answer_ms(own_broker) < 1000
    assert all(_greet(client) for client in idle[::100])


def test_the_limit_per_address_changes_while_the_broker_runs(
    own_broker: BrokerProcess, clients: ExitStack
) -> None:
    first, second = (clients.enter_context(RawClient(own_broker.port)) for _ in range(2))
    assert _greet(first)
    assert _greet(second)
    config = AlterableConfig(name="max.connections.per.ip", config_operation=0, value="2")
    resource = AlterConfigsResource(resource_type=4, resource_name="1", configs=[config])
    asked = IncrementalAlterConfigsRequest(resources=[resource])
    answer = first.ask(ApiKey.INCREMENTAL_ALTER_CONFIGS, 1, asked, IncrementalAlterConfigsResponse)
    assert [each.error_code for each in answer.responses] == [0]

    assert clients.enter_context(RawClient(own_broker.port)).is_closed_by_broker()
    assert _greet(first)
    assert _greet(second)


def test_a_thousand_connections_need_no_raised_limit(tmp_path: Path) -> None:
    """Shells start with 1024 descriptors; the broker takes what it may have."""
    _allow_descriptors(1500)
    prefix = ["sh", "-c", 'ulimit -Sn 1024; exec "$@"', "sh"]
    broker = BrokerProcess(tmp_path, prefix=prefix)
    broker.start()
    try:
        with ExitStack() as connected:
            idle = [connected.enter_context(RawClient(broker.port)) for _ in range(1100)]
            assert all(_greet(client) for client in idle)
    finally:
        assert broker.stop() == 0


def test_more_connections_than_descriptors_are_refused_and_said(tmp_path: Path) -> None:
    """Those that are there go on; a new one is let in when another goes."""
    broker = BrokerProcess(tmp_path, prefix=["sh", "-c", 'ulimit -n 200; exec "$@"', "sh"])
    broker.start()
    try:
        with ExitStack() as connected:
            idle = [connected.enter_context(RawClient(broker.port)) for _ in range(60)]
            assert all(_greet(client) for client in idle)
            surplus = [connected.enter_context(RawClient(broker.port)) for _ in range(50)]
            assert surplus[-1].is_closed_by_broker()
            assert all(_greet(client) for client in idle)
        assert _answer_ms(broker) < 1000
        assert "connection refused: too many" in broker.log_path.read_text()
    finally:
        assert broker.stop() == 0


def test_requests_that_never_end_cost_what_they_sent(own_broker: BrokerProcess, clients: ExitStack) -> None:
    """Each announces 50 MB and sends a little of it, byte by byte."""
    before_mb = own_broker.resident_mb()
    slow = [clients.enter_context(RawClient(own_broker.port)) for _ in range(200)]
    for client in slow:
        client.send(struct.pack(">ihh", 50 * MIB, ApiKey.PRODUCE, 9))
    for _ in range(20):
        for client in slow:
            client.send(b"\0")

    assert own_broker.resident_mb() - before_mb < 40
    assert _answer_ms(own_broker) < 1000


def test_clients_that_never_read_are_not_buffered_without_end(
    own_broker: BrokerProcess, clients: ExitStack, name: str
) -> None:
    """Thirty clients ask for 20 MB ten times each and read nothing: that would be 6 GB."""
    create(own_broker, name)
    with RawClient(own_broker.port) as client:
        for _ in range(20):
            produce(client, name, batch(value=bytes(1000 * 1000), records=1))
    before_mb = own_broker.resident_mb()
    asked = request(ApiKey.FETCH, FETCH_VERSION, fetch_request(name, 0, max_bytes=50 * MIB)).frame
    deaf = [clients.enter_context(RawClient(own_broker.port)) for _ in range(30)]
    for client in deaf:
        client.send(asked * 10)
    answers_ms = [_answer_ms(own_broker) for _ in range(20)]

    assert own_broker.resident_mb() - before_mb < 250
    assert max(answers_ms) < 2000
    # One that starts to read gets all its answers.
    for _ in range(10):
        assert len(deaf[0].receive_frame()) > 0


def test_a_client_that_never_reads_is_let_go_when_it_is_idle(tmp_path: Path, name: str) -> None:
    broker = BrokerProcess(tmp_path, "connections.max.idle.ms=1000")
    broker.start()
    try:
        create(broker, name)
        with RawClient(broker.port) as client:
            for _ in range(20):
                produce(client, name, batch(value=bytes(1000 * 1000), records=1))
        with RawClient(broker.port) as deaf:
            before_mb = broker.resident_mb()
            deaf.send(request(ApiKey.FETCH, FETCH_VERSION, fetch_request(name, 0, max_bytes=50 * MIB)).frame)
            wait_until(lambda: broker.resident_mb() > before_mb + 8, "its answer waits in the broker")
            wait_until(lambda: broker.resident_mb() < before_mb + 8, "its answer is dropped", 10)
    finally:
        broker.stop()


def test_clients_that_vanish_leave_nothing_behind(own_broker: BrokerProcess, clients: ExitStack) -> None:
    create(own_broker, "polled")
    asked = request(ApiKey.FETCH, FETCH_VERSION, fetch_request("polled", 0, max_wait_ms=300_000)).frame
    before_mb = own_broker.resident_mb()
    for _ in range(500):
        with RawClient(own_broker.port) as client:
            client.send(asked)

    assert own_broker.resident_mb() - before_mb < 20
    assert _answer_ms(own_broker) < 1000


def test_sigterm_with_clients_connected_ends_within_a_second(
    own_broker: BrokerProcess, clients: ExitStack
) -> None:
    create(own_broker, "stopped")
    for _ in range(20):
        assert _greet(clients.enter_context(RawClient(own_broker.port)))
    polling = clients.enter_context(RawClient(own_broker.port))
    polling.send_request(ApiKey.FETCH, FETCH_VERSION, fetch_request("stopped", 0, max_wait_ms=60_000))
    half = clients.enter_context(RawClient(own_broker.port))
    half.send(struct.pack(">ihh", 1000, 0, 9))
    consumer = Consumer({"bootstrap.servers": own_broker.bootstrap_servers, "group.id": "stopped"})
    consumer.subscribe(["stopped"])
    wait_until(lambda: consumer.poll(0.1) is None and consumer.assignment(), "the consumer has joined")

    started = time.monotonic()
    code = own_broker.stop()
    seconds = time.monotonic() - started
    consumer.close()

    assert code == 0
    assert seconds < 1.0


def _greet(client: RawClient) -> bool:
    asked = ApiVersionsRequest(client_software_name="test", client_software_version="1")
    return client.ask(ApiKey.API_VERSIONS, 3, asked, ApiVersionsResponse).error_code == 0


def _answer_ms(broker: BrokerProcess) -> float:
    """How long a new client waits for its first metadata."""
    started = time.monotonic()
    with RawClient(broker.port) as client:
        assert _greet(client)
        assert client.ask(ApiKey.METADATA, 9, MetadataRequest(topics=[]), MetadataResponse).brokers
    return (time.monotonic() - started) * 1000


def _allow_descriptors(count: int) -> None:
    """This process needs one for each of its clients."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= count:
        return
    if hard != resource.RLIM_INFINITY and hard < count:
        pytest.skip(f"the test may not open {count} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
