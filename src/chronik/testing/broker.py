"""A broker for tests. See `Broker`."""

import shutil
import socket
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from chronik.testing.errors import BrokerError
from chronik.testing.running import RunningBroker
from chronik.testing.setting_texts import TEST_SETTINGS, SettingValue, dotted, setting_texts


class Broker:
    """One broker, gone when it ends. Start it with `with`, or with `start()` and `stop()`.

    In this process it runs in a thread with an event loop of its own, so it serves blocking tests and
    coroutines alike. With `subprocess=True` it is a process of its own, which can be killed, and dies with
    this one however that ends.

    Not for several threads at once. May be started again after `stop()`: on the same port and, where it was
    given a directory or is restarted with `restart()`, with the same data.
    """

    def __init__(
        self,
        *,
        subprocess: bool = False,
        data_dir: str | Path | None = None,
        port: int = 0,
        http: bool = False,
        config: Mapping[str, SettingValue] | None = None,
        **settings: SettingValue,
    ) -> None:
        """Starts nothing yet.

        `data_dir` is kept when the broker ends; the default is a temporary directory, which is not. `port` 0
        takes a free one. `http` serves /health and /metrics at `http_url`. Settings have Kafka's names, in
        `config` or as keywords with `_` for `.`: `Broker(num_partitions=3)`. They take precedence over the
        test default, of which there is one: `write.caching=true`.
        """
        self._is_subprocess = subprocess
        self._data_dir = None if data_dir is None else Path(data_dir)
        self._temporary: Path | None = None
        # Removes the temporary directory: with the stop, or with the last reference to this broker.
        self._remove_temporary: weakref.finalize[..., Broker] | None = None
        self._port = port
        self._has_http = http
        self._http_port = 0
        self._settings = setting_texts({**(config or {}), **dotted(settings)})
        self._running: RunningBroker | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        where = self._running.addresses.bootstrap_servers if self._running else "not running"
        return f"<chronik.testing.Broker {where}>"

    def start(self) -> Self:
        """Return when clients can connect. Raises BrokerError."""
        if self._running is not None:
            raise BrokerError("the broker is running already")
        settings = self._resolved_settings()
        if self._is_subprocess:
            from chronik.testing.child_process import ChildProcess

            self._running = ChildProcess.start(settings)
        else:
            from chronik.testing.in_process import NodeThread

            self._running = NodeThread.start(settings)
        self._port = _port_of(self._running.addresses.bootstrap_servers)
        http = self._running.addresses.http
        self._http_port = 0 if http is None else _port_of(http)
        return self

    def stop(self) -> None:
        """Stop it cleanly, and remove its temporary directory; nothing happens when it is not running.

        Raises BrokerError when it had ended by itself.
        """
        try:
            self._stop_running()
        finally:
            if self._remove_temporary is not None:
                self._remove_temporary()
            self._temporary = self._remove_temporary = None

    def restart(self) -> None:
        """Stop it, if it is running, and start it again with its data, on its port."""
        self._stop_running()
        self.start()

    def kill(self) -> None:
        """End it as `kill -9` does; `restart()` brings it back with its data.

        Raises BrokerError for a broker inside this process.
        """
        if not self._is_subprocess:
            raise BrokerError("only a broker with subprocess=True can be killed")
        self._required().kill()
        self._running = None

    @property
    def is_running(self) -> bool:
        """True between a start and the stop or kill that follows it."""
        return self._running is not None

    @property
    def bootstrap_servers(self) -> str:
        """`host:port`, for clients. Raises BrokerError when it is not running."""
        return self._required().addresses.bootstrap_servers

    @property
    def http_url(self) -> str:
        """`http://host:port`, without a slash at the end. Raises BrokerError without `http=True`."""
        address = self._required().addresses.http
        if address is None:
            raise BrokerError("this broker has no HTTP: make it with Broker(http=True)")
        return f"http://{address}"

    @property
    def data_dir(self) -> Path:
        """The data directory; made with the first start where none was given."""
        if self._data_dir is not None:
            return self._data_dir
        if self._temporary is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="chronik-"))
            self._remove_temporary = weakref.finalize(
                self, shutil.rmtree, self._temporary, ignore_errors=True
            )
        return self._temporary

    def create_topic(
        self, name: str, partitions: int = 1, *, config: Mapping[str, SettingValue] | None = None
    ) -> None:
        """Create a topic, ready for use when this returns. Raises chronik.client.ClientError."""
        from chronik.client import topics
        from chronik.client.client import Client

        with Client(self.bootstrap_servers) as client:
            topics.create(client, name, partitions=partitions, config=setting_texts(config or {}))

    def delete_topic(self, name: str) -> None:
        """Delete a topic. Raises chronik.client.ClientError."""
        from chronik.client import topics
        from chronik.client.client import Client

        with Client(self.bootstrap_servers) as client:
            topics.delete(client, [name])

    def _resolved_settings(self) -> dict[str, str]:
        return {
            **TEST_SETTINGS,
            "listeners": f"PLAINTEXT://127.0.0.1:{self._port}",
            "http.address": f"127.0.0.1:{self._chosen_http_port()}" if self._has_http else "",
            **self._settings,
            "data.dir": str(self.data_dir),
        }

    def _chosen_http_port(self) -> int:
        """Returns the port it had before. A process reports its Kafka port alone: its HTTP port is chosen
        here.
        """
        if self._http_port == 0 and self._is_subprocess:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self._http_port = int(probe.getsockname()[1])
        return self._http_port

    def _required(self) -> RunningBroker:
        if self._running is None:
            raise BrokerError("the broker is not running: use `with Broker() as broker`, or call start()")
        return self._running

    def _stop_running(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.stop()


def _port_of(address: str) -> int:
    return int(address.rpartition(":")[2])
