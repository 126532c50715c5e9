"""Packets: what one client and the server send each other, and all that the ledger counts.

A packet is a 28-byte header, a table of 12 bytes a section, and the sections' payloads. All numbers are little-endian.

    header   magic "NF", version, kind, round, client, sections, flags, payload length, CRC-32 of all the rest
    section  part (see PARTS), form (messages.FORMS), precision, 0, payload length

A part that is none of PARTS, as a method of one's own may have, is number 255: the fourth byte then is the length of
its name, and its payload begins with the name, small letters, digits, hyphens and underscores.

The receiver knows how long each part's vector is, so every length is checked.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import accumulate

import numpy as np

from newtonfl.comm.coding import PRECISIONS, NotFinite, WireError
from newtonfl.comm.messages import FORMS, Batch, Dense, Indices, Message, Run
from newtonfl.comm.parts import PARTS, ManyParts, Parts, Sizes, end_to_end
from newtonfl.core.backend import Array
from newtonfl.core.ragged import offsets_of
from newtonfl.kernels import checksums, gather, interleave

VERSION = 1
EVERYONE = 0xFFFFFFFF
"""The client number in a packet that goes to all."""

_HEADER = np.dtype(
    [
        ("magic", "S2"), ("version", "u1"), ("kind", "u1"), ("round", "<u4"), ("client", "<u4"), ("sections", "<u2"),
        ("flags", "<u2"), ("length", "<u8"), ("checksum", "<u4"),
    ]
)  # fmt: skip
_SECTION = np.dtype([("part", "u1"), ("form", "u1"), ("precision", "u1"), ("letters", "u1"), ("length", "<u8")])
_MAGIC = b"NF"
HEAD, SECTION = _HEADER.itemsize, _SECTION.itemsize
"""Bytes of a packet's header, and of a section's entry in its table."""

_CHECKSUM = np.arange(_HEADER.itemsize - 4, _HEADER.itemsize)  # where it stands in a packet

_RUN = 1 << 20
"""Bytes of packets that are read at a time."""

_NAMED = 255
_NAME = re.compile(rb"[a-z][a-z0-9_-]{0,62}")


class Kind(IntEnum):
    """What a packet is for."""

    ANNOUNCEMENT = 0
    REPLY = 1
    SETUP = 2


@dataclass(frozen=True)
class Packet:
    """One packet, read: what one client sends to the server, or the server to one client or to all.

    Conventions:

    - Parts: named by :data:`PARTS`, at most one section each, in the order in which they were encoded. An empty packet
      is a header alone. A vector's length is not sent: the receiver works it out of the part, the client and the parts
      before it (:data:`Sizes`).
    - Numbers: a message holds them as they arrive, rounded to its precision, so that both ends move by the same bits.
      All are little-endian, and all arrays are NumPy's, on the host.
    - Units: lengths are in bytes, header and table included, and are what the ledger counts; :attr:`formula_bits` are
      the papers' count, in bits, 32 a number unless the message says otherwise.
    - Ownership: the ledger enters a client's packet as up and the server's as down; a packet to all counts once for
      each client that receives it. Messages are frozen and can be shared.

    Attributes
    ----------
    kind : Kind
    round : int
        From 0; 0 in the set-up too.
    client : int
        Who sends it or receives it; :data:`EVERYONE` in a packet to all.
    flags : int
        The round's coins, a bit each.
    parts : dict of str to Message
    """

    kind: Kind
    round: int
    client: int
    flags: int = 0
    parts: Parts = field(default_factory=dict)

    @property
    def formula_bits(self) -> int:
        """The papers' count of its parts, in bits."""
        return sum(message.formula_bits for message in self.parts.values())


@dataclass(frozen=True)
class Packets:
    """Packets of many clients, read.

    Attributes
    ----------
    rounds, clients, flags : numpy.ndarray of int64, shape (n,)
    kinds : numpy.ndarray of int64, shape (n,)
        As :class:`Kind` has them.
    parts : sequence of Parts
        One entry a packet.
    """

    kinds: Array
    rounds: Array
    clients: Array
    flags: Array
    parts: Sequence[Parts]


def encode(packet: Packet) -> bytes:
    """The bytes of `packet`.

    Raises
    ------
    ValueError
        If a part's name is none that the wire can carry.
    """
    clients = np.array([packet.client])
    buffer, _ = encode_many(packet.kind, packet.round, clients, [packet.parts], packet.flags)
    coded: bytes = buffer.tobytes()
    return coded


def encode_many(
    kind: Kind, round: int, clients: Array, parts: Sequence[Parts], flags: int = 0, own: bool = False
) -> tuple[Array, Array]:
    """The packets of many clients, one after the other.

    Parameters
    ----------
    kind : Kind
    round : int
    clients : numpy.ndarray of int64, shape (n,)
    parts : sequence of Parts
        One entry a client.
    flags : int
    own : bool
        The bytes never leave this process: their checksums stay 0.

    Returns
    -------
    buffer : numpy.ndarray of uint8
    lengths : numpy.ndarray of int64, shape (n,)
        Each packet's length in bytes.

    Raises
    ------
    ValueError
        If a part's name is none that the wire can carry.
    """
    alike = ManyParts.of(parts)
    if not isinstance(alike, ManyParts):  # clients that name the same parts together
        groups = []
        for some in _alike([tuple(mine) for mine in parts]):
            lengths = np.zeros(len(parts), np.int64)
            buffer, lengths[some] = encode_many(kind, round, clients[some], [parts[i] for i in some], flags, own)
            groups.append((buffer, lengths))
        return interleave(groups), np.sum([lengths for _, lengths in groups], axis=0)
    n, names = len(clients), list(alike.columns)
    heads = np.zeros(n, np.dtype([("header", _HEADER), ("sections", _SECTION, (len(names),))]))
    header, table = heads["header"], heads["sections"]
    pieces = [(heads.view(np.uint8) if n else np.zeros(0, np.uint8), np.full(n, heads.dtype.itemsize))]
    for s, (name, messages) in enumerate(alike.columns.items()):
        letters = b"" if name in PARTS else _own_name(name)
        payload = _payloads(messages)
        table["part"][:, s], table["letters"][:, s] = _NAMED if letters else PARTS.index(name), len(letters)
        if isinstance(messages, Batch):
            table["form"][:, s], table["precision"][:, s] = messages.form.form, PRECISIONS.index(messages.precision)
        else:
            table["form"][:, s] = [message.form for message in messages]
            table["precision"][:, s] = [PRECISIONS.index(message.precision) for message in messages]
        if letters:
            payload.insert(0, (np.tile(np.frombuffer(letters, np.uint8), n), np.full(n, len(letters))))
        table["length"][:, s] = sum(lengths for _, lengths in payload)
        pieces += payload
    lengths = np.sum([lengths for _, lengths in pieces], axis=0, dtype=np.int64)
    header["magic"], header["version"], header["kind"], header["round"] = _MAGIC, VERSION, kind, round
    header["client"], header["sections"], header["flags"] = clients, len(names), flags
    header["length"] = lengths - _HEADER.itemsize
    buffer = interleave(pieces)
    if not own:
        edges = offsets_of(lengths)
        sums = checksums(buffer, edges).astype("<u4")  # the checksum's own place is still 0
        buffer[edges[:-1, None] + _CHECKSUM] = sums[:, None].view(np.uint8)
    return buffer, lengths


def measured(parts: Sequence[Parts]) -> Array | None:
    """The lengths that packets of nothing but whole vectors, runs and index sets have, shape (n,), without their bytes.

    Such bytes are the numbers themselves: there is nothing to find out by writing and reading them. None for others.
    """
    if not isinstance(parts, ManyParts):
        return None
    lengths = np.full(parts.n, _HEADER.itemsize + _SECTION.itemsize * len(parts.columns))
    for name, messages in parts.columns.items():
        if name not in PARTS:
            return None
        if isinstance(messages, Batch):
            if messages.form not in (Dense, Indices):
                return None
            lengths += sum(length for _, length in messages.pieces())
        else:
            runs = [message.length for message in messages if isinstance(message, Run)]
            if len(runs) < len(messages):
                return None
            lengths += np.array(runs, np.int64)
    return lengths


def check_finite(parts: Sequence[Parts], round: int, clients: Array) -> None:
    """Refuse numbers that are not finite, as :func:`decode_many` does, in parts that have been :func:`measured`.

    Raises
    ------
    NotFinite
        With the round, the client and the part.
    """
    assert isinstance(parts, ManyParts)
    for name, messages in parts.columns.items():
        if isinstance(messages, Batch):
            places = np.zeros(0) if messages.values is None else np.flatnonzero(~np.isfinite(messages.values))
            wrong = np.searchsorted(messages.offsets, places, side="right") - 1
        else:
            runs = [message for message in messages if isinstance(message, Run)]
            wrong = np.flatnonzero([not np.isfinite(run.values).all() for run in runs])
        if len(wrong):
            raise NotFinite(f"round {round}, client {clients[wrong[0]]}, {name}: a number that is not finite")


def _payloads(messages: Sequence[Message]) -> list[tuple[Array, Array]]:
    """What the payloads are put together of: bytes of all clients end to end, and each client's length."""
    if isinstance(messages, Batch):
        return messages.pieces()
    payloads = [message.payload() for message in messages]
    return [(np.frombuffer(b"".join(payloads), np.uint8), np.array([len(payload) for payload in payloads], np.int64))]


def _own_name(name: str) -> bytes:
    """The name of a part that is none of the library's, as its section carries it."""
    letters = name.encode()
    if not _NAME.fullmatch(letters):
        raise ValueError(
            f"part: given the name {name!r}, must be at most 63 small letters, digits, hyphens and underscores, and "
            "begin with a letter"
        )
    return letters


def decode(buffer: memoryview, sizes: Sizes) -> tuple[Packet, int]:
    """Read the packet at the beginning of `buffer`; returns it and its length in bytes.

    Raises
    ------
    WireError
        If the bytes cannot be a packet, naming client, round and part as far as they can be read. No part
        allocates more than its own bytes allow before it has been checked.
    """
    if len(buffer) < _HEADER.itemsize:
        raise WireError(f"{len(buffer)} bytes are no packet: a header has {_HEADER.itemsize}")
    stop = _HEADER.itemsize + int.from_bytes(buffer[16:24], "little")
    found = decode_many(np.frombuffer(buffer, np.uint8), [stop], sizes)
    kind, round, client, flags = (int(a[0]) for a in (found.kinds, found.rounds, found.clients, found.flags))
    return Packet(Kind(kind), round, client, flags, found.parts[0]), stop


def decode_many(
    buffer: Array, lengths: Sequence[int], sizes: Sizes, senders: Array | None = None, own: bool = False
) -> Packets:
    """Read the packets that follow one another in `buffer`.

    Parameters
    ----------
    buffer : numpy.ndarray of uint8
        Nothing in it is trusted.
    lengths : sequence of int
        How long its packets say they are, which is not trusted either.
    sizes : Sizes
        How many coordinates the parts have.
    senders : numpy.ndarray of int64, or None
        The clients that were asked, increasing; a packet of another one is refused.
    own : bool
        The bytes never left this process: they have no checksums.

    Returns
    -------
    Packets

    Raises
    ------
    WireError
        As :func:`decode` does, of the first packet that cannot be one.
    """
    if len(lengths) > 1 and (min(lengths) < _HEADER.itemsize or sum(lengths) > len(buffer)):
        raise WireError(f"{len(buffer)} bytes are not the {len(lengths)} packets that they are announced as")
    edges = list(accumulate(lengths, initial=0))
    runs: list[Packets] = []
    first = 0
    while first < len(lengths) or not runs:  # some at a time: what is made on the way then stays in cache
        stop = max(bisect_right(edges, edges[first] + _RUN) - 1, min(first + 1, len(lengths)))
        runs.append(_decoded(buffer, np.array(edges[first : stop + 1]), sizes, senders, own))
        first = stop
    kinds, rounds, clients, flags = (
        np.concatenate([getattr(run, name) for run in runs]) for name in ("kinds", "rounds", "clients", "flags")
    )
    return Packets(kinds, rounds, clients, flags, end_to_end([run.parts for run in runs]))


def _decoded(buffer: Array, edges: Array, sizes: Sizes, senders: Array | None, own: bool) -> Packets:
    """Read the packets that lie between the `edges` of `buffer`."""
    first, n = edges[:-1].astype(np.int64), len(edges) - 1
    if n and int(first[-1]) + _HEADER.itemsize > len(buffer):
        raise WireError(f"{len(buffer)} bytes are not the {n} packets that they are announced as")
    header = buffer[first[:, None] + np.arange(_HEADER.itemsize)].view(_HEADER)[:, 0]
    rounds, clients = header["round"].astype(np.int64), header["client"].astype(np.int64)

    def refuse(wrong: Array, reason: Callable[[int], str]) -> None:
        if wrong.any():
            i = int(np.argmax(wrong))
            raise WireError(f"{where(i)}: {reason(i)}")

    def where(i: int) -> str:
        return f"round {rounds[i]}, {'to all' if clients[i] == EVERYONE else f'client {clients[i]}'}"

    other = (header["magic"] != _MAGIC) | (header["version"] != VERSION)
    if other.any():
        magic = bytes(buffer[first[np.argmax(other)] :][:3])
        raise WireError(f"no packet of version {VERSION}: it begins with {magic!r}")
    there = len(buffer) - first - _HEADER.itemsize
    refuse(header["length"] > there, lambda i: f"{header['length'][i]} bytes announced, {there[i]} there")
    body = first + _HEADER.itemsize
    end = body + header["length"].astype(np.int64)
    refuse(end != edges[1:], lambda i: f"{end[i] - first[i]} bytes, where {edges[i + 1] - edges[i]} were announced")
    if not own:
        blank = buffer[edges[0] : edges[-1]].copy()
        blank[first[:, None] - edges[0] + _CHECKSUM] = 0
        sums = checksums(blank, edges - edges[0])
        refuse(header["checksum"] != sums, lambda i: "the checksum does not match")
    kinds, sections = header["kind"].astype(np.int64), header["sections"].astype(np.int64)
    refuse(
        (kinds > max(Kind)) | (sections * _SECTION.itemsize > end - body),
        lambda i: f"kind {kinds[i]} with {sections[i]} sections in {end[i] - body[i]} bytes",
    )
    if senders is not None:
        refuse(~np.isin(clients, senders), lambda i: "this packet was not asked for")
    parts: Sequence[Parts] | None = None
    try:
        if (sections == sections[:1]).all():
            parts = _sections(buffer, body, end, int(sections[0]) if n else 0, clients, where, sizes)
        if parts is None:
            parts = _apart(buffer, edges, _alike(_tables(buffer, body, sections)), sizes, own)
    except WireError:
        if n == 1:
            raise
        parts = _apart(buffer, edges, list(np.arange(n)[:, None]), sizes, own)  # to say which of them cannot be
    return Packets(kinds, rounds, clients, header["flags"].astype(np.int64), parts)


def _alike(kinds: Sequence[Hashable]) -> list[Array]:
    """The positions of each kind that there is."""
    found: dict[Hashable, list[int]] = {}
    for i, kind in enumerate(kinds):
        found.setdefault(kind, []).append(i)
    return [np.array(positions) for positions in found.values()]


def _tables(buffer: Array, body: Array, sections: Array) -> list[Hashable]:
    """The section tables of packets, less the lengths; a packet with parts of one's own is like no other."""
    found: list[Hashable] = []
    for i, (at, count) in enumerate(zip(body.tolist(), sections.tolist(), strict=True)):
        table = buffer[at : at + count * _SECTION.itemsize].view(_SECTION)
        named = bool((table["part"] == _NAMED).any())
        found.append((i,) if named else table[["part", "form", "precision", "letters"]].tobytes())
    return found


def _apart(buffer: Array, edges: Array, groups: list[Array], sizes: Sizes, own: bool) -> list[Parts]:
    """The parts of packets that lie between the `edges`, read in `groups` that are alike."""
    parts: list[Parts] = [{} for _ in edges[1:]]
    for some in groups:
        lengths = np.diff(edges)[some]
        read = decode_many(gather(buffer, edges[some], lengths), lengths.tolist(), sizes, None, own)
        for i, mine in zip(some.tolist(), read.parts, strict=True):
            parts[i] = mine
    return parts


def _sections(
    buffer: Array, body: Array, end: Array, count: int, clients: Array, where: Callable[[int], str], sizes: Sizes
) -> ManyParts | None:
    """The `count` sections of packets between `body` and `end`; None where the packets' tables are not alike."""
    n, columns = len(clients), dict[str, Sequence[Message]]()
    table = buffer[body[:, None] + np.arange(count * _SECTION.itemsize)].view(_SECTION).reshape(n, count)
    at = body + count * _SECTION.itemsize
    for s in range(count):
        kinds = table[["part", "form", "precision", "letters"]][:, s]
        if (kinds != kinds[0]).any():
            return None
        part, form, precision, letters = kinds[0].tolist()
        length = table["length"][:, s]
        known = part < len(PARTS) or (part == _NAMED and letters > 0 and bool((length >= letters).all()))
        possible = known and form in FORMS and precision < len(PRECISIONS)
        wrong = np.flatnonzero(length > (end - at)) if possible else np.zeros(1, np.int64)
        if len(wrong):
            i = int(wrong[0])
            kind = f"part {part}, form {form}, precision {precision}, {length[i]} bytes"
            raise WireError(f"{where(i)}: section {s} is {kind}")
        length = length.astype(np.int64)
        if part == _NAMED:
            names = buffer[at[:, None] + np.arange(letters)]
            if (names != names[0]).any():
                return None
            name = _read_name(names[0].tobytes(), f"{where(0)}: section {s}")
            at, length = at + letters, length - letters
        else:
            name = PARTS[part]
        if name in columns:
            raise WireError(f"{where(0)}: two sections are named {name}")
        size = np.broadcast_to(np.asarray(sizes(name, clients, ManyParts(columns, n)), np.int64), n)
        try:
            columns[name] = FORMS[form].read_many(buffer, at, length, size, PRECISIONS[precision])
        except WireError as error:
            raise type(error)(f"{where(0)}, {name}: {error}") from None
        at = at + length
    if (at != end).any():
        i = int(np.argmax(at != end))
        raise WireError(f"{where(i)}: {end[i] - at[i]} bytes belong to no section")
    return ManyParts(columns, n)


def _read_name(letters: bytes, where: str) -> str:
    """The name of a part that is none of the library's."""
    if not _NAME.fullmatch(letters) or letters.decode() in PARTS:
        raise WireError(f"{where} names its part {letters!r}")
    return letters.decode()
