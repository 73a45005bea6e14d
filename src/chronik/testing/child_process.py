"""A broker in a process of its own, started as a person would, through the command line."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

import chronik
from chronik.testing.errors import BrokerError
from chronik.testing.running import START_TIMEOUT_S, STOP_TIMEOUT_S, Addresses, SettingTexts

# The log line that says so; see `chronik.server.node`.
_STARTED = "Kafka Server started"

# Between two looks at the log of a starting broker.
_POLL_S = 0.005

_LOG_TAIL_CHARS = 4000

# Variables that would be settings: a test means what it says, wherever it runs.
_SETTING_PREFIXES = ("CHRONIK_", "KAFKA_")


class ChildProcess:
    """A running process. Made by `start`; ends with `stop` or `kill`, or with this process.

    It holds the other end of its standard input, and stops when that closes.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
        self._process = process
        self._log = log
        self.addresses: Addresses

    @classmethod
    def start(cls, settings: SettingTexts) -> "ChildProcess":
        """Return when clients can connect. Raises BrokerError with the end of the broker's log."""
        log = tempfile.TemporaryFile(prefix="chronik-log-")  # noqa: SIM115  (closed when the process has ended)
        command = [sys.executable, "-m", "chronik.cli.main", "start", "--until-stdin-closes"]
        for name, text in {**settings, "log.format": "json", "log.level": "info"}.items():
            command += ["--set", f"{name}={text}"]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, env=_environment()
        )
        running = cls(process, log)
        try:
            running.addresses = running._wait_started(settings)
        except BaseException:
            process.kill()
            running._close()
            raise
        return running

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            self._process.kill()
            self._close()
            raise BrokerError(f"the broker did not stop within {STOP_TIMEOUT_S:.0f} s") from error
        tail = self._log_tail()
        self._close()
        if code != 0:
            raise BrokerError(f"the broker ended with code {code}:\n{tail}")

    def kill(self) -> None:
        self._process.kill()
        self._close()

    def _wait_started(self, settings: SettingTexts) -> Addresses:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            ended = self._process.poll() is not None
            addresses = _find_addresses(self._log_text(), settings)
            if addresses is not None:
                return addresses
            if ended:
                code = self._process.returncode
                raise BrokerError(f"the broker ended with code {code}:\n{self._log_tail()}")
            time.sleep(_POLL_S)
        raise BrokerError(f"the broker did not start within {START_TIMEOUT_S:.0f} s:\n{self._log_tail()}")

    def _log_text(self) -> str:
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode(errors="replace")

    def _log_tail(self) -> str:
        return self._log_text()[-_LOG_TAIL_CHARS:]

    def _close(self) -> None:
        self._process.wait(STOP_TIMEOUT_S)
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._log.close()


def _find_addresses(log: str, settings: SettingTexts) -> Addresses | None:
    for line in log.splitlines(keepends=True):
        if _STARTED in line and line.endswith("\n"):
            event = json.loads(line)
            http = settings["http.address"] or None
            return Addresses(bootstrap_servers=event["bootstrap_servers"], http=http)
    return None


def _environment() -> dict[str, str]:
    """This process's, without settings, and such that the same `chronik` is imported."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(_SETTING_PREFIXES)
    }
    source = str(Path(chronik.__file__).parent.parent)
    path = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = source if path is None else f"{source}{os.pathsep}{path}"
    return environment
