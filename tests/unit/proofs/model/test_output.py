"""The parsing of TLC's messages."""

from tests.proofs.model.output import Counts, Message, messages, outcome, progress


def told(code: int, text: str, severity: int = 0) -> str:
    return f"@!@!@STARTMSG {code}:{severity} @!@!@\n{text}\n@!@!@ENDMSG {code} @!@!@\n"


def lines(*parts: str) -> list[str]:
    return "".join(parts).splitlines(keepends=True)


PROGRESS = told(
    2200,
    "Progress(9) at 2026-01-02 03:04:05: 1,234,567 states generated (1,379 s/min), 98,765 distinct states "
    "found (1,379 ds/min), 4,321 states left on queue.",
)
STATS = told(2199, "1234570 states generated, 98770 distinct states found, 0 states left on queue.")
DEPTH = told(2194, "The depth of the complete state graph search is 31.")
SUCCESS = told(2193, "Model checking completed. No error has been found.")
FIRST_STATE = told(2217, "1: <Initial predicate>\n/\\ crashes = 0\n", 4)
SECOND_STATE = told(
    2217, "2: <Commit(first) line 1, col 5 to line 6, col 100 of module Partition>\n/\\ x = 1", 4
)


def test_messages_stand_between_their_marks() -> None:
    found = list(messages(lines("Parsing file A.tla\n", told(2186, "Finished\nin 1s"), "rest\n")))
    assert found == [Message(2186, 0, "Finished\nin 1s")]


def test_a_message_without_an_end_is_none() -> None:
    assert list(messages(lines(SUCCESS, "@!@!@STARTMSG 2199:0 @!@!@\n", "10 states gen"))) == list(
        messages(lines(SUCCESS))
    )


def test_progress_has_counts_and_depth() -> None:
    (message,) = messages(lines(PROGRESS))
    assert progress(message) == Counts(1_234_567, 98_765, 4_321, 9)


def test_other_messages_are_no_progress() -> None:
    (message,) = messages(lines(STATS))
    assert progress(message) is None


def test_a_run_that_ends_well() -> None:
    found = outcome(messages(lines(PROGRESS, SUCCESS, STATS, DEPTH)))
    assert found.is_complete
    assert found.counts == Counts(1_234_570, 98_770, 0, 31)
    assert found.violated is None
    assert found.errors == ()


def test_a_violated_invariant() -> None:
    violation = told(2110, "Invariant LeaderCompleteness is violated.", 1)
    behaviour = told(2121, "The behavior up to this point is:", 1)
    found = outcome(messages(lines(violation, behaviour, FIRST_STATE, SECOND_STATE, STATS, DEPTH)))
    assert not found.is_complete
    assert found.violated == "LeaderCompleteness"
    assert found.steps(["Commit(n) =="]) == ("Commit",)
    assert len(found.trace) == 2
    assert found.errors == ()


def test_an_action_that_is_not_named_is_looked_up() -> None:
    state = told(2217, "2: <Next line 2, col 8 to line 2, col 60 of module Partition>\nx = 1", 4)
    found = outcome(messages(lines(FIRST_STATE, state)))
    specification = ["Next ==", "    \\/ \\E r \\in requests, lose \\in MayLose(n) : Grant(n, r, lose)"]
    assert found.steps(specification) == ("Grant",)


def test_a_violated_property_of_steps() -> None:
    violation = told(2112, "Action property HighWatermarkMonotonic is violated.", 1)
    assert outcome(messages(lines(violation))).violated == "HighWatermarkMonotonic"


def test_an_invariant_violated_at_first() -> None:
    violation = told(2107, "Invariant Sound is violated by the initial state:\nx = 1", 1)
    assert outcome(messages(lines(violation))).violated == "Sound"


def test_what_goes_wrong_otherwise_is_an_error() -> None:
    error = told(1000, "TLC threw an unexpected exception.", 1)
    found = outcome(messages(lines(error, SUCCESS)))
    assert found.errors == ("TLC threw an unexpected exception.",)
    assert found.violated is None


def test_warnings_are_no_errors() -> None:
    found = outcome(messages(lines(told(2109, "Something to know.", 3), SUCCESS)))
    assert found.errors == ()
    assert found.is_complete


def test_a_run_that_stops_early_is_not_complete() -> None:
    found = outcome(messages(lines(PROGRESS)))
    assert not found.is_complete
    assert found.counts == Counts(1_234_567, 98_765, 4_321)


def test_a_run_that_counts_nothing() -> None:
    assert outcome(messages(lines(told(2262, "TLC2 Version 2.19")))).counts is None
