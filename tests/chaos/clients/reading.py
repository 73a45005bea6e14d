"""The one member of a group: it reads all topics, commits, and asks what is committed."""

import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from chronik.history.events import Commit, Committed, Note, Place, Poll
from chronik.history.files import Recorder
from tests.chaos.clients.member import Given, MakeMember, Member, MemberFailed

_COMMIT_SECONDS = 0.5
_ASK_SECONDS = 3.0
# After a failure, before the next try.
_PAUSE_SECONDS = 0.1


class Goal(Protocol):
    """Until when to read: the end offsets, once they are known."""

    @property
    def ends(self) -> Mapping[Place, int] | None: ...

    @property
    def is_over(self) -> threading.Event: ...


class Reader:
    """In one thread."""

    def __init__(
        self, member: Member, group: str, recorder: Recorder, commit_seconds: float = _COMMIT_SECONDS
    ) -> None:
        self._member = member
        self._group = group
        self._recorder = recorder
        self._commit_seconds = commit_seconds
        # What was given and is not committed: the next offset.
        self._pending: dict[tuple[str, int], int] = {}
        self._committed: dict[Place, int] = {}
        self._assignments = member.assignments
        self._commit_at = self._ask_at = time.monotonic()

    def step(self) -> None:
        self._poll()
        now = time.monotonic()
        self._forget()
        if now >= self._commit_at and self._pending:
            self._commit()
            self._commit_at = now + self._commit_seconds
        if now >= self._ask_at:
            self._ask()
            self._ask_at = now + _ASK_SECONDS

    def has_reached(self, ends: Mapping[Place, int]) -> bool:
        """True if it has committed all before these."""
        return all(self._committed.get(place, 0) >= end for place, end in ends.items())

    def _forget(self) -> None:
        """What was given before a new assignment is given again unless it is committed: to commit it now
        could be to commit what the member has already been told to begin before.
        """
        if self._assignments != self._member.assignments:
            self._assignments = self._member.assignments
            self._pending.clear()

    def _commit(self) -> None:
        pending = dict(self._pending)
        offsets = {f"{topic}-{partition}": offset for (topic, partition), offset in pending.items()}
        began = time.monotonic()
        error = None
        try:
            self._member.commit(pending)
            self._pending.clear()
            self._committed.update(offsets)
        except MemberFailed as failure:
            error = str(failure)
        self._recorder.add(
            Commit(
                group=self._group,
                began=began,
                ended=time.monotonic(),
                offsets=offsets,
                error=error,
            )
        )

    def _poll(self) -> None:
        began = time.monotonic()
        try:
            given = self._member.poll()
        except MemberFailed as failure:
            self._note("poll", failure)
            return
        if given:
            self._take(given, began)

    def _take(self, given: Sequence[Given], began: float) -> None:
        self._forget()
        records: defaultdict[Place, list[tuple[int, int]]] = defaultdict(list)
        for topic, partition, offset, number in given:
            place = f"{topic}-{partition}"
            records[place].append((offset, number))
            self._pending[topic, partition] = offset + 1
        self._recorder.add(
            Poll(group=self._group, began=began, ended=time.monotonic(), records=dict(records))
        )

    def _ask(self) -> None:
        began = time.monotonic()
        try:
            offsets = self._member.committed()
        except MemberFailed as failure:
            self._note("committed", failure)
            return
        self._recorder.add(Committed(group=self._group, began=began, ended=time.monotonic(), offsets=offsets))

    def _note(self, what: str, failure: MemberFailed) -> None:
        self._recorder.add(Note(at=time.monotonic(), text=f"{self._group}: {what}: {failure}"))
        time.sleep(_PAUSE_SECONDS)


def read(
    make_member: MakeMember, group: str, servers: str, topics: Sequence[str], path: Path, goal: Goal
) -> None:
    """Read until the goal is reached, or it is over."""
    with Recorder(path) as recorder:
        member = make_member(servers, group, topics)
        reader = Reader(member, group, recorder)
        while not goal.is_over.is_set():
            reader.step()
            ends = goal.ends
            if ends is not None and reader.has_reached(ends):
                break
        try:
            member.close()
        except MemberFailed as failure:
            recorder.add(Note(at=time.monotonic(), text=f"{group}: close: {failure}"))
