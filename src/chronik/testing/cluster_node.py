"""One node of a `chronik.testing.Cluster`."""

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from chronik.cli.local_cluster.node_process import COMMAND_LINE, open_log
from chronik.testing.child_process import ChildProcess
from chronik.testing.errors import BrokerError
from chronik.testing.running import SettingTexts


class ClusterNode:
    """Keeps its ports, directory and log file over any number of starts. Made by its cluster."""

    def __init__(
        self,
        node_id: int,
        *,
        root: Callable[[], Path],
        kafka_port: int,
        http_port: int | None,
        settings: Callable[[], SettingTexts],
        module: str = COMMAND_LINE,
    ) -> None:
        """`root` holds the cluster's directories; `settings` is called at every start.

        `module` is run instead of the command line's, with the same arguments.
        """
        self.node_id = node_id
        self._root = root
        self._kafka_port = kafka_port
        self._http_port = http_port
        self._settings = settings
        self._module = module
        self._process: ChildProcess | None = None
        self._is_paused = False

    def __repr__(self) -> str:
        return f"<ClusterNode {self.node_id} {self.bootstrap_servers}>"

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` of this node, also while it does not run."""
        return f"127.0.0.1:{self._kafka_port}"

    @property
    def http_url(self) -> str:
        """`http://host:port`, without a slash at the end. Raises BrokerError without `http=True`."""
        if self._http_port is None:
            raise BrokerError("this cluster has no HTTP: make it with Cluster(http=True)")
        return f"http://127.0.0.1:{self._http_port}"

    @property
    def pid(self) -> int:
        """Raises BrokerError when it does not run."""
        return self._running().pid

    @property
    def is_running(self) -> bool:
        """True if there is a process; a paused one is."""
        return self._process is not None and self._process.code is None

    @property
    def is_paused(self) -> bool:
        """True between `pause` and `resume`."""
        return self._is_paused and self.is_running

    @property
    def data_dir(self) -> Path:
        return self._root() / f"node-{self.node_id}"

    @property
    def log_path(self) -> Path:
        """The node's output, one JSON object a line, over all its starts."""
        return self._root() / f"node-{self.node_id}.log"

    def spawn(self) -> None:
        """Begin to start; `wait_started` waits for it. Raises BrokerError when it runs."""
        if self.is_running:
            raise BrokerError(f"node {self.node_id} is running already")
        self.end()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._is_paused = False
        self._process = ChildProcess.spawn(self._settings(), open_log(self.log_path), self._module)

    def wait_started(self) -> None:
        """Return when clients can connect. Raises BrokerError."""
        if self._process is None:
            raise BrokerError(f"node {self.node_id} is not running")
        try:
            self._process.wait_started()
        except BrokerError as error:
            self._process = None
            raise BrokerError(f"node {self.node_id}: {error}") from error

    def terminate(self) -> None:
        """Requests it to stop, if it runs; `stop` waits for it."""
        if self._process is not None:
            self._process.terminate()

    def stop(self) -> None:
        """Stop it cleanly; nothing happens when it does not run.

        Raises BrokerError when it had ended by itself, or does not end.
        """
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.stop()
        except BrokerError as error:
            raise BrokerError(f"node {self.node_id}: {error}") from error

    def kill(self) -> None:
        """As `kill -9`. Raises BrokerError when it does not run."""
        self._running()
        self.end()

    def end(self) -> None:
        """As `kill`, in any state."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()

    def pause(self) -> None:
        """SIGSTOP. Raises BrokerError when it does not run."""
        self._running().signal(signal.SIGSTOP)
        self._is_paused = True

    def resume(self) -> None:
        """SIGCONT. Raises BrokerError when it does not run."""
        self._running().signal(signal.SIGCONT)
        self._is_paused = False

    def wipe(self) -> None:
        """Remove its data directory, as a new disk would. Raises BrokerError while it runs."""
        if self.is_running:
            raise BrokerError(f"node {self.node_id} is running: stop or kill it before its directory goes")
        shutil.rmtree(self.data_dir, ignore_errors=True)

    def _running(self) -> ChildProcess:
        if self._process is None:
            raise BrokerError(f"node {self.node_id} is not running")
        if self._process.code is not None:
            tail = self._process.log_tail()
            raise BrokerError(f"node {self.node_id} had ended with code {self._process.code}:\n{tail}")
        return self._process
