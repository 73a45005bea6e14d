"""Tools that look at nodes and partitions, and those of what is not served."""

from tests.proofs.java.cases.writing import topic_of_records
from tests.proofs.java.session import SERVERS, Session

_FIGURES = (r"\b\d{2,}\b", "N")


def run(session: Session) -> None:
    topic_of_records(session, "cluster-t", 1, 4)
    session.tool("kafka-cluster", "cluster-id", "--bootstrap-server", SERVERS, mask=[(r"ID: \S+", "ID: ID")])
    session.tool(
        "kafka-cluster",
        "list-endpoints",
        "--bootstrap-server",
        SERVERS,
        is_sorted=True,
        mask=[(r" \d{4,5} ", " PORT ")],
    )
    session.tool("kafka-log-dirs", "--describe", "--topic-list", "cluster-t", mask=_LOG_DIRS)
    session.tool(
        "kafka-metadata-quorum", "describe", "--status", mask=_QUORUM, keep=r"^(Leader|Current|Error)"
    )
    session.tool("kafka-metadata-quorum", "describe", "--replication", is_sorted=True, mask=_REPLICATION)
    session.tool(
        "kafka-leader-election", "--election-type", "preferred", "--topic", "cluster-t", "--partition", "0"
    )
    session.tool("kafka-leader-election", "--election-type", "preferred", "--all-topic-partitions")
    session.tool("kafka-reassign-partitions", "--list")
    session.tool("kafka-broker-api-versions", is_sorted=True, mask=[(r"\[usable: \d+\]", "")], keep="NODE|: ")
    session.tool("kafka-features", "describe", is_sorted=True, mask=[(r"Epoch: \d+", "Epoch: N")])
    _refused(session)


def _refused(session: Session) -> None:
    session.tool("kafka-acls", "--list")
    session.tool(
        "kafka-acls", "--add", "--allow-principal", "User:u", "--operation", "Read", "--topic", "cluster-t"
    )
    session.tool("kafka-transactions", "list")
    session.tool(
        "kafka-transactions",
        "describe-producers",
        "--topic",
        "cluster-t",
        "--partition",
        "0",
        keep="Error|Exception|^ProducerId",
    )


_LOG_DIRS = [
    (r'"size":\d+', '"size":N'),
    (r'"logDir":"[^"]*"', '"logDir":"DIRECTORY"'),
    (r'"(totalBytes|usableBytes)":\d+', r'"\1":N'),
]
_QUORUM = [(r": .*", ": VALUE")]
# Of which node is the leader, each run is free.
_REPLICATION = [(r"^\d \S{22} \d+ \d+ -?\d+ -?\d+ \w+", "NODE ID OFFSET LAG FETCHED CAUGHT-UP STATUS")]
