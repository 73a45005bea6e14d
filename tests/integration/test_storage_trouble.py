"""Disks that are full, files that are damaged, directories that are taken."""

import resource
import sys
from pathlib import Path

import pytest

from chronik.records.batch import split_batches
from chronik.records.record import decode_records
from chronik.vocab.errors import ErrorCode
from tests.integration.producing import batch, create, fetch, produce
from tests.support.broker_process import BrokerProcess
from tests.support.protocol.client import RawClient
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

KIB = 1024
STORAGE_ERROR = ErrorCode.KAFKA_STORAGE_ERROR


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits of another process are Linux's")
@pytest.mark.parametrize("has_write_caching", [False, True], ids=["durable", "write.caching"])
def test_a_full_disk_refuses_records_and_forgets_none(
    own_broker: BrokerProcess, name: str, has_write_caching: bool
) -> None:
    """A limit on the size of files stands for the full disk: it can be lifted while the broker runs."""
    own_broker.start()
    create(own_broker, name, {"write.caching": "true"} if has_write_caching else {})
    acknowledged: list[bytes] = []
    with RawClient(own_broker.port) as client:
        assert _append(client, name, acknowledged) == ErrorCode.NONE
        _limit_file_size(own_broker, 200 * KIB)
        wait_until(lambda: _append(client, name, acknowledged) == STORAGE_ERROR, "the disk is full")
        assert len(acknowledged) > 10
        for _ in range(3):
            assert _append(client, name, acknowledged) == STORAGE_ERROR
            assert _read(client, name) == acknowledged
        _limit_file_size(own_broker, resource.RLIM_INFINITY)
        for _ in range(3):
            assert _append(client, name, acknowledged) == ErrorCode.NONE
        assert _read(client, name) == acknowledged

    own_broker.kill()
    own_broker.start()
    with RawClient(own_broker.port) as client:
        assert _read(client, name) == acknowledged


def test_a_corrupt_byte_in_a_closed_segment_is_told_and_named(own_broker: BrokerProcess, name: str) -> None:
    own_broker.start()
    create(own_broker, name, {"segment.bytes": str(KIB * KIB)})
    with RawClient(own_broker.port) as client:
        offsets = [
            produce(client, name, batch(value=bytes(200 * KIB), records=1)).base_offset for _ in range(12)
        ]
        assert offsets == list(range(12))
        first, *others = sorted((own_broker.directory / "data" / f"{name}-0").glob("*.log"))
        assert others, "no segment was closed"
        # In the third batch of the closed segment.
        position = 2 * (200 * KIB + 80) + 5000
        _flip_a_bit(first, position)

        assert [error for error, _ in _read_each(client, name, 12)] == [
            ErrorCode.CORRUPT_MESSAGE if offset == 2 else ErrorCode.NONE for offset in range(12)
        ]
        # A fetch of more ends before the damage.
        assert [batch.header.base_offset for batch in split_batches(_records(client, name, 0))] == [0, 1]

    lines = own_broker.log_path.read_text().splitlines()
    assert (
        sum("durable records damaged or missing; their readers get CORRUPT_MESSAGE" in line for line in lines)
        == 1
    )
    (line,) = [line for line in lines if "corrupt batch read; its readers get CORRUPT_MESSAGE file=" in line]
    assert f"{name}-0/{first.name}" in line
    assert f"position={split_batches(first.read_bytes())[0].header.size * 2}" in line


def test_a_second_process_on_one_directory_is_refused(own_broker: BrokerProcess) -> None:
    own_broker.start()
    second = BrokerProcess(own_broker.directory)

    with pytest.raises(RuntimeError, match=rf"in use by .*\b{own_broker.pid}\b"):
        second.start()
    with RawClient(own_broker.port) as client:
        create(own_broker, "still-served")
        assert produce(client, "still-served", batch()).error_code == ErrorCode.NONE


def test_the_directory_is_free_after_a_kill(own_broker: BrokerProcess) -> None:
    own_broker.start()
    own_broker.kill()

    own_broker.start()
    assert own_broker.is_running


def _append(client: RawClient, topic: str, acknowledged: list[bytes]) -> int:
    value = b"%d" % len(acknowledged) + b"-" * 10 * KIB
    answer = produce(client, topic, batch(value=value, records=1))
    if answer.error_code == ErrorCode.NONE:
        acknowledged.append(value)
    else:
        assert answer.base_offset == -1
    return answer.error_code


def _read(client: RawClient, topic: str) -> list[bytes]:
    """All values, by as many fetches as it takes."""
    values: list[bytes] = []
    while data := _records(client, topic, len(values)):
        for read in split_batches(data):
            values += [record.value or b"" for record in decode_records(read)]
    return values


def _read_each(client: RawClient, topic: str, end_offset: int) -> list[tuple[int, bytes]]:
    """Error and records of a fetch at each offset, of one batch."""
    fetched = [fetch(client, topic, offset, max_bytes=1) for offset in range(end_offset)]
    return [(partition.error_code, _joined(partition.records)) for partition in fetched]


def _records(client: RawClient, topic: str, offset: int) -> bytes:
    partition = fetch(client, topic, offset)
    assert partition.error_code == ErrorCode.NONE
    return _joined(partition.records)


def _joined(records: object) -> bytes:
    assert isinstance(records, bytes | memoryview)
    return bytes(records)


def _limit_file_size(broker: BrokerProcess, size: int) -> None:
    if sys.platform == "linux":
        _, hard = resource.prlimit(broker.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, (size, hard))


def _flip_a_bit(path: Path, position: int) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        (byte,) = file.read(1)
        file.seek(position)
        file.write(bytes([byte ^ 1]))
