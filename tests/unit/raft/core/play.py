"""Plays: a script of commands in, a transcript of every Ready out.

A line that starts with `> ` is a command, one with `#` a remark; what follows a command is what it made the
cores do. `COMMANDS` has them all.
"""

from collections.abc import Callable
from dataclasses import replace

from chronik.raft.core.entries import Append, Entries
from chronik.raft.core.messages import AppendEntries, Message
from chronik.raft.core.options import RaftOptions
from chronik.raft.core.ready import Ready
from chronik.raft.core.types import Membership, ReplicaId, founding_replicas
from chronik.vocab.ids import NodeId
from tests.unit.raft.core.group import Group, membership, with_directories
from tests.unit.raft.core.model_log import units_of

QUIET = RaftOptions(is_quiescence_used=True)


class Play:
    """One script's run."""

    def __init__(self) -> None:
        self._group = Group(membership(1))
        self._commands: dict[str, Callable[[list[str]], object]] = {
            # Who votes; after a bar, who learns. Quiet: with the option for it. On disks: with directories.
            "group": lambda w: self._make_group(_membership(w)),
            "quiet-group": lambda w: self._make_group(_membership(w), QUIET),
            "group-on-disks": lambda w: self._make_group(with_directories(_membership(w))),
            "bootstrap": lambda w: self._group.bootstrap(int(w[0])),
            "tick": lambda w: self._group.tick(int(w[0]), times=int(w[1])),
            # Tick until it asks for votes.
            "elapse": lambda w: self._group.elapse(int(w[0])),
            # What is on the wire now; or until nothing is.
            "deliver": lambda _: self._group.deliver(),
            "settle": lambda _: self._group.wait_until_idle(),
            "sync": lambda w: self._group.sync(*map(int, w)),
            # Leader, text, records.
            "propose": lambda w: self._group.propose(int(w[0]), w[1], int(w[2])),
            "change-on-disks": lambda w: self._group.change(int(w[0]), self._on_disks(_membership(w[1:]))),
            "change": lambda w: self._group.change(int(w[0]), _membership(w[1:])),
            "transfer": lambda w: self._group.transfer(int(w[0]), int(w[1])),
            "resign": lambda w: self._resign(int(w[0])),
            "lose-peer": lambda w: self._group.lose_peer(int(w[0]), int(w[1])),
            "find-peer": lambda w: self._group.find_peer(int(w[0]), int(w[1])),
            # Another incarnation of its process.
            "find-restarted": lambda w: self._group.find_peer(int(w[0]), int(w[1]), is_restarted=True),
            "isolate": lambda w: self._group.isolate(*map(int, w)),
            "heal": lambda _: self._group.heal(),
            "restart": lambda w: self._group.restart(int(w[0])),
            "replace-disk": lambda w: self._group.replace_disk(int(w[0])),
            # Retention: node, first index.
            "drop-before": lambda w: self._group[int(w[0])].log.drop_before(int(w[1])),
            "logs": lambda _: None,
        }

    def perform(self, script: str) -> str:
        """The script with its transcript, in place of whatever transcript it had."""
        lines: list[str] = []
        for line in script.splitlines():
            if line.startswith("> "):
                lines += [line, *self._command(line[2:].split())]
            elif line.startswith("#") or not line:
                lines.append(line)
        return "\n".join(lines) + "\n"

    def _make_group(self, first: Membership, options: RaftOptions | None = None) -> None:
        self._group = Group(first, options=options)

    def _on_disks(self, plain: Membership) -> Membership:
        named = founding_replicas({node: self._group[node].directory for node in plain.members})
        return replace(plain, replicas=named)

    def _resign(self, node: int) -> None:
        self._group.core(node).resign()
        self._group.run(node)

    def _command(self, words: list[str]) -> list[str]:
        start = 0 if "group" in words[0] else len(self._group.journal)
        self._commands[words[0]](words[1:])
        if words[0] == "logs":
            return [f"  {node}: {_log(self._group, node)}" for node in self._group.shells]
        return [
            f"  {node}: {line}" for node, ready in self._group.journal[start:] for line in _describe(ready)
        ]


def _membership(words: list[str]) -> Membership:
    bar = words.index("|") if "|" in words else len(words)
    return membership(*map(int, words[:bar]), learners=map(int, words[bar + 1 :]))


def _log(group: Group, node: NodeId) -> str:
    log = group[node].log
    units = " ".join(f"{u.first}-{u.last}@{u.term}:{_value(u.value)}" for u in log.content.units)
    return f"from {log.first_index} committed {group.core(node).committed} | {units}"


def _describe(ready: Ready) -> list[str]:
    """A line for each thing to do."""
    lines: list[str] = []
    if ready.restart is not None:
        lines.append(f"restart after {ready.restart.index}@{ready.restart.term}")
    if ready.truncate_to is not None:
        lines.append(f"truncate to {ready.truncate_to}")
    lines += [f"append {_append(append)}" for append in ready.appends]
    if ready.hard_state is not None:
        lines.append(f"term {ready.hard_state.term} vote {ready.hard_state.voted_for}")
    lines += [f"send {_message(message)}" for message in ready.messages]
    lines += [f"after sync send {_message(message)}" for message in ready.messages_after_persistence]
    if ready.committed is not None:
        lines.append(f"committed {ready.committed}")
    if ready.membership is not None:
        lines.append(f"membership {_value(ready.membership)}")
    if ready.leadership is not None:
        lines.append(f"{ready.leadership.role.value}, leader {ready.leadership.leader}")
    return lines


def _append(append: Append) -> str:
    return f"[{append.first}, {append.last}] of {_entries(append.entries)}"


def _entries(entries: Entries) -> str:
    return ",".join(f"{u.first}-{u.last}@{u.term}:{_value(u.value)}" for u in units_of(entries))


def _disk(replica: ReplicaId) -> str:
    return f"{replica.directory}r{replica.revision}" if replica.revision else replica.directory


def _value(value: str | Membership | None) -> str:
    if isinstance(value, Membership):
        learners = "|" + "".join(map(str, sorted(value.learners))) if value.learners else ""
        disks = " on " + " ".join(sorted(map(_disk, value.replicas))) if value.replicas else ""
        return "<" + "".join(map(str, sorted(value.voters))) + learners + disks + ">"
    return "<start>" if value is None else value


def _message(message: Message) -> str:
    fields = {name: getattr(message, name) for name in _fields(message)}
    # What is as nearly always goes unsaid.
    for name, usual in (("is_counted", True), ("payload", None)):
        if fields.get(name) == usual:
            fields.pop(name, None)
    if isinstance(message, AppendEntries):
        fields["entries"] = ",".join(map(_entries, message.entries)) or "none"
    shown = " ".join(
        f"{name}={_value(value) if isinstance(value, Membership) else value}"
        for name, value in fields.items()
    )
    return f"to {message.target} {type(message).__name__} term={message.term} {shown}".rstrip()


def _fields(message: Message) -> list[str]:
    names = message._fields if isinstance(message, tuple) else message.__dataclass_fields__
    return [name for name in names if name not in ("source", "target", "term")]
