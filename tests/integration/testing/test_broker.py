import asyncio
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer

from chronik.testing import AsyncBroker, Broker, BrokerError
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

TOPIC = "orders"


def produce(broker: Broker | AsyncBroker, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "linger.ms": 0})
    producer.produce(TOPIC, value)
    assert producer.flush(20) == 0


def consume_one(broker: Broker | AsyncBroker) -> bytes | None:
    consumer = Consumer(
        {"bootstrap.servers": broker.bootstrap_servers, "group.id": "test", "auto.offset.reset": "earliest"}
    )
    try:
        consumer.subscribe([TOPIC])
        message = consumer.poll(20)
        assert message is not None
        assert message.error() is None
        value: bytes | None = message.value()
        return value
    finally:
        consumer.close()


BOTH_WAYS = pytest.mark.parametrize("is_subprocess", [False, True], ids=["in process", "subprocess"])


@BOTH_WAYS
def test_ready_when_it_has_started_and_gone_when_it_ends(is_subprocess: bool) -> None:
    with Broker(subprocess=is_subprocess) as broker:
        directory = broker.data_dir
        broker.create_topic(TOPIC)
        produce(broker, b"value")
        assert consume_one(broker) == b"value"
        assert broker.is_running
    assert not broker.is_running
    assert not directory.exists()
    with pytest.raises(BrokerError, match="not running"):
        _ = broker.bootstrap_servers


@BOTH_WAYS
def test_a_restart_keeps_port_and_data(is_subprocess: bool) -> None:
    with Broker(subprocess=is_subprocess) as broker:
        broker.create_topic(TOPIC)
        produce(broker, b"value")
        before = broker.bootstrap_servers
        broker.restart()
        assert broker.bootstrap_servers == before
        assert consume_one(broker) == b"value"


def test_what_is_acknowledged_survives_a_kill() -> None:
    with Broker(subprocess=True) as broker:
        broker.create_topic(TOPIC)
        produce(broker, b"value")
        broker.kill()
        assert not broker.is_running
        broker.restart()
        assert consume_one(broker) == b"value"


def test_a_broker_in_this_process_cannot_be_killed() -> None:
    with Broker() as broker, pytest.raises(BrokerError, match="subprocess=True"):
        broker.kill()


@BOTH_WAYS
def test_a_given_directory_is_kept(is_subprocess: bool, tmp_path: Path) -> None:
    with Broker(subprocess=is_subprocess, data_dir=tmp_path) as broker:
        broker.create_topic(TOPIC)
        produce(broker, b"value")
    assert (tmp_path / f"{TOPIC}-0").is_dir()
    with Broker(subprocess=is_subprocess, data_dir=tmp_path) as broker:
        assert consume_one(broker) == b"value"


@BOTH_WAYS
def test_settings(is_subprocess: bool) -> None:
    from chronik.client import topics
    from chronik.client.client import Client

    with Broker(
        subprocess=is_subprocess, num_partitions=3, config={"group.initial.rebalance.delay.ms": 0}
    ) as broker:
        broker.create_topic(TOPIC, partitions=-1)
        with Client(broker.bootstrap_servers) as client:
            assert len(topics.find(client, TOPIC).partitions) == 3
        broker.delete_topic(TOPIC)


@BOTH_WAYS
def test_wrong_settings_are_named(is_subprocess: bool) -> None:
    broker = Broker(subprocess=is_subprocess, config={"no.such.setting": 1})
    with pytest.raises(BrokerError, match=r"no\.such\.setting"):
        broker.start()
    assert not broker.is_running
    broker.stop()


@BOTH_WAYS
def test_a_directory_that_is_in_use(is_subprocess: bool, tmp_path: Path) -> None:
    with Broker(data_dir=tmp_path), pytest.raises(BrokerError, match="in use"):
        Broker(subprocess=is_subprocess, data_dir=tmp_path).start()


@BOTH_WAYS
def test_http(is_subprocess: bool) -> None:
    with Broker(subprocess=is_subprocess, http=True) as broker:
        with urllib.request.urlopen(f"{broker.http_url}/health/ready", timeout=20) as response:
            assert response.status == 200
        url = broker.http_url
        broker.restart()
        assert broker.http_url == url


def test_no_http_unless_asked_for() -> None:
    with Broker() as broker, pytest.raises(BrokerError, match="http=True"):
        _ = broker.http_url


def test_two_starts_are_a_mistake() -> None:
    with Broker() as broker, pytest.raises(BrokerError, match="running already"):
        broker.start()


def test_started_again_after_its_end() -> None:
    broker = Broker()
    with broker:
        broker.create_topic(TOPIC)
    with broker:
        broker.create_topic(TOPIC)  # a new directory: the topic is not there


def test_several_at_once() -> None:
    with Broker() as first, Broker() as second:
        assert first.bootstrap_servers != second.bootstrap_servers
        first.create_topic(TOPIC)
        second.create_topic(TOPIC)


def test_no_thread_is_left() -> None:
    before = set(threading.enumerate())
    with Broker() as broker:
        broker.create_topic(TOPIC)
        assert "chronik-broker" in {thread.name for thread in set(threading.enumerate()) - before}
    assert set(threading.enumerate()) <= before


def test_the_environment_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_NUM_PARTITIONS", "not a number")
    monkeypatch.setenv("CHRONIK_NODE_ID", "not a number")
    for is_subprocess in (False, True):
        with Broker(subprocess=is_subprocess) as broker:
            broker.create_topic(TOPIC)


def test_a_process_dies_with_the_one_that_started_it(tmp_path: Path) -> None:
    code = (
        "import sys, time\n"
        "from chronik.testing import Broker\n"
        f"broker = Broker(subprocess=True, data_dir={str(tmp_path)!r}).start()\n"
        "print(broker.bootstrap_servers, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent.stdout:
        assert parent.stdout.readline()
        lock = tmp_path / ".lock"
        child = int(lock.read_text())
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait(20)
    wait_until(lambda: not is_alive(child), "the broker is gone")


def is_alive(pid: int) -> bool:
    """True if the process runs. One that has ended and waits for its parent does not."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(shown.stdout.strip()) and not shown.stdout.startswith("Z")


def test_async_broker() -> None:
    async def play() -> None:
        async with AsyncBroker() as broker:
            await broker.create_topic(TOPIC, config={"retention.ms": 60_000})
            await asyncio.to_thread(produce, broker, b"value")
            before = broker.bootstrap_servers
            await broker.restart()
            assert broker.bootstrap_servers == before
            assert await asyncio.to_thread(consume_one, broker) == b"value"
            await broker.delete_topic(TOPIC)
        assert not broker.is_running

    asyncio.run(play())


def test_async_broker_does_not_block_the_loop() -> None:
    async def play() -> None:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        counting = asyncio.create_task(count())
        async with AsyncBroker(subprocess=True):
            turns_while_starting = turns
        counting.cancel()
        assert turns_while_starting > 10

    asyncio.run(play())
