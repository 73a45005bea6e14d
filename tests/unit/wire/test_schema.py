"""Message classes as values, and their tables."""

import pytest

from chronik.wire.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from chronik.wire.messages.metadata import MetadataRequest
from chronik.wire.schema import VERSION_LAST, VersionRange, field_names, fields, fields_in, parse_versions


def test_defaults_are_kafkas() -> None:
    request = FetchRequest()
    assert (request.replica_id, request.max_bytes, request.session_epoch, request.rack_id) == (
        -1,
        2**31 - 1,
        -1,
        "",
    )
    assert request.topics == []
    assert request.cluster_id is None
    assert MetadataRequest().allow_auto_topic_creation is True


def test_lists_are_the_callers_own() -> None:
    topics: list[FetchTopic] = []
    request = FetchRequest(topics=topics)
    topics.append(FetchTopic())
    assert request.topics is topics
    assert FetchRequest().topics is not FetchRequest().topics


def test_equality_looks_at_every_field() -> None:
    assert FetchPartition(partition=1) == FetchPartition(partition=1)
    assert FetchPartition(partition=1) != FetchPartition(partition=1, last_fetched_epoch=0)
    assert FetchPartition() != FetchTopic()


def test_messages_are_mutable_and_not_hashable() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(FetchPartition())


def test_there_are_no_other_attributes() -> None:
    with pytest.raises(AttributeError):
        FetchPartition().offset = 1  # type: ignore[attr-defined]


def test_repr_shows_what_is_not_default() -> None:
    assert repr(FetchTopic(topic="t", partitions=[FetchPartition(partition=2)])) == (
        "FetchTopic(topic='t', partitions=[FetchPartition(partition=2)])"
    )


def test_fields_by_version() -> None:
    assert [field.name for field in fields_in(FetchTopic, 12)] == ["topic", "partitions"]
    assert [field.name for field in fields_in(FetchTopic, 13)] == ["topic_id", "partitions"]
    assert field_names(FetchTopic) == [field.name for field in fields(FetchTopic)]
    partitions = fields(FetchTopic)[-1]
    assert partitions.struct is FetchPartition
    assert partitions.is_array


@pytest.mark.parametrize(
    ("text", "versions"), [("4", (4, 4)), ("4+", (4, VERSION_LAST)), ("4-12", (4, 12)), ("0-0", (0, 0))]
)
def test_version_notation(text: str, versions: tuple[int, int]) -> None:
    assert parse_versions(text) == versions


def test_version_ranges_include_both_ends() -> None:
    assert [version for version in range(6) if version in VersionRange(1, 3)] == [1, 2, 3]
