"""Plays: a script of what clients do, and what a shard makes of it, in text.

A line at the margin is an act; the indented lines below it are what followed, and the play fails when they
differ:

    a join                              a client that remembers its member id and generation, like a real one
        a: MEMBER_ID_REQUIRED a-1
    a join
        a: generation 1, leads a-1
    a sync a-1=x
        log: g generation 1 stable, range, led by a-1: a-1=x
        a: assignment x
    time 500                            milliseconds pass
    reload                              the coordinator is replayed from its log

Words after the verb: `key=value` options (id, instance, generation, protocols, session, rebalance, v, group),
or what the verb takes.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from textwrap import dedent, indent

from chronik.broker.coordinator.primitives import Writer
from chronik.broker.coordinator.shard import Now, Ticket
from chronik.broker.groups import record_format
from chronik.broker.groups.commands import (
    NO_GENERATION,
    UNKNOWN_MEMBER_ID,
    Abandon,
    AbandonAnswer,
    Answer,
    Command,
    Commit,
    CommitAnswer,
    DeleteGroup,
    DeleteGroupAnswer,
    DeleteOffsets,
    DeleteOffsetsAnswer,
    DescribeAnswer,
    DescribeGroup,
    FetchOffsets,
    ForgetTopics,
    ForgetTopicsAnswer,
    Heartbeat,
    HeartbeatAnswer,
    Join,
    JoinAnswer,
    Leave,
    LeaveAnswer,
    LeavingMember,
    ListAnswer,
    ListGroups,
    OffsetsAnswer,
    OffsetToCommit,
    Protocols,
    Sync,
    SyncAnswer,
)
from chronik.broker.groups.config import GroupConfig
from chronik.broker.groups.record_format import GroupKey, OffsetKey
from chronik.broker.groups.shard import Shard
from chronik.broker.groups.turn import Outcome
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import TopicPartition

from .known_topics import KnownTopics

Options = dict[str, str]

# So that wall and monotonic time cannot be taken for one another.
WALL_START_MS = 1_700_000_000_000
MONOTONIC_START_MS = 1_000

_OPTIONS = {
    "id",
    "instance",
    "generation",
    "protocols",
    "session",
    "rebalance",
    "v",
    "group",
    "retention",
    "as",
}


def perform(script: str, **config: int) -> "Play":
    """Act the script on a fresh shard, and compare what happens with what it says."""
    play = Play(GroupConfig(**config))
    expected = dedent(script).strip("\n")
    acts = [line for line in expected.splitlines() if line.strip() and not line.startswith((" ", "#"))]
    done = "\n".join(filter(None, (play.act(line) for line in acts)))
    wanted = "\n".join(line for line in expected.splitlines() if line.strip() and not line.startswith("#"))
    assert done == wanted
    return play


class Client:
    """Remembers what it was told, as clients do."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.member_id = UNKNOWN_MEMBER_ID
        self.generation = NO_GENERATION

    def hear(self, answer: Answer) -> None:
        if isinstance(answer, JoinAnswer):
            if answer.error in (ErrorCode.NONE, ErrorCode.MEMBER_ID_REQUIRED):
                self.member_id = answer.member_id
                self.generation = answer.generation
            elif answer.error is ErrorCode.UNKNOWN_MEMBER_ID:
                self.member_id, self.generation = UNKNOWN_MEMBER_ID, NO_GENERATION


class Play:
    """A shard, its clients, its log and its time."""

    def __init__(self, config: GroupConfig) -> None:
        self.config = config
        self.topics = KnownTopics()
        self.shard = Shard(config, self.topics)
        self.log: list[tuple[bytes, bytes | None]] = []
        self.passed_ms = 0
        self.clients: dict[str, Client] = {}
        self.tickets: dict[Ticket, Client] = {}
        self._last_ticket = 0
        self._ids: Counter[str] = Counter()
        self.shard.on_loaded(self.now)

    @property
    def now(self) -> Now:
        return Now(WALL_START_MS + self.passed_ms, MONOTONIC_START_MS + self.passed_ms)

    def new_member_id(self, prefix: str) -> str:
        self._ids[prefix] += 1
        return f"{prefix}-{self._ids[prefix]}"

    def act(self, line: str) -> str:
        """One act; what followed, as the script would say it."""
        # Two spaces or more set off a remark.
        words = line.split("  ")[0].split()
        if words[0] == "time":
            told = self.pass_time(int(words[1]))
        elif words[0] == "reload":
            told = self.reload()
        else:
            told = self.command(words[0], words[1], words[2:])
        return "\n".join([line, indent("\n".join(told), "    ")]).rstrip()

    def command(self, name: str, verb: str, words: list[str]) -> list[str]:
        options = {w.split("=", 1)[0]: w.split("=", 1)[1] for w in words if w.split("=", 1)[0] in _OPTIONS}
        rest = [word for word in words if word.split("=", 1)[0] not in _OPTIONS]
        client = self.clients.setdefault(name, Client(name))
        return self.run(client, _VERBS[verb](client, options, rest, self))

    def run(self, client: Client, command: Command[object]) -> list[str]:
        self._last_ticket += 1
        ticket = Ticket(self._last_ticket)
        self.tickets[ticket] = client
        return self.take(self.shard.handle(command, ticket, self.now))

    def waiting(self, client: Client) -> Ticket:
        """The ticket of the request that waits for this client; the last one where there are several."""
        return max(ticket for ticket, owner in self.tickets.items() if owner is client)

    def pass_time(self, ms: int) -> list[str]:
        """Deadlines on the way are met at their time."""
        end_ms = self.passed_ms + ms
        told: list[str] = []
        while (due_ms := self.shard.next_deadline_ms) is not None and due_ms - MONOTONIC_START_MS <= end_ms:
            self.passed_ms = max(self.passed_ms, due_ms - MONOTONIC_START_MS)
            happened = self.take(self.shard.tick(self.now))
            if happened:
                told += [f"at {self.passed_ms}", *happened]
        self.passed_ms = end_ms
        return told

    def reload(self) -> list[str]:
        self.shard = replayed(self.log, self.config, self.topics)
        self.tickets.clear()
        return self.take(self.shard.on_loaded(self.now))

    def take(self, outcome: Outcome) -> list[str]:
        self.log += outcome.records
        told = [f"log: {describe_record(key, value)}" for key, value in outcome.records]
        for ticket, answer in outcome.answers:
            client = self.tickets.pop(ticket)
            client.hear(answer)
            told.append(f"{client.name}: {describe_answer(answer)}")
        return told


def replayed(log: Iterable[tuple[bytes, bytes | None]], config: GroupConfig, topics: KnownTopics) -> Shard:
    shard = Shard(config, topics)
    for key, value in log:
        shard.replay(key, value)
    return shard


def subscription(topics: Iterable[str]) -> bytes:
    """A consumer's metadata for an assignor, version 0, without user data."""
    writer = Writer()
    writer.int16(0)
    names = list(topics)
    writer.int32(len(names))
    for name in names:
        writer.string(name)
    writer.int32(-1)
    return writer.finish()


def protocols(text: str) -> Protocols:
    """`range:t1+t2,sticky:t1` as what a consumer sends."""
    parts = (part.partition(":") for part in text.split(","))
    return tuple((name, subscription((topics or "t").split("+"))) for name, _, topics in parts)


def _partition(text: str) -> TopicPartition:
    topic, _, partition = text.rpartition("-")
    return TopicPartition(topic, int(partition))


def _join(client: Client, options: Options, rest: list[str], play: Play) -> Join:
    version = int(options.get("v", "9"))
    instance_id = options.get("instance")
    return Join(
        options.get("group", "g"),
        member_id=_member_id(client, options),
        instance_id=instance_id,
        protocol_type=options.get("as", "consumer"),
        protocols=protocols(options.get("protocols", "range")),
        session_timeout_ms=int(options.get("session", "10000")),
        rebalance_timeout_ms=int(options.get("rebalance", "60000")),
        client_id=client.name,
        client_host="/127.0.0.1",
        new_member_id=play.new_member_id(instance_id or client.name),
        requires_known_member_id=version >= 4,
        can_skip_assignment=version >= 9,
    )


def _sync(client: Client, options: Options, rest: list[str], play: Play) -> Sync:
    return Sync(
        options.get("group", "g"),
        member_id=_member_id(client, options),
        instance_id=options.get("instance"),
        generation=_generation(client, options),
        protocol_type=options.get("as"),
        protocol_name=options.get("protocols"),
        assignments=tuple((given.split("=")[0], given.split("=")[1].encode()) for given in rest),
    )


def _beat(client: Client, options: Options, rest: list[str], play: Play) -> Heartbeat:
    return Heartbeat(
        options.get("group", "g"),
        member_id=_member_id(client, options),
        instance_id=options.get("instance"),
        generation=_generation(client, options),
    )


def _leave(client: Client, options: Options, rest: list[str], play: Play) -> Leave:
    """By itself, or as an administrator `leave <member id or @instance id> ...`."""
    members = [
        LeavingMember(member_id="", instance_id=word[1:])
        if word.startswith("@")
        else LeavingMember(member_id=word)
        for word in rest
    ]
    if not members:
        instance_id = options.get("instance")
        members = [LeavingMember(member_id=_member_id(client, options), instance_id=instance_id)]
    return Leave(options.get("group", "g"), members=tuple(members))


def _gone(client: Client, options: Options, rest: list[str], play: Play) -> Abandon:
    return Abandon(options.get("group", "g"), abandoned=play.waiting(client))


def _commit(client: Client, options: Options, rest: list[str], play: Play) -> Commit:
    """`commit t-0=5 t-1=6/metadata`; a client that is no member commits as a simple consumer."""
    offsets = []
    for word in rest:
        partition, _, value = word.partition("=")
        offset, _, metadata = value.partition("/")
        offsets.append(OffsetToCommit(partition=_partition(partition), offset=int(offset), metadata=metadata))
    retention = options.get("retention")
    return Commit(
        options.get("group", "g"),
        member_id=_member_id(client, options),
        instance_id=options.get("instance"),
        generation=_generation(client, options),
        retention_ms=None if retention is None else int(retention),
        offsets=tuple(offsets),
    )


def _fetch(client: Client, options: Options, rest: list[str], play: Play) -> FetchOffsets:
    partitions = tuple(map(_partition, rest)) or None
    return FetchOffsets(options.get("group", "g"), partitions=partitions)


def _forget_offsets(client: Client, options: Options, rest: list[str], play: Play) -> DeleteOffsets:
    return DeleteOffsets(options.get("group", "g"), partitions=tuple(map(_partition, rest)))


def _forget_topics(client: Client, options: Options, rest: list[str], play: Play) -> ForgetTopics:
    for topic in rest:
        play.topics.delete(topic)
    return ForgetTopics(topics=frozenset(rest))


def _describe(client: Client, options: Options, rest: list[str], play: Play) -> DescribeGroup:
    return DescribeGroup(options.get("group", "g"))


def _delete(client: Client, options: Options, rest: list[str], play: Play) -> DeleteGroup:
    return DeleteGroup(options.get("group", "g"))


def _list(client: Client, options: Options, rest: list[str], play: Play) -> ListGroups:
    return ListGroups()


def _member_id(client: Client, options: Options) -> str:
    return options.get("id", client.member_id)


def _generation(client: Client, options: Options) -> int:
    return int(options.get("generation", client.generation))


_VERBS: dict[str, Callable[[Client, Options, list[str], Play], Command[object]]] = {
    "join": _join,
    "sync": _sync,
    "beat": _beat,
    "leave": _leave,
    "gone": _gone,
    "commit": _commit,
    "fetch": _fetch,
    "forget-offsets": _forget_offsets,
    "forget-topics": _forget_topics,
    "describe": _describe,
    "delete": _delete,
    "list": _list,
}


def describe_record(key: bytes, value: bytes | None) -> str:
    decoded = record_format.decode_key(key)
    if isinstance(decoded, OffsetKey):
        name = f"{decoded.group_id} {decoded.partition}"
        if value is None:
            return f"{name} gone"
        committed = record_format.decode_offset_value(value)
        return f"{name} at {committed.offset}" + (f" {committed.metadata!r}" if committed.metadata else "")
    assert isinstance(decoded, GroupKey)
    if value is None:
        return f"{decoded.group_id} gone"
    group = record_format.decode_group_value(value)
    if not group.members:
        return f"{decoded.group_id} generation {group.generation} empty"
    members = " ".join(f"{m.member_id}={m.assignment.decode()}" for m in group.members)
    what = f"{decoded.group_id} generation {group.generation} stable"
    return f"{what}, {group.protocol_name}, led by {group.leader_id}: {members}"


def describe_answer(answer: Answer) -> str:
    match answer:
        case JoinAnswer():
            return _describe_join(answer)
        case SyncAnswer():
            return _name(answer.error) or f"assignment {answer.assignment.decode() or 'of nothing'}"
        case HeartbeatAnswer() | DeleteGroupAnswer():
            return _name(answer.error) or "fine"
        case LeaveAnswer():
            return ", ".join(_name(error) or "left" for error in answer.errors)
        case CommitAnswer() | DeleteOffsetsAnswer():
            return _name(answer.error) or ", ".join(_name(error) or "fine" for error in answer.errors)
        case OffsetsAnswer():
            found = " ".join(
                f"{p}={c.offset}{c.metadata and '/' + c.metadata}" for p, c in answer.offsets.items()
            )
            return _name(answer.error) or found or "no offsets"
        case DescribeAnswer():
            members = " ".join(f"{m.member_id}={m.assignment.decode()}" for m in answer.members)
            return " ".join(filter(None, [_name(answer.error), answer.state, answer.protocol_name, members]))
        case ListAnswer():
            return " ".join(f"{g.group_id}/{g.protocol_type}/{g.state}" for g in answer.groups) or "no groups"
        case AbandonAnswer():
            return "removed" if answer.was_removed else "kept"
        case ForgetTopicsAnswer():
            return f"{answer.offsets_removed} offsets removed"


def _describe_join(answer: JoinAnswer) -> str:
    if answer.error is not ErrorCode.NONE:
        return f"{answer.error.name} {answer.member_id}".rstrip()
    told = f"generation {answer.generation}"
    if answer.leader_id != answer.member_id:
        return f"{told}, follows {answer.leader_id} as {answer.member_id}"
    members = " ".join(member.member_id for member in answer.members)
    return f"{told}, leads {members}" + (", skips assignment" if answer.skip_assignment else "")


def _name(error: ErrorCode) -> str:
    return "" if error is ErrorCode.NONE else error.name
