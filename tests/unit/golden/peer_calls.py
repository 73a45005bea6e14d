"""What nodes ask each other and answer: the methods, the controller's commands and their outcomes."""

from collections.abc import Callable

from chronik.broker import leadership_transfer, quorum
from chronik.cluster.answers import NOT_DECIDED, UNKNOWN, Answer, Outcome, refused, unknown
from chronik.cluster.command_codec import (
    Question,
    decode_answer,
    decode_question,
    encode_answer,
    encode_question,
)
from chronik.cluster.image import ClusterDelta
from chronik.cluster.image_draft import apply_records
from chronik.cluster.leadership import PartitionKey
from chronik.cluster.metadata.brokers import BrokerFenced, FenceBroker, RegisterBroker
from chronik.cluster.metadata.configs import (
    CLUSTER_DEFAULT,
    AlterConfigs,
    AlterOp,
    ConfigChange,
    IncrementalAlterConfigs,
    topic_resource,
)
from chronik.cluster.metadata.features import FeatureLevel, UpdateFeatures
from chronik.cluster.metadata.producer_ids import AllocateProducerIds, ProducerIdsAllocated
from chronik.cluster.metadata.replicas import ChangeReplicas, ReportMembers
from chronik.cluster.metadata.subject import Command, MetadataRecord
from chronik.cluster.metadata.topics import (
    CreatePartitions,
    CreateTopic,
    DeleteTopic,
    PartitionCreated,
    TopicCreated,
    TopicDeleted,
)
from chronik.node.bootstrap import QuorumBootstrap
from chronik.node.loss_reports import format_report, parse_report
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.features import FeatureRange, FeatureUpdate
from chronik.vocab.ids import LeaderEpoch, Offset, ProducerId

from .metadata import (
    CHANGED,
    DIRECTORIES,
    ENDPOINTS,
    OLDER,
    ONE,
    OTHER_TOPIC_ID,
    RECORDS,
    THREE,
    TOPIC_ID,
    TWO,
    whole_image,
)
from .raft_state import GROUP
from .sample import Sample

COMMANDS: dict[str, Command] = {
    "CreateTopic": CreateTopic(
        name="orders",
        partitions=3,
        replication_factor=2,
        configs={"retention.ms": "1000", "cleanup.policy": None},
        topic_id=TOPIC_ID,
    ),
    "CreateTopic.assigned": CreateTopic(name="orders", assignments={0: (ONE, TWO), 1: (TWO, ONE)}),
    "DeleteTopic": DeleteTopic(name="orders"),
    "DeleteTopic.by_id": DeleteTopic(topic_id=TOPIC_ID),
    "CreatePartitions": CreatePartitions(name="orders", count=5),
    "CreatePartitions.assigned": CreatePartitions(
        name="orders", count=5, assignments=((ONE, TWO), (TWO, THREE))
    ),
    "IncrementalAlterConfigs": IncrementalAlterConfigs(
        resource=topic_resource("orders"),
        changes=(
            ConfigChange("retention.ms", AlterOp.SET, "1000"),
            ConfigChange("retention.bytes", AlterOp.DELETE, None),
            ConfigChange("cleanup.policy", AlterOp.APPEND, "compact"),
            ConfigChange("cleanup.policy", AlterOp.SUBTRACT, "delete"),
        ),
    ),
    "AlterConfigs": AlterConfigs(
        resource=CLUSTER_DEFAULT, entries={"log.retention.ms": "1000", "log.retention.bytes": None}
    ),
    "RegisterBroker": RegisterBroker(node=ONE, directory_id=DIRECTORIES[0], endpoints=ENDPOINTS, rack="a"),
    "RegisterBroker.with_features": RegisterBroker(
        node=ONE,
        directory_id=DIRECTORIES[0],
        endpoints=ENDPOINTS,
        features=(FeatureRange("chronik.metadata.version", 1, 3),),
    ),
    "FenceBroker": FenceBroker(node=TWO, epoch=7),
    "UpdateFeatures": UpdateFeatures(updates=(FeatureUpdate("chronik.metadata.version", 3, 1),)),
    "ChangeReplicas": ChangeReplicas(topic_id=TOPIC_ID, partition=1, nodes=(ONE, TWO)),
    "ReportMembers": ReportMembers(topic_id=TOPIC_ID, partition=1, revision=5, members=(ONE, TWO)),
    "AllocateProducerIds": AllocateProducerIds(node=TWO),
}


OLDER_COMMANDS: dict[str, Command] = {"RegisterBroker.without_features": COMMANDS["RegisterBroker"]}


def _delta(*records: MetadataRecord) -> ClusterDelta:
    _, delta = apply_records(whole_image(), records)
    return delta


OTHER_PARTITION = PartitionCreated(
    topic_id=OTHER_TOPIC_ID, partition=0, replicas=(ONE,), leader=ONE, directories=DIRECTORIES[:1]
)
_EVERYTHING: list[MetadataRecord] = [
    BrokerFenced(node=THREE),
    TopicCreated(name="new", topic_id=OTHER_TOPIC_ID),
    OTHER_PARTITION,
    TopicDeleted(topic_id=TOPIC_ID, last_epoch=LeaderEpoch(1012)),
    ProducerIdsAllocated(node=TWO, first=ProducerId(2000), end=ProducerId(3000)),
]
EVERYTHING = _delta(
    RECORDS["BrokerRegistered"], *_EVERYTHING, FeatureLevel(name="chronik.metadata.version", level=3)
)
OLDER_EVERYTHING = _delta(OLDER["BrokerRegistered.without_features"], *_EVERYTHING)
GROWN = _delta(
    PartitionCreated(topic_id=TOPIC_ID, partition=2, replicas=(ONE,), leader=ONE, directories=DIRECTORIES[:1])
)
ANSWERS: dict[str, Answer] = {
    "DONE": Answer(fate=Outcome.DONE, offset=Offset(77), delta=EVERYTHING),
    "DONE.a_topic_grew": Answer(fate=Outcome.DONE, offset=Offset(77), delta=GROWN),
    "DONE.a_partition_changed": Answer(fate=Outcome.DONE, offset=Offset(77), delta=_delta(CHANGED)),
    "DONE.nothing_changed": Answer(fate=Outcome.DONE, offset=Offset(77)),
    "REFUSED": refused(
        KafkaError(ErrorCode.TOPIC_ALREADY_EXISTS, "Topic 'orders' already exists."), Offset(76)
    ),
    "NOT_DECIDED": NOT_DECIDED,
    "UNKNOWN": UNKNOWN,
    "UNKNOWN.with_error": unknown(KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER, "another leads")),
}

OLDER_ANSWERS = {
    "DONE": Answer(fate=Outcome.DONE, offset=Offset(77), delta=OLDER_EVERYTHING),
    "NOT_DECIDED": NOT_DECIDED,
}

QUORUM = quorum.QuorumState(
    leader=ONE,
    leader_epoch=LeaderEpoch(5),
    high_watermark=Offset(77),
    replicas=(
        quorum.QuorumReplica(ONE, True, 78, 1_700_000_000_000, 1_700_000_000_000),
        quorum.QuorumReplica(TWO, False, 70, 1_699_999_999_000, -1),
    ),
)
TRANSFER = leadership_transfer._Asked(PartitionKey(TOPIC_ID, 7), TWO)
DIRECTORIES_BY_NODE = dict(zip((ONE, TWO, THREE), DIRECTORIES, strict=True))
LOSSES = {GROUP: DIRECTORIES[0] + "+1"}


def _founders() -> QuorumBootstrap:
    return QuorumBootstrap(ONE, DIRECTORIES[0], (ONE, TWO, THREE))


def _said() -> bytes:
    bootstrap = _founders()
    bootstrap._decide(DIRECTORIES_BY_NODE)
    return bootstrap.said()


def _heard(said: bytes) -> object:
    bootstrap = _founders()
    bootstrap.hear(said)
    return bootstrap._founders


def _number(content: bytes) -> int:
    return int(content)


def _sample(name: str, value: object, encoded: bytes, decode: Callable[[bytes], object]) -> Sample:
    return Sample(name=f"calls/{name}", value=value, encoded=encoded, decode=decode)


def _question(command: Command) -> Question:
    return Question(command, False, 5000)


SAMPLES = [
    *(
        Sample(
            name=f"commands/{name}",
            value=_question(command),
            encoded=encode_question(_question(command)),
            decode=decode_question,
        )
        for name, command in COMMANDS.items()
    ),
    *(
        Sample(name=f"commands/{name}", value=_question(command), encoded=None, decode=decode_question)
        for name, command in OLDER_COMMANDS.items()
    ),
    Sample(
        name="commands/DeleteTopic.to_validate",
        value=Question(COMMANDS["DeleteTopic"], True, 0),
        encoded=encode_question(Question(COMMANDS["DeleteTopic"], True, 0)),
        decode=decode_question,
    ),
    *(
        Sample(name=f"outcomes/{name}", value=answer, encoded=encode_answer(answer), decode=decode_answer)
        for name, answer in ANSWERS.items()
    ),
    # Before there were subjects, an outcome had all fields of all changes.
    *(
        Sample(name=f"outcomes/{name}.before_subjects", value=answer, encoded=None, decode=decode_answer)
        for name, answer in OLDER_ANSWERS.items()
    ),
    # What `commands` and `outcomes` have, for one of them.
    _sample(
        "metadata-submit.request",
        _question(COMMANDS["FenceBroker"]),
        encode_question(_question(COMMANDS["FenceBroker"])),
        decode_question,
    ),
    _sample("metadata-submit.answer", NOT_DECIDED, encode_answer(NOT_DECIDED), decode_answer),
    _sample("metadata-offset.answer", 77, str(Offset(77)).encode(), _number),
    _sample("quorum-describe.answer", QUORUM, quorum._encode(QUORUM), quorum._decode),
    _sample("leadership-transfer.request", TRANSFER, TRANSFER.encode(), leadership_transfer._decode),
    _sample("cluster-founded.request", DIRECTORIES_BY_NODE, _said(), _heard),
    _sample(
        "replica-files_lost.request",
        list(LOSSES.items()),
        format_report(LOSSES),
        lambda content: list(parse_report(content)),
    ),
]
