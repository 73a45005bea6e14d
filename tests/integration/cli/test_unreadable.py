"""`chronik consume` past what cannot be read: it says where it stands, and goes on behind it if asked to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from chronik.cli.exit_codes import ExitCode
from chronik.records.batch import Batch, Codec, pack_header, seal, split_batches
from chronik.records.build import BatchOptions, build_batch
from chronik.records.record import Record
from chronik.testing import Broker
from tests.integration.cli.command import Command
from tests.integration.producing import now_ms, produce
from tests.support.protocol.client import RawClient

pytestmark = pytest.mark.integration

MIB = 1024 * 1024
TOPIC = "orders"
READ = ("consume", TOPIC, "--from-beginning", "--no-follow")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Broker]:
    with Broker(data_dir=tmp_path, log_segment_bytes=MIB) as running:
        running.create_topic(TOPIC, partitions=1)
        yield running


def batch(*values: bytes) -> Batch:
    return build_batch([Record(None, value, now_ms()) for value in values])


def undecodable() -> bytes:
    """Two records where its header says three. It unpacks to so much that brokers do not look into it."""
    values = [bytes(8 * MIB), bytes(8 * MIB)]
    packed = build_batch([Record(None, value, now_ms()) for value in values], BatchOptions(codec=Codec.LZ4))
    header = packed.header._replace(record_count=3, last_offset_delta=2)
    return bytes(seal(bytearray(pack_header(header) + bytes(packed.data)[61:])).data)


def append(broker: Broker, *batches: bytes) -> None:
    port = int(broker.bootstrap_servers.rpartition(":")[2])
    with RawClient(port) as client:
        assert [produce(client, TOPIC, data).error_code for data in batches] == [0] * len(batches)


def test_a_batch_that_cannot_be_decoded(own: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    append(own, bytes(batch(b"a", b"b").data), undecodable(), bytes(batch(b"c").data))
    chronik = Command(own, capsys)

    assert chronik.run(*READ, "-F", "{offset} ", code=ExitCode.FAILED).startswith("0 1 ")
    assert "error: cannot read orders-0 at offset" in chronik.errors
    assert "--skip-unreadable goes on behind it, and says which offsets it left out." in chronik.errors

    assert chronik.run(*READ, "--skip-unreadable", "-F", "{offset} ").split()[-1] == "5"
    assert "skipped offsets 4 to 4 of orders-0: a record ends before its fields do\n" in chronik.errors


def test_a_batch_that_is_damaged_on_disk(
    own: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the broker has seen its length: the client looks for its end."""
    filler = bytes(batch(bytes(300_000)).data)
    append(own, bytes(batch(b"a").data), bytes(batch(*[b"v"] * 37).data), bytes(batch(b"b").data))
    append(own, *[filler] * 4)
    first = min((tmp_path / f"{TOPIC}-0").glob("*.log"))
    data = bytearray(first.read_bytes())
    whole = split_batches(bytes(data))
    data[whole[0].header.size + 200] ^= 1
    first.write_bytes(data)
    chronik = Command(own, capsys)

    assert chronik.run(*READ, "-F", "{offset} ", code=ExitCode.FAILED) == "0 "
    assert "error: cannot read orders-0 at offset 1: the broker says that it is damaged\n" in chronik.errors

    offsets = chronik.run(*READ, "--skip-unreadable", "-F", "{offset} ").split()
    assert offsets == ["0", *(str(offset) for offset in range(38, 43))]
    assert "skipped offsets 1 to 37 of orders-0: the broker says that it is damaged\n" in chronik.errors
