"""A snapshot of `__meta`: the whole image as metadata records, and the offset up to which it counts.

A line of text for each record, its type and its JSON as in the log, so that the same rules hold for what
other releases wrote; a header in front with the offset and a checksum. Files are the server's business.
"""

import struct
import zlib
from collections.abc import Iterator

from chronik.cluster.image import FIRST_PRODUCER_ID, ClusterImage, TopicImage
from chronik.cluster.image_draft import apply_records
from chronik.cluster.record_codec import UnreadableRecord, decode, encode
from chronik.cluster.records import (
    BrokerFenced,
    ConfigChanged,
    EpochFloorRaised,
    MetadataRecord,
    PartitionCreated,
    ProducerIdsAllocated,
    TopicCreated,
)
from chronik.vocab.ids import NO_NODE, Offset

_MAGIC = b"chronik-meta"
_VERSION = 1

# Magic, version, offset, CRC-32 of all that follows.
_HEADER = struct.Struct(">12sBqI")


class UnreadableSnapshot(UnreadableRecord):
    """It is damaged, or written by a newer release."""


def image_records(image: ClusterImage) -> Iterator[MetadataRecord]:
    """Records that make `image` out of nothing: as many as there are things, whatever happened to them."""
    yield from image.brokers.values()
    for node in sorted(image.fenced):
        yield BrokerFenced(node=node)
    for topic in image.topics_by_id.values():
        yield TopicCreated(name=topic.name, topic_id=topic.topic_id)
        yield from _partition_records(topic)
    for resource, settings in image.configs.items():
        for key, value in settings.items():
            yield ConfigChanged(resource=resource, key=key, value=value)
    if image.epoch_floor:
        yield EpochFloorRaised(epoch=image.epoch_floor)
    if image.next_producer_id != FIRST_PRODUCER_ID:
        yield ProducerIdsAllocated(node=NO_NODE, first=FIRST_PRODUCER_ID, end=image.next_producer_id)


def encode_snapshot(image: ClusterImage, offset: Offset) -> bytes:
    """A snapshot of `image`, which is what the records below `offset` add up to. May run in a thread."""
    body = b"\n".join(b"%b %b" % encode(record) for record in image_records(image))
    return _HEADER.pack(_MAGIC, _VERSION, offset, zlib.crc32(body)) + body


def decode_snapshot(data: bytes) -> tuple[ClusterImage, Offset]:
    """The image and its offset. Raises UnreadableSnapshot."""
    if len(data) < _HEADER.size:
        raise UnreadableSnapshot("a metadata snapshot is cut short")
    magic, version, offset, crc = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise UnreadableSnapshot("this is no metadata snapshot")
    if version > _VERSION:
        raise UnreadableSnapshot(f"a metadata snapshot has version {version}: a newer release wrote it")
    body = data[_HEADER.size :]
    if zlib.crc32(body) != crc:
        raise UnreadableSnapshot("a metadata snapshot is damaged")
    try:
        image, _ = apply_records(ClusterImage(), map(_decode_line, body.split(b"\n") if body else ()))
    except UnreadableRecord as error:
        raise UnreadableSnapshot(f"a metadata snapshot cannot be read: {error}") from error
    return image, Offset(offset)


def _decode_line(line: bytes) -> MetadataRecord:
    key, _, value = line.partition(b" ")
    return decode(key, value)


def _partition_records(topic: TopicImage) -> Iterator[MetadataRecord]:
    for index, partition in enumerate(topic.partitions):
        yield PartitionCreated(
            topic_id=topic.topic_id,
            partition=index,
            replicas=partition.replicas,
            leader=partition.first_leader,
            directories=partition.directories,
            first_epoch=partition.first_epoch,
        )
