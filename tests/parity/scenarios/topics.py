"""CreateTopics (key 19), DeleteTopics (key 20), CreatePartitions (key 37) and ElectLeaders (key 43)."""

from typing import Any
from uuid import UUID

from chronik.wire.apis import ApiKey
from tests.parity.registry import scenario
from tests.parity.session import Answer, Session

NOBODYS_ID = UUID(int=0xBAD)
BAD_NAMES = {
    "empty": "",
    "dot": ".",
    "dots": "..",
    "space": "a b",
    "slash": "a/b",
    "250 characters": "x" * 250,
    "not ASCII": "naïve",
}


def topic(name: str, partitions: int = 1, factor: int = 1, **more: Any) -> dict[str, Any]:
    return {"name": name, "num_partitions": partitions, "replication_factor": factor, **more}


def create(
    s: Session, version: int, *topics: dict[str, Any], validate_only: bool = False, timeout_ms: int = 30_000
) -> Answer:
    return s.ask(
        ApiKey.CREATE_TOPICS,
        version,
        {"topics": list(topics), "timeout_ms": timeout_ms, "validate_only": validate_only},
        hide={"configs"},
    )


def assigned(name: str, *replicas: list[int], first: int = 0) -> dict[str, Any]:
    assignments = [
        {"partition_index": index, "broker_ids": nodes} for index, nodes in enumerate(replicas, first)
    ]
    return topic(name, -1, -1, assignments=assignments)


@scenario((2, 3, 4, 5, 6, 7))
def creating_one(s: Session, version: int) -> None:
    name = s.name("orders")
    create(s, version, topic(name, 3))
    s.wait_topic(name, 3)
    s.ask(ApiKey.METADATA, 12, {"topics": [{"name": name}]})


@scenario((2, 7))
def creating_two(s: Session, version: int) -> None:
    create(s, version, topic(s.name("orders")), topic(s.name("payments"), 2))


@scenario((2, 7))
def creating_one_that_is_there(s: Session, version: int) -> None:
    create(s, version, topic(s.topic()))


@scenario((2, 7))
def creating_one_twice_in_a_request(s: Session, version: int) -> None:
    name = s.name("orders")
    create(s, version, topic(name), topic(name, 2), topic(s.name("payments")))


@scenario((2, 7), BAD_NAMES)
def creating_a_bad_name(s: Session, version: int, name: str) -> None:
    create(s, version, topic(name))


@scenario((2, 7), {"0": 0, "-1": -1, "-2": -2})
def creating_partitions_numbering(s: Session, version: int, partitions: int) -> None:
    create(s, version, topic(s.name("orders"), partitions))


@scenario((2, 7), {"0": 0, "-1": -1, "-2": -2, "99": 99})
def creating_with_a_replication_factor_of(s: Session, version: int, factor: int) -> None:
    create(s, version, topic(s.name("orders"), 1, factor))


@scenario((2, 3))
def creating_with_defaults_before_there_were(s: Session, version: int) -> None:
    create(s, version, topic(s.name("orders"), -1, -1))


@scenario((2, 7))
def creating_no_topics(s: Session, version: int) -> None:
    create(s, version)


@scenario((2, 7))
def only_validating(s: Session, version: int) -> None:
    name = s.name("orders")
    create(s, version, topic(name, 2), validate_only=True)
    s.ask(ApiKey.METADATA, 12, {"topics": [{"name": name}], "allow_auto_topic_creation": False})


@scenario((2, 7))
def only_validating_what_is_bad(s: Session, version: int) -> None:
    create(s, version, topic(s.topic()), topic("a b"), topic(s.name("x"), 0), validate_only=True)


@scenario((5, 7))
def the_settings_of_a_new_topic(s: Session, version: int) -> None:
    configs = [{"name": "retention.ms", "value": "1000"}, {"name": "cleanup.policy", "value": "compact"}]
    s.ask(
        ApiKey.CREATE_TOPICS,
        version,
        {"topics": [topic(s.name("orders"), configs=configs)], "timeout_ms": 30_000},
    )


CONFIGS = {
    "an unknown name": ("no.such.setting", "1"),
    "a value that is no number": ("retention.ms", "soon"),
    "a negative number": ("segment.bytes", "-1"),
    "a number that is too large": ("max.message.bytes", "99999999999"),
    "an unknown policy": ("cleanup.policy", "burn"),
    "an empty policy": ("cleanup.policy", ""),
    "two policies": ("cleanup.policy", "compact,delete"),
    "null": ("retention.ms", None),
    "an empty value": ("retention.ms", ""),
    "an unknown codec": ("compression.type", "brotli"),
    "a boolean that is none": ("preallocate", "perhaps"),
    "spaces around": ("retention.ms", " 1000 "),
    "an empty name": ("", "1"),
    "remote storage": ("remote.storage.enable", "true"),
    "message.format.version": ("message.format.version", "3.0"),
    "min.insync.replicas of 0": ("min.insync.replicas", "0"),
    "a ratio above 1": ("min.cleanable.dirty.ratio", "1.5"),
    "a timestamp type in capitals": ("message.timestamp.type", "LOGAPPENDTIME"),
    "throttled replicas": ("leader.replication.throttled.replicas", "*"),
    "throttled replicas that are none": ("leader.replication.throttled.replicas", "x"),
}


@scenario((2, 7), CONFIGS)
def creating_with(s: Session, version: int, config: tuple[str, str | None]) -> None:
    configs = [{"name": config[0], "value": config[1]}]
    create(s, version, topic(s.name("orders"), configs=configs))


@scenario((7,))
def creating_with_a_setting_twice(s: Session, version: int) -> None:
    configs = [{"name": "retention.ms", "value": "1000"}, {"name": "retention.ms", "value": "2000"}]
    create(s, version, topic(s.name("orders"), configs=configs))


ASSIGNMENTS: dict[str, tuple[list[list[int]], int]] = {
    "an unknown node": ([[99]], 0),
    "a negative node": ([[-1]], 0),
    "no replicas": ([[]], 0),
    "a replica twice": ([[1, 1]], 0),
    "a gap before it": ([[1]], 1),
    "a negative partition": ([[1]], -1),
    "replicas of two numbers": ([[1], [1, 99]], 0),
}


@scenario((2, 7), ASSIGNMENTS)
def assigning(s: Session, version: int, case: tuple[list[list[int]], int]) -> None:
    create(s, version, assigned(s.name("orders"), *case[0], first=case[1]))


@scenario((2, 7))
def assigning_and_numbering(s: Session, version: int) -> None:
    create(s, version, {**assigned(s.name("orders"), [1]), "num_partitions": 1, "replication_factor": 1})


@scenario((2, 7))
def assigning_by_hand(s: Session, version: int) -> None:
    nodes = list(s.target.addresses)
    create(s, version, assigned(s.name("orders"), nodes, nodes))


@scenario((2, 7))
def names_that_collide(s: Session, version: int) -> None:
    s.topic("my.orders")
    create(s, version, topic(s.name("my_orders")))


@scenario((7,))
def creating_an_internal_topic(s: Session, version: int) -> None:
    create(s, version, topic("__consumer_offsets"))


@scenario((7,))
def a_topic_with_underscores_before_it(s: Session, version: int) -> None:
    create(s, version, topic(s.name("__mine")))


# DeleteTopics


def delete(s: Session, version: int, *names: str, timeout_ms: int = 30_000) -> None:
    named = {"topics": [{"name": name} for name in names]} if version >= 6 else {"topic_names": list(names)}
    s.ask(ApiKey.DELETE_TOPICS, version, {**named, "timeout_ms": timeout_ms})


@scenario((1, 3, 4, 5, 6))
def deleting_one(s: Session, version: int) -> None:
    name = s.topic()
    delete(s, version, name)
    s.wait_gone(name)
    delete(s, version, name)


@scenario((1, 6))
def deleting_an_unknown_one(s: Session, version: int) -> None:
    delete(s, version, s.name("missing"))


@scenario((1, 6))
def deleting_one_twice_in_a_request(s: Session, version: int) -> None:
    name = s.topic()
    delete(s, version, name, name)


@scenario((1, 6))
def deleting_one_that_is_there_and_one_that_is_not(s: Session, version: int) -> None:
    delete(s, version, s.topic(), s.name("missing"))


@scenario((1, 6), {"empty": "", "dots": "..", "space": "a b"})
def deleting_a_bad_name(s: Session, version: int, name: str) -> None:
    delete(s, version, name)


@scenario((1, 6))
def deleting_none(s: Session, version: int) -> None:
    delete(s, version)


@scenario()
def deleting_by_id(s: Session) -> None:
    topics = [{"name": None, "topic_id": s.topic_id(s.topic())}]
    s.ask(ApiKey.DELETE_TOPICS, 6, {"topics": topics, "timeout_ms": 30_000})


@scenario({"unknown": NOBODYS_ID, "zero": UUID(int=0)})
def deleting_an_id(s: Session, topic_id: UUID) -> None:
    topics = [{"name": None, "topic_id": topic_id}]
    s.ask(ApiKey.DELETE_TOPICS, 6, {"topics": topics, "timeout_ms": 30_000})


@scenario()
def deleting_by_name_and_id_of_one_element(s: Session) -> None:
    name = s.topic()
    topics = [{"name": name, "topic_id": s.topic_id(name)}]
    s.ask(ApiKey.DELETE_TOPICS, 6, {"topics": topics, "timeout_ms": 30_000})


@scenario()
def deleting_one_by_name_and_again_by_id(s: Session) -> None:
    name = s.topic()
    topics = [{"name": name}, {"name": None, "topic_id": s.topic_id(name)}]
    s.ask(ApiKey.DELETE_TOPICS, 6, {"topics": topics, "timeout_ms": 30_000})


@scenario()
def deleting_one_by_id_twice(s: Session) -> None:
    topic_id = s.topic_id(s.topic())
    topics = [{"name": None, "topic_id": topic_id}] * 2
    s.ask(ApiKey.DELETE_TOPICS, 6, {"topics": topics, "timeout_ms": 30_000})


# CreatePartitions


def grow(s: Session, version: int, *topics: dict[str, Any], validate_only: bool = False) -> None:
    s.ask(
        ApiKey.CREATE_PARTITIONS,
        version,
        {"topics": list(topics), "timeout_ms": 30_000, "validate_only": validate_only},
    )


@scenario((0, 1, 2, 3))
def growing(s: Session, version: int) -> None:
    name = s.topic()
    grow(s, version, {"name": name, "count": 3, "assignments": None})
    s.wait_topic(name, 3)
    s.ask(ApiKey.METADATA, 12, {"topics": [{"name": name}]})


@scenario((0, 3), {"as it is": 2, "smaller": 1, "0": 0, "-1": -1})
def growing_to(s: Session, version: int, count: int) -> None:
    grow(s, version, {"name": s.topic(partitions=2), "count": count, "assignments": None})


@scenario((0, 3))
def growing_an_unknown_topic(s: Session, version: int) -> None:
    grow(s, version, {"name": s.name("missing"), "count": 3, "assignments": None})


@scenario((0, 3), {"empty": "", "dots": "..", "space": "a b"})
def growing_a_bad_name(s: Session, version: int, name: str) -> None:
    grow(s, version, {"name": name, "count": 3, "assignments": None})


@scenario((0, 3))
def growing_one_twice_in_a_request(s: Session, version: int) -> None:
    wanted = {"name": s.topic(), "count": 3, "assignments": None}
    grow(s, version, wanted, {**wanted, "count": 4})


@scenario((0, 3))
def growing_none(s: Session, version: int) -> None:
    grow(s, version)


@scenario((0, 3))
def only_validating_growth(s: Session, version: int) -> None:
    name = s.topic()
    grow(s, version, {"name": name, "count": 3, "assignments": None}, validate_only=True)
    s.ask(ApiKey.METADATA, 12, {"topics": [{"name": name}]})


GROWTH: dict[str, list[list[int]]] = {
    "no assignments": [],
    "an unknown node": [[99]],
    "too many": [[1], [1]],
    "no replicas": [[]],
    "a replica twice": [[1, 1]],
}


@scenario((0, 3), GROWTH)
def growing_with(s: Session, version: int, replicas: list[list[int]]) -> None:
    assignments = [{"broker_ids": nodes} for nodes in replicas]
    grow(s, version, {"name": s.topic(), "count": 2, "assignments": assignments})


# ElectLeaders


def elect(s: Session, version: int, topics: list[dict[str, Any]] | None, election_type: int = 0) -> None:
    s.ask(
        ApiKey.ELECT_LEADERS,
        version,
        {"election_type": election_type, "topic_partitions": topics, "timeout_ms": 10_000},
    )


@scenario((0, 1, 2))
def electing_where_the_preferred_leads(s: Session, version: int) -> None:
    elect(s, version, [{"topic": s.topic(partitions=2), "partitions": [0, 1]}])


@scenario((1, 2), {"unclean": 1, "unknown": 5, "negative": -1})
def electing_of_type(s: Session, version: int, election_type: int) -> None:
    elect(s, version, [{"topic": s.topic(), "partitions": [0]}], election_type)


@scenario((0, 2))
def electing_for_an_unknown_topic(s: Session, version: int) -> None:
    elect(s, version, [{"topic": s.name("missing"), "partitions": [0]}])


@scenario((0, 2), {"1": 1, "-1": -1})
def electing_for_a_partition_that_is_not_there(s: Session, version: int, partition: int) -> None:
    elect(s, version, [{"topic": s.topic(), "partitions": [partition]}])


@scenario((0, 2))
def electing_for_none(s: Session, version: int) -> None:
    elect(s, version, [])


@scenario((0, 2))
def electing_for_all(s: Session, version: int) -> None:
    elect(s, version, None)
