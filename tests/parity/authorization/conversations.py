"""The conversations: every served API, at its lowest and at its highest version.

Topics and groups: "mine" (everything is allowed, where anything is), "seen" (may be described), "read" (may
be read), "theirs" (nothing). Topics that are not there: "fresh" (may be described), "made" (may be created),
"new" (everything), "absent" (nothing). "doomed" is as "mine", and deleted.
"""

from collections.abc import Callable

from chronik.wire.apis import SUPPORTED, ApiKey
from tests.parity.authorization.requests import Requests
from tests.parity.session import Session

TOPICS = ("mine", "doomed", "seen", "read", "theirs")
GROUPS = ("mine", "doomed", "seen", "read", "theirs")
NOT_THERE = ("fresh", "absent")
RECORDS = 3
COMMITTED = 2

_TOPIC, _BROKER, _METRICS, _GROUP = 2, 4, 16, 32

# Values by name, by type of resource.
Settings = dict[int, dict[str, str | None]]


def set_up(s: Session) -> None:
    """While everything is allowed."""
    for base in TOPICS:
        topic = s.topic(base)
        s.produce(topic, *(b"v%d" % number for number in range(RECORDS)))
    for base in GROUPS:
        peer = s.coordinator(s.name(base))
        offsets = [{"partition_index": 0, "committed_offset": COMMITTED, "committed_metadata": ""}]
        topics = [{"name": s.name(topic), "partitions": offsets} for topic in TOPICS]
        answer = peer.prepare(
            ApiKey.OFFSET_COMMIT,
            8,
            {
                "group_id": s.name(base),
                "generation_id_or_member_epoch": -1,
                "member_id": "",
                "topics": topics,
            },
        )
        assert not any(each["partitions"][0]["error_code"] for each in answer["topics"]), answer


def settings(s: Session) -> Settings:
    """What `Requests.alter_configs` asks to change, while everything is allowed: of all brokers, and of the
    topic, the group and the client metrics "mine".
    """
    named = [(_BROKER, ""), *((kind, s.name("mine")) for kind in (_TOPIC, _GROUP, _METRICS))]
    resources = [
        {"resource_type": kind, "resource_name": name, "configuration_keys": None} for kind, name in named
    ]
    found = s.prepare(ApiKey.DESCRIBE_CONFIGS, 1, {"resources": resources})["results"]
    return {
        described["resource_type"]: {config["name"]: config["value"] for config in described["configs"]}
        for described in found
    }


def check_untouched(s: Session, settings_before: Settings) -> None:
    """While everything is allowed again, after a conversation that may do nothing."""
    for base in TOPICS:
        wanted = [{"partition_index": 0, "timestamp": timestamp} for timestamp in (-2, -1)]
        ends = [
            s.prepare(ApiKey.LIST_OFFSETS, 5, {"topics": [{"name": s.name(base), "partitions": [each]}]})
            for each in wanted
        ]
        assert [end["topics"][0]["partitions"][0]["offset"] for end in ends] == [0, RECORDS]
    asked = {"topics": None, "allow_auto_topic_creation": False}
    topics = s.prepare(ApiKey.METADATA, 12, asked)["topics"]
    mine = {each["name"]: len(each["partitions"]) for each in topics if each["name"].endswith(s.name(""))}
    assert mine == {s.name(base): 1 for base in TOPICS}
    assert settings(s) == settings_before
    for base in GROUPS:
        peer = s.coordinator(s.name(base))
        groups = [{"group_id": s.name(base), "topics": None}]
        (found,) = peer.prepare(ApiKey.OFFSET_FETCH, 8, {"groups": groups})["groups"]
        offsets = {each["name"]: each["partitions"][0]["committed_offset"] for each in found["topics"]}
        assert offsets == {s.name(topic): COMMITTED for topic in TOPICS}


def nobody(s: Session, r: Requests) -> None:
    """With no permission at all."""
    topics = ("mine", "theirs", "absent")
    r.of_the_connection()
    r.produce(*topics)
    r.produce("mine", transactional_id="tx")
    r.fetch(*topics)
    r.list_offsets(*topics)
    r.epoch_ends(*topics)
    r.describe_producers(*topics)
    r.delete_records(*topics)
    r.metadata(*topics, creates=True)
    r.metadata_of_all()
    r.metadata_by_id(*topics)
    r.topic_partitions(*topics)
    r.topic_partitions()
    r.create_topics("mine", "new")
    r.delete_topics(*topics)
    r.delete_topics_by_id(*topics)
    r.create_partitions(*topics)
    r.elect_leaders(*topics)
    r.describe_log_dirs(*topics)
    for key_type in (0, 1):
        r.find_coordinator(key_type, "mine", "theirs")
    r.of_members("mine")
    r.offset_commit("mine", *topics)
    r.offset_fetch(("mine", "theirs"), topics)
    r.offset_fetch(("mine", "theirs"), None)
    r.offset_delete("mine", *topics)
    r.describe_groups("mine", "theirs", "absent")
    r.list_groups()
    r.delete_groups("mine", "theirs", "absent")
    r.init_producer_id()
    r.init_producer_id("tx")
    r.describe_configs("mine", "absent")
    r.alter_configs("mine", "absent")
    r.of_the_cluster()


def some(s: Session, r: Requests) -> None:
    """With the permissions of `permissions.some`."""
    topics = ("mine", "seen", "read", "theirs", *NOT_THERE)
    r.produce(*topics)
    r.fetch(*topics)
    r.fetch(*topics, replica_id=1)
    r.list_offsets(*topics)
    r.epoch_ends(*topics)
    r.describe_producers(*topics)
    r.metadata(*topics)
    r.metadata("mine", "fresh", "made", "absent", creates=True)
    r.metadata_of_all()
    r.metadata_by_id(*(base for base in topics if base != "fresh"))
    r.topic_partitions(*topics)
    r.topic_partitions()
    r.create_topics(*topics, "made", "new")
    r.create_partitions(*topics)
    r.elect_leaders("mine", "theirs")
    r.describe_log_dirs("mine", "theirs")
    r.find_coordinator(0, *GROUPS)
    r.of_members("seen")
    for group in ("mine", "read", "seen"):
        r.offset_commit(group, *topics)
    r.offset_fetch(GROUPS, topics)
    r.offset_fetch(GROUPS, None)
    r.describe_groups(*GROUPS, "absent")
    r.list_groups()
    r.init_producer_id()
    r.describe_configs(*topics)
    r.alter_configs(*topics)
    r.of_the_cluster()
    r.offset_delete("mine", *topics)
    r.offset_delete("seen", *topics)
    r.delete_records(*topics)
    r.delete_groups("doomed", "seen", "theirs", "absent")
    r.delete_topics("doomed", *topics[1:])
    r.delete_topics_by_id(*topics[1:])


CONVERSATIONS: dict[str, Callable[[Session, Requests], None]] = {"nobody": nobody, "some": some}
ENDS: dict[str, Callable[[ApiKey], int]] = {
    "lowest": lambda api_key: SUPPORTED[api_key].first,
    "highest": lambda api_key: SUPPORTED[api_key].last,
}
