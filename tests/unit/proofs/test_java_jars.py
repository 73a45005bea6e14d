"""What the Java proof says where there is nothing to run it with."""

from pathlib import Path

import pytest

from tests.proofs.clients.missing import Missing
from tests.proofs.java.jars import prepare


def script(directory: Path, name: str, output: str) -> None:
    path = directory / name
    path.write_text(f"#!/bin/sh\necho {output}\nexit 1\n")
    path.chmod(0o755)


def test_it_is_left_out_where_there_is_no_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    found = prepare(tmp_path / "cache")

    assert found == Missing("java", "Java and Maven are not here: there is no `java` command")


def test_it_is_left_out_where_java_is_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("java", "javac", "mvn"):
        script(tmp_path, name, "javac 11.0.2")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")

    found = prepare(tmp_path / "cache")

    assert found == Missing("java", "Java 17 is not here: `javac -version` says javac 11.0.2")


def test_it_is_left_out_where_nothing_can_be_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path, "java", "")
    script(tmp_path, "javac", "javac 21.0.1")
    script(tmp_path, "mvn", "no network")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")

    found = prepare(tmp_path / "cache")

    assert found == Missing("java", "`mvn` failed: no network")
    assert not any((tmp_path / "cache").iterdir())
