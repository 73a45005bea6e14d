"""kafka-get-offsets: each kind of time, each filter, internal topics."""

from tests.proofs.java.cases.writing import FIRST_TIMESTAMP_MS, read_in_group, topic_of_records
from tests.proofs.java.session import Session

_TOOL = "kafka-get-offsets"


def run(session: Session) -> None:
    topic_of_records(session, "offsets-a", 3, 12)
    topic_of_records(session, "offsets-b", 1, 5)
    read_in_group(session, "offsets-b", "offsets-g", 5)
    session.tool(_TOOL, "--topic", "offsets-a")
    times = [
        "latest",
        "earliest",
        "max-timestamp",
        "earliest-local",
        "latest-tiered",
        "earliest-pending-upload",
    ]
    times += [str(number) for number in range(-1, -8, -1)]
    times += [str(FIRST_TIMESTAMP_MS), str(FIRST_TIMESTAMP_MS + 300_000), "4000000000000", "nonsense"]
    for time in times:
        session.tool(_TOOL, "--topic", "offsets-a", "--time", time)
    session.tool(_TOOL, "--topic", "offsets-.*")
    session.tool(_TOOL, "--topic", "offsets-a", "--partitions", "0,2")
    session.tool(_TOOL, "--topic-partitions", "offsets-a:1-,offsets-b:0")
    session.tool(_TOOL, "--topic", "offsets-no")
    session.tool(_TOOL, "--topic", "offsets-b", "--partitions", "7")
    session.tool(_TOOL, "--exclude-internal-topics", keep="offsets-|__")
    session.tool(_TOOL, "--topic", "__consumer_offsets", "--time", "earliest", keep=":[0-2]:|Error")
