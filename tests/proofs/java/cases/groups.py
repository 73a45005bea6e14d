"""kafka-consumer-groups and kafka-groups: what there is, and moving offsets in each way."""

import tempfile
from pathlib import Path

from tests.proofs.java.cases.writing import read_in_group, topic_of_records
from tests.proofs.java.session import SERVERS, Lines, Session

_GROUPS = "kafka-consumer-groups"
# The assignor's choice is the client's; a coordinator's node is the cluster's.
_MASK = [(r"member-UUID|console-consumer-UUID", "MEMBER"), (r"NODE\d \(\d\)", "COORDINATOR")]
_OWN = r"groups-|GROUP|Error|Exception"


def run(session: Session) -> None:
    topic_of_records(session, "groups-t", 2, 10)
    topic_of_records(session, "groups-u", 1, 4)
    read_in_group(session, "groups-t", "groups-idle", 10)
    read_in_group(session, "groups-u", "groups-idle", 4)
    session.program("GroupMember", "start", SERVERS, "groups-active", "groups-t", "10")
    _describe(session)
    _lists(session)
    session.tool(_GROUPS, "--delete", "--group", "groups-active", mask=_MASK)
    session.tool(_GROUPS, "--delete-offsets", "--group", "groups-active", "--topic", "groups-t")
    reset = (
        "--reset-offsets",
        "--group",
        "groups-active",
        "--topic",
        "groups-t",
        "--to-earliest",
        "--execute",
    )
    session.tool(_GROUPS, *reset)
    session.program("GroupMember", "stop", "groups-active")
    session.tool(_GROUPS, "--describe", "--group", "groups-active", "--state", mask=_MASK)
    session.tool(_GROUPS, "--describe", "--group", "groups-active", "--members", mask=_MASK)
    session.tool(_GROUPS, "--delete-offsets", "--group", "groups-idle", "--topic", "groups-t:1")
    session.tool(_GROUPS, "--delete-offsets", "--group", "groups-idle", "--topic", "groups-no")
    session.tool(_GROUPS, "--describe", "--group", "groups-idle", is_sorted=True)
    session.tool(_GROUPS, "--delete", "--group", "groups-idle", "--group", "groups-active")
    session.tool(_GROUPS, "--delete", "--group", "groups-no")
    session.tool(_GROUPS, "--list", keep=_OWN)


def _describe(session: Session) -> None:
    for group in ("groups-idle", "groups-active", "groups-no"):
        for what in ("--offsets", "--members", "--state"):
            session.tool(_GROUPS, "--describe", "--group", group, what, is_sorted=True, mask=_MASK)
        session.tool(_GROUPS, "--describe", "--group", group, "--members", "--verbose", mask=_MASK)
    session.tool(
        _GROUPS, "--describe", "--all-groups", keep=r"groups-|Error|Exception", is_sorted=True, mask=_MASK
    )
    session.tool(
        _GROUPS, "--describe", "--all-groups", "--state", keep="groups-|Error", is_sorted=True, mask=_MASK
    )


def _lists(session: Session) -> None:
    session.tool(_GROUPS, "--list", keep=_OWN, is_sorted=True)
    for more in (
        ("--state",),
        ("--state", "stable"),
        ("--state", "empty"),
        ("--type",),
        ("--type", "classic"),
    ):
        session.tool(_GROUPS, "--list", *more, keep=_OWN, is_sorted=True)
    session.tool("kafka-groups", "--list", keep=_OWN, is_sorted=True)
    session.tool("kafka-groups", "--list", "--group-type", "classic", keep=_OWN, is_sorted=True)
    session.tool("kafka-groups", "--list", "--consumer", keep=_OWN, is_sorted=True)


def reset_offsets(session: Session) -> None:
    """Each mode shown (`--dry-run`), as a file (`--export`), then done (`--execute`) and looked at."""
    topic_of_records(session, "reset-t", 2, 20)
    read_in_group(session, "reset-t", "reset-g", 20)
    modes = (
        ("--to-earliest",),
        ("--to-offset", "4"),
        # Outside of what there is: the nearest that is.
        ("--to-offset", "99"),
        ("--shift-by", "-3"),
        ("--shift-by", "100"),
        ("--to-datetime", "2026-01-01T00:07:00.000"),
        ("--to-datetime", "2026-01-01T09:00:00.000+0000"),
        ("--by-duration", "P1D"),
        ("--by-duration", "P9000D"),
        ("--to-latest",),
        ("--to-current",),
    )
    for mode in modes:
        _reset(session, "--topic", "reset-t", *mode)
    _reset(session, "--topic", "reset-t:1", "--to-earliest")
    _reset(session, "--all-topics", "--to-offset", "2")
    _from_file(session)
    _new_group(session)


def _reset(session: Session, *what: str) -> None:
    for how in (("--dry-run",), ("--dry-run", "--export"), ("--execute",)):
        session.tool(_GROUPS, "--reset-offsets", "--group", "reset-g", *what, *how, is_sorted=True)
    session.tool(_GROUPS, "--describe", "--group", "reset-g", is_sorted=True)


def _from_file(session: Session) -> None:
    with tempfile.TemporaryDirectory() as directory:
        plan = Path(directory) / "plan.csv"
        plan.write_text("reset-t,0,6\nreset-t,1,7\n")
        what = ("--reset-offsets", "--group", "reset-g", "--from-file", str(plan))
        _masked(session, session.tool(_GROUPS, *what, "--dry-run", is_sorted=True), directory)
        _masked(session, session.tool(_GROUPS, *what, "--execute", is_sorted=True), directory)
    session.tool(_GROUPS, "--describe", "--group", "reset-g", is_sorted=True)


def _masked(session: Session, lines: Lines, directory: str) -> None:
    """The file's place is not the same in another run."""
    step = session.steps.pop()
    session.note(step.command.replace(directory, "DIRECTORY"), lines)


def _new_group(session: Session) -> None:
    """A group comes to be with the offsets that are set for it."""
    what = ("--reset-offsets", "--group", "reset-new", "--topic", "reset-t", "--to-earliest", "--execute")
    session.tool(_GROUPS, *what, is_sorted=True)
    session.tool(_GROUPS, "--describe", "--group", "reset-new", is_sorted=True)
    session.tool(
        _GROUPS, "--reset-offsets", "--group", "reset-g", "--topic", "reset-no", "--to-earliest", "--dry-run"
    )
    session.tool(
        _GROUPS,
        "--reset-offsets",
        "--group",
        "reset-g",
        "--topic",
        "reset-t",
        "--shift-by",
        "-9",
        is_sorted=True,
    )
