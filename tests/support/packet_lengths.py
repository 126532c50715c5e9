"""How long packets are, worked out from docs/wire.md by hand."""

from __future__ import annotations

from newtonfl.comm.parts import PARTS


def number(value: int) -> bytes:
    """A whole number as a head has it: seven bits a byte, low ones first, the high bit where more follow."""
    return bytes([value]) if value < 128 else bytes([value % 128 + 128]) + number(value // 128)


def packet(coins: int = 0, **vectors: int) -> int:
    """A packet of one of the first rounds and clients, with whole vectors of float64 by their parts' lengths."""
    head = 4 + 3 + (len(number(coins)) if coins else 0)
    return head + sum(
        len(number(64 * PARTS.index(part) + 4)) + len(number(8 * size)) + 8 * size for part, size in vectors.items()
    )


def head_of(packet: bytes) -> tuple[list[int], int]:
    """The numbers of a packet's head, and where its payloads begin."""
    at, numbers = 4, list[int]()
    while len(numbers) < 3 or len(numbers) < 3 + (numbers[0] >> 2 & 1) + 2 * (numbers[0] >> 3):
        stop = next(i for i in range(at, len(packet)) if packet[i] < 128) + 1
        numbers.append(sum((octet & 127) << 7 * i for i, octet in enumerate(packet[at:stop])))
        at = stop
    return numbers, at


def first_of(packets: bytes) -> int:
    """The length of the first of several packets."""
    numbers, at = head_of(packets)
    return at + sum(numbers[4 + (numbers[0] >> 2 & 1) :: 2])
