"""Kafka Streams: a count with a repartition topic and a changelog, stopped and started in its middle."""

import tempfile

from tests.proofs.java.session import SERVERS, Session

SENTENCES = 2_000


def run(session: Session) -> None:
    factor = str(min(3, session.target.nodes))
    session.tool("kafka-topics", "--create", "--topic", "streams-in", "--partitions", "2")
    session.tool("kafka-topics", "--create", "--topic", "streams-out", "--partitions", "1")
    with tempfile.TemporaryDirectory(prefix="streams-state-") as state:
        lines = session.program("StreamsCount", SERVERS, "streams", str(SENTENCES), state, factor)
    step = session.steps.pop()
    session.note(step.command.replace(state, "DIRECTORY"), lines)
    # The application has made its topics itself.
    session.tool("kafka-topics", "--list", "--topic", "streams-app-.*")
    compacted = ("--describe", "--topic", "streams-app-counts-changelog")
    session.tool("kafka-configs", *compacted, keep="cleanup.policy|Error")
