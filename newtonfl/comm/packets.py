"""Packets: what one client and the server send each other, and all that the ledger counts.

A packet is a head (:mod:`newtonfl.comm.heads`), which tells of each section its part (see PARTS), form
(messages.FORMS), precision and length, and the sections' payloads. All numbers are little-endian.

A part that is none of PARTS, as a method of one's own may have, is number 255: its payload begins with the length of
its name, a byte, and the name, small letters, digits, hyphens and underscores.

The receiver knows how long each part's vector is, so every length is checked.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np

from newtonfl.comm import heads as head
from newtonfl.comm.coding import PRECISIONS, NotFinite, WireError
from newtonfl.comm.heads import LEAST, Heads, Kind
from newtonfl.comm.messages import FORMS, Batch, Dense, Indices, Message, Run
from newtonfl.comm.parts import PARTS, ManyParts, Parts, Sizes, end_to_end
from newtonfl.comm.sections import Sections, joined_sections
from newtonfl.core.backend import Array
from newtonfl.core.ragged import offsets_of
from newtonfl.core.timing import timed, timed_as
from newtonfl.kernels import gather, interleave, varints

_RUN = 1 << 20
"""Bytes of packets that are read at a time."""

_NAMED = 255
_NAME = re.compile(rb"[a-z][a-z0-9_-]{0,62}")


@dataclass(frozen=True)
class Packet:
    """One packet, read: what one client sends to the server, or the server to one client or to all.

    Conventions:

    - Parts: named by :data:`PARTS`, at most one section each, in the order in which they were encoded. An empty packet
      is a head alone. A vector's length is not sent: the receiver works it out of the part, the client and the parts
      before it (:data:`Sizes`).
    - Numbers: a message holds them as they arrive, rounded to its precision, so that both ends move by the same bits.
      All are little-endian, and all arrays are NumPy's, on the host.
    - Units: lengths are in bytes, the head included, and are what the ledger counts; :attr:`formula_bits` are
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
    sections : list of Sections
        How much each part takes.
    """

    kinds: Array
    rounds: Array
    clients: Array
    flags: Array
    parts: Sequence[Parts]
    sections: list[Sections]


def encode(packet: Packet) -> bytes:
    """The bytes of `packet`.

    Raises
    ------
    ValueError
        If a part's name is none that the wire can carry.
    """
    clients = np.array([packet.client])
    buffer, *_ = encode_many(packet.kind, packet.round, clients, [packet.parts], packet.flags)
    coded: bytes = buffer.tobytes()
    return coded


def encode_many(
    kind: Kind, round: int, clients: Array, parts: Sequence[Parts], flags: int = 0, own: bool = False
) -> tuple[Array, Array, list[Sections]]:
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
        The bytes never leave this process: magic and version stay in the checksums' place.

    Returns
    -------
    buffer : numpy.ndarray of uint8
    lengths : numpy.ndarray of int64, shape (n,)
        Each packet's length in bytes.
    sections : list of Sections
        How much of it each part takes.

    Raises
    ------
    ValueError
        If a part's name is none that the wire can carry.
    """
    with timed("packing") as timer:
        found = _encoded(kind, round, clients, parts, flags, own)
        timer.add_bytes(len(found[0]))
    return found


def _encoded(
    kind: Kind, round: int, clients: Array, parts: Sequence[Parts], flags: int, own: bool
) -> tuple[Array, Array, list[Sections]]:
    alike = ManyParts.of(parts)
    if not isinstance(alike, ManyParts):  # clients that name the same parts together
        groups, sections = [], []
        for some in _alike([tuple(mine) for mine in parts]):
            lengths = np.zeros(len(parts), np.int64)
            mine = [parts[i] for i in some]
            buffer, lengths[some], theirs = _encoded(kind, round, clients[some], mine, flags, own)
            groups.append((buffer, lengths))
            sections += [section.within(some) for section in theirs]
        return interleave(groups), np.sum([lengths for _, lengths in groups], axis=0), sections
    payloads = [_pieces(name, messages) for name, messages in alike.columns.items()]
    sizes = _columns([sum(lengths for _, lengths in pieces) for pieces in payloads], alike.n)
    numbers = head.numbers(kind, round, clients, flags, _codes(alike), sizes)
    pieces = [varints.write(numbers), *(piece for pieces in payloads for piece in pieces)]
    lengths = np.sum([lengths for _, lengths in pieces], axis=0, dtype=np.int64)
    buffer = interleave(pieces)
    if not own:
        head.seal(buffer, offsets_of(lengths))
    return buffer, lengths, _measured(alike, sizes)


@timed_as("packing")
def measure(kind: Kind, round: int, clients: Array, parts: ManyParts, flags: int = 0) -> tuple[Array, list[Sections]]:
    """The lengths and sections that :func:`encode_many` has, where the clients name the same parts; no packets.

    Parameters
    ----------
    kind : Kind
    round, flags : int
    clients : numpy.ndarray of int64, shape (n,)
    parts : ManyParts

    Returns
    -------
    lengths : numpy.ndarray of int64, shape (n,)
    sections : list of Sections
    """
    sizes = _columns([_lengths(name, messages) for name, messages in parts.columns.items()], parts.n)
    numbers = head.numbers(kind, round, clients, flags, _codes(parts), sizes)
    return np.sum(varints.widths(numbers), axis=1) + np.sum(sizes, axis=1), _measured(parts, sizes)


def _measured(parts: ManyParts, sizes: Array) -> list[Sections]:
    """The sections of packets whose payloads are `sizes` long, shape (n, number of sections)."""
    columns = zip(parts.columns.items(), sizes.T, strict=True)
    return [Sections.of(name, messages, lengths) for (name, messages), lengths in columns]


def are_plain(parts: Sequence[Parts]) -> bool:
    """Whether packets hold nothing but whole vectors, runs and index sets.

    Such bytes are the numbers themselves: there is nothing to find out by writing and reading them.
    """
    if not isinstance(parts, ManyParts) or not all(name in PARTS for name in parts.columns):
        return False
    return all(
        messages.form in (Dense, Indices)
        if isinstance(messages, Batch)
        else all(isinstance(message, Run) for message in messages)
        for messages in parts.columns.values()
    )


def check_finite(parts: Sequence[Parts], round: int, clients: Array) -> None:
    """Refuse numbers that are not finite, as :func:`decode_many` does, in parts that :func:`are_plain`.

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


def _codes(parts: ManyParts) -> Array:
    """Each section's code, shape (n, number of sections)."""
    columns = []
    for name, messages in parts.columns.items():
        kinds = [messages.kind] if isinstance(messages, Batch) else [(m.form, m.precision) for m in messages]
        table = np.array([(form, PRECISIONS.index(precision)) for form, precision in kinds], np.int64).reshape(-1, 2)
        columns.append(head.code(PARTS.index(name) if name in PARTS else _NAMED, *table.T))
    return _columns(columns, parts.n)


def _columns(columns: Sequence[Array], n: int) -> Array:
    """One array, shape (n, number of columns)."""
    return np.stack([np.broadcast_to(column, n) for column in columns], axis=1) if columns else np.zeros((n, 0), int)


def _pieces(name: str, messages: Sequence[Message]) -> list[tuple[Array, Array]]:
    """What the payloads are put together of: bytes of all clients end to end, and each client's length."""
    n, pieces = len(messages), []
    if letters := _letters(name):
        pieces.append((np.tile(np.frombuffer(letters, np.uint8), n), np.full(n, len(letters))))
    if isinstance(messages, Batch):
        return pieces + messages.pieces()
    payloads = [message.payload() for message in messages]
    sizes = np.array([len(payload) for payload in payloads], np.int64)
    return [*pieces, (np.frombuffer(b"".join(payloads), np.uint8), sizes)]


def _lengths(name: str, messages: Sequence[Message]) -> Array:
    """The payloads' lengths."""
    if isinstance(messages, Batch):
        return len(_letters(name)) + sum(lengths for _, lengths in messages.pieces())
    return len(_letters(name)) + np.array([message.length for message in messages], np.int64)


def _letters(name: str) -> bytes:
    """What a part's payload begins with: the name of a part that is none of the library's."""
    if name in PARTS:
        return b""
    letters = name.encode()
    if not _NAME.fullmatch(letters):
        raise ValueError(
            f"part: given the name {name!r}, must be at most 63 small letters, digits, hyphens and underscores, and "
            "begin with a letter"
        )
    return bytes([len(letters)]) + letters


def decode(buffer: memoryview, sizes: Sizes) -> tuple[Packet, int]:
    """Read the packet at the beginning of `buffer`; returns it and its length in bytes.

    Raises
    ------
    WireError
        If the bytes cannot be a packet, naming client, round and part as far as they can be read. No part
        allocates more than its own bytes allow before it has been checked.
    """
    whole = np.frombuffer(buffer, np.uint8)
    stop = int(head.read(whole, np.zeros(1, np.int64), np.array([len(whole)])).end[0])
    found = decode_many(whole, [stop], sizes)
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
    with timed("packing") as timer:
        timer.add_bytes(len(buffer))
        return _read(buffer, lengths, sizes, senders, own)


def _read(buffer: Array, lengths: Sequence[int], sizes: Sizes, senders: Array | None, own: bool) -> Packets:
    if len(lengths) > 1 and (min(lengths) < LEAST or sum(lengths) > len(buffer)):
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
    sections = joined_sections([(len(run.clients), run.sections) for run in runs])
    return Packets(kinds, rounds, clients, flags, end_to_end([run.parts for run in runs]), sections)


def _decoded(buffer: Array, edges: Array, sizes: Sizes, senders: Array | None, own: bool) -> Packets:
    """Read the packets that lie between the `edges` of `buffer`."""
    n = len(edges) - 1
    if n and int(edges[-1]) > len(buffer):
        raise WireError(f"{len(buffer)} bytes are not the {n} packets that they are announced as")
    heads = head.read(buffer, edges[:-1], edges[1:])
    heads.refuse(heads.end != edges[1:], lambda i: f"{edges[i + 1] - heads.end[i]} bytes belong to no section")
    if not own:
        head.check_seals(buffer, edges, heads)
    if senders is not None:
        heads.refuse(~np.isin(heads.clients, senders), lambda i: "this packet was not asked for")
    read: tuple[Sequence[Parts], list[Sections]] | None = None
    try:
        if (heads.sections != heads.sections[:1]).any():
            read = _apart(buffer, edges, _alike(heads.sections.tolist()), sizes, own)
        elif (heads.codes == heads.codes[:1]).all():
            read = _sections(buffer, heads, sizes)
        if read is None:
            read = _apart(buffer, edges, _alike(_tables(heads)), sizes, own)
    except WireError:
        if n == 1:
            raise
        read = _apart(buffer, edges, list(np.arange(n)[:, None]), sizes, own)  # to say which of them cannot be
    return Packets(heads.kinds, heads.rounds, heads.clients, heads.flags, *read)


def _alike(kinds: Sequence[Hashable]) -> list[Array]:
    """The positions of each kind that there is."""
    found: dict[Hashable, list[int]] = {}
    for i, kind in enumerate(kinds):
        found.setdefault(kind, []).append(i)
    return [np.array(positions) for positions in found.values()]


def _tables(heads: Heads) -> list[Hashable]:
    """What each packet holds, less the lengths; one with parts of one's own is like no other."""
    named = (heads.codes >= head.code(_NAMED, 0, 0)).any(axis=1).tolist()
    return [(i,) if own else table.tobytes() for i, (own, table) in enumerate(zip(named, heads.codes, strict=True))]


def _apart(
    buffer: Array, edges: Array, groups: list[Array], sizes: Sizes, own: bool
) -> tuple[list[Parts], list[Sections]]:
    """The parts and sections of packets that lie between the `edges`, read in `groups` that are alike."""
    parts: list[Parts] = [{} for _ in edges[1:]]
    sections = []
    for some in groups:
        lengths = np.diff(edges)[some]
        read = _read(gather(buffer, edges[some], lengths), lengths.tolist(), sizes, None, own)
        for i, mine in zip(some.tolist(), read.parts, strict=True):
            parts[i] = mine
        sections += [section.within(some) for section in read.sections]
    return parts, sections


def _sections(buffer: Array, heads: Heads, sizes: Sizes) -> tuple[ManyParts, list[Sections]] | None:
    """The parts and sections of packets that hold the same; None where parts of one's own have not the same names."""
    clients, at, columns = heads.clients, heads.body, dict[str, Sequence[Message]]()
    n = len(clients)
    for s, (code, length) in enumerate(zip(heads.codes[:1].ravel().tolist(), heads.lengths.T, strict=True)):
        part, form, precision = head.of_code(code)
        known = part < len(PARTS) or (part == _NAMED and bool((length > buffer.take(at, mode="clip")).all()))
        if not known or form not in FORMS or precision >= len(PRECISIONS):
            kind = f"part {part}, form {form}, precision {precision}, {length[0]} bytes"
            raise WireError(f"{heads.where(0)}: section {s} is {kind}")
        if part == _NAMED:
            letters = 1 + int(buffer[at[0]])
            names = buffer.take(at[:, None] + np.arange(letters), mode="clip")
            if (names != names[0]).any():
                return None
            name = _read_name(names[0, 1:].tobytes(), f"{heads.where(0)}: section {s}")
            at, length = at + letters, length - letters
        else:
            name = PARTS[part]
        if name in columns:
            raise WireError(f"{heads.where(0)}: two sections are named {name}")
        size = np.broadcast_to(np.asarray(sizes(name, clients, ManyParts(columns, n)), np.int64), n)
        try:
            columns[name] = FORMS[form].read_many(buffer, at, length, size, PRECISIONS[precision])
        except WireError as error:
            raise type(error)(f"{heads.where(0)}, {name}: {error}") from None
        at = at + length
    parts = ManyParts(columns, n)
    return parts, _measured(parts, heads.lengths)


def _read_name(letters: bytes, where: str) -> str:
    """The name of a part that is none of the library's."""
    if not _NAME.fullmatch(letters) or letters.decode() in PARTS:
        raise WireError(f"{where} names its part {letters!r}")
    return letters.decode()
