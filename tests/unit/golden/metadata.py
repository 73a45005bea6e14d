"""`__meta`: its records, its snapshot, and the commands that lead to them."""

from collections.abc import Iterable

from chronik.cluster.image import ClusterImage
from chronik.cluster.image_draft import apply_records
from chronik.cluster.metadata.brokers import BrokerEndpoint, BrokerFenced, BrokerRegistered
from chronik.cluster.metadata.configs import CLUSTER_DEFAULT, ConfigChanged, ConfigResource, topic_resource
from chronik.cluster.metadata.features import FeatureLevel
from chronik.cluster.metadata.producer_ids import ProducerIdsAllocated
from chronik.cluster.metadata.replicas import PartitionChanged, ReplicaRef
from chronik.cluster.metadata.subject import MetadataRecord
from chronik.cluster.metadata.topics import EpochFloorRaised, PartitionCreated, TopicCreated, TopicDeleted
from chronik.cluster.record_codec import decode, encode
from chronik.cluster.snapshot import decode_snapshot, encode_snapshot
from chronik.vocab.config.definition import ResourceType
from chronik.vocab.features import FeatureRange
from chronik.vocab.ids import LeaderEpoch, NodeId, Offset, ProducerId, TopicId

from .sample import Sample

ONE, TWO, THREE = NodeId(1), NodeId(2), NodeId(3)
TOPIC_ID = TopicId(bytes(range(16)))
OTHER_TOPIC_ID = TopicId(bytes(range(16, 32)))
ENDPOINTS = (
    BrokerEndpoint(listener="PLAINTEXT", host="broker-1.example.org", port=9092),
    BrokerEndpoint(listener="INTERNAL", host="10.0.0.1", port=19092, security_protocol="SSL"),
)
DIRECTORIES = ("dGhlIGZpcnN0IG9uZSE", "dGhlIHNlY29uZCBvbmU", "dGhlIHRoaXJkIG9uZSE")

PARTITION = PartitionCreated(
    topic_id=TOPIC_ID,
    partition=1,
    replicas=(TWO, THREE, ONE),
    leader=THREE,
    directories=DIRECTORIES,
    first_epoch=LeaderEpoch(12),
)

CHANGED = PartitionChanged(
    topic_id=TOPIC_ID,
    partition=1,
    replicas=(ReplicaRef(ONE, 5), ReplicaRef(TWO), ReplicaRef(THREE, 3)),
    target=(ONE, TWO),
    revision=5,
)

RECORDS: dict[str, MetadataRecord] = {
    "BrokerRegistered": BrokerRegistered(
        node=ONE,
        directory_id=DIRECTORIES[0],
        endpoints=ENDPOINTS,
        rack="a",
        epoch=7,
        features=(FeatureRange("chronik.metadata.version", 1, 3),),
    ),
    "BrokerRegistered.plain": BrokerRegistered(node=TWO, directory_id=DIRECTORIES[1], endpoints=()),
    "BrokerFenced": BrokerFenced(node=TWO),
    "TopicCreated": TopicCreated(name="orders.eu_1", topic_id=TOPIC_ID),
    "PartitionCreated": PARTITION,
    "PartitionChanged": CHANGED,
    "PartitionChanged.done": CHANGED._replace(replicas=CHANGED.replicas[:2], target=(), revision=6),
    "TopicDeleted": TopicDeleted(topic_id=TOPIC_ID, last_epoch=LeaderEpoch(1012)),
    "EpochFloorRaised": EpochFloorRaised(epoch=LeaderEpoch(1012)),
    "ConfigChanged": ConfigChanged(
        resource=topic_resource("orders.eu_1"), key="retention.ms", value="86400000"
    ),
    "ConfigChanged.to_default": ConfigChanged(resource=CLUSTER_DEFAULT, key="log.retention.ms", value=None),
    "ConfigChanged.group": ConfigChanged(
        resource=ConfigResource(ResourceType.GROUP, "caf\u00e9"),
        key="consumer.session.timeout.ms",
        value="9000",
    ),
    "ConfigChanged.client_metrics": ConfigChanged(
        resource=ConfigResource(ResourceType.CLIENT_METRICS, "s"), key="interval.ms", value="1000"
    ),
    "FeatureLevel": FeatureLevel(name="chronik.metadata.version", level=2),
    "ProducerIdsAllocated": ProducerIdsAllocated(node=TWO, first=ProducerId(1000), end=ProducerId(2000)),
}

# As releases before directories, epochs and features wrote them.
OLDER: dict[str, MetadataRecord] = {
    "BrokerRegistered.without_features": BrokerRegistered(
        node=ONE, directory_id=DIRECTORIES[0], endpoints=ENDPOINTS, rack="a", epoch=7
    ),
    "BrokerRegistered.without_epoch": BrokerRegistered(
        node=ONE, directory_id=DIRECTORIES[0], endpoints=ENDPOINTS[:1]
    ),
    "PartitionCreated.without_directories": PartitionCreated(
        topic_id=TOPIC_ID, partition=0, replicas=(ONE,), leader=ONE
    ),
    "TopicDeleted.without_epoch": TopicDeleted(topic_id=TOPIC_ID),
}


def _line(record: MetadataRecord) -> bytes:
    return b"%b %b" % encode(record)


def _read_line(line: bytes) -> MetadataRecord:
    key, _, value = line.partition(b" ")
    return decode(key, value)


_HISTORY: list[MetadataRecord] = [
    RECORDS["BrokerRegistered"],
    RECORDS["BrokerRegistered.plain"],
    BrokerRegistered(node=THREE, directory_id=DIRECTORIES[2], endpoints=ENDPOINTS[:1]),
    RECORDS["BrokerFenced"],
    TopicCreated(name="gone", topic_id=OTHER_TOPIC_ID),
    TopicDeleted(topic_id=OTHER_TOPIC_ID, last_epoch=LeaderEpoch(11)),
    RECORDS["TopicCreated"],
    PartitionCreated(
        topic_id=TOPIC_ID,
        partition=0,
        replicas=(ONE, TWO),
        leader=ONE,
        directories=DIRECTORIES[:2],
        first_epoch=LeaderEpoch(12),
    ),
    PARTITION,
    RECORDS["ConfigChanged"],
    ConfigChanged(resource=CLUSTER_DEFAULT, key="log.retention.ms", value="1000"),
    ProducerIdsAllocated(node=ONE, first=ProducerId(0), end=ProducerId(1000)),
    RECORDS["ProducerIdsAllocated"],
    RECORDS["FeatureLevel"],
]
_CHANGED = [*_HISTORY, CHANGED]
_OLDER = [
    OLDER["BrokerRegistered.without_features"] if record is RECORDS["BrokerRegistered"] else record
    for record in _HISTORY
    if record is not RECORDS["FeatureLevel"]
]


def whole_image() -> ClusterImage:
    """An image with something of everything."""
    return _image(_HISTORY)


def _image(history: Iterable[MetadataRecord]) -> ClusterImage:
    image, _ = apply_records(ClusterImage(), history)
    return image


SAMPLES = [
    *(
        Sample(name=f"meta/{name}", value=record, encoded=_line(record), decode=_read_line)
        for name, record in RECORDS.items()
    ),
    *(
        Sample(name=f"meta/{name}", value=record, encoded=None, decode=_read_line)
        for name, record in OLDER.items()
    ),
    Sample(
        name="snapshot/whole",
        value=(whole_image(), Offset(77)),
        encoded=encode_snapshot(whole_image(), Offset(77)),
        decode=decode_snapshot,
    ),
    Sample(
        name="snapshot/whole.changed",
        value=(_image(_CHANGED), Offset(78)),
        encoded=encode_snapshot(_image(_CHANGED), Offset(78)),
        decode=decode_snapshot,
    ),
    # Before there were subjects, the epoch floor followed the settings, and there were no features.
    Sample(
        name="snapshot/whole.before_subjects",
        value=(_image(_OLDER), Offset(77)),
        encoded=None,
        decode=decode_snapshot,
    ),
    Sample(
        name="snapshot/empty",
        value=(ClusterImage(), Offset(0)),
        encoded=encode_snapshot(ClusterImage(), Offset(0)),
        decode=decode_snapshot,
    ),
]
