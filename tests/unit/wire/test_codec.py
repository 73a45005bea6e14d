"""What the codec promises beyond kio's bytes."""

import pytest

from chronik.vocab.errors import ErrorCode
from chronik.wire.codec import EncodeError, decode, decoder, encode, encoder
from chronik.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from chronik.wire.messages.describe_topic_partitions import DescribeTopicPartitionsResponse
from chronik.wire.messages.fetch import (
    FetchableTopicResponse,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    LeaderIdAndEpoch,
    PartitionData,
    ReplicaState,
)
from chronik.wire.messages.join_group import JoinGroupResponse
from chronik.wire.messages.metadata import MetadataRequest, MetadataResponse, MetadataResponseTopic
from chronik.wire.messages.produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
    TopicProduceResponse,
)
from chronik.wire.schema import Buffer, Records


def produce_request(records: bytes = b"batch") -> ProduceRequest:
    partition = PartitionProduceData(index=3, records=records)
    return ProduceRequest(acks=-1, topic_data=[TopicProduceData(name="orders", partition_data=[partition])])


def fetch_response(*records: Records | None) -> FetchResponse:
    partitions = [PartitionData(partition_index=index, records=item) for index, item in enumerate(records)]
    return FetchResponse(responses=[FetchableTopicResponse(topic="orders", partitions=partitions)])


class TestVersions:
    def test_fields_that_a_version_lacks_are_dropped_and_come_back_as_defaults(self) -> None:
        request = produce_request()
        request.transactional_id = "t"
        assert decode(ProduceRequest, 3, encode(request, 3)).transactional_id == "t"
        assert decode(ProduceRequest, 2, encode(request, 2)).transactional_id is None

    @pytest.mark.parametrize("version", [-1, 14, 99])
    def test_an_unknown_version_is_refused(self, version: int) -> None:
        with pytest.raises(ValueError, match="ProduceRequest has versions 0 to 13"):
            decoder(ProduceRequest, version)
        with pytest.raises(ValueError, match="ProduceRequest has versions 0 to 13"):
            encoder(ProduceRequest, version)

    def test_codecs_are_compiled_once(self) -> None:
        assert decoder(ProduceRequest, 9) is decoder(ProduceRequest, 9)
        assert encoder(ProduceRequest, 9) is encoder(ProduceRequest, 9)

    def test_lists_of_absent_fields_are_not_shared(self) -> None:
        data = encode(FetchRequest(), 4)
        first, second = decode(FetchRequest, 4, data), decode(FetchRequest, 4, data)
        first.forgotten_topics_data.append(first.forgotten_topics_data)  # type: ignore[arg-type]  # anything will do
        assert second.forgotten_topics_data == []


class TestProduceBefore3:
    """kio has no Produce below 3, and we answer it with an error."""

    RESPONSE = ProduceResponse(
        throttle_time_ms=7,
        responses=[
            TopicProduceResponse(
                name="t",
                partition_responses=[
                    PartitionProduceResponse(
                        index=1,
                        error_code=ErrorCode.UNSUPPORTED_VERSION,
                        base_offset=-1,
                        log_append_time_ms=-1,
                    )
                ],
            )
        ],
    )
    TOPIC = b"\0\0\0\1" + b"\0\1t" + b"\0\0\0\1" + b"\0\0\0\1" + b"\0\x23"
    MINUS_ONE = b"\xff" * 8

    def test_responses(self) -> None:
        assert encode(self.RESPONSE, 0) == self.TOPIC + self.MINUS_ONE
        assert encode(self.RESPONSE, 1) == self.TOPIC + self.MINUS_ONE + b"\0\0\0\7"
        assert encode(self.RESPONSE, 2) == self.TOPIC + self.MINUS_ONE * 2 + b"\0\0\0\7"
        assert encode(self.RESPONSE, 3) == self.TOPIC + self.MINUS_ONE * 2 + b"\0\0\0\7"

    @pytest.mark.parametrize("version", [0, 1, 2])
    def test_requests(self, version: int) -> None:
        data = b"\xff\xff" + b"\0\0\0\5" + b"\0\0\0\1" + b"\0\1t" + b"\0\0\0\1" + b"\0\0\0\2" + b"\0\0\0\3abc"
        request = decode(ProduceRequest, version, data)
        topic = TopicProduceData(name="t", partition_data=[PartitionProduceData(index=2, records=b"abc")])
        assert request == ProduceRequest(acks=-1, timeout_ms=5, topic_data=[topic])


class TestBuffers:
    def test_decoded_values_outlive_the_buffer(self) -> None:
        buffer = bytearray(encode(produce_request(), 9))
        request = decode(ProduceRequest, 9, memoryview(buffer))
        buffer[:] = bytes(len(buffer))
        buffer.clear()  # BufferError if the request held a view
        assert request == produce_request()

    def test_what_follows_a_message_is_not_looked_at(self) -> None:
        data = encode(produce_request(), 9)
        assert decoder(ProduceRequest, 9)(b"head" + data + b"tail", 4) == (produce_request(), 4 + len(data))

    @pytest.mark.parametrize("version", [4, 12])
    def test_long_records_are_passed_on_uncopied(self, version: int) -> None:
        one, other = bytes(5000), memoryview(bytes(range(250)) * 20)
        parts = encoder(FetchResponse, version)(fetch_response([one, other], b"short", one))
        assert [part for part in parts if part is one] == [one, one]
        assert any(part is other for part in parts)
        assert all(parts)
        assert len(parts) == (5 if version == 4 else 6)  # version 4 ends with the last records
        assert isinstance(parts[0], bytes)

        decoded = decode(FetchResponse, version, b"".join(parts))
        records = [partition.records for partition in decoded.responses[0].partitions]
        assert records == [one + bytes(other), b"short", one]

    def test_short_messages_are_one_buffer(self) -> None:
        parts: list[Buffer] = encoder(FetchResponse, 12)(fetch_response([b"a", memoryview(b"b")], None, b""))
        assert len(parts) == 1
        decoded = decode(FetchResponse, 12, parts[0])
        assert [partition.records for partition in decoded.responses[0].partitions] == [b"ab", None, b""]


class TestTaggedFields:
    def test_unknown_ones_are_skipped(self) -> None:
        data = encode(ApiVersionsRequest(client_software_name="x", client_software_version="1"), 3)
        tags = b"\x02" + b"\x05\x01z" + b"\xac\x02\x80\x01" + bytes(128)
        assert decode(ApiVersionsRequest, 3, data[:-1] + tags).client_software_version == "1"

    def test_unknown_ones_are_skipped_among_known(self) -> None:
        data = encode(FetchRequest(cluster_id="c"), 12)
        tags = b"\x03" + b"\x00\x02\x02c" + b"\x07\x01z" + b"\xac\x02\x80\x01" + bytes(128)
        assert decode(FetchRequest, 12, data[: -len(b"\x01\x00\x02\x02c")] + tags).cluster_id == "c"

    def test_defaults_are_left_out(self) -> None:
        plain = encode(FetchRequest(), 15)
        assert encode(FetchRequest(replica_state=ReplicaState()), 15) == plain
        assert decode(FetchRequest, 15, plain).replica_state is None
        replica = FetchRequest(replica_state=ReplicaState(replica_id=1))
        assert decode(FetchRequest, 15, encode(replica, 15)) == replica

    def test_they_come_in_order_of_their_tags(self) -> None:
        response = fetch_response(b"")
        response.responses[0].partitions[0].current_leader = LeaderIdAndEpoch(leader_id=2, leader_epoch=3)
        assert b"\x01\x01\x09\0\0\0\x02\0\0\0\x03\0" in encode(response, 12)


class TestNull:
    def test_is_written_as_empty_where_only_other_versions_have_it(self) -> None:
        assert (
            decode(JoinGroupResponse, 6, encode(JoinGroupResponse(protocol_name=None), 6)).protocol_name == ""
        )
        assert (
            decode(JoinGroupResponse, 7, encode(JoinGroupResponse(protocol_name=None), 7)).protocol_name
            is None
        )
        assert decode(MetadataRequest, 0, encode(MetadataRequest(topics=None), 0)).topics == []
        assert decode(MetadataRequest, 1, encode(MetadataRequest(topics=None), 1)).topics is None

    def test_is_a_struct_of_one_byte(self) -> None:
        data = encode(DescribeTopicPartitionsResponse(next_cursor=None), 0)
        assert decode(DescribeTopicPartitionsResponse, 0, data).next_cursor is None


class TestEncodeError:
    """A message that cannot be written says what is wrong with it."""

    @pytest.mark.parametrize(
        ("field", "value", "complaint"),
        [
            ("throttle_time_ms", None, "throttle_time_ms is None"),
            ("throttle_time_ms", 2**31, "throttle_time_ms is 2147483648, not int32"),
            ("cluster_id", 5, "cluster_id is 5, not string"),
            ("cluster_id", "\ud800", r"cluster_id is '\\ud800', not string"),
            ("topics", None, "topics is None"),
            ("topics", 7, "topics is 7, not a list"),
            ("topics", [FetchTopic()], r"topics\[0\] is FetchTopic\(\), not a MetadataResponseTopic"),
        ],
    )
    def test_names_the_culprit(self, field: str, value: object, complaint: str) -> None:
        response = MetadataResponse()
        setattr(response, field, value)
        with pytest.raises(EncodeError, match=f"MetadataResponse version 12: {complaint}"):
            encode(response, 12)

    def test_names_the_culprit_within_structs(self) -> None:
        topics = [MetadataResponseTopic(), MetadataResponseTopic(topic_id="x")]  # type: ignore[arg-type]  # is tested
        with pytest.raises(EncodeError, match=r"topics\[1\].topic_id is 'x', not uuid"):
            encode(MetadataResponse(topics=topics), 12)

    def test_a_string_too_long_for_old_versions(self) -> None:
        with pytest.raises(EncodeError, match="cluster_id"):
            encode(MetadataResponse(cluster_id="x" * 40_000), 8)
        assert len(encode(MetadataResponse(cluster_id="x" * 40_000), 9)) > 40_000

    def test_error_codes_may_be_enums(self) -> None:
        response = ApiVersionsResponse(error_code=ErrorCode.UNSUPPORTED_VERSION)
        assert decode(ApiVersionsResponse, 0, encode(response, 0)).error_code == 35
