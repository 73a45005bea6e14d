"""Classic groups: JoinGroup (key 11) to ListGroups (16), DeleteGroups (42) and FindCoordinator (10)."""

from typing import Any

from chronik.wire.apis import ApiKey
from tests.parity.registry import scenario
from tests.parity.session import Peer, Session

NOBODY = "nobody-00000000-0000-0000-0000-000000000000"
RANGE = [{"name": "range", "metadata": b"metadata"}]


def joining(group: str, member_id: str = "", **more: Any) -> dict[str, Any]:
    return {
        "group_id": group,
        "session_timeout_ms": 30_000,
        "rebalance_timeout_ms": 30_000,
        "member_id": member_id,
        "protocol_type": "consumer",
        "protocols": RANGE,
        **more,
    }


def member_of(peer: Peer, group: str, **more: Any) -> tuple[str, int]:
    """A member that leads a group of one, and the generation; nothing is written down."""
    answer = peer.prepare(ApiKey.JOIN_GROUP, 5, joining(group, **more))
    if answer["error_code"] == 79:
        answer = peer.prepare(ApiKey.JOIN_GROUP, 5, joining(group, answer["member_id"], **more))
    assert answer["error_code"] == 0, answer
    return answer["member_id"], answer["generation_id"]


def synced(peer: Peer, group: str, **more: Any) -> tuple[str, int]:
    """The same, with its assignment."""
    member, generation = member_of(peer, group, **more)
    answer = peer.prepare(ApiKey.SYNC_GROUP, 3, syncing(group, generation, member))
    assert answer["error_code"] == 0, answer
    return member, generation


def syncing(group: str, generation: int, member: str, **more: Any) -> dict[str, Any]:
    return {
        "group_id": group,
        "generation_id": generation,
        "member_id": member,
        "assignments": [{"member_id": member, "assignment": b"assignment"}],
        **more,
    }


def at_home(s: Session, base: str = "group") -> tuple[Peer, str]:
    """The coordinator of a new group, and the group."""
    group = s.name(base)
    return s.coordinator(group), group


def wait_seen(c: Peer, group: str) -> None:
    """Kafka answers a join before the group is committed, and describes what is."""
    c.wait_until(
        lambda answer: answer["groups"][0]["group_state"] != "Dead",
        ApiKey.DESCRIBE_GROUPS,
        5,
        {"groups": [group]},
    )


# JoinGroup


@scenario((0, 1, 2, 3, 4, 5, 6, 7, 8, 9))
def joining_alone(s: Session, version: int) -> None:
    c, group = at_home(s)
    first = c.ask(ApiKey.JOIN_GROUP, version, joining(group))
    if first.get("error_code"):
        c.ask(ApiKey.JOIN_GROUP, version, joining(group, first["member_id"]))


@scenario((0, 5, 9))
def joining_a_group_with_a_space(s: Session, version: int) -> None:
    c, group = at_home(s, "a b")
    c.ask(ApiKey.JOIN_GROUP, version, joining(group))


@scenario((0, 5, 9))
def joining_the_empty_group(s: Session, version: int) -> None:
    s.ask(ApiKey.JOIN_GROUP, version, joining(""))


@scenario((0, 9), {"0": 0, "1": 1, "-1": -1, "an hour": 3_600_000, "5 hours": 18_000_000})
def a_session_timeout_of(s: Session, version: int, timeout_ms: int) -> None:
    c, group = at_home(s)
    c.ask(ApiKey.JOIN_GROUP, version, joining(group, session_timeout_ms=timeout_ms))


@scenario((0, 9))
def joining_as_a_member_nobody_knows(s: Session, version: int) -> None:
    c, group = at_home(s)
    c.ask(ApiKey.JOIN_GROUP, version, joining(group, NOBODY))


@scenario((0, 9))
def joining_a_living_group_as_a_member_nobody_knows(s: Session, version: int) -> None:
    c, group = at_home(s)
    synced(c, group)
    c.ask(ApiKey.JOIN_GROUP, version, joining(group, NOBODY))


PROTOCOLS: dict[str, dict[str, Any]] = {
    "no protocols": {"protocols": []},
    "no protocol type": {"protocol_type": ""},
    "neither": {"protocols": [], "protocol_type": ""},
    "a protocol without name": {"protocols": [{"name": "", "metadata": b""}]},
    "a protocol twice": {"protocols": [*RANGE, *RANGE]},
    "another type": {"protocol_type": "connect"},
}


@scenario((0, 9), PROTOCOLS)
def joining_with(s: Session, version: int, more: dict[str, Any]) -> None:
    c, group = at_home(s)
    first = c.ask(ApiKey.JOIN_GROUP, version, joining(group, **more))
    if first.get("error_code") == 79:
        c.ask(ApiKey.JOIN_GROUP, version, joining(group, first["member_id"], **more))


@scenario(
    (0, 9),
    {
        "another type": {"protocol_type": "connect"},
        "another protocol": {"protocols": [{"name": "sticky", "metadata": b""}]},
    },
)
def joining_a_living_group_with(s: Session, version: int, more: dict[str, Any]) -> None:
    c, group = at_home(s)
    synced(c, group)
    c.ask(ApiKey.JOIN_GROUP, version, joining(group, **more))


@scenario((0, 5, 9))
def joining_again_in_the_same_generation(s: Session, version: int) -> None:
    c, group = at_home(s)
    member, _ = synced(c, group)
    c.ask(ApiKey.JOIN_GROUP, version, joining(group, member))


@scenario((5, 9))
def a_second_member(s: Session, version: int) -> None:
    c, group = at_home(s)
    member, generation = synced(c, group)
    other = s.coordinator(group)
    new = other.prepare(ApiKey.JOIN_GROUP, 5, joining(group))["member_id"]
    waiting = other.start(ApiKey.JOIN_GROUP, version, joining(group, new))
    c.wait_until(
        lambda answer: answer["error_code"] == 27, ApiKey.HEARTBEAT, 3, beating(group, generation, member)
    )
    c.ask(ApiKey.HEARTBEAT, 4, beating(group, generation, member))
    c.ask(ApiKey.JOIN_GROUP, version, joining(group, member))
    other.finish(waiting)
    waiting = other.start(ApiKey.SYNC_GROUP, 5, named(syncing(group, generation + 1, new, assignments=[])))
    both = [{"member_id": each, "assignment": b"assignment"} for each in (member, new)]
    c.ask(ApiKey.SYNC_GROUP, 5, named(syncing(group, generation + 1, member, assignments=both)))
    other.finish(waiting)
    c.ask(ApiKey.DESCRIBE_GROUPS, 5, {"groups": [group]})


@scenario((5, 9))
def a_static_member(s: Session, version: int) -> None:
    c, group = at_home(s)
    c.ask(ApiKey.JOIN_GROUP, version, joining(group, group_instance_id="instance"))


@scenario((5, 9))
def a_static_member_that_comes_back(s: Session, version: int) -> None:
    c, group = at_home(s)
    old, generation = synced(c, group, group_instance_id="instance")
    c.ask(ApiKey.JOIN_GROUP, version, joining(group, group_instance_id="instance"))
    c.ask(ApiKey.HEARTBEAT, 4, beating(group, generation, old, group_instance_id="instance"))


@scenario((5, 9))
def a_static_member_under_a_wrong_member_id(s: Session, version: int) -> None:
    c, group = at_home(s)
    synced(c, group, group_instance_id="instance")
    c.ask(ApiKey.JOIN_GROUP, version, joining(group, NOBODY, group_instance_id="instance"))


@scenario({"empty": "", "dots": "..", "long": "x" * 250, "space": "a b"})
def an_instance_id(s: Session, instance: str) -> None:
    c, group = at_home(s)
    c.ask(ApiKey.JOIN_GROUP, 9, joining(group, group_instance_id=instance))


# SyncGroup


def named(fields: dict[str, Any]) -> dict[str, Any]:
    return {**fields, "protocol_type": "consumer", "protocol_name": "range"}


@scenario((0, 1, 2, 3, 4, 5))
def syncing_alone(s: Session, version: int) -> None:
    c, group = at_home(s)
    member, generation = member_of(c, group)
    c.ask(ApiKey.SYNC_GROUP, version, named(syncing(group, generation, member)))
    c.ask(ApiKey.SYNC_GROUP, version, named(syncing(group, generation, member, assignments=[])))


SYNCS: dict[str, dict[str, Any]] = {
    "a generation too high": {"generation_id": 9},
    "a generation of -1": {"generation_id": -1},
    "another member": {"member_id": NOBODY},
    "no member id": {"member_id": ""},
    "no assignments": {"assignments": []},
    "an assignment for nobody": {"assignments": [{"member_id": NOBODY, "assignment": b"x"}]},
    "an instance nobody knows": {"group_instance_id": "instance"},
}


@scenario((3, 5), SYNCS)
def syncing_with(s: Session, version: int, more: dict[str, Any]) -> None:
    c, group = at_home(s)
    member, generation = member_of(c, group)
    c.ask(ApiKey.SYNC_GROUP, version, named({**syncing(group, generation, member), **more}))


@scenario(
    {
        "another type": {"protocol_type": "connect"},
        "another protocol": {"protocol_name": "sticky"},
        "none": {"protocol_type": None, "protocol_name": None},
    }
)
def syncing_with_a_protocol(s: Session, more: dict[str, Any]) -> None:
    c, group = at_home(s)
    member, generation = member_of(c, group)
    c.ask(ApiKey.SYNC_GROUP, 5, {**named(syncing(group, generation, member)), **more})


@scenario((0, 5))
def syncing_with_a_group_that_is_not_there(s: Session, version: int) -> None:
    c, group = at_home(s)
    c.ask(ApiKey.SYNC_GROUP, version, named(syncing(group, 1, NOBODY)))


# Heartbeat


def beating(group: str, generation: int, member: str, **more: Any) -> dict[str, Any]:
    return {"group_id": group, "generation_id": generation, "member_id": member, **more}


@scenario((0, 1, 2, 3, 4))
def a_heartbeat(s: Session, version: int) -> None:
    c, group = at_home(s)
    member, generation = synced(c, group)
    c.ask(ApiKey.HEARTBEAT, version, beating(group, generation, member))


@scenario((0, 4))
def a_heartbeat_before_the_sync(s: Session, version: int) -> None:
    c, group = at_home(s)
    member, generation = member_of(c, group)
    c.ask(ApiKey.HEARTBEAT, version, beating(group, generation, member))


BEATS: dict[str, dict[str, Any]] = {
    "a generation too high": {"generation_id": 9},
    "a generation of -1": {"generation_id": -1},
    "another member": {"member_id": NOBODY},
    "no member id": {"member_id": ""},
}


@scenario((0, 4), BEATS)
def a_heartbeat_with(s: Session, version: int, more: dict[str, Any]) -> None:
    c, group = at_home(s)
    member, generation = synced(c, group)
    c.ask(ApiKey.HEARTBEAT, version, {**beating(group, generation, member), **more})


@scenario((0, 4))
def a_heartbeat_to_a_group_that_is_not_there(s: Session, version: int) -> None:
    c, group = at_home(s)
    c.ask(ApiKey.HEARTBEAT, version, beating(group, 1, NOBODY))


@scenario({"unknown": "other", "right": "instance"})
def a_heartbeat_of_an_instance(s: Session, instance: str) -> None:
    c, group = at_home(s)
    member, generation = synced(c, group, group_instance_id="instance")
    c.ask(ApiKey.HEARTBEAT, 4, beating(group, generation, member, group_instance_id=instance))


# LeaveGroup


def leaving(version: int, group: str, *members: str) -> dict[str, Any]:
    if version < 3:
        return {"group_id": group, "member_id": members[0]}
    return {"group_id": group, "members": [{"member_id": member} for member in members]}


@scenario((0, 1, 2, 3, 4, 5))
def leaving_it(s: Session, version: int) -> None:
    c, group = at_home(s)
    member, generation = synced(c, group)
    c.ask(ApiKey.LEAVE_GROUP, version, leaving(version, group, member))
    c.ask(ApiKey.HEARTBEAT, 4, beating(group, generation, member))
    c.ask(ApiKey.DESCRIBE_GROUPS, 5, {"groups": [group]})


@scenario((0, 5), {"nobody": NOBODY, "empty": ""})
def leaving_as(s: Session, version: int, member: str) -> None:
    c, group = at_home(s)
    synced(c, group)
    c.ask(ApiKey.LEAVE_GROUP, version, leaving(version, group, member))


@scenario((0, 5))
def leaving_a_group_that_is_not_there(s: Session, version: int) -> None:
    c, group = at_home(s)
    c.ask(ApiKey.LEAVE_GROUP, version, leaving(version, group, NOBODY))


@scenario((3, 5))
def leaving_as_no_member(s: Session, version: int) -> None:
    c, group = at_home(s)
    synced(c, group)
    c.ask(ApiKey.LEAVE_GROUP, version, leaving(version, group))


@scenario((3, 5))
def leaving_twice_in_a_request(s: Session, version: int) -> None:
    c, group = at_home(s)
    member, _ = synced(c, group)
    c.ask(ApiKey.LEAVE_GROUP, version, leaving(version, group, member, member, NOBODY))


@scenario({"unknown": "other", "right": "instance"})
def removing_an_instance(s: Session, instance: str) -> None:
    c, group = at_home(s)
    synced(c, group, group_instance_id="instance")
    members = [{"member_id": "", "group_instance_id": instance}]
    c.ask(ApiKey.LEAVE_GROUP, 5, {"group_id": group, "members": members})


# DescribeGroups, ListGroups, DeleteGroups


@scenario((0, 5, 6))
def describing_a_group_whose_last_member_left(s: Session, version: int) -> None:
    c, group = at_home(s)
    member, _ = synced(c, group)
    c.prepare(ApiKey.LEAVE_GROUP, 0, {"group_id": group, "member_id": member})
    c.ask(ApiKey.DESCRIBE_GROUPS, version, {"groups": [group]})
    c.ask(ApiKey.LIST_GROUPS, 5)


@scenario((6,))
def describing_a_group_whose_only_member_left_before_it_joined(s: Session, version: int) -> None:
    c, group = at_home(s)
    handed_out = c.prepare(ApiKey.JOIN_GROUP, 5, joining(group))
    wait_seen(c, group)
    c.prepare(ApiKey.LEAVE_GROUP, 0, {"group_id": group, "member_id": handed_out["member_id"]})
    c.ask(ApiKey.DESCRIBE_GROUPS, version, {"groups": [group]})
    c.ask(ApiKey.LIST_GROUPS, 5)


@scenario((0, 6))
def describing_a_group_whose_only_member_has_not_joined_yet(s: Session, version: int) -> None:
    c, group = at_home(s)
    c.prepare(ApiKey.JOIN_GROUP, 5, joining(group))
    wait_seen(c, group)
    c.ask(ApiKey.DESCRIBE_GROUPS, version, {"groups": [group]})
    c.ask(ApiKey.LIST_GROUPS, 5)


@scenario((0, 1, 2, 3, 4, 5, 6))
def describing_a_living_group(s: Session, version: int) -> None:
    c, group = at_home(s)
    synced(c, group)
    c.ask(ApiKey.DESCRIBE_GROUPS, version, {"groups": [group]})


@scenario((0, 5, 6))
def describing_a_group_that_is_not_there(s: Session, version: int) -> None:
    c, group = at_home(s)
    c.ask(ApiKey.DESCRIBE_GROUPS, version, {"groups": [group]})


@scenario((0, 6))
def describing_no_groups(s: Session, version: int) -> None:
    s.ask(ApiKey.DESCRIBE_GROUPS, version, {"groups": []})


@scenario((0, 6))
def describing_a_group_twice(s: Session, version: int) -> None:
    c, group = at_home(s)
    synced(c, group)
    c.ask(ApiKey.DESCRIBE_GROUPS, version, {"groups": [group, group]})


@scenario((0, 6), nodes=1)
def describing_the_empty_name(s: Session, version: int) -> None:
    s.ask(ApiKey.DESCRIBE_GROUPS, version, {"groups": [""]})


@scenario((3, 6))
def describing_with_operations(s: Session, version: int) -> None:
    c, group = at_home(s)
    synced(c, group)
    c.ask(ApiKey.DESCRIBE_GROUPS, version, {"groups": [group], "include_authorized_operations": True})


@scenario((0, 6))
def describing_a_group_in_rebalance(s: Session, version: int) -> None:
    c, group = at_home(s)
    member_of(c, group)
    wait_seen(c, group)
    c.ask(ApiKey.DESCRIBE_GROUPS, version, {"groups": [group]})


@scenario((0, 1, 2, 3, 4, 5))
def listing_groups(s: Session, version: int) -> None:
    c, group = at_home(s)
    synced(c, group)
    c.ask(ApiKey.LIST_GROUPS, version)


@scenario(
    {
        "stable": ["Stable"],
        "in small letters": ["stable"],
        "empty": ["Empty"],
        "unknown": ["Odd"],
        "two": ["Empty", "Stable"],
    }
)
def listing_groups_in_state(s: Session, states: list[str]) -> None:
    c, group = at_home(s)
    synced(c, group)
    c.ask(ApiKey.LIST_GROUPS, 5, {"states_filter": states})


@scenario(
    {
        "classic": ["classic"],
        "in capitals": ["CLASSIC"],
        "consumer": ["consumer"],
        "unknown": ["odd"],
        "share": ["share"],
    }
)
def listing_groups_of_type(s: Session, types: list[str]) -> None:
    c, group = at_home(s)
    synced(c, group)
    c.ask(ApiKey.LIST_GROUPS, 5, {"types_filter": types})


@scenario((0, 1, 2, 3))
def deleting_an_empty_group(s: Session, version: int) -> None:
    c, group = at_home(s)
    member, _ = synced(c, group)
    c.prepare(ApiKey.LEAVE_GROUP, 0, {"group_id": group, "member_id": member})
    c.ask(ApiKey.DELETE_GROUPS, version, {"groups_names": [group]})
    c.ask(ApiKey.DESCRIBE_GROUPS, 5, {"groups": [group]})


@scenario((0, 2))
def deleting_a_living_group(s: Session, version: int) -> None:
    c, group = at_home(s)
    synced(c, group)
    c.ask(ApiKey.DELETE_GROUPS, version, {"groups_names": [group]})


@scenario((0, 2))
def deleting_a_group_that_is_not_there(s: Session, version: int) -> None:
    c, group = at_home(s)
    c.ask(ApiKey.DELETE_GROUPS, version, {"groups_names": [group]})


@scenario((0, 2))
def deleting_no_groups(s: Session, version: int) -> None:
    s.ask(ApiKey.DELETE_GROUPS, version, {"groups_names": []})


@scenario((0, 2))
def deleting_a_group_twice(s: Session, version: int) -> None:
    c, group = at_home(s)
    c.ask(ApiKey.DELETE_GROUPS, version, {"groups_names": [group, group]})


@scenario((0, 2), nodes=1)
def deleting_the_empty_name(s: Session, version: int) -> None:
    s.ask(ApiKey.DELETE_GROUPS, version, {"groups_names": [""]})


# FindCoordinator


@scenario((0, 1, 2, 3))
def finding_the_coordinator(s: Session, version: int) -> None:
    s.ask(ApiKey.FIND_COORDINATOR, version, {"key": s.name("group")})


@scenario((4, 5, 6))
def finding_coordinators(s: Session, version: int) -> None:
    keys = [s.name("a"), s.name("b")]
    s.ask(ApiKey.FIND_COORDINATOR, version, {"coordinator_keys": keys})


@scenario((1, 3, 4, 6), {"transaction": 1, "share": 2, "unknown": 9, "-1": -1}, nodes=1)
def finding_a_coordinator_of_type(s: Session, version: int, key_type: int) -> None:
    keys = {"coordinator_keys": [s.name("key")]} if version >= 4 else {"key": s.name("key")}
    s.ask(ApiKey.FIND_COORDINATOR, version, {"key_type": key_type, **keys})


@scenario((0, 3))
def finding_the_coordinator_of_the_empty_name(s: Session, version: int) -> None:
    s.ask(ApiKey.FIND_COORDINATOR, version, {"key": ""})


@scenario((4, 6))
def finding_no_coordinators(s: Session, version: int) -> None:
    s.ask(ApiKey.FIND_COORDINATOR, version, {"coordinator_keys": []})


@scenario((4, 6))
def finding_a_coordinator_twice(s: Session, version: int) -> None:
    s.ask(ApiKey.FIND_COORDINATOR, version, {"coordinator_keys": [s.name("a"), s.name("a")]})
