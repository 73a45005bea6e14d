"""A broker in a process of its own, started as a person would, through the command line."""

import os
import tempfile
import time
from typing import IO

from chronik.cli.local_cluster.node_process import COMMAND_LINE, NodeProcess, started_event
from chronik.testing.errors import BrokerError
from chronik.testing.running import START_TIMEOUT_S, STOP_TIMEOUT_S, Addresses, SettingTexts

# Between two looks at the log of a starting broker.
_POLL_S = 0.005

# Variables that would be settings: a test's settings hold wherever it runs.
_SETTING_PREFIXES = ("CHRONIK_", "KAFKA_")


class ChildProcess:
    """A running process. Made by `start`, or by `spawn` and `wait_started`; ends with `stop` or `kill`, or
    with this process.
    """

    def __init__(self, process: NodeProcess, settings: SettingTexts) -> None:
        self._process = process
        self._settings = settings
        self._is_asked_to_stop = False
        self.addresses: Addresses

    @classmethod
    def start(cls, settings: SettingTexts) -> "ChildProcess":
        """Return when clients can connect. Raises BrokerError with the end of the broker's log."""
        log = tempfile.TemporaryFile(prefix="chronik-log-")  # noqa: SIM115  (closed when the process has ended)
        running = cls.spawn(settings, log)
        running.wait_started()
        return running

    @classmethod
    def spawn(cls, settings: SettingTexts, log: IO[bytes], module: str = COMMAND_LINE) -> "ChildProcess":
        """Start it, and wait for nothing. `log` is closed when it has ended; `module` is run."""
        settings = {"log.level": "info", **settings, "log.format": "json"}
        return cls(NodeProcess.spawn(settings, log, _environment(), module), settings)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.code

    def log_tail(self) -> str:
        """The last lines that it printed."""
        return self._process.log_tail()

    def wait_started(self) -> None:
        """Return when clients can connect. Raises BrokerError; then it is killed."""
        try:
            self.addresses = self._wait_addresses()
        except BaseException:
            self.kill()
            raise

    def _wait_addresses(self) -> Addresses:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            code = self._process.code
            line = self._process.started()
            if line is not None:
                http = self._settings["http.address"] or None
                return Addresses(bootstrap_servers=started_event(line)["bootstrap_servers"], http=http)
            if code is not None:
                raise BrokerError(f"the broker ended with code {code}:\n{self._process.log_tail()}")
            time.sleep(_POLL_S)
        tail = self._process.log_tail()
        raise BrokerError(f"the broker did not start within {START_TIMEOUT_S:.0f} s:\n{tail}")

    def terminate(self) -> None:
        """Requests it to stop; `stop` waits for it."""
        # Once: at its very end Python has no handler any more, and the signal would count as its death.
        if not self._is_asked_to_stop:
            self._process.terminate()
        self._is_asked_to_stop = True

    def stop(self) -> None:
        self.terminate()
        code = self._process.wait(STOP_TIMEOUT_S)
        tail = self._process.log_tail()
        if code is None:
            self.kill()
            raise BrokerError(f"the broker did not stop within {STOP_TIMEOUT_S:.0f} s:\n{tail}")
        self._process.close()
        if code != 0:
            raise BrokerError(f"the broker ended with code {code}:\n{tail}")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(STOP_TIMEOUT_S)
        self._process.close()

    def signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        self._process.signal(number)


def _environment() -> dict[str, str]:
    """This process's, without settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_SETTING_PREFIXES)}
