"""Ways to damage bytes. Each is the same again for the same random numbers."""

from collections.abc import Callable
from random import Random

Mutation = Callable[[bytearray, bytes, Random], bytes]
"""Takes what is damaged, and another that may be mixed in."""

_HEADER = 512


def flip_bits(data: bytearray, _other: bytes, random: Random) -> bytes:
    """Flip a few bits, or many."""
    for _ in range(random.choice((1, 8, 64, 512))):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(data)


def set_header(data: bytearray, _other: bytes, random: Random) -> bytes:
    """Overwrite fields near the beginning with what sizes and counts overflow at."""
    for _ in range(random.randint(1, 8)):
        at, width = random.randrange(min(_HEADER, len(data))), random.choice((1, 2, 4, 8))
        data[at : at + width] = random.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * width
    return bytes(data)


def truncate(data: bytearray, _other: bytes, random: Random) -> bytes:
    """Cut the end off, sometimes nearly all of it."""
    return bytes(data[: random.randint(1, random.choice((16, _HEADER, len(data))))])


def behead(data: bytearray, _other: bytes, random: Random) -> bytes:
    """Cut the beginning off."""
    return bytes(data[random.randint(1, random.choice((16, _HEADER, len(data) - 1))) :])


def zero(data: bytearray, _other: bytes, random: Random) -> bytes:
    """Blank a stretch."""
    first, last = _stretch(data, random)
    data[first:last] = bytes(last - first)
    return bytes(data)


def repeat(data: bytearray, _other: bytes, random: Random) -> bytes:
    """Repeat a stretch in place."""
    first, last = _stretch(data, random)
    return bytes(data[:last] + data[first:last] * random.randint(1, 8) + data[last:])


def leave_out(data: bytearray, _other: bytes, random: Random) -> bytes:
    """Take a stretch out."""
    first, last = _stretch(data, random)
    return bytes(data[:first] + data[last:])


def shuffle(data: bytearray, _other: bytes, random: Random) -> bytes:
    """Put blocks into another order."""
    size = random.choice((16, 188, 1024))
    blocks = [bytes(data[at : at + size]) for at in range(0, len(data), size)]
    random.shuffle(blocks)
    return b"".join(blocks)


def scatter(data: bytearray, _other: bytes, random: Random) -> bytes:
    """Put noise into a stretch."""
    first, last = _stretch(data, random)
    data[first:last] = random.randbytes(last - first)
    return bytes(data)


def join(data: bytearray, other: bytes, random: Random) -> bytes:
    """Put another behind it, or into it."""
    at = random.choice((len(data), random.randrange(len(data))))
    return bytes(data[:at]) + other + bytes(data[at:])


def noise(data: bytearray, _other: bytes, random: Random) -> bytes:
    """Keep nothing but the first bytes."""
    return bytes(data[: random.choice((0, 16, 64))]) + random.randbytes(random.randint(1, 20_000))


def keep(data: bytearray, _other: bytes, _random: Random) -> bytes:
    """Change nothing; for what is damaged by its name alone."""
    return bytes(data)


MUTATIONS: tuple[Mutation, ...] = (
    flip_bits, set_header, truncate, behead, zero, repeat, leave_out, shuffle, scatter, join, noise,
    keep,
)  # fmt: skip


def mutate(data: bytes, other: bytes, random: Random) -> tuple[str, bytes]:
    """Damage bytes in one to three ways; return what was done, for people, and the result."""
    done = random.sample(MUTATIONS, random.choice((1, 1, 1, 2, 3)))
    for mutation in done:
        data = mutation(bytearray(data), other, random) or b"\0"
    return "+".join(mutation.__name__ for mutation in done), data


def _stretch(data: bytearray, random: Random) -> tuple[int, int]:
    first = random.randrange(len(data))
    return first, min(len(data), first + random.choice((1, 4, 64, 1024, 16_384)))
