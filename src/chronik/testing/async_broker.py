"""The broker for tests that are coroutines."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from chronik.testing.broker import Broker
from chronik.testing.setting_texts import SettingValue


class AsyncBroker:
    """As `Broker`, without blocking the event loop: `async with AsyncBroker() as broker`.

    The broker itself runs in a thread with a loop of its own, or in a process; the test's loop only waits.
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
        """As `Broker`."""
        self._broker = Broker(
            subprocess=subprocess, data_dir=data_dir, port=port, http=http, config=config, **settings
        )

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> Self:
        """Return when clients can connect. Raises BrokerError."""
        await _in_thread(self._broker.start)
        return self

    async def stop(self) -> None:
        """As `Broker.stop`."""
        await _in_thread(self._broker.stop)

    async def restart(self) -> None:
        """As `Broker.restart`."""
        await _in_thread(self._broker.restart)

    async def kill(self) -> None:
        """As `Broker.kill`."""
        await _in_thread(self._broker.kill)

    async def create_topic(
        self, name: str, partitions: int = 1, *, config: Mapping[str, SettingValue] | None = None
    ) -> None:
        """As `Broker.create_topic`."""
        await _in_thread(lambda: self._broker.create_topic(name, partitions, config=config))

    async def delete_topic(self, name: str) -> None:
        """As `Broker.delete_topic`."""
        await _in_thread(lambda: self._broker.delete_topic(name))

    @property
    def is_running(self) -> bool:
        return self._broker.is_running

    @property
    def bootstrap_servers(self) -> str:
        """`host:port`, for clients. Raises BrokerError when it is not running."""
        return self._broker.bootstrap_servers

    @property
    def http_url(self) -> str:
        """As `Broker.http_url`."""
        return self._broker.http_url

    @property
    def data_dir(self) -> Path:
        """As `Broker.data_dir`."""
        return self._broker.data_dir


async def _in_thread(work: Callable[[], object]) -> None:
    # Imported by users with a coroutine; test suites without any need not pay for it.
    import asyncio

    await asyncio.to_thread(work)
