"""One of three nodes has a disk without a byte left: needs root, and Linux."""

import json
import os
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronik.records.batch import split_batches
from chronik.records.record import decode_records
from chronik.testing import Cluster
from chronik.vocab.errors import ErrorCode
from chronik.wire.apis import ApiKey
from chronik.wire.messages.create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from chronik.wire.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponsePartition,
)
from tests.integration.producing import batch, fetch, produce
from tests.integration.test_full_disk import MIB, fill, mounted
from tests.support.protocol.client import RawClient
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounts a file system"),
]

FULL = 3
OTHERS = (1, 2)
PAYLOAD_BYTES = 8192
# To those that a client asks again after, or looks for the leader.
RETRIED = {
    ErrorCode.KAFKA_STORAGE_ERROR,
    ErrorCode.NOT_LEADER_OR_FOLLOWER,
    ErrorCode.LEADER_NOT_AVAILABLE,
    ErrorCode.NOT_ENOUGH_REPLICAS,
    ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    ErrorCode.REQUEST_TIMED_OUT,
}


class Stage:
    """Three nodes, the third on a small disk, and producers whose values are numbers."""

    def __init__(self, cluster: Cluster, disk: Path) -> None:
        self.cluster = cluster
        self._filler = disk / "filler"
        self.acknowledged: list[int] = []
        self._next = 0

    def create(self, topic: str, replicas: list[int]) -> None:
        assignment = CreatableReplicaAssignment(partition_index=0, broker_ids=replicas)
        asked = CreatableTopic(name=topic, num_partitions=-1, replication_factor=-1, assignments=[assignment])
        request = CreateTopicsRequest(topics=[asked], timeout_ms=30_000)
        with self.client(1) as client:
            answer = client.ask(ApiKey.CREATE_TOPICS, 5, request, CreateTopicsResponse)
        assert answer.topics[0].error_code == ErrorCode.NONE
        wait_until(lambda: self.partition(topic).leader_id == replicas[0], "the first replica leads")

    def client(self, node: int) -> RawClient:
        return RawClient(int(self.cluster.node(node).bootstrap_servers.rpartition(":")[2]))

    def partition(self, topic: str) -> MetadataResponsePartition:
        asked = MetadataRequest(topics=[MetadataRequestTopic(name=topic)], allow_auto_topic_creation=False)
        with self.client(1) as client:
            found = client.ask(ApiKey.METADATA, 12, asked, MetadataResponse).topics[0].partitions
        return found[0]

    def send(self, topic: str, node: int) -> ErrorCode:
        """One record with acks=all to a node; it is remembered when it is acknowledged."""
        number, self._next = self._next, self._next + 1
        value = number.to_bytes(8) + bytes(PAYLOAD_BYTES)
        with self.client(node) as client:
            code = ErrorCode(produce(client, topic, batch(value=value, records=1)).error_code)
        if code is ErrorCode.NONE:
            self.acknowledged.append(number)
        return code

    def send_as_clients_do(self, topic: str) -> None:
        """Sends it to the leader until it is acknowledged."""
        codes = set()

        def is_sent() -> bool:
            leader = self.partition(topic).leader_id
            if leader < 0:
                return False
            code = self.send(topic, leader)
            codes.add(code)
            return code is ErrorCode.NONE

        wait_until(is_sent, f"a leader that takes records; answers were {codes}")
        assert codes <= RETRIED | {ErrorCode.NONE}

    def read(self, topic: str) -> list[int]:
        """The numbers of all committed records, from their leader."""
        numbers: list[int] = []
        offset = 0
        with self.client(self.partition(topic).leader_id) as client:
            while True:
                found = fetch(client, topic, offset)
                assert found.error_code == ErrorCode.NONE
                assert isinstance(found.records, bytes | memoryview)
                batches = split_batches(found.records)
                if not batches:
                    return numbers
                for record in (record for each in batches for record in decode_records(each)):
                    numbers.append(int.from_bytes((record.value or b"")[:8]))
                offset = batches[-1].header.last_offset + 1

    # Its disk.

    def fill(self) -> None:
        fill(self._filler)

    def free(self) -> None:
        self._filler.unlink()

    def get(self, path: str) -> str:
        url = self.cluster.node(FULL).http_url
        with urllib.request.urlopen(f"{url}{path}", timeout=10) as response:
            return str(response.read().decode())

    def warnings(self) -> list[str]:
        return list(json.loads(self.get("/health/ready"))["warnings"])

    def log(self) -> str:
        return self.cluster.node(FULL).log_path.read_text(errors="replace")

    def is_in_sync(self, topic: str) -> bool:
        return FULL in self.partition(topic).isr_nodes

    def check_nothing_is_lost(self, topic: str) -> None:
        """What was refused may be there all the same: a client would have sent it again."""
        found = self.read(topic)
        assert set(self.acknowledged) <= set(found)
        assert len(set(found)) == len(found)

    def check_said(self) -> None:
        (warning,) = self.warnings()
        assert warning.startswith("disk full: No space left on device")
        metrics = self.get("/metrics")
        assert 'chronik_storage_short{kind="disk full"} 1.0' in metrics
        assert self.log().count('"event": "storage exhausted"') == 1


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Nothing is cached: what is acknowledged is on two disks."""
    cluster = Cluster(
        3,
        data_dir=tmp_path,
        http=True,
        write_caching=False,
        min_insync_replicas=2,
        replica_lag_time_max_ms=2000,
    )
    with mounted(cluster.node(FULL).data_dir, 24 * MIB) as disk, cluster:
        yield Stage(cluster, disk)


def test_a_follower_that_is_full_holds_up_nobody_and_follows_again_by_itself(stage: Stage) -> None:
    stage.create("orders", [1, 2, FULL])
    for _ in range(20):
        assert stage.send("orders", 1) is ErrorCode.NONE
    wait_until(lambda: stage.is_in_sync("orders"), "all three have it")

    stage.fill()
    for _ in range(100):
        assert stage.send("orders", 1) is ErrorCode.NONE
    wait_until(lambda: stage.warnings() != [], "the full node notices")
    stage.check_said()
    wait_until(lambda: not stage.is_in_sync("orders"), "the full node is no longer in sync")
    assert stage.partition("orders").leader_id == 1
    stage.check_nothing_is_lost("orders")

    stage.free()
    wait_until(lambda: stage.is_in_sync("orders"), "it has caught up")
    wait_until(lambda: stage.warnings() == [], "health says nothing any more")
    assert stage.log().count('"event": "storage recovered"') == 1
    # Neither of the two that are left can do without the other.
    stage.cluster.kill(2)
    stage.send_as_clients_do("orders")
    stage.check_nothing_is_lost("orders")


def test_a_leader_that_is_full_acknowledges_nothing_that_others_do_not_have(stage: Stage) -> None:
    stage.create("orders", [FULL, 1, 2])
    for _ in range(20):
        assert stage.send("orders", FULL) is ErrorCode.NONE

    stage.fill()
    codes = [stage.send("orders", FULL) for _ in range(5)]
    assert set(codes) <= RETRIED
    stage.check_said()
    for _ in range(20):
        stage.send_as_clients_do("orders")
    assert stage.partition("orders").leader_id in OTHERS
    assert stage.send("orders", FULL) in RETRIED
    stage.check_nothing_is_lost("orders")

    stage.free()
    wait_until(lambda: stage.is_in_sync("orders"), "it follows")
    wait_until(lambda: stage.warnings() == [], "health says nothing any more")
    assert stage.log().count('"event": "storage recovered"') == 1
    stage.cluster.kill(2)
    stage.send_as_clients_do("orders")
    stage.check_nothing_is_lost("orders")
