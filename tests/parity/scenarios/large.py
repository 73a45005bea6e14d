"""Requests that name very many things: what is refused as too much at once, and what is only long.

Long arrays are written down as what is the same in their elements, and how often (`normalize.py`).
"""

from typing import Any

from chronik.vocab.errors import ErrorCode
from chronik.wire.apis import ApiKey
from tests.parity.registry import scenario
from tests.parity.scenarios.groups import at_home, joining, member_of, syncing
from tests.parity.scenarios.topics import create, grow, topic
from tests.parity.session import Session

# Kafka's controller refuses operations of more than 10,000 records, and of more than 10,000 partitions.
MANY = 10_001


def names(s: Session, count: int) -> list[str]:
    return [s.name(f"many{number:05}") for number in range(count)]


# Partitions


@scenario((2, 7), {"really": False, "only validating": True})
def creating_a_topic_of_very_many_partitions(s: Session, version: int, validate_only: bool) -> None:
    name = s.name("orders")
    create(s, version, topic(name, MANY), validate_only=validate_only)
    s.ask(ApiKey.METADATA, 12, {"topics": [{"name": name}], "allow_auto_topic_creation": False})


@scenario((7,), {"both together": 5_001, "one of them": MANY})
def creating_topics_of_very_many_partitions(s: Session, version: int, partitions: int) -> None:
    wanted = [topic(s.name("few")), topic(s.name("a"), 5_000), topic(s.name("b"), partitions)]
    create(s, version, *wanted, validate_only=True)


@scenario((7,), {"a bad name": "a b", "one that is there": ""})
def creating_very_many_partitions_beside(s: Session, version: int, name: str) -> None:
    create(s, version, topic(name or s.topic("there")), topic(s.name("orders"), MANY), validate_only=True)


@scenario((7,))
def creating_very_many_partitions_of_a_topic_that_is_there(s: Session, version: int) -> None:
    create(s, version, topic(s.topic(), MANY))


# On a node alone other scenarios have partitions, too: here a node has no more than 10,000.
@scenario((7,), {"9,999": MANY - 2, "10,000": MANY - 1}, nodes=3)
def creating_partitions_at_the_limit(s: Session, version: int, partitions: int) -> None:
    create(s, version, topic(s.name("orders"), partitions), validate_only=True)


@scenario((0, 3), {"really": False, "only validating": True})
def growing_by_very_many_partitions(s: Session, version: int, validate_only: bool) -> None:
    name = s.topic()
    wanted = {"name": name, "count": MANY + 1, "assignments": None}
    grow(s, version, wanted, validate_only=validate_only)
    s.ask(ApiKey.LIST_OFFSETS, 5, {"topics": [{"name": name, "partitions": [{"partition_index": 1}]}]})


@scenario((3,))
def growing_two_by_very_many_partitions_together(s: Session, version: int) -> None:
    wanted = [{"name": s.topic(base), "count": 5_100, "assignments": None} for base in ("a", "b")]
    grow(s, version, *wanted, validate_only=True)


# Decisions of the controller


@scenario((2, 7))
def creating_very_many_topics(s: Session, version: int) -> None:
    create(s, version, *(topic(name) for name in names(s, MANY)), validate_only=True)


@scenario((1, 6))
def deleting_very_many_topics_that_are_not_there(s: Session, version: int) -> None:
    named: dict[str, Any] = {"topic_names": names(s, MANY)}
    if version >= 6:
        named = {"topics": [{"name": name} for name in names(s, MANY)]}
    s.ask(ApiKey.DELETE_TOPICS, version, {**named, "timeout_ms": 30_000})


@scenario((0, 3))
def growing_very_many_topics_that_are_not_there(s: Session, version: int) -> None:
    grow(s, version, *({"name": name, "count": 2, "assignments": None} for name in names(s, MANY)))


def altering(s: Session) -> list[dict[str, Any]]:
    configs = [{"name": "retention.ms", "config_operation": 0, "value": "1000"}]
    return [{"resource_type": 2, "resource_name": name, "configs": configs} for name in names(s, MANY)]


@scenario((0, 1))
def changing_very_many_topics_that_are_not_there(s: Session, version: int) -> None:
    s.ask(ApiKey.INCREMENTAL_ALTER_CONFIGS, version, {"resources": altering(s)})


@scenario((1,))
def changing_very_many_settings_of_a_broker(s: Session, version: int) -> None:
    configs = [{"name": name, "config_operation": 0, "value": "1"} for name in names(s, MANY)]
    broker = str(next(iter(s.target.addresses)))
    resource = {"resource_type": 4, "resource_name": broker, "configs": configs}
    s.ask(ApiKey.INCREMENTAL_ALTER_CONFIGS, version, {"resources": [resource]})


# What is not cut into portions


@scenario((5, 9))
def joining_with_very_many_protocols(s: Session, version: int) -> None:
    c, group = at_home(s)
    protocols = [{"name": name, "metadata": b""} for name in names(s, MANY)]
    c.ask(ApiKey.JOIN_GROUP, version, joining(group, protocols=protocols))


@scenario((3, 5))
def syncing_with_very_many_assignments(s: Session, version: int) -> None:
    c, group = at_home(s)
    member, generation = member_of(c, group)
    known = {"protocol_type": "consumer", "protocol_name": "range"} if version >= 5 else {}
    assignments = [{"member_id": member, "assignment": b"x"}] * MANY
    c.ask(ApiKey.SYNC_GROUP, version, syncing(group, generation, member, assignments=assignments, **known))


@scenario((4, 5))
def listing_groups_in_very_many_states(s: Session, version: int) -> None:
    s.ask(ApiKey.LIST_GROUPS, version, {"states_filter": names(s, MANY)})


@scenario((4, 12))
def fetching_very_many_partitions(s: Session, version: int) -> None:
    partitions = [{"partition": number, "fetch_offset": 0} for number in range(3 * MANY)]
    topics = [{"topic": s.name("missing"), "partitions": partitions}]
    s.ask(ApiKey.FETCH, version, {"replica_id": -1, "max_wait_ms": 0, "topics": topics})


# Topics that a request for metadata creates


@scenario(nodes=1)
def metadata_that_creates_very_many_topics(s: Session) -> None:
    wanted = {"topics": [{"name": name} for name in names(s, 251)], "allow_auto_topic_creation": True}
    s.ask(ApiKey.METADATA, 12, wanted)
    s.ask_until(
        lambda answer: all(each["error_code"] == ErrorCode.NONE for each in answer["topics"]),
        ApiKey.METADATA,
        12,
        wanted,
    )
    named = [{"name": name} for name in names(s, 251)]
    s.prepare(ApiKey.DELETE_TOPICS, 6, {"topics": named, "timeout_ms": 30_000})
