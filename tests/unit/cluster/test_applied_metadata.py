"""Following a metadata log that cannot always be read."""

import asyncio
import logging
from collections.abc import Iterable, Sequence

import pytest

from chronik.cluster.applied_metadata import AppliedMetadata
from chronik.cluster.metadata.subjects import SUBJECTS
from chronik.cluster.metadata.topics import EpochFloorRaised
from chronik.cluster.metadata_log import KeyValue
from chronik.cluster.record_codec import encode
from chronik.sim.virtual_time import virtual
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import LeaderEpoch, Offset
from tests.unit.cluster.fakes import FakeMetadataLog

TOO_MANY_FILES = KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, "Too many open files")
# Longer than a read that failed waits for the next one.
A_WHILE = 2.0


class FailingLog(FakeMetadataLog):
    """Its first `failures` reads fail, after one batch."""

    def __init__(self, failures: int, error: KafkaError = TOO_MANY_FILES) -> None:
        super().__init__()
        self.batches = [[encode(EpochFloorRaised(epoch=LeaderEpoch(epoch)))] for epoch in (3, 5, 8)]
        self.failures = failures
        self.error = error
        self.reads = 0

    def read(self, offset: Offset) -> Iterable[tuple[Offset, Sequence[KeyValue]]]:
        self.reads += 1
        for batch in super().read(offset):
            yield batch
            if self.failures:
                self.failures -= 1
                raise self.error


def following(log: FailingLog) -> AppliedMetadata:
    return AppliedMetadata(log, lambda: None, SUBJECTS)


@virtual
async def test_a_read_that_fails_is_repeated_until_it_does_not(caplog: pytest.LogCaptureFixture) -> None:
    log = FailingLog(2)
    applied = following(log)
    with caplog.at_level(logging.ERROR):
        applied.follow()
        assert (applied.offset, applied.failure) == (1, None)
        # Other commits come meanwhile, and add no timer of their own.
        applied.follow()
        await asyncio.sleep(A_WHILE)
    assert (applied.offset, applied.failure) == (3, None)
    assert log.reads == 3
    assert [record.message for record in caplog.records] == [
        "could not read the metadata log; it is read again",
        "could not read the metadata log; it is read again",
    ], "once for each time in a row"


@virtual
async def test_after_its_end_nothing_is_read_again() -> None:
    log = FailingLog(1)
    applied = following(log)
    applied.follow()
    applied.close()
    await asyncio.sleep(A_WHILE)
    assert log.reads == 1


@virtual
async def test_records_that_are_damaged_are_not_read_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL + 1)
    log = FailingLog(1, KafkaError(ErrorCode.CORRUPT_MESSAGE, "damaged"))
    applied = following(log)
    applied.follow()
    await asyncio.sleep(A_WHILE)
    assert log.reads == 1
    assert applied.failure is log.error


@virtual
async def test_a_storage_error_of_a_subscriber_is_no_failed_read(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL + 1)
    log = FailingLog(0)
    applied = following(log)

    def fail(*_: object) -> None:
        raise TOO_MANY_FILES

    applied.subscribe(fail)
    applied.follow()
    assert applied.failure is TOO_MANY_FILES
