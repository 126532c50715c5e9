"""The head of a packet: a checksum, then whole numbers, each in as few bytes as it needs (kernels/varints).

    CRC-32   of all the rest, and of magic, version and 0, which stand in its place while it is worked out
    first    8 · number of sections + 4 where flags follow + kind
    round    as it is
    client   its number + 1; 0 means everyone
    flags    where they are not 0
    section  64 · part + 4 · form + precision, then the payload's length: once each section

So a packet of another version of the protocol, or of another protocol, has a wrong checksum, and says where it ends. A
round's reply of one section has 10 bytes of head as a rule.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from newtonfl.comm.coding import WireError
from newtonfl.core.backend import Array
from newtonfl.kernels import checksums, varints

VERSION = 2
EVERYONE = 0xFFFFFFFF
"""The client number in a packet that goes to all."""

LEAST = 7
"""Bytes of the smallest packet."""

MOST_SECTIONS = 255
"""Sections of a packet: a client says so many different things at most."""

_SEAL = b"NF" + bytes([VERSION, 0])
_CHECKSUM = np.arange(4)  # where it stands in a packet
_FLAGGED, _MOST_FLAGS = 4, 0xFFFF


class Kind(IntEnum):
    """What a packet is for."""

    ANNOUNCEMENT = 0
    REPLY = 1
    SETUP = 2
    NEIGHBOUR = 3


@dataclass(frozen=True)
class Heads:
    """Heads of n packets, read.

    Attributes
    ----------
    kinds, rounds, clients, flags : numpy.ndarray of int64, shape (n,)
    sections : numpy.ndarray of int64, shape (n,)
        How many each has.
    codes, lengths : numpy.ndarray of int64, shape (n, number of sections)
        What each section is, and its payload's bytes; of no sections where packets have several numbers of them: a
        table would then be larger than what it was read from.
    body, end : numpy.ndarray of int64, shape (n,)
        Where in the buffer the payloads begin, and where the packet ends.
    """

    kinds: Array
    rounds: Array
    clients: Array
    flags: Array
    sections: Array
    codes: Array
    lengths: Array
    body: Array
    end: Array

    def where(self, i: int) -> str:
        """Whose packet it is, for a message."""
        client = self.clients[i]
        return f"round {self.rounds[i]}, {'to all' if client == EVERYONE else f'client {client}'}"

    def refuse(self, wrong: Array, reason: Callable[[int], str]) -> None:
        """Refuse the first packet that is `wrong`, with its place."""
        if wrong.any():
            i = int(np.argmax(wrong))
            raise WireError(f"{self.where(i)}: {reason(i)}")


def code(part: int, form: Array, precision: Array) -> Array:
    """A section's code."""
    return part << 6 | form << 2 | precision


def of_code(code: int) -> tuple[int, int, int]:
    """Part, form and precision of a section."""
    return code >> 6, code >> 2 & 15, code & 3


def numbers(kind: Kind, round: int, clients: Array, flags: int, codes: Array, lengths: Array) -> Array:
    """The numbers that the heads of many packets are made of: those in the checksum's place, and the rest.

    Parameters
    ----------
    kind : Kind
    round, flags : int
    clients : numpy.ndarray of int64, shape (n,)
    codes, lengths : numpy.ndarray of int64, shape (n, number of sections)

    Returns
    -------
    numpy.ndarray of int64, shape (n, number of numbers)

    Raises
    ------
    ValueError
        If there are too many sections.
    """
    n, sections = np.shape(codes)
    if sections > MOST_SECTIONS:
        raise ValueError(f"parts: given {sections} of one client, a packet has at most {MOST_SECTIONS}")
    fixed = [*_SEAL, sections << 3 | (_FLAGGED if flags else 0) | kind, round]
    first = np.empty((n, len(fixed) + 1 + (flags > 0) + 2 * sections), np.int64)
    first[:, : len(fixed)] = fixed
    first[:, len(fixed)] = np.where(clients == EVERYONE, 0, clients + 1)
    if flags:
        first[:, len(fixed) + 1] = flags
    table = first[:, first.shape[1] - 2 * sections :]
    table[:, ::2], table[:, 1::2] = codes, lengths
    return first


def read(buffer: Array, first: Array, last: Array) -> Heads:
    """Read the heads of the packets that begin at `first` (n,) in `buffer`, which do not reach beyond `last` (n,).

    Raises
    ------
    WireError
        Where there is no head, or it tells what cannot be.
    """
    if (last - first < LEAST).any():
        raise WireError(f"{int(np.min(last - first))} bytes are no packet: the smallest has {LEAST}")
    leads, rounds, clients, at = _numbers(buffer, first + len(_SEAL), last, 3)
    n, sections = len(first), leads >> 3
    many = (2 * sections > last - first) | (sections > MOST_SECTIONS)
    if many.any():
        i = int(np.argmax(many))
        raise WireError(
            f"{sections[i]} sections announced in {last[i] - first[i]} bytes; a packet has at most {MOST_SECTIONS}"
        )
    flags, body, ends, announced = np.zeros(n, np.int64), at.copy(), at.copy(), dict[int, int]()
    alike = int(sections[0]) if n and (sections == sections[0]).all() else 0
    codes, lengths = np.empty((n, alike), np.int64), np.empty((n, alike), np.int64)
    for lead in sorted(set(leads.tolist())):
        some, flagged, many = np.flatnonzero(leads == lead), bool(lead & _FLAGGED), lead >> 3
        *found, body[some] = _numbers(buffer, at[some], last[some], flagged + 2 * many)
        if flagged:
            flags[some] = found.pop(0)
        table = np.stack(found, 1) if many else np.empty((len(some), 0), np.int64)
        payloads, there = table[:, 1::2], last[some] - body[some]
        long = (payloads > there[:, None]).any(axis=1)  # before they are summed, which might overflow
        ends[some] = body[some] + np.where(long, 0, np.sum(np.where(long[:, None], 0, payloads), axis=1))
        wrong = np.flatnonzero(long | (ends[some] > last[some]))
        announced |= {int(some[i]): sum(payloads[i].tolist()) for i in wrong[:1]}
        if alike:
            codes[some], lengths[some] = table[:, ::2], payloads
    heads = Heads(leads & 3, rounds, _client(clients), flags, sections, codes, lengths, body, ends)
    if announced:
        i = min(announced)
        raise WireError(f"{heads.where(i)}: {announced[i]} bytes of payload announced, {last[i] - body[i]} there")
    flagged = (leads & _FLAGGED) > 0
    odd = (rounds >= 1 << 32) | (clients > EVERYONE) | (flagged != (flags > 0))
    heads.refuse(odd | (flags > _MOST_FLAGS), lambda i: f"kind {leads[i] & 3} with flags {flags[i]} cannot be")
    return heads


def _client(numbers: Array) -> Array:
    return np.where(numbers == 0, EVERYONE, numbers - 1)


def _numbers(buffer: Array, first: Array, last: Array, count: int) -> list[Array]:
    """The first `count` numbers of each row, and where they end."""
    try:
        found, end = varints.read(buffer, first, last, count)
    except varints.BadNumbers as error:
        raise WireError(f"a packet has no head: {error}") from None
    return [*found.T, end]


def seal(buffer: Array, edges: Array) -> None:
    """Put the checksums of the packets between the `edges` in their places, where the seal still stands."""
    sums = checksums(buffer, edges).astype("<u4")
    buffer[edges[:-1, None] + _CHECKSUM] = sums[:, None].view(np.uint8)


def check_seals(buffer: Array, edges: Array, heads: Heads) -> None:
    """Refuse the packets between the `edges` whose checksums are wrong.

    Raises
    ------
    WireError
        With the place of the first one.
    """
    packets = buffer[edges[0] : edges[-1]].copy()
    places = edges[:-1, None] - edges[0] + _CHECKSUM
    stated = packets[places].view("<u4")[:, 0]
    packets[places] = np.frombuffer(_SEAL, np.uint8)
    heads.refuse(
        stated != checksums(packets, edges - edges[0]),
        lambda i: f"the checksum does not match: damaged, or no packet of version {VERSION}",
    )
