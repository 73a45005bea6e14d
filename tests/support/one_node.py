"""Single processes of `chronik start`, each with settings of its own: what they say when they are refused."""

import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chronik.cli.local_cluster.node_process import NodeProcess, open_log
from chronik.cli.local_cluster.ports import free_ports
from tests.support.waiting import wait_until

# From exec to the end of a process that cannot start; a quiet machine needs a second.
END_SECONDS_MAX = 30.0


class OneNode:
    """A process that runs from the start of this to `kill`, unless it ends by itself."""

    def __init__(self, root: Path, name: str, settings: Mapping[str, str]) -> None:
        """`root` gets its log. HTTP and Kafka are on free ports."""
        # Those that its settings name are free as well, and not for this.
        named = {int(port) for text in settings.values() for port in re.findall(r":(\d+)", text)}
        kafka_port, self.http_port = free_ports(2, named)
        self.http_host = "127.0.0.1"
        self.settings = {
            "listeners": f"PLAINTEXT://127.0.0.1:{kafka_port}",
            "http.address": f"127.0.0.1:{self.http_port}",
            "log.level": "info",
            **settings,
        }
        self.log_path = root / f"{name}.log"
        self._process = NodeProcess.spawn(self.settings, open_log(self.log_path), _environment())

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.code is None

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def end(self) -> int:
        """Wait for its end; the exit code."""
        code = self._process.wait(END_SECONDS_MAX)
        assert code is not None, f"it still runs:\n{self.log()}"
        return code

    def terminate(self) -> int:
        """SIGTERM; the exit code."""
        self._process.terminate()
        return self.end()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(END_SECONDS_MAX)
        self._process.close()

    def reasons(self) -> list[str]:
        """Why it is not ready, as HTTP says; empty when it is. Raises OSError while HTTP is not there."""
        return reasons_of(f"http://{self.http_host}:{self.http_port}")

    def wait_reasons(self, *texts: str) -> None:
        """Until it says that it is not ready because of these."""
        wait_until(lambda: self._says() == list(texts), f"{texts}; it says {self._says()}:\n{self.log()}")

    def wait_ready(self, seconds: float = 60.0) -> None:
        wait_until(lambda: self._says() == [], "the node is ready", seconds)

    def _says(self) -> list[str] | None:
        try:
            return self.reasons()
        except OSError:
            return None


def reasons_of(url: str) -> list[str]:
    """Raises OSError while nobody answers."""
    try:
        with urllib.request.urlopen(f"{url}/health/ready", timeout=5) as response:
            body: dict[str, Any] = json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            body = json.load(error)
    return [str(reason) for reason in body["reasons"]]


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "CHRONIK_"))}
