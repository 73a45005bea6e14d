"""Metadata (key 3)."""

from chronik.wire.apis import ApiKey
from tests.parity.registry import scenario
from tests.parity.session import Session

VERSIONS = (0, 13)


@scenario(VERSIONS)
def a_topic_by_name(s: Session, version: int) -> None:
    topic = s.topic("orders", partitions=2)
    s.ask(ApiKey.METADATA, version, {"topics": [{"name": topic}]})


@scenario(VERSIONS)
def an_unknown_topic_is_not_created_when_not_allowed(s: Session, version: int) -> None:
    fields = {"topics": [{"name": s.name("missing")}], "allow_auto_topic_creation": False}
    s.ask(ApiKey.METADATA, max(version, 4), fields)
