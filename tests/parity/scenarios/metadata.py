"""Metadata (key 3): which topics there are, and who leads them."""

from uuid import UUID

from chronik.wire.apis import ApiKey
from tests.parity.registry import scenario
from tests.parity.session import Answer, Session

VERSIONS = (0, 13)
BAD_NAMES = {
    "empty": "",
    "dot": ".",
    "two dots": "..",
    "space": "a b",
    "250 characters": "x" * 250,
    "not ASCII": "naïve",
    "at the limit": "y" * 249,
}
NOBODYS_ID = UUID(int=0xBAD)


@scenario((0, 1, 5, 9, 12, 13))
def a_topic_by_name(s: Session, version: int) -> None:
    topic = s.topic("orders", partitions=2)
    s.ask(ApiKey.METADATA, version, {"topics": [{"name": topic}]})


@scenario((0, 4, 13))
def an_unknown_topic_that_may_not_be_created(s: Session, version: int) -> None:
    fields = {"topics": [{"name": s.name("missing")}], "allow_auto_topic_creation": False}
    s.ask(ApiKey.METADATA, max(version, 4), fields)


@scenario((4, 13))
def an_unknown_topic_that_may_be_created(s: Session, version: int) -> None:
    fields = {"topics": [{"name": s.name("new")}], "allow_auto_topic_creation": True}
    s.ask_until(_has_leaders, ApiKey.METADATA, version, fields)


@scenario((1, 4, 13))
def all_topics(s: Session, version: int) -> None:
    s.topic("orders")
    s.topic("payments", partitions=2)
    s.ask(ApiKey.METADATA, version, {"topics": None})


@scenario((0,))
def an_empty_list_means_all_in_version(s: Session, version: int) -> None:
    s.topic("orders")
    s.ask(ApiKey.METADATA, version, {"topics": []})


@scenario((1, 13))
def an_empty_list_means_none_in_version(s: Session, version: int) -> None:
    s.topic("orders")
    s.ask(ApiKey.METADATA, version, {"topics": []})


@scenario((0, 13))
def null_topics(s: Session, version: int) -> None:
    s.topic("orders")
    s.ask(ApiKey.METADATA, version, {"topics": None})


@scenario(VERSIONS)
def several_topics_of_which_one_is_unknown(s: Session, version: int) -> None:
    names = [s.topic("orders"), s.name("missing"), s.topic("payments")]
    s.ask(
        ApiKey.METADATA,
        max(version, 4),
        {"topics": [{"name": name} for name in names], "allow_auto_topic_creation": False},
    )


@scenario(VERSIONS)
def a_topic_named_twice(s: Session, version: int) -> None:
    topic = s.topic("orders")
    s.ask(ApiKey.METADATA, version, {"topics": [{"name": topic}, {"name": topic}]})


@scenario(BAD_NAMES, (4, 12))
def a_bad_name(s: Session, name: str, version: int) -> None:
    s.ask(ApiKey.METADATA, version, {"topics": [{"name": name}], "allow_auto_topic_creation": False})


@scenario(BAD_NAMES)
def a_bad_name_that_may_be_created(s: Session, name: str) -> None:
    if len(name) != 249:
        s.ask(ApiKey.METADATA, 9, {"topics": [{"name": name}], "allow_auto_topic_creation": True})


@scenario((12, 13))
def a_topic_by_id(s: Session, version: int) -> None:
    topic_id = s.topic_id(s.topic("orders"))
    s.ask(ApiKey.METADATA, version, {"topics": [{"topic_id": topic_id, "name": None}]})


@scenario((12, 13))
def an_unknown_id(s: Session, version: int) -> None:
    s.ask(ApiKey.METADATA, version, {"topics": [{"topic_id": NOBODYS_ID, "name": None}]})


@scenario((12, 13))
def the_zero_id_and_no_name(s: Session, version: int) -> None:
    s.ask(ApiKey.METADATA, version, {"topics": [{"name": None}]})


@scenario((10, 11))
def ids_are_not_asked_for_in_version(s: Session, version: int) -> None:
    topic_id = s.topic_id(s.topic("orders"))
    s.ask(ApiKey.METADATA, version, {"topics": [{"topic_id": topic_id, "name": None}]})


@scenario((12,))
def by_name_and_by_id_in_one_request(s: Session, version: int) -> None:
    orders, payments = s.topic("orders"), s.topic_id(s.topic("payments"))
    s.ask(ApiKey.METADATA, version, {"topics": [{"name": orders}, {"topic_id": payments, "name": None}]})


@scenario((12,))
def an_id_with_the_name_of_another_topic(s: Session, version: int) -> None:
    orders, payments = s.topic("orders"), s.topic_id(s.topic("payments"))
    s.ask(ApiKey.METADATA, version, {"topics": [{"name": orders, "topic_id": payments}]})


@scenario((8, 10))
def authorized_operations_of_the_cluster(s: Session, version: int) -> None:
    s.ask(ApiKey.METADATA, version, {"topics": [], "include_cluster_authorized_operations": True})


@scenario((8, 13))
def authorized_operations_of_a_topic(s: Session, version: int) -> None:
    topic = s.topic("orders")
    s.ask(
        ApiKey.METADATA,
        version,
        {"topics": [{"name": topic}], "include_topic_authorized_operations": True},
    )


@scenario((9, 13))
def a_topic_that_was_deleted(s: Session, version: int) -> None:
    topic = s.topic("orders")
    s.prepare(ApiKey.DELETE_TOPICS, 5, {"topic_names": [topic], "timeout_ms": 30_000})
    s.wait_gone(topic)
    s.ask(ApiKey.METADATA, version, {"topics": [{"name": topic}], "allow_auto_topic_creation": False})


@scenario((12,))
def the_old_id_of_a_topic_made_again(s: Session, version: int) -> None:
    topic = s.topic("orders")
    old = s.topic_id(topic)
    s.prepare(ApiKey.DELETE_TOPICS, 5, {"topic_names": [topic], "timeout_ms": 30_000})
    s.wait_gone(topic)
    s.topic("orders")
    s.ask(ApiKey.METADATA, version, {"topics": [{"topic_id": old, "name": None}]})


@scenario((9,))
def the_internal_topic(s: Session, version: int) -> None:
    s.ask(
        ApiKey.METADATA,
        version,
        {"topics": [{"name": "__consumer_offsets"}], "include_topic_authorized_operations": True},
        hide={"partitions"},
    )


def _has_leaders(answer: Answer) -> bool:
    topic = answer["topics"][0]
    return bool(topic["partitions"]) and all(each["leader_id"] >= 0 for each in topic["partitions"])
