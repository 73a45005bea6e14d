"""A topic that is deleted and made again, under a group that has committed offsets for it."""

from typing import Any
from uuid import UUID

from chronik.vocab.errors import ErrorCode
from chronik.wire.apis import ApiKey
from tests.parity.registry import scenario
from tests.parity.session import Answer, Peer, Session

TOPIC = "standing"


def committing(group: str, topic: str | UUID, offset: int, epoch: int = -1) -> dict[str, Any]:
    named = {"topic_id": topic} if isinstance(topic, UUID) else {"name": topic}
    partition = {"partition_index": 0, "committed_offset": offset, "committed_leader_epoch": epoch}
    return {
        "group_id": group,
        "generation_id_or_member_epoch": -1,
        "topics": [{**named, "partitions": [partition]}],
    }


def fetching(version: int, group: str, topic: str | UUID) -> dict[str, Any]:
    named = {"topic_id": topic} if isinstance(topic, UUID) else {"name": topic}
    topics = [{**named, "partition_indexes": [0]}]
    if version >= 8:
        return {"groups": [{"group_id": group, "topics": topics}]}
    return {"group_id": group, "topics": topics}


def offset_in(answer: Answer) -> int:
    """The one committed offset that was asked for, in whichever form the version has."""
    topics = answer["topics"] if "topics" in answer else answer["groups"][0]["topics"]
    found: int = topics[0]["partitions"][0]["committed_offset"]
    return found


def made_again(s: Session) -> tuple[Peer, str, str, UUID]:
    """The coordinator, the group, the topic's name, and the id of the first topic of this name."""
    name, group = s.topic(TOPIC), s.name("group")
    first_id = s.topic_id(name)
    c = s.coordinator(group)
    c.prepare(ApiKey.OFFSET_COMMIT, 7, committing(group, name, 5))
    deleted = s.prepare(ApiKey.DELETE_TOPICS, 1, {"topic_names": [name], "timeout_ms": 30_000})
    assert deleted["responses"][0]["error_code"] == ErrorCode.NONE
    s.wait_gone(name)
    # A coordinator of Kafka forgets a moment later.
    c.wait_until(lambda answer: offset_in(answer) == -1, ApiKey.OFFSET_FETCH, 5, fetching(5, group, name))
    assert s.topic(TOPIC) == name
    return c, group, name, first_id


@scenario((1, 9))
def offsets_of_the_topic_before(s: Session, version: int) -> None:
    c, group, name, _ = made_again(s)
    c.ask(ApiKey.OFFSET_FETCH, version, fetching(version, group, name))


@scenario()
def offsets_by_the_id_of_the_topic_before(s: Session) -> None:
    c, group, _, first_id = made_again(s)
    c.ask(ApiKey.OFFSET_FETCH, 10, fetching(10, group, first_id))


@scenario()
def committing_by_the_id_of_the_topic_before(s: Session) -> None:
    c, group, name, first_id = made_again(s)
    c.ask(ApiKey.OFFSET_COMMIT, 10, committing(group, first_id, 7))
    c.ask(ApiKey.OFFSET_FETCH, 9, fetching(9, group, name))


@scenario((2, 9))
def committing_by_name(s: Session, version: int) -> None:
    c, group, name, _ = made_again(s)
    c.ask(ApiKey.OFFSET_COMMIT, version, committing(group, name, 7))
    c.ask(ApiKey.OFFSET_FETCH, 5, fetching(5, group, name))


@scenario((6, 9))
def committing_late_with_an_epoch_of_the_topic_before(s: Session, version: int) -> None:
    c, group, name, _ = made_again(s)
    c.ask(ApiKey.OFFSET_COMMIT, version, committing(group, name, 7, s.epoch()))
    c.ask(ApiKey.OFFSET_FETCH, 5, fetching(5, group, name), hide={"committed_leader_epoch"})


def gone(s: Session) -> tuple[Peer, str, str]:
    """The coordinator, a group that committed nothing but for one topic, and that topic, which is deleted."""
    name, group = s.topic(TOPIC), s.name("group")
    c = s.coordinator(group)
    c.prepare(ApiKey.OFFSET_COMMIT, 7, committing(group, name, 5))
    s.prepare(ApiKey.DELETE_TOPICS, 1, {"topic_names": [name], "timeout_ms": 30_000})
    s.wait_gone(name)
    c.wait_until(lambda answer: offset_in(answer) == -1, ApiKey.OFFSET_FETCH, 5, fetching(5, group, name))
    return c, group, name


@scenario((0, 5, 6))
def describing_a_group_whose_topic_is_gone(s: Session, version: int) -> None:
    c, group, _ = gone(s)
    c.ask(ApiKey.DESCRIBE_GROUPS, version, {"groups": [group]})


@scenario((0, 5))
def listing_a_group_whose_topic_is_gone(s: Session, version: int) -> None:
    c, _, _ = gone(s)
    c.ask(ApiKey.LIST_GROUPS, version)


@scenario((1, 7, 9))
def fetching_offsets_of_a_group_whose_topic_is_gone(s: Session, version: int) -> None:
    c, group, name = gone(s)
    c.ask(ApiKey.OFFSET_FETCH, version, fetching(version, group, name))


@scenario((2, 9))
def committing_to_a_group_whose_topic_is_gone(s: Session, version: int) -> None:
    c, group, name = gone(s)
    c.ask(ApiKey.OFFSET_COMMIT, version, committing(group, name, 7))
    c.ask(ApiKey.OFFSET_FETCH, 5, fetching(5, group, name))


@scenario((0, 2))
def deleting_a_group_whose_topic_is_gone(s: Session, version: int) -> None:
    c, group, _ = gone(s)
    c.ask(ApiKey.DELETE_GROUPS, version, {"groups_names": [group]})
    c.ask(ApiKey.DESCRIBE_GROUPS, 5, {"groups": [group]})
