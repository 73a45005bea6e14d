"""A node on the real machine: how it begins and ends, and what is left when it does not begin."""

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from chronik.node.data_directory import DataDirectoryError
from chronik.server.directory_lock import DirectoryLock
from chronik.server.node import Node, serve
from chronik.server.settings.loading import Settings
from chronik.server.stop_signals import stop_signals
from chronik.sim.frames import Request, decode_response, request
from chronik.vocab.errors import ErrorCode
from chronik.wire.apis import ApiKey
from chronik.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from chronik.wire.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from chronik.wire.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse
from chronik.wire.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from chronik.wire.messages.produce import ProduceResponse
from chronik.wire.schema import Message
from tests.support.broker_room import batch_of, produce_request

# The first promise of a stop, with clients connected.
STOP_SECONDS_MAX = 1.0


class Client:
    """One connection; requests are sent and answered one by one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, node: Node, host: str = "127.0.0.1") -> "Client":
        port = next(iter(node.endpoints.values())).port
        return cls(*await asyncio.open_connection(host, port))

    def send(self, api_key: ApiKey, version: int, message: Message) -> Request:
        asked = request(api_key, version, message)
        self._writer.write(asked.frame)
        return asked

    async def receive(self, asked: Request) -> Message:
        size = int.from_bytes(await self._reader.readexactly(4), "big")
        return decode_response(asked, await self._reader.readexactly(size))

    async def ask(self, api_key: ApiKey, version: int, message: Message) -> Message:
        return await self.receive(self.send(api_key, version, message))

    async def is_served(self) -> bool:
        answer = await self.ask(ApiKey.API_VERSIONS, 0, ApiVersionsRequest())
        return isinstance(answer, ApiVersionsResponse)

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


def settings(directory: Path, **more: str) -> Settings:
    chosen = {"data.dir": str(directory), "listeners": "PLAINTEXT://127.0.0.1:0", "http.address": ""}
    chosen.update({name.replace("_", "."): value for name, value in more.items()})
    return Settings.load(chosen)


def has_clean_mark(directory: Path) -> bool:
    return (directory / ".kafka_cleanshutdown").exists()


def play(directory: Path, scene: Callable[[Node], Awaitable[None]], **more: str) -> None:
    """Run a scene on a started node, then stop it."""

    async def run() -> None:
        node = Node(settings(directory, **more))
        await node.start()
        await scene(node)
        await node.stop()

    asyncio.run(run())


async def create_topic(client: Client, topic: str) -> None:
    wanted = MetadataRequest(topics=[MetadataRequestTopic(name=topic)], allow_auto_topic_creation=True)
    response = await client.ask(ApiKey.METADATA, 9, wanted)
    assert isinstance(response, MetadataResponse)
    assert response.topics[0].error_code == ErrorCode.NONE


def long_fetch(topic: str) -> FetchRequest:
    wanted = FetchPartition(partition=0, partition_max_bytes=1000)
    return FetchRequest(
        max_wait_ms=60_000, min_bytes=1, max_bytes=1000, topics=[FetchTopic(topic=topic, partitions=[wanted])]
    )


def join(member_id: str = "") -> JoinGroupRequest:
    return JoinGroupRequest(
        group_id="g",
        session_timeout_ms=60_000,
        rebalance_timeout_ms=60_000,
        member_id=member_id,
        protocol_type="consumer",
        protocols=[JoinGroupRequestProtocol(name="range", metadata=b"")],
    )


# Beginning and end.


def test_a_node_serves_when_it_has_started_and_is_gone_when_it_has_stopped(tmp_path: Path) -> None:
    async def run() -> None:
        node = Node(settings(tmp_path))
        assert (node.is_ready, list(node.reasons)) == (False, ["starting"])
        await node.start()
        assert (node.is_ready, list(node.reasons)) == (True, [])
        client = await Client.connect(node)
        assert await client.is_served()
        await create_topic(client, "t")
        produced = await client.ask(ApiKey.PRODUCE, 9, produce_request({("t", 0): batch_of([b"v"])}))
        assert isinstance(produced, ProduceResponse)
        assert produced.responses[0].partition_responses[0].error_code == ErrorCode.NONE
        await node.stop()
        assert (node.is_ready, list(node.reasons)) == (False, ["stopping"])
        await client.close()
        with pytest.raises(ConnectionError):
            await Client.connect(node)

    asyncio.run(run())
    assert has_clean_mark(tmp_path)
    DirectoryLock(str(tmp_path)).release()

    async def again(node: Node) -> None:
        assert node.broker.replicas.replica("t", 0).high_watermark == 1
        assert not node.broker.replicas.replica("t", 0).log.recovery.was_scanned

    play(tmp_path, again)


def test_clients_that_wait_do_not_hold_up_the_stop(tmp_path: Path) -> None:
    async def run() -> None:
        node = Node(settings(tmp_path))
        await node.start()
        fetching, joining, first, idle = [await Client.connect(node) for _ in range(4)]
        await create_topic(fetching, "t")
        fetch = fetching.send(ApiKey.FETCH, 11, long_fetch("t"))
        joined = await first.ask(ApiKey.JOIN_GROUP, 0, join())
        assert isinstance(joined, JoinGroupResponse)
        assert joined.error_code == ErrorCode.NONE
        second_join = joining.send(ApiKey.JOIN_GROUP, 0, join())
        assert await idle.is_served()
        loop = asyncio.get_running_loop()
        started = loop.time()
        await node.stop()
        assert loop.time() - started < STOP_SECONDS_MAX
        fetched = await fetching.receive(fetch)
        assert isinstance(fetched, FetchResponse)
        assert fetched.responses[0].partitions[0].error_code == ErrorCode.NONE
        sent_away = await joining.receive(second_join)
        assert isinstance(sent_away, JoinGroupResponse)
        assert sent_away.error_code == ErrorCode.NOT_COORDINATOR
        for client in (fetching, joining, first, idle):
            await client.close()

    asyncio.run(run())
    assert has_clean_mark(tmp_path)


def test_a_client_that_does_not_read_does_not_hold_up_the_stop(tmp_path: Path) -> None:
    async def run() -> None:
        node = Node(settings(tmp_path))
        await node.start()
        loop = asyncio.get_running_loop()
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.setblocking(False)
            await loop.sock_connect(deaf, ("127.0.0.1", next(iter(node.endpoints.values())).port))
            asked = request(ApiKey.API_VERSIONS, 0, ApiVersionsRequest()).frame
            asking = asyncio.ensure_future(loop.sock_sendall(deaf, asked * 1_000_000))
            async with asyncio.timeout(20):
                while not node.broker.memory.unsent_bytes:
                    await asyncio.sleep(0)
            started = loop.time()
            await node.stop()
            assert loop.time() - started < STOP_SECONDS_MAX
            assert node.broker.memory.unsent_bytes == 0
            await asyncio.wait([asking])
            assert isinstance(asking.exception(), ConnectionError)

    asyncio.run(run())
    assert has_clean_mark(tmp_path)


def test_localhost_is_reached_in_both_families(tmp_path: Path) -> None:
    async def scene(node: Node) -> None:
        for host in ("127.0.0.1", "::1"):
            try:
                client = await Client.connect(node, host)
            except OSError:
                assert host == "::1", "every machine has IPv4"
                assert not socket.has_ipv6 or not _can_use_ipv6()
                continue
            assert await client.is_served()
            await client.close()

    play(tmp_path, scene, listeners="PLAINTEXT://localhost:0")


def _can_use_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_a_failed_metadata_log_is_a_reason_not_to_be_ready(tmp_path: Path) -> None:
    async def scene(node: Node) -> None:
        node._local.metadata_partition.failure = OSError("Input/output error")
        assert not node.is_ready
        assert list(node.reasons) == ["the metadata log failed: Input/output error"]

    play(tmp_path, scene)


# When it does not begin.


async def fail_to_start(chosen: Settings) -> BaseException:
    node = Node(chosen)
    with pytest.raises((OSError, DataDirectoryError)) as failed:
        await node.start()
    assert not node.is_ready
    return failed.value


def test_a_port_in_use_costs_nothing(tmp_path: Path) -> None:
    async def nothing(_: Node) -> None: ...

    play(tmp_path, nothing)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        for chosen in (
            settings(tmp_path, listeners=f"PLAINTEXT://{where}"),
            settings(tmp_path, http_address=where),
        ):
            error = asyncio.run(fail_to_start(chosen))
            assert f"cannot listen on {where}" in str(error)
            assert has_clean_mark(tmp_path)
            DirectoryLock(str(tmp_path)).release()
    play(tmp_path, nothing)


def test_a_directory_in_use_names_who_uses_it(tmp_path: Path) -> None:
    async def scene(_: Node) -> None:
        error = await fail_to_start(settings(tmp_path))
        assert f"in use by the process with pid {os.getpid()}" in str(error)

    play(tmp_path, scene)
    assert has_clean_mark(tmp_path)


def test_another_brokers_directory_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "orders-0").mkdir()
    (tmp_path / "orders-0" / "partition.metadata").write_text("version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ")
    (tmp_path / "meta.properties").write_text("version=1\nnode.id=1\ncluster.id=c\ndirectory.id=d\n")
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    error = asyncio.run(fail_to_start(settings(tmp_path)))
    assert "another Kafka broker" in str(error)
    after = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    assert after == sorted([*before, Path(".lock")])


def test_a_start_that_is_given_up_leaves_a_directory_for_the_next(tmp_path: Path) -> None:
    async def run() -> None:
        node = Node(settings(tmp_path))
        starting = asyncio.ensure_future(node.start())
        await asyncio.sleep(0)
        starting.cancel()
        await asyncio.wait([starting])
        assert starting.cancelled()
        DirectoryLock(str(tmp_path)).release()

    async def scene(node: Node) -> None:
        client = await Client.connect(node)
        assert await client.is_served()
        await client.close()

    asyncio.run(run())
    play(tmp_path, scene)


# Signals.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it(tmp_path: Path, number: signal.Signals) -> None:
    ready: list[Node] = []

    def on_ready(node: Node) -> None:
        ready.append(node)
        os.kill(os.getpid(), number)

    asyncio.run(asyncio.wait_for(serve(settings(tmp_path), on_ready), 20))
    assert len(ready) == 1
    assert has_clean_mark(tmp_path)


def test_who_began_with_hangups_ignored_keeps_them_so() -> None:
    """As nohup has it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert signal.SIGHUP not in stop_signals()
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        assert stop_signals() == [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_signal_during_the_start_ends_that(tmp_path: Path) -> None:
    ready: list[Node] = []

    async def run() -> None:
        serving = asyncio.ensure_future(serve(settings(tmp_path), ready.append))
        # After its first step, which takes over the signals.
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(serving, 20)

    asyncio.run(run())
    assert len(ready) <= 1
    DirectoryLock(str(tmp_path)).release()
