"""What a large request and its answer held is freed in steps."""

from chronik.broker.portions import release
from chronik.wire.apis import ApiKey
from chronik.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from chronik.wire.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from chronik.wire.schema import Message


def _lengths(message: Message, api_key: ApiKey, items: list[object]) -> list[int]:
    """Of the list, after each step."""
    return [len(items) for _ in release(api_key, message)]


def test_a_list_is_emptied_by_a_thousand_at_a_time() -> None:
    topics = [MetadataRequestTopic(name=f"t{number}") for number in range(10_000)]
    lengths = _lengths(MetadataRequest(topics=topics), ApiKey.METADATA, topics)  # type: ignore[arg-type]
    assert topics == []
    assert all(before - after <= 1000 for before, after in zip([10_000, *lengths], lengths, strict=False))


def test_so_is_one_inside_an_element() -> None:
    partitions = [ListOffsetsPartition(partition_index=number) for number in range(10_000)]
    request = ListOffsetsRequest(topics=[ListOffsetsTopic(name="t", partitions=partitions)])
    lengths = _lengths(request, ApiKey.LIST_OFFSETS, partitions)  # type: ignore[arg-type]
    assert (partitions, request.topics) == ([], [])
    assert all(before - after <= 1000 for before, after in zip([10_000, *lengths], lengths, strict=False))


def test_a_list_that_handlers_were_given_as_it_is_stays() -> None:
    """Elements with few inside are not copied when a request is cut."""
    partitions = [ListOffsetsPartition(partition_index=0)]
    request = ListOffsetsRequest(topics=[ListOffsetsTopic(name="t", partitions=partitions)])
    list(release(ApiKey.LIST_OFFSETS, request))
    assert len(partitions) == 1


def test_a_message_without_lists_is_let_be() -> None:
    list(release(ApiKey.METADATA, MetadataRequest(topics=None)))
    list(release(ApiKey.METADATA, MetadataResponse()))
    list(release(ApiKey.API_VERSIONS, MetadataResponse()))
