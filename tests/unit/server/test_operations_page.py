"""What docs/operations.md tells people to write is what a node takes, without a word of complaint."""

import re
from pathlib import Path

from chronik.server.settings.listeners import Address
from chronik.server.settings.loading import Settings
from chronik.vocab.config.tables.quorum import QUORUM_DEFINITIONS
from chronik.vocab.config.tables.replication import REPLICATION_DEFINITIONS

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")


def test_the_configuration_file(tmp_path: Path) -> None:
    (content,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "node.toml"
    secret = tmp_path / "raft.secret"
    secret.write_text("0123456789abcdef0123456789abcdef")
    path.write_text(content.replace("/etc/chronik/raft.secret", str(secret)), encoding="utf-8")
    settings = Settings.load(config_file=path)
    assert settings.notes == ()
    assert list(settings.voters) == [1, 2, 3]
    assert settings.raft_address == Address("0.0.0.0", 5001)
    assert settings.config.int("default.replication.factor") == 3
    assert settings.cluster.secret is not None


def test_the_table_of_timeouts() -> None:
    rows = dict(re.findall(r"^\| `([a-z.]+)` \| ([0-9a-z]+) \|", PAGE, re.MULTILINE))
    defaults = {
        definition.name: definition.default
        for definition in (*QUORUM_DEFINITIONS, *REPLICATION_DEFINITIONS)
        if definition.name in rows
    }
    assert rows == {name: str(default).lower() for name, default in defaults.items()}
    assert len(rows) == 7
