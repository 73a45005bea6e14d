"""A disk without a byte left, on a file system of its own: needs root, and Linux."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from chronik.cli.local_cluster.ports import free_ports
from chronik.records.batch import split_batches
from chronik.vocab.errors import ErrorCode
from tests.integration.producing import batch, fetch, produce
from tests.support.one_node import OneNode
from tests.support.protocol.client import RawClient
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounts a file system"),
]

MIB = 1024 * 1024


@contextmanager
def mounted(directory: Path, size: int) -> Iterator[Path]:
    directory.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(directory)],
        capture_output=True,
        check=False,
    )
    if mount.returncode:
        pytest.skip(f"no file system can be mounted here: {mount.stderr.decode()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", str(directory)], check=True)


def fill(filler: Path) -> None:
    """Not one block is left."""
    with filler.open("ab", buffering=0) as file:
        while True:
            try:
                file.write(bytes(4096))
            except OSError:
                return


class FullDisk:
    """A node alone on a small disk, and a file that takes what is left."""

    def __init__(self, root: Path, disk: Path) -> None:
        (self.port,) = free_ports(1)
        self._root, self._disk = root, disk
        self._filler = disk / "filler"
        self._starts = 0
        self.node = self.start()

    def start(self) -> OneNode:
        self._starts += 1
        settings = {
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "data.dir": str(self._disk / "data"),
            "log.retention.check.interval.ms": "1000",
        }
        self.node = OneNode(self._root, f"node-{self._starts}", settings)
        self.node.wait_ready()
        return self.node

    def fill(self) -> None:
        fill(self._filler)

    def free(self) -> None:
        self._filler.unlink()

    def append(self, topic: str) -> int:
        with RawClient(self.port) as client:
            return produce(client, topic, batch(value=bytes(8192), records=1)).error_code

    def read(self, topic: str) -> int:
        """How many batches can be read."""
        with RawClient(self.port) as client:
            found = fetch(client, topic, 0, max_bytes=100 * MIB)
        assert found.error_code == ErrorCode.NONE
        assert isinstance(found.records, bytes | memoryview)
        return len(split_batches(found.records))

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.node.http_port}{path}", timeout=10) as response:
            return str(response.read().decode())

    def warnings(self) -> list[str]:
        return list(json.loads(self.get("/health/ready"))["warnings"])


@pytest.fixture
def full(tmp_path: Path) -> Iterator[FullDisk]:
    with mounted(tmp_path / "disk", 24 * MIB) as disk:
        stage = FullDisk(tmp_path, disk)
        try:
            yield stage
        finally:
            stage.node.kill()


def test_a_node_alone_lives_through_it(full: FullDisk, tmp_path: Path) -> None:
    reserve = tmp_path / "disk" / "data" / ".reserve"
    wait_until(lambda: reserve.exists() and reserve.stat().st_size == MIB, "the reserve is there")
    admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{full.port}"})
    for created in admin.create_topics([NewTopic("kept", 1), NewTopic("doomed", 1)]).values():
        created.result(timeout=30)
    for topic in ("kept", "doomed"):
        for _ in range(20):
            assert full.append(topic) == ErrorCode.NONE
    full.fill()
    assert full.append("kept") == ErrorCode.KAFKA_STORAGE_ERROR
    _check_said(full)

    full.node.kill()
    full.start()
    assert full.read("kept") == 20
    # The start found room for its term in a piece of the reserve, and left some of it.
    assert 0 < reserve.stat().st_size < MIB
    full.fill()
    assert full.append("kept") == ErrorCode.KAFKA_STORAGE_ERROR
    _check_said(full)

    admin.delete_topics(["doomed"])["doomed"].result(timeout=30)
    wait_until(lambda: full.append("kept") == ErrorCode.NONE, "a deleted topic makes room")
    assert full.warnings() == []
    full.fill()
    assert full.append("kept") == ErrorCode.KAFKA_STORAGE_ERROR
    full.free()
    assert full.append("kept") == ErrorCode.NONE
    assert full.read("kept") >= 22
    assert "storage recovered" in full.node.log()


def _check_said(full: FullDisk) -> None:
    (warning,) = full.warnings()
    assert warning.startswith("disk full: No space left on device")
    metrics = full.get("/metrics")
    assert 'chronik_storage_short{kind="disk full"} 1.0' in metrics
    assert "chronik_ready 1.0" in metrics
    log = full.node.log()
    assert log.count("storage exhausted trouble=") == 1
    assert "make room, or delete topics" in log
