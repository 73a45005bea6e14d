"""No answer has a null where Kafka sends a value: each nullable field of each answer is in a table, and the
answers to thousands of well-formed requests are held to it.
"""

import asyncio
from collections.abc import Iterator
from random import Random

import pytest

from chronik.broker.context import NoAnswer
from chronik.sim.frames import Request, cut_frames, decode_response
from chronik.sim.virtual_time import virtual
from chronik.wire.apis import SUPPORTED, ApiKey, response_class
from chronik.wire.codec import encode
from chronik.wire.messages.describe_topic_partitions import (
    DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
)
from chronik.wire.schema import Struct, fields
from tests.support.broker_room import BrokerRoom
from tests.support.client_session import client_session
from tests.support.nulls import MAY_BE_NULL, NEVER_NULL, check_nulls
from tests.support.protocol.generate import World, message

REQUESTS_PER_API = 60
TOPICS = ("fuzz-a", "fuzz-b", "fuzz-c")
# Longer than members of groups wait for each other.
ANSWER_SECONDS = 600


def nullable_fields(struct: type[Struct]) -> Iterator[str]:
    for field in fields(struct):
        if field.nullable.last >= field.nullable.first:
            yield f"{struct.__name__}.{field.name}"
        if field.struct is not None:
            yield from nullable_fields(field.struct)


@pytest.mark.parametrize("api_key", SUPPORTED, ids=lambda key: key.name)
def test_each_nullable_field_is_decided(api_key: ApiKey) -> None:
    decided = MAY_BE_NULL.get(api_key, {}).keys() | NEVER_NULL.get(api_key, frozenset())
    assert set(nullable_fields(response_class(api_key))) == decided
    assert not MAY_BE_NULL.get(api_key, {}).keys() & NEVER_NULL.get(api_key, frozenset())


def test_a_null_that_java_stumbles_over_is_found() -> None:
    partition = DescribeTopicPartitionsResponsePartition()
    topic = DescribeTopicPartitionsResponseTopic(name="t", partitions=[partition])
    response = DescribeTopicPartitionsResponse(topics=[topic])
    with pytest.raises(AssertionError, match="eligible_leader_replicas"):
        check_nulls(ApiKey.DESCRIBE_TOPIC_PARTITIONS, 0, response)
    partition.eligible_leader_replicas = partition.last_known_elr = []
    check_nulls(ApiKey.DESCRIBE_TOPIC_PARTITIONS, 0, response)


@pytest.mark.parametrize("api_key", SUPPORTED, ids=lambda key: key.name)
@virtual
async def test_answers_are_held_to_the_table(api_key: ApiKey) -> None:
    room = await BrokerRoom().open()
    for topic in TOPICS:
        await room.create(topic, partitions=3)
        assert (await room.produce(topic, b"a", b"b"))[0] == 0
    ids = tuple(room.broker.metadata.image.topics[topic].topic_id for topic in TOPICS)
    world = World(topics=(*TOPICS, "__consumer_offsets"), topic_ids=(bytes(16), *ids))
    chance = Random(api_key)
    answers = 0
    for number in range(REQUESTS_PER_API):
        first, last = SUPPORTED[api_key]
        version = (first, last)[number] if number < 2 else chance.randint(first, last)
        body = encode(message(chance, world, api_key, version), version)
        answers += await answer_is_good(room, Request(api_key, version, number, body))
    assert answers > REQUESTS_PER_API // 4
    await room.close()


async def answer_is_good(room: BrokerRoom, asked: Request) -> bool:
    """True if there was an answer: what acks=0 asks for, or garbage, has none."""
    try:
        reply = room.dispatcher.dispatch(memoryview(asked.frame)[4:], client_session())
        parts = reply
        if isinstance(reply, asyncio.Future):
            parts = await asyncio.wait_for(reply, ANSWER_SECONDS)
    except (NoAnswer, ValueError, TimeoutError):
        return False
    if parts is None or isinstance(parts, asyncio.Future):
        return False
    (frame,) = cut_frames(b"".join(parts))
    check_nulls(ApiKey(asked.api_key), asked.version, decode_response(asked, frame))
    return True
