"""What a run wrote down is enough to check it again."""

import sys
from pathlib import Path

import pytest

from chronik.history.events import Send
from chronik.history.files import Recorder
from tests.chaos.recheck import main, save_logs


def write_run(work: Path, offset: int) -> None:
    clients = work / "run" / "clients"
    clients.mkdir(parents=True)
    with Recorder(clients / "write-client.jsonl") as recorder:
        recorder.add(Send(place="t-0", number=0, sent_at=0.0, done_at=0.1, offset=offset))
    save_logs(work / "run", {"t-0": [(0, 0)]})


@pytest.mark.parametrize(
    ("offset", "code", "said"),
    [(0, 0, "0 violations"), (1, 1, "moved: t-0: record 0, acknowledged at 1, is at 0\n1 violations")],
)
def test_a_run_is_checked_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    offset: int,
    code: int,
    said: str,
) -> None:
    write_run(tmp_path, offset)
    monkeypatch.setattr(sys, "argv", ["recheck", str(tmp_path)])
    assert main() == code
    assert capsys.readouterr().out.strip() == said
