"""Each method of Kafka's Admin client (src/AdminMethods.java)."""

from tests.proofs.java.cases.writing import read_in_group, topic_of_records
from tests.proofs.java.session import SERVERS, Session


def run(session: Session) -> None:
    topic_of_records(session, "admin-t", 2, 10)
    read_in_group(session, "admin-t", "admin-idle", 10)
    session.program("GroupMember", "start", SERVERS, "admin-active", "admin-t", "10")
    session.program("AdminMethods", SERVERS, "admin-t", "admin-idle", "admin-active", "1")
    session.split("Admin.")
    session.program("GroupMember", "stop", "admin-active")
