"""Packets: what one client and the server send each other. Nothing else serialises.

A packet is a 28-byte header, a table of 12 bytes a section, and the sections' payloads. All numbers are little-endian.

    header   magic "NF", version, kind, round, client, sections, flags, payload length, CRC-32 of all the rest
    section  part (see PARTS), form (messages.FORMS), precision, 0, payload length

A part that is none of PARTS, as a method of one's own may have, is number 255: the fourth byte then is the length of
its name, and its payload begins with the name, small letters, digits, hyphens and underscores.

The receiver knows how long each part's vector is, so every length is checked.
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, TypeAlias

import numpy as np

from newtonfl.comm.coding import PRECISIONS, WireError
from newtonfl.comm.messages import FORMS, Message
from newtonfl.core.backend import Array

VERSION = 1
EVERYONE = 0xFFFFFFFF
"""The client number in a packet that goes to all."""

_HEADER = struct.Struct("<2sBBIIHHQI")
_SECTION = struct.Struct("<BBBBQ")
_MAGIC = b"NF"
_KINDS = ("<f8", "<i8", "<i4", "|u1", "|b1")  # the numbers that an envelope may hold

PARTS = (
    "model", "gradient", "curvature", "error", "support", "initial",
    "subspace", "value", "direction", "trials", "constant",
    "product", "damped", "eigenpairs",
    "gram", "bound", "scale",
    "anew", "change", "missed", "stepsize", "anchor",
    "diagonal",
)  # fmt: skip
"""The names of the library's parts; a section carries the position in this list. Only ever longer, at the end."""

_NAMED = 255
_NAME = re.compile(rb"[a-z][a-z0-9_-]{0,62}")

Parts: TypeAlias = dict[str, Message]
Sizes: TypeAlias = Callable[[str, int, Parts], int]
"""(part, client, parts read so far) → how many coordinates that part's vector has."""


def joined(one: Parts, other: Parts) -> Parts:
    """The parts of two components as one packet carries them; ValueError where both have named a part the same."""
    if shared := one.keys() & other.keys():
        raise ValueError(f"part: given {sorted(shared)} by two components of the round, must be a name of one of them")
    return {**one, **other}


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


def encode(packet: Packet) -> bytes:
    """The bytes of `packet`.

    Raises
    ------
    ValueError
        If a part's name is none that the wire can carry.
    """
    table, body = [], []
    for name, message in packet.parts.items():
        own = b"" if name in PARTS else _own_name(name)
        payload = own + message.payload()
        part = _NAMED if own else PARTS.index(name)
        table.append(_SECTION.pack(part, message.form, PRECISIONS.index(message.precision), len(own), len(payload)))
        body.append(payload)
    rest = b"".join(table + body)
    header = (_MAGIC, VERSION, packet.kind, packet.round, packet.client, len(table), packet.flags, len(rest))
    checksum = zlib.crc32(rest, zlib.crc32(_HEADER.pack(*header, 0)))
    return _HEADER.pack(*header, checksum) + rest


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
    if len(buffer) < _HEADER.size:
        raise WireError(f"{len(buffer)} bytes are no packet: a header has {_HEADER.size}")
    *fields, checksum = _HEADER.unpack(buffer[: _HEADER.size])
    magic, version, kind, round, client, sections, flags, length = fields
    if magic != _MAGIC or version != VERSION:
        raise WireError(f"no packet of version {VERSION}: it begins with {bytes(buffer[:3])!r}")
    where = f"round {round}, {'to all' if client == EVERYONE else f'client {client}'}"
    end = _HEADER.size + length
    if len(buffer) < end:
        raise WireError(f"{where}: {length} bytes announced, {len(buffer) - _HEADER.size} there")
    if checksum != zlib.crc32(buffer[_HEADER.size : end], zlib.crc32(_HEADER.pack(*fields, 0))):
        raise WireError(f"{where}: the checksum does not match")
    if kind not in Kind.__members__.values() or sections * _SECTION.size > length:
        raise WireError(f"{where}: kind {kind} with {sections} sections in {length} bytes")
    parts: Parts = {}
    at = _HEADER.size + sections * _SECTION.size
    for s in range(sections):
        part, form, precision, letters, size = _SECTION.unpack_from(buffer, _HEADER.size + s * _SECTION.size)
        known = part < len(PARTS) or (part == _NAMED and 0 < letters <= size)
        if not known or form not in FORMS or precision >= len(PRECISIONS) or at + size > end:
            raise WireError(f"{where}: section {s} is part {part}, form {form}, precision {precision}, {size} bytes")
        if part == _NAMED:
            name = _read_name(bytes(buffer[at : at + letters]), f"{where}: section {s}")
            at, size = at + letters, size - letters
        else:
            name = PARTS[part]
        if name in parts:
            raise WireError(f"{where}: two sections are named {name}")
        try:
            parts[name] = FORMS[form].read(buffer[at : at + size], sizes(name, client, parts), PRECISIONS[precision])
        except WireError as error:
            raise type(error)(f"{where}, {name}: {error}") from None
        at += size
    if at != end:
        raise WireError(f"{where}: {end - at} bytes belong to no section")
    return Packet(Kind(kind), round, client, flags, parts), end


def _read_name(letters: bytes, where: str) -> str:
    """The name of a part that is none of the library's."""
    if not _NAME.fullmatch(letters) or letters.decode() in PARTS:
        raise WireError(f"{where} names its part {letters!r}")
    return letters.decode()


def pack(arrays: Mapping[str, Array], **values: Any) -> bytes:
    """Named host arrays and JSON `values` as bytes: the envelope for what is not on the ledger (rows, diagnostics)."""
    host = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    body = [array.tobytes() + b"\0" * (-array.nbytes % 8) for array in host.values()]  # numbers stand aligned
    shapes = {name: (array.dtype.str, array.shape) for name, array in host.items()}
    head = json.dumps({"arrays": shapes, "values": values}).encode()
    head += b" " * (-(len(head) + 8) % 8)
    return b"".join([struct.pack("<Q", len(head)), head, *body])


def unpack(buffer: bytes | memoryview) -> tuple[dict[str, Array], dict[str, Any]]:
    """What :func:`pack` put together.

    Raises
    ------
    WireError
        If the buffer's length is not what its head announces.
    """
    view = memoryview(buffer)
    try:
        at = 8 + struct.unpack("<Q", view[:8])[0]
        head = json.loads(bytes(view[8:at]))
        arrays = {}
        for name, (kind, shape) in head["arrays"].items():
            if kind not in _KINDS:
                raise WireError(f"numbers of kind {kind!r}")
            dtype = np.dtype(kind)
            size = int(np.prod(shape)) * dtype.itemsize
            arrays[name] = np.frombuffer(view[at : at + size], dtype).reshape(shape)
            at += size + -size % 8
        values = dict(head["values"])
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError, struct.error) as error:
        raise WireError(f"an envelope that cannot be read: {error}") from None
    if at != len(view):
        raise WireError(f"an envelope of {len(view)} bytes announces {at}")
    return arrays, values
