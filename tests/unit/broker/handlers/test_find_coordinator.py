"""FindCoordinator: the topic is made on the first question, and the group's leader is named."""

import pytest

from chronik.cluster.leadership import Leader
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import CONSUMER_OFFSETS_TOPIC, NO_NODE, LeaderEpoch
from chronik.wire.messages.find_coordinator import (
    Coordinator,
    FindCoordinatorRequest,
    FindCoordinatorResponse,
)

from .group_stage import GroupStage, play_groups

GROUP, TRANSACTION, SHARE = 0, 1, 2


async def _ask(stage: GroupStage, version: int, *keys: str, key_type: int = GROUP) -> list[Coordinator]:
    """The answers of all versions in the form of the later ones."""
    is_batch = version >= 4
    request = FindCoordinatorRequest(
        key="" if is_batch else keys[0],
        key_type=key_type,
        coordinator_keys=list(keys) if is_batch else [],
    )
    answer = await stage.ask(request, version, FindCoordinatorResponse)
    if is_batch:
        return answer.coordinators
    # Kafka's text for no error; version 0 has none.
    is_fine = answer.error_message == "NONE" or version == 0
    message = "" if is_fine else answer.error_message
    return [
        Coordinator(
            key=keys[0],
            node_id=answer.node_id,
            host=answer.host,
            port=answer.port,
            error_code=answer.error_code,
            error_message=message,
        )
    ]


@pytest.mark.parametrize("version", range(7))
def test_the_first_question_makes_the_topic_and_names_its_leader(version: int) -> None:
    async def scene(stage: GroupStage) -> None:
        found = await _ask(stage, version, "g")
        assert found == [Coordinator(key="g", node_id=1, host="localhost", port=9092)]
        assert len(stage.metadata.image.topics[CONSUMER_OFFSETS_TOPIC].partitions) == 4

    play_groups(scene)


def test_many_keys_are_answered_each_for_itself() -> None:
    async def scene(stage: GroupStage) -> None:
        found = await _ask(stage, 4, "g", "h" * 40_000, "i")
        assert [(c.key[:1], c.error_code, c.node_id) for c in found] == [
            ("g", 0, 1),
            ("h", ErrorCode.INVALID_GROUP_ID, -1),
            ("i", 0, 1),
        ]

    play_groups(scene)


@pytest.mark.parametrize("version", range(1, 7))
def test_transactions_are_refused_so_that_clients_give_up_at_once(version: int) -> None:
    async def scene(stage: GroupStage) -> None:
        (found,) = await _ask(stage, version, "payments", key_type=TRANSACTION)
        is_raised = version >= 4
        code = ErrorCode.UNSUPPORTED_VERSION if is_raised else ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        assert (found.error_code, found.node_id, found.port) == (code, -1, -1)
        assert not ErrorCode(found.error_code).is_retriable
        assert found.error_message == "Transactions are not supported yet"
        assert CONSUMER_OFFSETS_TOPIC not in stage.metadata.image.topics

    play_groups(scene)


def test_share_groups_are_refused() -> None:
    async def scene(stage: GroupStage) -> None:
        (found,) = await _ask(stage, 6, "g:topic:0", key_type=SHARE)
        assert found.error_code == ErrorCode.INVALID_REQUEST

    play_groups(scene)


@pytest.mark.parametrize("version", [3, 6])
def test_without_a_leader_there_is_no_coordinator(version: int) -> None:
    async def scene(stage: GroupStage) -> None:
        await _ask(stage, version, "g")
        topic = stage.metadata.image.topics[CONSUMER_OFFSETS_TOPIC]
        for partition in range(4):
            stage.leadership.announce(topic.topic_id, partition, Leader(NO_NODE, LeaderEpoch(3)))
        (found,) = await _ask(stage, version, "g")
        assert found.error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE

    play_groups(scene)


def test_a_topic_that_cannot_be_made_means_no_coordinator() -> None:
    async def scene(stage: GroupStage) -> None:
        (found,) = await _ask(stage, 6, "g")
        assert found.error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE

    play_groups(scene, offsets_topic_replication_factor="3")
