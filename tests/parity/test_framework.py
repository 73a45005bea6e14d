"""The framework itself: what it writes down, what it calls a difference, and what it writes on the wire."""

import json
from typing import Any
from uuid import UUID

import pytest

from chronik.wire.apis import SCHEMAS, SUPPORTED, ApiKey, request_class, response_class
from chronik.wire.codec import encode as compiled_encode
from tests.parity import golden
from tests.parity.codec import Raw, Unreadable, decode, encode
from tests.parity.differences import ABSENT, Difference, Known, differences
from tests.parity.normalize import Normalizer
from tests.parity.schemas import request_layout, response_layout

NOW = 1_790_000_000_000


def normalizer() -> Normalizer:
    return Normalizer(run="xabc", own="xabc1", base_time=NOW, directory="/data")


def exchange(**answer: Any) -> list[dict[str, Any]]:
    return [{"ask": "METADATA v1", "request": {}, "answer": answer}]


def found(kafka: dict[str, Any], chronik: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    return [
        (each.path, each.kafka, each.chronik)
        for each in differences("area.scenario", exchange(**kafka), exchange(**chronik))
    ]


VERSIONS = [(key, version) for key, versions in SUPPORTED.items() for version in versions]


@pytest.mark.parametrize(("key", "version"), VERSIONS)
def test_defaults_are_written_as_the_server_writes_them(key: ApiKey, version: int) -> None:
    message = request_class(key)()
    assert encode(request_layout(key), version, {}) == compiled_encode(message, version)


@pytest.mark.parametrize(("key", "version"), VERSIONS)
def test_what_the_server_writes_is_read_to_its_end(key: ApiKey, version: int) -> None:
    data = compiled_encode(response_class(key)(), version)
    assert isinstance(decode(response_layout(key), version, data), dict)
    with pytest.raises(Unreadable):
        decode(response_layout(key), version, data + b"\0")


def test_null_is_written_where_none_is_allowed_and_refused_where_it_is_read() -> None:
    layout = request_layout(ApiKey.HEARTBEAT)
    data = encode(layout, 0, {"group_id": None})
    assert data[:2] == b"\xff\xff"
    with pytest.raises(Unreadable, match="group_id is null"):
        decode(layout, 0, data)


def test_raw_bytes_stand_for_a_field() -> None:
    assert encode(request_layout(ApiKey.METADATA), 0, {"topics": Raw(b"abc")}) == b"abc"


def test_a_field_that_does_not_exist_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        encode(request_layout(ApiKey.METADATA), 0, {"topcis": []})


def test_every_layout_is_known() -> None:
    assert {key for key in SCHEMAS if request_layout(key) and response_layout(key)} == set(SCHEMAS)


def test_the_same_value_gets_the_same_placeholder() -> None:
    one, two = UUID(int=1), UUID(int=2)
    answer = normalizer().answer([{"name": "a", "topic_id": two}, {"name": "b", "topic_id": one}], {})
    assert [each["topic_id"] for each in answer] == ["<id 1>", "<id 2>"]
    assert normalizer().answer({"topic_id": UUID(int=0)}, {}) == {"topic_id": "zero id"}


def test_names_lose_what_makes_them_unique_and_others_are_left_out() -> None:
    topics = [{"name": "orders-xabc1"}, {"name": "orders-xabc2"}, {"name": "__consumer_offsets"}]
    assert normalizer().answer({"topics": topics}, {}) == {"topics": [{"name": "orders"}]}
    asked = {"topics": [{"name": "__consumer_offsets"}]}
    assert {"name": "__consumer_offsets"} in normalizer().answer({"topics": topics}, asked)["topics"]


def test_a_name_with_a_long_number_inside_is_the_same_in_a_message() -> None:
    one = Normalizer(run="x1234567", own="x12345671234abcd", base_time=NOW, directory="/data")
    answer = one.answer({"error_message": "orders-x12345671234abcd has 12345 of 123 partitions"}, {})
    assert answer == {"error_message": "orders has <number> of 123 partitions"}


def test_the_group_without_a_name_is_left_out_unless_it_was_asked_for() -> None:
    answer = {"groups": [{"group_id": ""}, {"group_id": "g-xabc1"}]}
    assert normalizer().answer(answer, {}) == {"groups": [{"group_id": "g"}]}
    assert len(normalizer().answer(answer, {"groups": [""]})["groups"]) == 2


def test_transactional_ids_are_names() -> None:
    ids = [{"transactional_id": "tx-xabc1"}, {"transactional_id": "tx-xabc2"}]
    assert normalizer().answer({"transaction_states": ids}, {}) == {
        "transaction_states": [{"transactional_id": "tx"}]
    }


def test_of_a_long_array_it_is_written_how_many_are_alike() -> None:
    topics = [{"name": f"t{number}-xabc1", "error_code": 3 * (number % 3 == 0)} for number in range(300)]
    tally = [
        {"times": 200, "each": {"name": "<hidden>", "error_code": "NONE"}},
        {"times": 100, "each": {"name": "<hidden>", "error_code": "UNKNOWN_TOPIC_OR_PARTITION"}},
    ]
    assert normalizer().answer({"topics": topics}, {}) == {"topics": tally}
    assert normalizer().request({"names": ["a"] * 300}) == {"names": [{"times": 300, "each": "<hidden>"}]}


def test_times_and_epochs_count_from_the_scenarios_own() -> None:
    one = normalizer()
    assert one.answer({"timestamp": NOW + 5}, {}) == {"timestamp": "T+5"}
    assert one.answer({"leader_epoch": 30}, {}) == {"leader_epoch": "E+0"}
    assert one.answer({"leader_epoch": 31}, {}) == {"leader_epoch": "E+1"}
    assert one.answer({"leader_epoch": -1}, {}) == {"leader_epoch": -1}


def test_hidden_fields_and_errors() -> None:
    answer = normalizer().answer({"error_code": 3, "high_watermark": 17}, {}, {"high_watermark"})
    assert answer == {"error_code": "UNKNOWN_TOPIC_OR_PARTITION", "high_watermark": "<hidden>"}


def test_elements_are_compared_by_name_whatever_their_order() -> None:
    kafka = {"topics": [{"name": "a", "error_code": "NONE"}, {"name": "b", "error_code": "NONE"}]}
    chronik = {"topics": [{"name": "b", "error_code": "NONE"}, {"name": "a", "error_code": 3}]}
    assert found(kafka, chronik) == [("0/answer/topics/a/error_code", "NONE", 3)]


def test_null_an_empty_list_and_nothing_are_different() -> None:
    assert found({"members": None}, {"members": []}) == [("0/answer/members", None, [])]
    assert found({"members": []}, {}) == [("0/answer/members", [], ABSENT)]
    assert found({"topics": []}, {"topics": [{"name": "a"}]}) == [
        ("0/answer/topics/a", ABSENT, {"name": "a"})
    ]


def test_of_error_texts_it_counts_whether_there_is_one() -> None:
    assert found({"error_message": "theirs"}, {"error_message": "ours"}) == []
    assert found({"error_message": None}, {"error_message": "ours"}) != []


def test_an_entry_covers_only_what_it_names() -> None:
    entry = Known(scenarios=("area.*",), paths=("*/a",), kafka=1, nodes=(1,), reason="because")
    difference = Difference(scenario="area.b/v1", path="0/answer/a", kafka=1, chronik=2)
    assert entry.covers(difference, 1)
    assert not entry.covers(difference, 3)
    assert not entry.covers(Difference(scenario="other.b", path="0/answer/a", kafka=1, chronik=2), 1)
    assert not entry.covers(Difference(scenario="area.b", path="0/answer/b", kafka=1, chronik=2), 1)
    assert not entry.covers(Difference(scenario="area.b", path="0/answer/a", kafka=2, chronik=1), 1)


def test_golden_text_is_json() -> None:
    value = {"a": [{"b": "x" * 80, "c": "y" * 80}, []], "d": None}
    assert json.loads(golden.text(value)) == value
