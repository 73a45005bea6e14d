"""Loads a shard: everything that is committed in its partition is replayed into it, in bounded slices."""

import asyncio
import logging
from contextlib import aclosing
from typing import Any, Final

from chronik.broker.coordinator.log import CoordinatorLog, EndOfTransaction, KeyValues, LoggedBatch
from chronik.broker.coordinator.primitives import MalformedRecord
from chronik.broker.coordinator.shard import CoordinatorShard, UnknownRecordKind
from chronik.vocab.ids import TopicPartition

_log = logging.getLogger(__name__)

# Records between two turns of the loop: a few milliseconds. Nearly all batches have one record; one of 1 MB
# has some ten thousand.
SLICE_RECORDS: Final = 256


async def replay(log: CoordinatorLog, name: TopicPartition, shard: CoordinatorShard[Any]) -> int:
    """Replay the log of partition `name` into an empty shard; returns the number of records.

    Raises KafkaError and OSError when the log cannot be read, and UnknownRecordKind.
    """
    records = in_slice = 0
    async with aclosing(log.read(name.partition)) as batches:
        async for batch in batches:
            if batch.marker is not None:
                _replay_marker(shard, batch, batch.marker)
            for start in range(0, len(batch.records), SLICE_RECORDS):
                piece = batch.records[start : start + SLICE_RECORDS]
                _replay_piece(name, shard, batch, piece)
                records += len(piece)
                in_slice += len(piece)
                if in_slice >= SLICE_RECORDS:
                    in_slice = 0
                    await asyncio.sleep(0)
    return records


def _replay_piece(
    name: TopicPartition, shard: CoordinatorShard[Any], batch: LoggedBatch, piece: KeyValues
) -> None:
    for key, value in piece:
        try:
            shard.replay(key, value, batch.header)
        except MalformedRecord as error:
            # Kafka refuses to load here. The loss of one group is better than of all groups, and it is
            # logged.
            _log_skipped(name, batch, key, error)
        except UnknownRecordKind as error:
            raise _located(error, batch) from error


def _replay_marker(shard: CoordinatorShard[Any], batch: LoggedBatch, marker: EndOfTransaction) -> None:
    try:
        shard.replay_marker(marker, batch.header)
    except UnknownRecordKind as error:
        raise _located(error, batch) from error


def _located(error: UnknownRecordKind, batch: LoggedBatch) -> UnknownRecordKind:
    return UnknownRecordKind(f"{error} in the batch at offset {batch.header.base_offset}")


def _log_skipped(name: TopicPartition, batch: LoggedBatch, key: bytes, error: MalformedRecord) -> None:
    extra = {
        "topic": name.topic,
        "partition": name.partition,
        "batch_offset": batch.header.base_offset,
        "key": key.hex(),
        "error": str(error),
    }
    _log.error("coordinator record skipped: it cannot be decoded", extra=extra)
