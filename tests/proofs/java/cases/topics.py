"""kafka-topics: every action, and what it says of topics that are not as it wants them."""

from tests.proofs.java.session import Session

_MASK = [
    # Set by chronik.testing for its clusters.
    (r",?write\.caching=false", ""),
    # Ids and leaders are the cluster's choice.
    (r"TopicId: \S+", "TopicId: ID"),
    (r"Leader: \d+", "Leader: NODE"),
    (r"(Replicas|Isr): [\d,]+", r"\1: NODES"),
]
_OWN = r"topics-|Error|Exception"


def run(session: Session) -> None:
    factor = str(min(3, session.target.nodes))
    session.tool("kafka-topics", "--create", "--topic", "topics-a", "--partitions", "3")
    session.tool(
        "kafka-topics",
        *("--create", "--topic", "topics-b", "--replication-factor", factor),
        *("--config", "retention.ms=3600000", "--config", "cleanup.policy=compact"),
    )
    session.tool("kafka-topics", "--create", "--topic", "topics-a")
    session.tool("kafka-topics", "--create", "--if-not-exists", "--topic", "topics-a")
    session.tool("kafka-topics", "--create", "--topic", "topics-c", "--replication-factor", "9")
    session.tool("kafka-topics", "--create", "--topic", "topics/c")
    session.tool("kafka-topics", "--create", "--topic", "topics-c", "--config", "no.such.setting=1")
    session.tool("kafka-topics", "--list", keep=_OWN)
    session.tool("kafka-topics", "--list", "--exclude-internal", "--topic", "topics-.*")
    _describe(session)
    session.tool("kafka-topics", "--alter", "--topic", "topics-a", "--partitions", "5")
    session.tool("kafka-topics", "--alter", "--topic", "topics-a", "--partitions", "2")
    session.tool("kafka-topics", "--alter", "--topic", "topics-no", "--partitions", "2")
    session.tool("kafka-topics", "--describe", "--topic", "topics-a", mask=_MASK)
    session.tool("kafka-topics", "--delete", "--topic", "topics-a")
    session.tool("kafka-topics", "--delete", "--topic", "topics-a")
    session.tool("kafka-topics", "--delete", "--if-exists", "--topic", "topics-a")
    session.tool("kafka-topics", "--delete", "--topic", "topics-b")


def _describe(session: Session) -> None:
    session.tool("kafka-topics", "--describe", is_sorted=True, keep=_OWN, mask=_MASK)
    session.tool("kafka-topics", "--describe", "--topic", "topics-b", mask=_MASK)
    session.tool("kafka-topics", "--describe", "--topic", "topics-no")
    for which in (
        "--under-replicated-partitions",
        "--unavailable-partitions",
        "--under-min-isr-partitions",
        "--at-min-isr-partitions",
        "--topics-with-overrides",
        "--exclude-internal",
    ):
        session.tool("kafka-topics", "--describe", which, is_sorted=True, keep=_OWN, mask=_MASK)
