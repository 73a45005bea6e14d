"""Commands and answers travel and arrive as they left."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronik.cluster import json_codec
from chronik.cluster.answers import NOT_DECIDED, UNKNOWN, Answer, Outcome, refused
from chronik.cluster.command_codec import (
    Question,
    decode_answer,
    decode_question,
    encode_answer,
    encode_question,
)
from chronik.cluster.json_codec import from_json
from chronik.cluster.metadata.brokers import BrokerEndpoint, FenceBroker, RegisterBroker
from chronik.cluster.metadata.configs import (
    AlterConfigs,
    AlterOp,
    ConfigChange,
    ConfigResource,
    IncrementalAlterConfigs,
)
from chronik.cluster.metadata.producer_ids import AllocateProducerIds
from chronik.cluster.metadata.subject import Command
from chronik.cluster.metadata.topics import CreatePartitions, CreateTopic, DeleteTopic
from chronik.vocab.config.definition import ResourceType
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.features import FeatureRange
from chronik.vocab.ids import NodeId, Offset, TopicId

from .builders import World, register

texts = st.text(max_size=20)
nodes = st.integers(0, 2**31 - 1).map(NodeId)
topic_ids = st.binary(min_size=16, max_size=16).map(TopicId)
replicas = st.lists(nodes, max_size=4).map(tuple)
resources = st.builds(ConfigResource, st.sampled_from(ResourceType), texts)
values = st.none() | texts
endpoints = st.builds(BrokerEndpoint, listener=texts, host=texts, port=st.integers(0, 65535))
commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(
        CreateTopic,
        name=texts,
        partitions=st.integers(-1, 9),
        replication_factor=st.integers(-1, 9),
        assignments=st.dictionaries(st.integers(0, 9), replicas),
        configs=st.dictionaries(texts, values),
        topic_id=st.none() | topic_ids,
    ),
    st.builds(DeleteTopic, name=values, topic_id=st.none() | topic_ids),
    st.builds(
        CreatePartitions,
        name=texts,
        count=st.integers(),
        assignments=st.none() | st.lists(replicas).map(tuple),
    ),
    st.builds(
        IncrementalAlterConfigs,
        resource=resources,
        changes=st.lists(st.builds(ConfigChange, texts, st.sampled_from(AlterOp), values)).map(tuple),
    ),
    st.builds(AlterConfigs, resource=resources, entries=st.dictionaries(texts, values)),
    st.builds(
        RegisterBroker,
        node=nodes,
        directory_id=texts,
        endpoints=st.lists(endpoints).map(tuple),
        rack=values,
        features=st.lists(st.builds(FeatureRange, texts, st.integers(0, 9), st.integers(0, 9))).map(tuple),
    ),
    st.builds(FenceBroker, node=nodes, epoch=st.integers(0, 9)),
    st.builds(AllocateProducerIds, node=nodes),
)


@given(commands, st.booleans(), st.integers(0, 2**31))
def test_questions(command: Command, validate_only: bool, timeout_ms: int) -> None:
    question = Question(command, validate_only, timeout_ms)
    assert decode_question(encode_question(question)) == question


@pytest.mark.parametrize(
    "answer",
    [
        NOT_DECIDED,
        UNKNOWN,
        Answer(fate=Outcome.DONE, offset=Offset(5)),
        refused(KafkaError(ErrorCode.TOPIC_ALREADY_EXISTS, "Topic 'ä' exists"), Offset(2**40)),
        refused(KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR)),
    ],
)
def test_answers(answer: Answer) -> None:
    assert decode_answer(encode_answer(answer)) == answer


def test_answers_with_any_change() -> None:
    world = World(3)
    for command in (
        CreateTopic(name="a", partitions=5, replication_factor=3, configs={"retention.ms": "5"}),
        CreatePartitions(name="a", count=8),
        DeleteTopic(name="a"),
        AllocateProducerIds(node=NodeId(2)),
        FenceBroker(node=NodeId(3), epoch=0),
        register(3, rack="r"),
    ):
        answer = Answer(fate=Outcome.DONE, offset=Offset(5), delta=world.do(command))
        assert decode_answer(encode_answer(answer)) == answer


def test_what_a_newer_release_adds_is_ignored_and_what_an_older_one_lacks_is_the_default() -> None:
    question = decode_question(b'CreateTopic 0 7\n{"name":"a","colour":"red"}')
    assert question == Question(CreateTopic(name="a"), False, 7)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"CreateTopic 0 7\n",
        b"CreateTopic 0\n{}",
        b"CreateTopic 0 7\n[]",
        b"CreateTopic 0 7\n{}",
        b'CreateTopic 0 7\n{"name":7}',
        b'CreateTopic 0 7\n{"name":"a","partitions":true}',
        b'CreateTopic 0 7\n{"name":"a","configs":[["k"]]}',
        b'CreateTopic 0 7\n{"name":"a","topic_id":"!"}',
        b'IncrementalAlterConfigs 0 7\n{"resource":{"type":"MOON","name":""},"changes":[]}',
        b"Surprise 0 7\n{}",
        b"\xff\xff",
    ],
)
def test_nonsense_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it finds first
        decode_question(data)


def test_types_without_a_codec_are_a_mistake_in_this_release() -> None:
    for kind in (float, int | str, object):
        with pytest.raises(TypeError):
            from_json(kind, b"1")  # type: ignore[arg-type]


def test_sequences_and_mappings_of_any_depth() -> None:
    kind: object = Mapping[str, Sequence[int | None]]
    data = json_codec.to_json(kind, {"a": (1, None)})  # type: ignore[arg-type]
    assert from_json(kind, data) == {"a": (1, None)}  # type: ignore[arg-type]
