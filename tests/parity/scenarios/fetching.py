"""Fetch (key 1)."""

from typing import Any
from uuid import UUID

from chronik.wire.apis import ApiKey
from tests.parity.registry import scenario
from tests.parity.session import Session

VERSIONS = (4, 12, 18)
NOBODYS_ID = UUID(int=0xBAD)


def fields(
    s: Session, version: int, topic: str, offset: int = 0, partition: int = 0, **more: Any
) -> dict[str, Any]:
    """A request for one partition without a session, by name or by id as the version has it."""
    wanted = {
        "partition": partition,
        "fetch_offset": offset,
        "partition_max_bytes": 1 << 20,
        **more.pop("of_partition", {}),
    }
    named = {"topic_id": s.topic_id(topic)} if version >= 13 else {"topic": topic}
    return {
        "max_wait_ms": 0,
        "max_bytes": 1 << 20,
        "session_epoch": -1,
        "topics": [{**named, "partitions": [wanted]}],
        **more,
    }


def filled(s: Session) -> str:
    topic = s.topic()
    s.produce(topic, b"one", b"two")
    s.produce(topic, b"three")
    return topic


@scenario((4, 5, 7, 9, 11, 12, 13, 15, 16, 17, 18))
def from_the_beginning(s: Session, version: int) -> None:
    s.ask(ApiKey.FETCH, version, fields(s, version, filled(s)))


@scenario(VERSIONS)
def from_the_middle_of_a_batch(s: Session, version: int) -> None:
    s.ask(ApiKey.FETCH, version, fields(s, version, filled(s), 1))


@scenario(VERSIONS, {"the end": 3, "behind the end": 4, "-1": -1, "-2": -2, "largest": 2**63 - 1})
def reading_from(s: Session, version: int, offset: int) -> None:
    s.ask(ApiKey.FETCH, version, fields(s, version, filled(s), offset))


@scenario(VERSIONS)
def an_empty_partition(s: Session, version: int) -> None:
    s.ask(ApiKey.FETCH, version, fields(s, version, s.topic()))


@scenario((4, 12))
def an_unknown_topic(s: Session, version: int) -> None:
    s.ask(ApiKey.FETCH, version, fields(s, version, s.name("missing")))


@scenario((13, 18), {"unknown": NOBODYS_ID, "zero": UUID(int=0)})
def an_id(s: Session, version: int, topic_id: UUID) -> None:
    request = fields(s, 12, "")
    partitions = request["topics"][0]["partitions"]
    s.ask(ApiKey.FETCH, version, {**request, "topics": [{"topic_id": topic_id, "partitions": partitions}]})


@scenario(VERSIONS, {"1": 1, "-1": -1})
def a_partition_that_is_not_there(s: Session, version: int, partition: int) -> None:
    s.ask(ApiKey.FETCH, version, fields(s, version, s.topic(), partition=partition))


@scenario((4, 12), {"empty": "", "dots": "..", "space": "a b"})
def a_bad_name(s: Session, version: int, name: str) -> None:
    s.ask(ApiKey.FETCH, version, fields(s, version, name))


@scenario(VERSIONS, {"0": 0, "1": 1, "-1": -1})
def max_bytes(s: Session, version: int, max_bytes: int) -> None:
    s.ask(ApiKey.FETCH, version, fields(s, version, filled(s), max_bytes=max_bytes))


@scenario(VERSIONS, {"0": 0, "1": 1, "-1": -1, "100": 100})
def partition_max_bytes(s: Session, version: int, size: int) -> None:
    request = fields(s, version, filled(s), of_partition={"partition_max_bytes": size})
    s.ask(ApiKey.FETCH, version, request)


@scenario((4, 12))
def no_bytes_left_for_the_second_partition(s: Session, version: int) -> None:
    topic = s.topic(partitions=2)
    for partition in (0, 1):
        s.produce(topic, b"x" * 500, partition=partition)
    wanted = [
        {"partition": partition, "fetch_offset": 0, "partition_max_bytes": 1 << 20} for partition in (0, 1)
    ]
    s.ask(
        ApiKey.FETCH,
        version,
        {
            "max_wait_ms": 0,
            "max_bytes": 600,
            "session_epoch": -1,
            "topics": [{"topic": topic, "partitions": wanted}],
        },
    )


@scenario(VERSIONS, {"0": 0, "1": 1, "2": 2, "-1": -1})
def isolation_level(s: Session, version: int, level: int) -> None:
    s.ask(ApiKey.FETCH, version, fields(s, version, filled(s), isolation_level=level))


@scenario(VERSIONS, {"0": 0, "-1": -1})
def min_bytes(s: Session, version: int, min_bytes: int) -> None:
    s.ask(ApiKey.FETCH, version, fields(s, version, s.topic(), min_bytes=min_bytes, max_wait_ms=50))


@scenario((4, 12), {"-1": -1, "20": 20})
def max_wait_on_an_empty_partition(s: Session, version: int, max_wait_ms: int) -> None:
    s.ask(ApiKey.FETCH, version, fields(s, version, s.topic(), min_bytes=1, max_wait_ms=max_wait_ms))


@scenario((12, 18), {"0": 0, "5": 5, "-2": -2})
def a_leader_epoch(s: Session, version: int, epoch: int) -> None:
    topic = filled(s)
    given = epoch if epoch < 0 else s.epoch(epoch)
    s.ask(ApiKey.FETCH, version, fields(s, version, topic, of_partition={"current_leader_epoch": given}))


@scenario((12, 18), {"0": 0, "5": 5})
def a_last_fetched_epoch(s: Session, version: int, epoch: int) -> None:
    topic = filled(s)
    given = {"last_fetched_epoch": s.epoch(epoch)}
    s.ask(ApiKey.FETCH, version, fields(s, version, topic, of_partition=given))


@scenario(VERSIONS)
def no_topics(s: Session, version: int) -> None:
    s.ask(ApiKey.FETCH, version, {"max_wait_ms": 0, "max_bytes": 1 << 20, "session_epoch": -1, "topics": []})


@scenario((4, 12))
def no_partitions(s: Session, version: int) -> None:
    topics = [{"topic": s.topic(), "partitions": []}]
    s.ask(ApiKey.FETCH, version, {"max_bytes": 1 << 20, "session_epoch": -1, "topics": topics})


@scenario((4, 12))
def a_partition_named_twice(s: Session, version: int) -> None:
    request = fields(s, version, filled(s))
    partitions = request["topics"][0]["partitions"]
    partitions.append({**partitions[0], "fetch_offset": 2})
    s.ask(ApiKey.FETCH, version, request)


@scenario((4, 12))
def one_good_partition_and_one_bad(s: Session, version: int) -> None:
    request = fields(s, version, filled(s))
    partitions = request["topics"][0]["partitions"]
    partitions.append({**partitions[0], "partition": 9})
    s.ask(ApiKey.FETCH, version, request)


@scenario((4, 14), {"-2": -2, "7": 7})
def a_replica_id(s: Session, version: int, replica_id: int) -> None:
    s.ask(ApiKey.FETCH, version, fields(s, version, filled(s), replica_id=replica_id))


@scenario((7, 12, 18))
def a_session(s: Session, version: int) -> None:
    topic = filled(s)
    made = s.ask(ApiKey.FETCH, version, fields(s, version, topic, session_epoch=0))
    more = {"max_wait_ms": 0, "max_bytes": 1 << 20, "session_id": made["session_id"]}
    s.ask(ApiKey.FETCH, version, {**more, "session_epoch": 1})
    s.produce(topic, b"four")
    s.ask(ApiKey.FETCH, version, {**more, "session_epoch": 2})
    s.ask(ApiKey.FETCH, version, {**fields(s, version, topic, 4), **more, "session_epoch": 3})
    s.ask(ApiKey.FETCH, version, {**more, "session_epoch": 4})


@scenario((7, 18))
def a_session_that_forgets_a_topic(s: Session, version: int) -> None:
    topic = filled(s)
    made = s.ask(ApiKey.FETCH, version, fields(s, version, topic, session_epoch=0))
    named = {"topic_id": s.topic_id(topic)} if version >= 13 else {"topic": topic}
    forgotten = [{**named, "partitions": [0]}]
    more = {"max_wait_ms": 0, "max_bytes": 1 << 20, "session_id": made["session_id"]}
    s.ask(ApiKey.FETCH, version, {**more, "session_epoch": 1, "forgotten_topics_data": forgotten})
    s.ask(ApiKey.FETCH, version, {**more, "session_epoch": 2})


@scenario((7, 18), {"skipped": 5, "repeated": 1, "negative": -5})
def a_session_epoch_that_is(s: Session, version: int, epoch: int) -> None:
    made = s.ask(ApiKey.FETCH, version, fields(s, version, filled(s), session_epoch=0))
    more = {"max_wait_ms": 0, "max_bytes": 1 << 20, "session_id": made["session_id"]}
    s.ask(ApiKey.FETCH, version, {**more, "session_epoch": 1})
    s.ask(ApiKey.FETCH, version, {**more, "session_epoch": epoch})


@scenario((7, 18), {"0": 0, "1": 1, "-1": -1})
def a_session_that_is_unknown(s: Session, version: int, epoch: int) -> None:
    more = {"max_wait_ms": 0, "max_bytes": 1 << 20, "session_id": 123_456_789}
    s.ask(ApiKey.FETCH, version, {**more, "session_epoch": epoch})


@scenario((7, 18))
def a_session_that_is_closed(s: Session, version: int) -> None:
    made = s.ask(ApiKey.FETCH, version, fields(s, version, filled(s), session_epoch=0))
    more = {"max_wait_ms": 0, "max_bytes": 1 << 20, "session_id": made["session_id"]}
    s.ask(ApiKey.FETCH, version, {**more, "session_epoch": -1})
    s.ask(ApiKey.FETCH, version, {**more, "session_epoch": 1})


@scenario((7, 12))
def a_session_with_an_unknown_partition(s: Session, version: int) -> None:
    made = s.ask(ApiKey.FETCH, version, fields(s, version, s.topic(), partition=9, session_epoch=0))
    more = {"max_wait_ms": 0, "max_bytes": 1 << 20, "session_id": made["session_id"]}
    s.ask(ApiKey.FETCH, version, {**more, "session_epoch": 1})


@scenario((4, 12))
def below_the_log_start(s: Session, version: int) -> None:
    topic = filled(s)
    partitions = [{"partition_index": 0, "offset": 2}]
    s.prepare(
        ApiKey.DELETE_RECORDS,
        1,
        {"topics": [{"name": topic, "partitions": partitions}], "timeout_ms": 30_000},
    )
    s.ask(ApiKey.FETCH, version, fields(s, version, topic, 1))
    s.ask(ApiKey.FETCH, version, fields(s, version, topic, 2))


@scenario({"the cluster's": "", "another": "another-cluster"})
def a_cluster_id(s: Session, cluster_id: str) -> None:
    s.ask(ApiKey.FETCH, 12, fields(s, 12, filled(s), cluster_id=cluster_id or None))


@scenario((11, 18))
def a_rack(s: Session, version: int) -> None:
    s.ask(ApiKey.FETCH, version, fields(s, version, filled(s), rack_id="rack-a"))
