"""Metadata records as bytes: they come back as they were, and what cannot be read says so."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronik.cluster.image import ClusterDelta, ClusterImage
from chronik.cluster.image_draft import apply_records
from chronik.cluster.metadata import passed_over
from chronik.cluster.metadata.brokers import BrokerEndpoint, BrokerFenced, BrokerRegistered
from chronik.cluster.metadata.configs import CLUSTER_DEFAULT, ConfigChanged, ConfigResource, topic_resource
from chronik.cluster.metadata.passed_over import PassedOverChanges, UnknownRecord
from chronik.cluster.metadata.producer_ids import ProducerIdsAllocated
from chronik.cluster.metadata.subject import MetadataRecord
from chronik.cluster.metadata.subjects import SUBJECTS
from chronik.cluster.metadata.topics import EpochFloorRaised, PartitionCreated, TopicCreated, TopicDeleted
from chronik.cluster.record_codec import UnreadableRecord, decode, encode
from chronik.vocab.config.definition import ResourceType
from chronik.vocab.errors import KafkaError
from chronik.vocab.ids import LeaderEpoch, NodeId, ProducerId, TopicId

from .flags_subject import FlagSet, flags_subject

nodes = st.integers(0, 2**31 - 1).map(NodeId)
topic_ids = st.binary(min_size=16, max_size=16).map(TopicId)
texts = st.text(max_size=30)
leader_epochs = st.integers(0, 2**31 - 1).map(LeaderEpoch)
endpoints = st.builds(
    BrokerEndpoint, listener=texts, host=texts, port=st.integers(0, 65535), security_protocol=texts
)
resources = st.builds(ConfigResource, st.sampled_from([ResourceType.TOPIC, ResourceType.BROKER]), texts)
producer_ids = st.integers(0, 2**63 - 1).map(ProducerId)
records: st.SearchStrategy[MetadataRecord] = st.one_of(
    st.builds(
        BrokerRegistered,
        node=nodes,
        directory_id=texts,
        endpoints=st.lists(endpoints, max_size=3).map(tuple),
        rack=st.none() | texts,
        epoch=st.integers(0, 2**31),
    ),
    st.builds(BrokerFenced, node=nodes),
    st.builds(TopicCreated, name=texts, topic_id=topic_ids),
    st.builds(
        PartitionCreated,
        topic_id=topic_ids,
        partition=st.integers(0, 10_000),
        replicas=st.lists(nodes, max_size=5).map(tuple),
        leader=nodes,
        directories=st.lists(texts, max_size=5).map(tuple),
        first_epoch=leader_epochs,
    ),
    st.builds(TopicDeleted, topic_id=topic_ids, last_epoch=leader_epochs),
    st.builds(EpochFloorRaised, epoch=leader_epochs),
    st.builds(ConfigChanged, resource=resources, key=texts, value=st.none() | texts),
    st.builds(ProducerIdsAllocated, node=nodes, first=producer_ids, end=producer_ids),
)


@given(records)
def test_what_is_encoded_is_decoded(record: MetadataRecord) -> None:
    assert decode(*encode(record)) == record


def test_a_person_can_read_a_record() -> None:
    key, value = encode(
        PartitionCreated(
            topic_id=TopicId(bytes(range(16))),
            partition=3,
            replicas=(NodeId(1), NodeId(2)),
            leader=NodeId(2),
            directories=("d1", "d2"),
            first_epoch=LeaderEpoch(12),
        )
    )
    assert key == b"PartitionCreated"
    assert value == (
        b'{"v":1,"topic_id":"AAECAwQFBgcICQoLDA0ODw","partition":3,"replicas":[1,2],"leader":2,'
        b'"directories":["d1","d2"],"first_epoch":12}'
    )
    key, value = encode(TopicDeleted(topic_id=TopicId(bytes(range(16))), last_epoch=LeaderEpoch(11)))
    assert key == b"TopicDeleted"
    assert value == b'{"v":1,"topic_id":"AAECAwQFBgcICQoLDA0ODw","last_epoch":11}'
    key, value = encode(EpochFloorRaised(epoch=LeaderEpoch(11)))
    assert key == b"EpochFloorRaised"
    assert value == b'{"v":1,"epoch":11}'


def test_what_an_older_release_wrote_lacks_epochs_and_directories() -> None:
    partition = b'{"v":1,"topic_id":"AAECAwQFBgcICQoLDA0ODw","partition":0,"replicas":[1],"leader":1}'
    read = decode(b"PartitionCreated", partition)
    assert isinstance(read, PartitionCreated)
    assert read.directories == ()
    assert read.first_epoch == 1
    deleted = decode(b"TopicDeleted", b'{"v":1,"topic_id":"AAECAwQFBgcICQoLDA0ODw"}')
    assert deleted == TopicDeleted(topic_id=TopicId(bytes(range(16))), last_epoch=LeaderEpoch(0))
    broker = decode(b"BrokerRegistered", b'{"v":1,"node":1,"directory_id":"d","endpoints":[],"rack":null}')
    assert isinstance(broker, BrokerRegistered)
    assert broker.epoch == 0


def test_a_config_record_names_its_resource() -> None:
    _, value = encode(ConfigChanged(resource=topic_resource("orders"), key="retention.ms", value=None))
    assert value == b'{"v":1,"resource":"topic","name":"orders","key":"retention.ms","value":null}'
    _, value = encode(ConfigChanged(resource=CLUSTER_DEFAULT, key="log.retention.ms", value="1"))
    assert json.loads(value)["resource"] == "broker"


def test_fields_of_a_later_release_are_ignored() -> None:
    key, value = encode(TopicCreated(name="orders", topic_id=TopicId(bytes(16))))
    extended = json.dumps({**json.loads(value), "owner": "somebody"}).encode()
    assert decode(key, extended) == TopicCreated(name="orders", topic_id=TopicId(bytes(16)))


def test_a_newer_version_is_refused_by_name() -> None:
    with pytest.raises(UnreadableRecord, match="TopicDeleted has version 2, this release reads up to 1"):
        decode(b"TopicDeleted", b'{"v":2}')


def test_an_unknown_type_is_refused_by_name() -> None:
    with pytest.raises(UnreadableRecord, match="'BrokerRetired' is not known"):
        decode(b"BrokerRetired", b'{"v":1}')


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff",
        b"[1]",
        b"{}",
        b'{"v":"1"}',
        b'{"v":1}',
        b'{"v":1,"topic_id":7}',
        b'{"v":1,"topic_id":"short"}',
        b'{"v":1,"topic_id":null}',
    ],
)
def test_damage_is_named(value: bytes) -> None:
    with pytest.raises(UnreadableRecord, match="TopicDeleted"):
        decode(b"TopicDeleted", value)


def test_a_damaged_key_is_shown() -> None:
    with pytest.raises(UnreadableRecord, match="not known"):
        decode(b"\xff\xfe", b"{}")


IGNORABLE = SUBJECTS.with_subject(flags_subject(is_ignorable=True))


def test_a_record_says_in_its_stored_form_that_it_may_be_passed_over() -> None:
    key, value = encode(FlagSet(name="a", value=1), IGNORABLE)
    assert (key, value) == (b"FlagSet", b'{"v":1,"ignorable":true,"name":"a","value":1}')
    passed = decode(key, value)
    assert passed == UnknownRecord(name="FlagSet", version=1, key=key, value=value)
    # Kept as it is.
    assert encode(passed) == (key, value)
    assert decode(*encode(passed), IGNORABLE) == FlagSet(name="a", value=1)


def test_a_later_version_of_a_known_record_may_be_passed_over() -> None:
    passed = decode(b"TopicDeleted", b'{"v":2,"ignorable":true}')
    assert passed == UnknownRecord(
        name="TopicDeleted", version=2, key=b"TopicDeleted", value=b'{"v":2,"ignorable":true}'
    )


@pytest.mark.parametrize(
    "value",
    [b'{"v":1}', b'{"v":1,"ignorable":false}', b'{"v":1,"ignorable":1}', b'{"ignorable":true}', b"[]", b"x"],
)
def test_what_does_not_say_so_is_not_passed_over(value: bytes) -> None:
    with pytest.raises(UnreadableRecord, match="'FlagSet' is not known"):
        decode(b"FlagSet", value)


def test_no_more_is_kept_than_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passed_over, "PASSED_OVER_MAX", 3)
    record = decode(*encode(FlagSet(name="a", value=1), IGNORABLE))
    image, delta = apply_records(ClusterImage(), [record] * 3)
    assert delta == ClusterDelta.made_of(PassedOverChanges(kinds_passed_over=("FlagSet",)))
    with pytest.raises(KafkaError, match="more than 3 metadata records of later releases, the last one Flag"):
        apply_records(image, [record])
