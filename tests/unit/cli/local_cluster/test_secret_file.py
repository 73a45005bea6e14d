"""The secret of the nodes of one machine."""

import stat
from pathlib import Path

import pytest

from chronik.cli.local_cluster.secret_file import secret_settings


def test_it_is_made_once_for_its_owner(tmp_path: Path) -> None:
    root = tmp_path / "cluster"
    settings = secret_settings(root, {})
    path = Path(settings["raft.secret.file"])
    assert path == root / "raft.secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert len(text.strip()) >= 40
    assert secret_settings(root, {}) == settings
    assert path.read_text() == text


def test_each_cluster_has_another(tmp_path: Path) -> None:
    texts = {
        Path(secret_settings(tmp_path / name, {})["raft.secret.file"]).read_text() for name in ("a", "b")
    }
    assert len(texts) == 2


@pytest.mark.parametrize("name", ["raft.secret", "raft.secret.file"])
def test_one_that_is_given_is_used(tmp_path: Path, name: str) -> None:
    assert secret_settings(tmp_path, {name: "given"}) == {}
    assert not list(tmp_path.iterdir())
