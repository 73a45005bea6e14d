"""Messages to bytes and back: decoders and encoders for a class and version, compiled on first use and kept.

* A version reads and writes the fields it has. Decoding leaves the others at their defaults, encoding drops
  them, as Kafka does with fields it calls ignorable: handlers fill in all they know and need not ask for the
  version.
* Decoding trusts nothing. Lengths are checked against what is there, all arrays of a message together have a
  limit, and any malformed data is a MalformedMessage. Unknown tagged fields are skipped. Bytes after a
  message are ignored, as in Kafka; the returned position is where they start.
* Long messages can be processed in steps: a sliced decoder or encoder does the same as a generator.
* Decoded values own their bytes: the buffer may be reused.
* A None in a string, bytes or array field is written as empty in versions that lack the null which other
  versions of the field have, as Kafka's brokers do by hand; any other value that a field cannot hold is an
  EncodeError.
"""

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from chronik.wire.culprit import EncodeError
from chronik.wire.decoding import DecodeSteps, compile_decoder, compile_sliced_decoder
from chronik.wire.encoding import compile_encoder, compile_sliced_encoder
from chronik.wire.primitives import ARRAY_ELEMENTS_MAX, MalformedMessage
from chronik.wire.schema import Buffer, Message

__all__ = [
    "ARRAY_ELEMENTS_MAX",
    "DecodeSteps",
    "EncodeError",
    "MalformedMessage",
    "decode",
    "decoder",
    "encode",
    "encoder",
    "sliced_decoder",
    "sliced_encoder",
]

M = TypeVar("M", bound=Message)

_decoders: dict[tuple[type[Message], int], Callable[..., Any]] = {}
_encoders: dict[tuple[type[Message], int], Callable[..., Any]] = {}
_sliced_decoders: dict[tuple[type[Message], int], Callable[..., Any]] = {}
_sliced_encoders: dict[tuple[type[Message], int], Callable[..., Any]] = {}


def decoder(message: type[M], version: int) -> Callable[[Buffer, int], tuple[M, int]]:
    """A function `(buffer, position) -> (message, position behind it)`. The buffer ends where the frame does.

    ValueError for a version the class does not know.
    """
    found = _decoders.get((message, version))
    if found is None:
        _check_version(message, version)
        found = _decoders[message, version] = compile_decoder(message, version)
    return found


def encoder(message: type[M], version: int) -> Callable[[M], list[Buffer]]:
    """A function `message -> buffers` for writev: one, or more where long records are passed on uncopied.

    The first is always bytes. Records are not to change until all is sent. ValueError as for `decoder`.
    """
    found = _encoders.get((message, version))
    if found is None:
        _check_version(message, version)
        found = _encoders[message, version] = compile_encoder(message, version)
    return found


def sliced_decoder(message: type[M], version: int) -> Callable[[Buffer, int], DecodeSteps[M]]:
    """As `decoder`, but a generator that yields after every few dozen elements, and returns the message, the
    position after it and the number of elements in all its arrays.

    A caller that pauses it for longer than the buffer lives sends a copy of the buffer, once.
    """
    found = _sliced_decoders.get((message, version))
    if found is None:
        _check_version(message, version)
        found = _sliced_decoders[message, version] = compile_sliced_decoder(message, version)
    return found


def sliced_encoder(message: type[M], version: int) -> Callable[[M], Generator[None, None, list[Buffer]]]:
    """As `encoder`, but a generator that returns the same, and yields after every few dozen elements.

    Its buffers are cut at other places.
    """
    found = _sliced_encoders.get((message, version))
    if found is None:
        _check_version(message, version)
        found = _sliced_encoders[message, version] = compile_sliced_encoder(message, version)
    return found


def decode(message: type[M], version: int, data: Buffer) -> M:
    """Decode one message from the start of `data`."""
    return decoder(message, version)(data, 0)[0]


def encode(message: Message, version: int) -> bytes:
    """Encode one message into one piece."""
    return b"".join(encoder(type(message), version)(message))


def _check_version(message: type[Message], version: int) -> None:
    if version not in message.VERSIONS:
        first, last = message.VERSIONS
        raise ValueError(f"{message.__name__} has versions {first} to {last}, not {version}")
