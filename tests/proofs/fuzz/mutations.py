"""Ways to spoil a stream of requests. Each is a pure function of the bytes and a source of chance."""

import struct
from collections.abc import Callable, Sequence
from random import Random

Mutation = Callable[[Random, bytes], bytes]

# What lengths, counts and ids are overwritten with: signs, edges, and sizes that would hurt if believed.
_NUMBERS = (-1, -2, 0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 1 << 20, 1 << 24, 2**31 - 1, -(2**31))


def flip_bits(chance: Random, data: bytes) -> bytes:
    spoiled = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        spoiled[chance.randrange(len(spoiled))] ^= 1 << chance.randrange(8)
    return bytes(spoiled)


def flip_bits_behind_header(chance: Random, data: bytes) -> bytes:
    """Leaves length, key and version alone, so that the body is what is decoded."""
    if len(data) <= 12:
        return data
    return data[:12] + flip_bits(chance, data[12:])


def truncate(chance: Random, data: bytes) -> bytes:
    """Cut short; what follows on the connection is read as its rest."""
    return data[: chance.randrange(len(data))]


def shorten(chance: Random, data: bytes) -> bytes:
    """Cut short, with a length that says so: a frame that ends inside a field."""
    cut = data[4 : 4 + chance.randrange(max(1, len(data) - 4))]
    return struct.pack(">i", len(cut)) + cut


def lie_about_length(chance: Random, data: bytes) -> bytes:
    length = chance.choice((*_NUMBERS, len(data), len(data) - 5, len(data) - 3))
    return struct.pack(">i", length) + data[4:]


def overwrite_number(chance: Random, data: bytes) -> bytes:
    """A number of 1, 2, 4 or 8 bytes anywhere: counts, lengths, offsets, versions."""
    width = chance.choice((1, 2, 4, 8))
    if len(data) < 4 + width:
        return data
    at = chance.randrange(4, len(data) - width + 1)
    number = chance.choice(_NUMBERS) & ((1 << (8 * width)) - 1)
    return data[:at] + number.to_bytes(width) + data[at + width :]


def change_api(chance: Random, data: bytes) -> bytes:
    """Another key, or another version of the same: a body that belongs to something else."""
    if len(data) < 8:
        return data
    key, version = struct.unpack_from(">hh", data, 4)
    if chance.random() < 0.3:
        key = chance.choice((chance.randrange(100), -1, 999, 2**15 - 1))
    version = chance.choice((chance.randrange(20), version + 1, version - 1, -1, 2**15 - 1))
    version = max(-(2**15), min(version, 2**15 - 1))
    return data[:4] + struct.pack(">hh", key, version) + data[8:]


def insert(chance: Random, data: bytes) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + chance.randbytes(chance.choice((1, 4, 100))) + data[at:]


def repeat(chance: Random, data: bytes) -> bytes:
    return data * chance.choice((2, 3, 20))


def replace_by_garbage(chance: Random, data: bytes) -> bytes:
    return chance.randbytes(chance.choice((1, 3, 4, 8, 100, 5000)))


def keep(chance: Random, data: bytes) -> bytes:
    return data


MUTATIONS: Sequence[Mutation] = (
    keep,
    keep,
    flip_bits,
    flip_bits_behind_header,
    flip_bits_behind_header,
    truncate,
    shorten,
    shorten,
    lie_about_length,
    overwrite_number,
    overwrite_number,
    change_api,
    insert,
    repeat,
    replace_by_garbage,
)


def splice(chance: Random, first: bytes, second: bytes) -> bytes:
    """The head of one request and the tail of another, with a length that fits both."""
    head = first[: chance.randrange(4, len(first) + 1)] if len(first) > 4 else first
    tail = second[chance.randrange(len(second)) :]
    joined = (head + tail)[4:]
    return struct.pack(">i", len(joined)) + joined
