"""A transport that alters one packet of a solve on its way, with the checksum made right again."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from packet_lengths import first_of, head_of, number

from newtonfl.comm.envelope import pack, unpack
from newtonfl.comm.parts import PARTS
from newtonfl.comm.transport import InProcess

CHANGES = (
    "kind", "round", "client", "flags", "part", "form", "section taken out", "section twice", "order", "byte", "cut",
    "bytes more",
)  # fmt: skip


def sealed(rest: bytes) -> bytes:
    """A packet of version 2 with the checksum that belongs to the `rest`."""
    return struct.pack("<I", zlib.crc32(rest, zlib.crc32(b"NF\x02\0"))) + rest


def taken_apart(packet: bytes) -> tuple[list[int], list[list]]:
    """(kind, round, client, flags) and [code, payload] of each section."""
    numbers, at = head_of(packet)
    flagged, sections = numbers[0] >> 2 & 1, []
    for code, length in zip(numbers[3 + flagged :: 2], numbers[4 + flagged :: 2], strict=True):
        sections.append([code, packet[at : at + length]])
        at += length
    return [numbers[0] & 3, numbers[1], numbers[2], numbers[3] if flagged else 0], sections


def put_together(head: list[int], sections: list[list]) -> bytes:
    kind, round, client, flags = head
    numbers = [8 * len(sections) + 4 * (flags > 0) + kind, round, client, *([flags] if flags else [])]
    numbers += [n for code, payload in sections for n in (code, len(payload))]
    return sealed(b"".join(map(number, map(int, numbers))) + b"".join(payload for _, payload in sections))


def altered(packet: bytes, change: str, draw: np.random.Generator) -> bytes:
    """The `packet` with a `change`, sealed again; the same where there is nothing to change."""
    head, sections = taken_apart(packet)
    i = int(draw.integers(max(len(sections), 1)))
    match change:
        case "kind":
            head[0] = (head[0] + int(draw.integers(1, 4))) % 4
        case "round":
            head[1] += int(draw.integers(1, 9))
        case "client":
            head[2] = int(draw.integers(9))
        case "flags":
            head[3] ^= 1 << int(draw.integers(6))
        case "part" if sections:
            sections[i][0] = sections[i][0] % 64 + 64 * int(draw.integers(len(PARTS)))
        case "form" if sections:
            sections[i][0] = sections[i][0] // 64 * 64 + int(draw.integers(64))
        case "section taken out" if sections:
            del sections[i]
        case "section twice" if sections:
            sections.append(sections[i])
        case "order" if sections:
            sections = sections[::-1]
        case "byte" if sections and sections[i][1]:
            content = bytearray(sections[i][1])
            content[draw.integers(len(content))] ^= int(draw.integers(1, 256))
            sections[i][1] = bytes(content)
        case "cut" if sections:
            sections[i][1] = sections[i][1][: draw.integers(len(sections[i][1]) + 1)]
        case "bytes more" if sections:
            sections[i][1] += bytes(draw.integers(0, 256, 8).tolist())
    return put_together(head, sections)


class Altering(InProcess):
    """In process, with all packets laid out; one buffer that holds packets, the `when`-th, has one of them altered."""

    lays_out_all = True

    def __init__(self, change: str, when: int, draw: np.random.Generator) -> None:
        self.change, self.when, self.draw, self.seen, self.done = change, when, draw, 0, False

    def broadcast(self, buffer):
        return self._pass(buffer)

    def gather(self, buffer):
        return [self._pass(buffer)]

    def swap(self, outbox):
        return {rank: self._pass(buffer) for rank, buffer in outbox.items()}

    def _pass(self, buffer):
        arrays, values = unpack(buffer) if buffer[8:9] == b"{" else ({}, {})
        if not len(arrays.get("packets", ())):
            return buffer
        self.seen += 1
        if self.seen != self.when:
            return buffer
        whole, packets = arrays["packets"].tobytes(), []
        while whole:
            length = first_of(whole)
            packets.append(whole[:length])
            whole = whole[length:]
        i = int(self.draw.integers(len(packets)))
        new = altered(packets[i], self.change, self.draw)
        self.done, packets[i] = new != packets[i], new
        lengths = np.array([len(packet) for packet in packets])
        content = np.frombuffer(b"".join(packets), np.uint8)
        return pack({**arrays, "packets": content, "lengths": lengths}, **values)
