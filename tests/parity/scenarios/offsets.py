"""OffsetCommit (key 8), OffsetFetch (key 9) and OffsetDelete (key 47)."""

from typing import Any
from uuid import UUID

from chronik.wire.apis import ApiKey
from tests.parity.registry import scenario
from tests.parity.scenarios.groups import NOBODY, at_home, synced
from tests.parity.session import Peer, Session

NOBODYS_ID = UUID(int=0xBAD)


def committing(group: str, topic: str, offset: int = 5, partition: int = 0, **more: Any) -> dict[str, Any]:
    of_partition = {"partition_index": partition, "committed_offset": offset, **more.pop("of_partition", {})}
    return {
        "group_id": group,
        "generation_id_or_member_epoch": -1,
        "topics": [{"name": topic, "partitions": [of_partition]}],
        **more,
    }


def fetching(version: int, group: str, topics: dict[str, list[int]] | None, **more: Any) -> dict[str, Any]:
    named = (
        None
        if topics is None
        else [{"name": name, "partition_indexes": partitions} for name, partitions in topics.items()]
    )
    if version >= 8:
        return {"groups": [{"group_id": group, "topics": named}], **more}
    return {"group_id": group, "topics": named, **more}


def committed(c: Peer, group: str, topic: str, offset: int = 5, partition: int = 0) -> None:
    c.prepare(ApiKey.OFFSET_COMMIT, 7, committing(group, topic, offset, partition))


# OffsetCommit


@scenario((2, 3, 4, 5, 6, 7, 8, 9))
def committing_without_a_member(s: Session, version: int) -> None:
    topic = s.topic()
    c, group = at_home(s)
    more: dict[str, Any] = {"committed_metadata": "metadata", "committed_leader_epoch": s.epoch()}
    c.ask(ApiKey.OFFSET_COMMIT, version, committing(group, topic, of_partition=more))
    c.ask(ApiKey.OFFSET_FETCH, 7, fetching(7, group, {topic: [0]}))


@scenario((10,))
def committing_by_id(s: Session, version: int) -> None:
    topic = s.topic()
    c, group = at_home(s)
    topics = [{"topic_id": s.topic_id(topic), "partitions": [{"partition_index": 0, "committed_offset": 5}]}]
    c.ask(ApiKey.OFFSET_COMMIT, version, committing(group, topic, topics=topics))
    c.ask(ApiKey.OFFSET_FETCH, 7, fetching(7, group, {topic: [0]}))


@scenario({"unknown": NOBODYS_ID, "zero": UUID(int=0)})
def committing_to_an_id(s: Session, topic_id: UUID) -> None:
    c, group = at_home(s)
    topics = [{"topic_id": topic_id, "partitions": [{"partition_index": 0, "committed_offset": 5}]}]
    c.ask(ApiKey.OFFSET_COMMIT, 10, committing(group, "", topics=topics))


@scenario((2, 9))
def committing_as_a_member(s: Session, version: int) -> None:
    topic = s.topic()
    c, group = at_home(s)
    member, generation = synced(c, group)
    known: dict[str, Any] = {"member_id": member, "generation_id_or_member_epoch": generation}
    c.ask(ApiKey.OFFSET_COMMIT, version, committing(group, topic, **known))


MEMBERS: dict[str, dict[str, Any]] = {
    "a generation too high": {"generation_id_or_member_epoch": 9},
    "another member": {"member_id": NOBODY},
    "no member": {"member_id": "", "generation_id_or_member_epoch": -1},
    "a member of no generation": {"generation_id_or_member_epoch": -1},
    "an unknown instance": {"group_instance_id": "instance"},
}


@scenario((7, 9), MEMBERS)
def committing_to_a_living_group_as(s: Session, version: int, more: dict[str, Any]) -> None:
    topic = s.topic()
    c, group = at_home(s)
    member, generation = synced(c, group)
    known: dict[str, Any] = {"member_id": member, "generation_id_or_member_epoch": generation}
    c.ask(ApiKey.OFFSET_COMMIT, version, committing(group, topic, **{**known, **more}))


@scenario((2, 9))
def committing_with_a_generation_of_a_group_that_is_not_there(s: Session, version: int) -> None:
    topic = s.topic()
    c, group = at_home(s)
    more: dict[str, Any] = {"member_id": NOBODY, "generation_id_or_member_epoch": 1}
    c.ask(ApiKey.OFFSET_COMMIT, version, committing(group, topic, **more))


@scenario((2, 9), {"unknown": "missing", "bad": None})
def committing_to_a_topic_that_is(s: Session, version: int, base: str | None) -> None:
    c, group = at_home(s)
    c.ask(ApiKey.OFFSET_COMMIT, version, committing(group, s.name(base) if base else "a b"))


@scenario((2, 9), {"1": 1, "-1": -1})
def committing_to_a_partition_that_is_not_there(s: Session, version: int, partition: int) -> None:
    topic = s.topic()
    c, group = at_home(s)
    c.ask(ApiKey.OFFSET_COMMIT, version, committing(group, topic, partition=partition))


@scenario((2, 9), {"0": 0, "-1": -1, "-2": -2, "behind the end": 10**12})
def committing_offset(s: Session, version: int, offset: int) -> None:
    topic = s.topic()
    c, group = at_home(s)
    c.ask(ApiKey.OFFSET_COMMIT, version, committing(group, topic, offset))
    c.ask(ApiKey.OFFSET_FETCH, 7, fetching(7, group, {topic: [0]}))


@scenario((2, 9), {"null": None, "empty": "", "at the limit": "x" * 4096, "too long": "x" * 4097})
def committing_metadata(s: Session, version: int, metadata: str | None) -> None:
    topic = s.topic()
    c, group = at_home(s)
    c.ask(
        ApiKey.OFFSET_COMMIT,
        version,
        committing(group, topic, of_partition={"committed_metadata": metadata}),
    )


@scenario((2, 9))
def committing_nothing(s: Session, version: int) -> None:
    c, group = at_home(s)
    c.ask(ApiKey.OFFSET_COMMIT, version, committing(group, "", topics=[]))


@scenario((2, 9))
def committing_no_partitions(s: Session, version: int) -> None:
    topic = s.topic()
    c, group = at_home(s)
    topics = [{"name": topic, "partitions": []}]
    c.ask(ApiKey.OFFSET_COMMIT, version, committing(group, "", topics=topics))


@scenario((2, 9))
def committing_a_partition_twice(s: Session, version: int) -> None:
    topic = s.topic()
    c, group = at_home(s)
    partitions = [{"partition_index": 0, "committed_offset": offset} for offset in (5, 6)]
    topics = [{"name": topic, "partitions": partitions}]
    c.ask(ApiKey.OFFSET_COMMIT, version, committing(group, "", topics=topics))
    c.ask(ApiKey.OFFSET_FETCH, 7, fetching(7, group, {topic: [0]}))


@scenario((2, 9), nodes=1)
def committing_to_the_empty_group(s: Session, version: int) -> None:
    topic = s.topic()
    s.ask(ApiKey.OFFSET_COMMIT, version, committing("", topic))


@scenario({"a day": 86_400_000, "0": 0})
def committing_with_a_retention_time_of(s: Session, retention_ms: int) -> None:
    topic = s.topic()
    c, group = at_home(s)
    c.ask(ApiKey.OFFSET_COMMIT, 4, committing(group, topic, retention_time_ms=retention_ms))


# OffsetFetch


@scenario((1, 2, 3, 4, 5, 6, 7, 8, 9))
def fetching_offsets(s: Session, version: int) -> None:
    topic = s.topic(partitions=2)
    c, group = at_home(s)
    committed(c, group, topic)
    c.ask(ApiKey.OFFSET_FETCH, version, fetching(version, group, {topic: [0, 1]}))


@scenario((10,))
def fetching_offsets_by_id(s: Session, version: int) -> None:
    topic = s.topic()
    c, group = at_home(s)
    committed(c, group, topic)
    topics = [{"topic_id": s.topic_id(topic), "partition_indexes": [0, 1]}]
    c.ask(ApiKey.OFFSET_FETCH, version, {"groups": [{"group_id": group, "topics": topics}]})


@scenario({"unknown": NOBODYS_ID, "zero": UUID(int=0)})
def fetching_offsets_of_an_id(s: Session, topic_id: UUID) -> None:
    c, group = at_home(s)
    topics = [{"topic_id": topic_id, "partition_indexes": [0]}]
    c.ask(ApiKey.OFFSET_FETCH, 10, {"groups": [{"group_id": group, "topics": topics}]})


@scenario((2, 7, 8, 9, 10))
def fetching_all_offsets(s: Session, version: int) -> None:
    topic = s.topic(partitions=2)
    c, group = at_home(s)
    committed(c, group, topic)
    committed(c, group, topic, 6, 1)
    c.ask(ApiKey.OFFSET_FETCH, version, fetching(version, group, None))


@scenario((1, 9))
def fetching_all_offsets_where_there_are_none(s: Session, version: int) -> None:
    c, group = at_home(s)
    c.ask(ApiKey.OFFSET_FETCH, version, fetching(version, group, None))


@scenario((1, 9))
def fetching_offsets_of_a_group_that_is_not_there(s: Session, version: int) -> None:
    topic = s.topic()
    c, group = at_home(s)
    c.ask(ApiKey.OFFSET_FETCH, version, fetching(version, group, {topic: [0]}))


@scenario((1, 9), {"unknown": "missing", "bad": None})
def fetching_offsets_of_a_topic_that_is(s: Session, version: int, base: str | None) -> None:
    c, group = at_home(s)
    name = s.name(base) if base else "a b"
    c.ask(ApiKey.OFFSET_FETCH, version, fetching(version, group, {name: [0]}))


@scenario((1, 9), {"7": [7], "-1": [-1], "none": [], "twice": [0, 0]})
def fetching_offsets_of_partitions(s: Session, version: int, partitions: list[int]) -> None:
    topic = s.topic()
    c, group = at_home(s)
    committed(c, group, topic)
    c.ask(ApiKey.OFFSET_FETCH, version, fetching(version, group, {topic: partitions}))


@scenario((1, 9))
def fetching_no_offsets(s: Session, version: int) -> None:
    topic = s.topic()
    c, group = at_home(s)
    committed(c, group, topic)
    c.ask(ApiKey.OFFSET_FETCH, version, fetching(version, group, {}))


@scenario((7, 9))
def fetching_stable_offsets(s: Session, version: int) -> None:
    topic = s.topic()
    c, group = at_home(s)
    committed(c, group, topic)
    c.ask(ApiKey.OFFSET_FETCH, version, fetching(version, group, {topic: [0]}, require_stable=True))


@scenario((1, 9), nodes=1)
def fetching_offsets_of_the_empty_group(s: Session, version: int) -> None:
    topic = s.topic()
    s.ask(ApiKey.OFFSET_FETCH, version, fetching(version, "", {topic: [0]}))


@scenario((8, 9), nodes=1)
def fetching_offsets_of_two_groups(s: Session, version: int) -> None:
    topic = s.topic()
    groups = [s.name("a"), s.name("b")]
    committed(s, groups[0], topic)
    wanted = [{"name": topic, "partition_indexes": [0]}]
    s.ask(ApiKey.OFFSET_FETCH, version, {"groups": [{"group_id": each, "topics": wanted} for each in groups]})


@scenario((8, 9))
def fetching_offsets_of_no_group(s: Session, version: int) -> None:
    s.ask(ApiKey.OFFSET_FETCH, version, {"groups": []})


MEMBERS_9: dict[str, dict[str, Any]] = {
    "nobody": {"member_id": NOBODY, "member_epoch": 1},
    "no member": {"member_id": None, "member_epoch": -1},
    "an epoch without member": {"member_id": None, "member_epoch": 3},
}


@scenario(MEMBERS_9)
def fetching_offsets_as(s: Session, more: dict[str, Any]) -> None:
    topic = s.topic()
    c, group = at_home(s)
    committed(c, group, topic)
    wanted = [{"name": topic, "partition_indexes": [0]}]
    c.ask(ApiKey.OFFSET_FETCH, 9, {"groups": [{"group_id": group, "topics": wanted, **more}]})


# OffsetDelete


def deleting(group: str, topic: str, *partitions: int) -> dict[str, Any]:
    named = [{"partition_index": partition} for partition in partitions]
    return {"group_id": group, "topics": [{"name": topic, "partitions": named}]}


@scenario()
def deleting_offsets(s: Session) -> None:
    topic = s.topic()
    c, group = at_home(s)
    committed(c, group, topic)
    c.ask(ApiKey.OFFSET_DELETE, 0, deleting(group, topic, 0))
    c.ask(ApiKey.OFFSET_FETCH, 7, fetching(7, group, {topic: [0]}))


@scenario((0, 6))
def describing_a_group_whose_last_offset_was_deleted(s: Session, version: int) -> None:
    topic = s.topic()
    c, group = at_home(s)
    committed(c, group, topic)
    c.prepare(ApiKey.OFFSET_DELETE, 0, deleting(group, topic, 0))
    c.ask(ApiKey.DESCRIBE_GROUPS, version, {"groups": [group]})
    c.ask(ApiKey.LIST_GROUPS, 5)


@scenario()
def deleting_offsets_of_a_group_that_is_not_there(s: Session) -> None:
    topic = s.topic()
    c, group = at_home(s)
    c.ask(ApiKey.OFFSET_DELETE, 0, deleting(group, topic, 0))


@scenario({"unknown": "missing", "bad": None})
def deleting_offsets_of_a_topic_that_is(s: Session, base: str | None) -> None:
    topic = s.topic()
    c, group = at_home(s)
    committed(c, group, topic)
    c.ask(ApiKey.OFFSET_DELETE, 0, deleting(group, s.name(base) if base else "a b", 0))


@scenario({"7": 7, "-1": -1})
def deleting_offsets_of_partition(s: Session, partition: int) -> None:
    topic = s.topic()
    c, group = at_home(s)
    committed(c, group, topic)
    c.ask(ApiKey.OFFSET_DELETE, 0, deleting(group, topic, partition))


@scenario()
def deleting_no_offsets(s: Session) -> None:
    topic = s.topic()
    c, group = at_home(s)
    committed(c, group, topic)
    c.ask(ApiKey.OFFSET_DELETE, 0, {"group_id": group, "topics": []})


@scenario()
def deleting_offsets_of_a_living_group(s: Session) -> None:
    topic = s.topic()
    c, group = at_home(s)
    committed(c, group, topic)
    synced(c, group)
    c.ask(ApiKey.OFFSET_DELETE, 0, deleting(group, topic, 0))


@scenario(nodes=1)
def deleting_offsets_of_the_empty_group(s: Session) -> None:
    topic = s.topic()
    s.ask(ApiKey.OFFSET_DELETE, 0, deleting("", topic, 0))
