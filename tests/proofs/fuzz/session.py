"""One hostile connection: which requests, spoiled how, sent in which manner. Known by its number alone."""

import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum, auto
from random import Random

from tests.proofs.fuzz.mutations import MUTATIONS, splice
from tests.support.protocol.generate import World, any_request

# How long a session listens before it goes; most answers are there in a millisecond.
_LISTEN_SECONDS = 0.02
_SEND_SECONDS_MAX = 1.0
_SLOW_BYTES_MAX = 400


class Manner(Enum):
    """How the bytes get to the broker, and how the connection ends."""

    AT_ONCE = auto()
    IN_PIECES = auto()
    BYTE_BY_BYTE = auto()
    HALF_CLOSED = auto()
    RESET = auto()
    NEVER_READ = auto()


_USUAL = (Manner.AT_ONCE,) * 6
_MANNERS = (*_USUAL, *Manner)


class Session:
    """Made from a seed and a number; always the same bytes for the same two and the same captures."""

    def __init__(self, seed: int, number: int, world: World, captured: Sequence[bytes]) -> None:
        chance = Random(f"{seed}/{number}")
        self.number = number
        self.manner = chance.choice(_MANNERS)
        self.stream = b"".join(
            _spoiled(chance, world, captured) for _ in range(chance.choice((1, 1, 2, 5, 20)))
        )
        self._chance = chance

    def run(self, port: int) -> None:
        """Send it all, listen a little, go. What the broker does to the connection is its own affair here."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), _SEND_SECONDS_MAX) as connected:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._send(connected)
            if self.manner is Manner.HALF_CLOSED:
                connected.shutdown(socket.SHUT_WR)
            if self.manner is Manner.RESET:
                connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif self.manner is not Manner.NEVER_READ:
                _listen(connected)

    def _send(self, connected: socket.socket) -> None:
        stream = self.stream
        match self.manner:
            case Manner.BYTE_BY_BYTE:
                for at in range(min(len(stream), _SLOW_BYTES_MAX)):
                    connected.sendall(stream[at : at + 1])
                connected.sendall(stream[_SLOW_BYTES_MAX:])
            case Manner.IN_PIECES:
                while stream:
                    size = self._chance.choice((1, 3, 50, 1000, 100_000))
                    connected.sendall(stream[:size])
                    stream = stream[size:]
            case _:
                connected.sendall(stream)


def _spoiled(chance: Random, world: World, captured: Sequence[bytes]) -> bytes:
    data = _original(chance, world, captured)
    if chance.random() < 0.1:
        data = splice(chance, data, _original(chance, world, captured))
    for _ in range(chance.choice((1, 1, 1, 2))):
        data = chance.choice(MUTATIONS)(chance, data) or b"\0"
    return data


def _original(chance: Random, world: World, captured: Sequence[bytes]) -> bytes:
    if captured and chance.random() < 0.4:
        return chance.choice(captured)
    return any_request(chance, world, chance.randrange(2**31)).frame


def _listen(connected: socket.socket) -> None:
    connected.settimeout(_LISTEN_SECONDS)
    with suppress(TimeoutError):
        while connected.recv(1 << 16):
            pass
