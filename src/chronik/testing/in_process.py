"""A node in a thread of this process, with an event loop of its own."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future

from chronik.server.node import Node
from chronik.server.settings.loading import Settings, SettingsError
from chronik.testing.errors import BrokerError
from chronik.testing.running import START_TIMEOUT_S, STOP_TIMEOUT_S, Addresses, SettingTexts


class NodeThread:
    """A running node. Made by `start`; ends with `stop`. The thread does not keep the process alive."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._started: Future[Addresses] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="chronik-broker", daemon=True)
        self.addresses: Addresses

    @classmethod
    def start(cls, settings: SettingTexts) -> "NodeThread":
        """Return when clients can connect. Raises BrokerError."""
        try:
            running = cls(Settings.load(settings))
        except SettingsError as error:
            raise BrokerError(str(error)) from error
        running._thread.start()
        try:
            running.addresses = running._started.result(START_TIMEOUT_S)
        except TimeoutError as error:
            raise BrokerError(f"the broker did not start within {START_TIMEOUT_S:.0f} s") from error
        except Exception as error:
            running._thread.join(STOP_TIMEOUT_S)
            raise BrokerError(f"the broker did not start: {error}") from error
        return running

    def stop(self) -> None:
        if self._loop is not None and self._stopping is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(STOP_TIMEOUT_S)
        if self._thread.is_alive():
            raise BrokerError(f"the broker did not stop within {STOP_TIMEOUT_S:.0f} s")
        if self._failure is not None:
            raise BrokerError(f"the broker failed: {self._failure}") from self._failure

    def kill(self) -> None:
        raise BrokerError("only a broker with subprocess=True can be killed")

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(self._serve())
        except (
            BaseException
        ) as error:  # the thread's end: reported to the caller that waits for the start or the stop
            if self._started.done():
                self._failure = error
            else:
                self._started.set_exception(error)

    async def _serve(self) -> None:
        node = Node(self._settings)
        await node.start()
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        try:
            http = None if node.http_port is None else f"127.0.0.1:{node.http_port}"
            self._started.set_result(Addresses(bootstrap_servers=node.bootstrap_servers, http=http))
            await self._stopping.wait()
        finally:
            await node.stop()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The same loop that `chronik start` runs in."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
