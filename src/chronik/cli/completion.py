"""Completion of names from the cluster, for a shell. Empty, soon, where no broker answers."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import typer

from chronik.cli.options import BOOTSTRAP_DEFAULT

if TYPE_CHECKING:
    from chronik.client.client import Client

# A person waits for it with a finger on the key.
_TIMEOUT_SECONDS = 1.0


def topic_names(context: typer.Context, incomplete: str) -> list[str]:
    """Internal topics are offered only after their underscores."""

    def ask(client: "Client") -> Sequence[str]:
        from chronik.client import topics

        shown = [topic for topic in topics.list_all(client) if incomplete or not topic.is_internal]
        return [topic.name for topic in shown]

    return _named(context, incomplete, ask)


def group_names(context: typer.Context, incomplete: str) -> list[str]:
    def ask(client: "Client") -> Sequence[str]:
        from chronik.client import groups

        return [group.id for group in groups.list_all(client)]

    return _named(context, incomplete, ask)


def _named(context: typer.Context, incomplete: str, ask: "Callable[[Client], Sequence[str]]") -> list[str]:
    from chronik.cli.failure import Failure
    from chronik.client.client import Client
    from chronik.client.errors import ClientError

    servers = context.params.get("bootstrap_server") or BOOTSTRAP_DEFAULT
    try:
        with Client(servers, timeout_s=_TIMEOUT_SECONDS) as client:
            return sorted(name for name in ask(client) if name.startswith(incomplete))
    except (ClientError, Failure, OSError):
        # A message would stand in the line that is being typed.
        return []
