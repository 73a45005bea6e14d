"""Runs `chronik` commands against a broker, in this process."""

import json
from typing import Any

import pytest

from chronik.cli.exit_codes import ExitCode
from chronik.cli.main import main
from chronik.testing import Broker


class Command:
    """`run` returns what a command printed, and holds it to its exit code."""

    def __init__(self, broker: Broker, capture: pytest.CaptureFixture[str]) -> None:
        self._server = ["--bootstrap-server", broker.bootstrap_servers]
        self._capture = capture
        self.errors = ""

    def run(self, *words: str, code: ExitCode = ExitCode.OK) -> str:
        self._capture.readouterr()
        ended = main([*words, *self._server])
        captured = self._capture.readouterr()
        self.errors = captured.err
        assert ended == code, captured.err
        return captured.out

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json"))

    def json_lines(self, *words: str) -> list[Any]:
        return [json.loads(line) for line in self.run(*words, "--json").splitlines()]
