"""Plays the conversations against a broker whose permissions can be set."""

from collections.abc import Callable, Iterable

from tests.parity.authorization import permissions
from tests.parity.authorization.conversations import (
    CONVERSATIONS,
    ENDS,
    TOPICS,
    check_untouched,
    set_up,
    settings,
)
from tests.parity.authorization.permissions import EVERYTHING, Permission
from tests.parity.authorization.requests import Requests
from tests.parity.golden import Transcript
from tests.parity.session import Session, Target

# Replaces all that is allowed by these.
Allow = Callable[[Iterable[Permission]], None]


def play(name: str, where: Target, allow: Allow) -> Transcript:
    """One of `names`. Raises AssertionError when what may do nothing has done something."""
    conversation, end = name.split("/")
    session = Session(where, f"{where.run}{conversation[0]}{end[0]}")
    try:
        allow(EVERYTHING)
        set_up(session)
        ids = {base: session.topic_id(session.name(base)) for base in TOPICS}
        settings_before = settings(session)
        allow(permissions.some(session) if conversation == "some" else ())
        CONVERSATIONS[conversation](session, Requests(session, ENDS[end], ids))
        allow(EVERYTHING)
        if conversation == "nobody":
            check_untouched(session, settings_before)
        return session.transcript
    finally:
        session.close_all()


def names() -> list[str]:
    return [f"{conversation}/{end}" for conversation in CONVERSATIONS for end in ENDS]
