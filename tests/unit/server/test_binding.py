"""Sockets on a listener's address: which, and what they say when there is none."""

import asyncio
import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from chronik.broker.memory import NodeMemory
from chronik.broker.session import Session
from chronik.server import binding
from chronik.server.binding import ListenerAddress, bind, bind_all
from chronik.server.connection import Reply
from chronik.server.listener import ConnectionLimits, Listeners

HAS_IPV6 = socket.has_ipv6


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def address(host: str, port: int = 0, **buffers: int) -> ListenerAddress:
    return ListenerAddress(name="PLAINTEXT", host=host, port=port, **buffers)


def places(closing: ExitStack, host: str, port: int = 0) -> list[tuple[str, int]]:
    bound = bind_all(address(host, port))
    for one in bound:
        closing.callback(one.close)
    return [one.getsockname()[:2] for one in bound]


def machine_has_ipv6() -> bool:
    if not HAS_IPV6:
        return False
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


def test_an_address_is_one_socket(closing: ExitStack) -> None:
    ((host, port),) = places(closing, "127.0.0.1")
    assert host == "127.0.0.1"
    assert port > 0


@pytest.mark.skipif(not machine_has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize(("host", "hosts"), [("localhost", {"127.0.0.1", "::1"}), ("", {"0.0.0.0", "::"})])
def test_localhost_and_every_interface_are_both_families(
    closing: ExitStack, host: str, hosts: set[str]
) -> None:
    found = places(closing, host)
    assert {place for place, _ in found} == hosts
    assert len({port for _, port in found}) == 1


@pytest.mark.skipif(not machine_has_ipv6(), reason="this machine has no IPv6")
def test_a_port_that_is_taken_in_the_second_family_is_taken(closing: ExitStack) -> None:
    taken = closing.enter_context(socket.socket(socket.AF_INET6))
    taken.bind(("::1", 0))
    port = taken.getsockname()[1]
    with pytest.raises(OSError, match=f"cannot listen on localhost:{port}") as refused:
        places(closing, "localhost", port)
    assert refused.value.errno == errno.EADDRINUSE
    # Nothing of the first family is left behind.
    closing.enter_context(bind(address("127.0.0.1", port)))


def test_a_family_that_the_machine_lacks_is_left_out(
    closing: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(binding._BOTH_FAMILIES, "localhost", ("127.0.0.1", "2001:db8::1"))
    assert [host for host, _ in places(closing, "localhost")] == ["127.0.0.1"]
    monkeypatch.setitem(binding._BOTH_FAMILIES, "localhost", ("203.0.113.1", "127.0.0.1"))
    assert [host for host, _ in places(closing, "localhost")] == ["127.0.0.1"]
    monkeypatch.setitem(binding._BOTH_FAMILIES, "localhost", ("203.0.113.1", "203.0.113.2"))
    with pytest.raises(OSError, match="cannot listen on localhost:0"):
        places(closing, "localhost")


def test_a_free_port_is_looked_for_again_when_the_other_family_lacks_it(
    closing: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def refuse_twice(asked: ListenerAddress, host: str, port: int) -> socket.socket:
        tries.append(port)
        if port and len(tries) < 5:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        return original(asked, "127.0.0.1", 0)

    original = binding._bind
    monkeypatch.setattr(binding, "_bind", refuse_twice)
    assert len(places(closing, "localhost")) == 2
    assert [bool(port) for port in tries] == [False, True, False, True, False, True]


@pytest.mark.parametrize("host", ["no-such-host.invalid", "203.0.113.1"])
def test_an_address_that_cannot_be_had_is_named(host: str) -> None:
    with pytest.raises(OSError, match=f"cannot listen on {host}:0: "):
        bind_all(address(host))


def test_sockets_do_not_block_and_know_their_protocol(closing: ExitStack) -> None:
    bound = closing.enter_context(bind(address("127.0.0.1")))
    assert not bound.getblocking()
    assert bound.proto == socket.IPPROTO_TCP


@pytest.mark.parametrize(
    ("option", "name"),
    [(socket.SO_SNDBUF, "send_buffer_bytes"), (socket.SO_RCVBUF, "receive_buffer_bytes")],
)
def test_buffer_sizes_are_obeyed_where_they_are_given(closing: ExitStack, option: int, name: str) -> None:
    default = closing.enter_context(bind(address("127.0.0.1")))
    small = closing.enter_context(bind(address("127.0.0.1", **{name: 50_000})))
    # Linux doubles what it is told.
    assert small.getsockopt(socket.SOL_SOCKET, option) in (50_000, 100_000)
    assert default.getsockopt(socket.SOL_SOCKET, option) not in (50_000, 100_000)


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, None], ids=["asyncio", "uvloop"])
def test_of_two_that_start_at_once_one_listens_and_the_other_says_so(
    closing: ExitStack, new_loop: Callable[[], asyncio.AbstractEventLoop] | None
) -> None:
    """Both are bound, and neither listens: only then does the kernel tell them apart, and uvloop no one."""
    if new_loop is None:
        new_loop = pytest.importorskip("uvloop").new_event_loop
    (first,) = bind_all(address("127.0.0.1"))
    port = first.getsockname()[1]
    (second,) = bind_all(address("127.0.0.1", port))
    for one in (first, second):
        closing.callback(one.close)

    async def run() -> None:
        winner, loser = _listeners(), _listeners()
        await winner.serve([("PLAINTEXT", first)])
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
            await loser.serve([("PLAINTEXT", second)])
        winner.finish()
        loser.finish()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(run())


class _Nobody:
    def dispatch(self, frame: memoryview, session: Session) -> Reply:
        raise AssertionError("nobody connects")


def _listeners() -> Listeners:
    limits = ConnectionLimits(
        connections_max=1, connections_per_ip_max=1, idle_seconds_max=1, frame_bytes_max=1
    )
    return Listeners(_Nobody(), NodeMemory(received_bytes_max=1, unsent_bytes_max=1), limits)
