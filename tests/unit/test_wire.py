"""Packets: every form comes back, nothing corrupt gets through, and the bytes are those that were once agreed.

``python tests/unit/test_wire.py`` writes the golden packets anew: for a new form, or a new version of the protocol.
"""

from __future__ import annotations

import json
import re
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from cases import MESSAGES, same_message
from hypothesis import given, settings
from hypothesis import strategies as st
from packet_lengths import number

from newtonfl.comm.coding import PRECISIONS, WireError
from newtonfl.comm.envelope import pack, unpack
from newtonfl.comm.heads import EVERYONE, VERSION, Kind
from newtonfl.comm.messages import Dense, Indices, Message, Nothing, Sparse
from newtonfl.comm.packets import Packet, decode, decode_many, encode
from newtonfl.comm.parts import PARTS

GOLDEN = Path(__file__).parents[1] / "support" / "golden"


def seal(rest: bytes, version: int = VERSION) -> bytes:
    """The checksum that belongs before the `rest` of a packet."""
    return struct.pack("<I", zlib.crc32(rest, zlib.crc32(b"NF" + bytes([version, 0]))))


def golden_packets() -> dict[str, tuple[Packet, dict[str, int]]]:
    """File name → packet and its parts' sizes: a packet of each form at each precision, and three mixed ones."""
    packets = {}
    for name, message, size in MESSAGES:
        for precision in PRECISIONS:
            sent = message.to_precision(precision)
            if sent.precision == precision:  # a form without numbers has one precision
                packets[f"{name}-{precision}.bin"] = (
                    Packet(Kind.REPLY, 5, 3, 0, {"curvature": sent}),
                    {"curvature": size},
                )
    forms = {name: (message, size) for name, message, size in MESSAGES}
    own = {"gradient": Dense(np.array([1.0, -2.0])), "momentum": Sparse(np.array([1]), np.array([3.0]))}
    packets["own-part.bin"] = Packet(Kind.REPLY, 5, 3, 0, own), {"gradient": 2, "momentum": 4}
    packets["empty.bin"] = Packet(Kind.REPLY, 2**32 - 1, 7), {}
    packets["greeting.bin"] = (
        Packet(Kind.SETUP, 0, 2, 0, {"support": Indices(np.array([1, 3])), "initial": Dense(np.array([0.5, -4.0]))}),
        {"support": 6, "initial": 2},
    )
    packets["announcement.bin"] = (
        Packet(Kind.ANNOUNCEMENT, 12, EVERYONE, 5, {"model": forms["dense"][0]}),
        {"model": forms["dense"][1]},
    )
    return packets


PACKETS = golden_packets()


def read(buffer: bytes, sizes: dict[str, int]) -> Packet:
    """The packet in `buffer`, all of it."""
    packet, end = decode(memoryview(buffer), lambda part, client, heard: sizes[part])
    assert end == len(buffer)
    return packet


def same_packet(a: Packet, b: Packet) -> bool:
    heads = [(p.kind, p.round, p.client, p.flags, list(p.parts)) for p in (a, b)]
    return heads[0] == heads[1] and all(same_message(a.parts[name], b.parts[name]) for name in a.parts)


def sealed(
    sections: list[tuple[int, int, int, bytes]], *, version: int = VERSION, kind: int = 1, count: int | None = None,
    flags: int | None = None, lengths: dict[int, int] | None = None,
) -> bytes:  # fmt: skip
    """A packet of round 5 and client 3 with a right checksum around (part, form, precision, payload) as given."""
    many = len(sections) if count is None else count
    head = [8 * many + 4 * (flags is not None) + kind, 5, 4, *([] if flags is None else [flags])]
    for s, (part, form, precision, body) in enumerate(sections):
        head += [64 * part + 4 * form + precision, (lengths or {}).get(s, len(body))]
    rest = b"".join([*map(number, head), *(body for *_, body in sections)])
    return seal(rest, version) + rest


# --- what is sent arrives


@pytest.mark.parametrize("name", PACKETS)
def test_packets_come_back(name):
    """Decoding inverts encoding: head, parts in their order, and every bit of the messages."""
    packet, sizes = PACKETS[name]
    assert same_packet(read(encode(packet), sizes), packet)
    assert read(encode(packet), sizes).formula_bits in (packet.formula_bits, 32 * sum(sizes.values()))


@pytest.mark.parametrize("name", PACKETS)
def test_golden_bytes(name):
    """The bytes of these packets never change within a protocol version: today's writer wrote, and reads, the file."""
    packet, sizes = PACKETS[name]
    golden = (GOLDEN / name).read_bytes()
    assert encode(packet) == golden
    assert same_packet(read(golden, sizes), packet)


def test_the_golden_files_are_those_of_the_packets():
    """None is missing, and none is left from a form that is gone."""
    assert sorted(path.name for path in GOLDEN.iterdir()) == sorted(PACKETS)


def test_the_layout_is_the_documented_one():
    """A checksum of everything else, the head's numbers, the payloads."""
    assert len(encode(Packet(Kind.REPLY, 0, 0))) == 7 and len(encode(Packet(Kind.REPLY, 200, 126))) == 8
    first, second = Sparse(np.array([1, 2]), np.array([1.0, -2.0])), Dense(np.array([0.5]))
    buffer = encode(Packet(Kind.SETUP, 0x01020304, 0x0A0B0C0D, 0x0607, {"curvature": first, "error": second}))
    codes = [64 * PARTS.index("curvature") + 4 * 3, 64 * PARTS.index("error") + 4 * 1]
    head = [8 * 2 + 4 + 2, 0x01020304, 0x0A0B0C0E, 0x0607, codes[0], len(first.payload()), codes[1], 8]
    rest = b"".join(map(number, head)) + first.payload() + second.payload()
    assert buffer == seal(rest) + rest
    assert encode(Packet(Kind.ANNOUNCEMENT, 2, EVERYONE))[4:] == bytes([0, 2, 0])
    assert sealed([(2, 3, 0, first.payload())]) == encode(Packet(Kind.REPLY, 5, 3, 0, {"curvature": first}))


def test_packets_stand_end_to_end():
    """A buffer of several packets is read one after the other, each ending where the next begins."""
    buffer, view, found = b"".join(encode(packet) for packet, _ in PACKETS.values()), None, []
    view = memoryview(buffer)
    for _, sizes in PACKETS.values():
        packet, end = decode(view, lambda part, client, heard, s=sizes: s[part])
        found.append(packet)
        view = view[end:]
    assert len(view) == 0
    assert all(same_packet(a, b) for a, (b, _) in zip(found, PACKETS.values(), strict=True))


def test_sizes_are_asked_with_the_client_and_what_was_heard_before():
    """How long a part is may depend on the parts before it, as an initial Hessian's length on its support."""
    packet, sizes = PACKETS["greeting.bin"]
    asked = []

    def size(part, clients, heard):
        asked.append((part, clients.tolist(), [list(parts) for parts in heard]))
        return sizes[part]

    decode(memoryview(encode(packet)), size)
    assert asked == [("support", [2], [[]]), ("initial", [2], [["support"]])]
    with pytest.raises(WireError, match="round 0, client 2, initial: 16 bytes where 3 numbers take 24"):
        read(encode(packet), {"support": 6, "initial": 3})


def test_formula_bits_are_the_sum_over_the_parts():
    """The papers' count knows no headers."""
    parts: dict[str, Message] = {
        "gradient": Dense(np.zeros(7)),
        "curvature": Nothing(),
        "error": Dense(np.ones(1), formula_bits=0),
    }
    assert Packet(Kind.REPLY, 1, 1, 0, parts).formula_bits == 32 * 7


# --- what is corrupt is refused


@pytest.mark.parametrize("name", PACKETS)
def test_every_flipped_byte_is_refused_with_its_place(name):
    """Every byte of every packet, so changed that one bit, all bits, or the sign differ."""
    packet, sizes = PACKETS[name]
    buffer = encode(packet)
    payloads = len(buffer) - sum(message.length for message in packet.parts.values())
    client = "to all" if packet.client == EVERYONE else f"client {packet.client}"
    for at in range(len(buffer)):
        for flip in (1, 128, 255):
            changed = bytearray(buffer)
            changed[at] ^= flip
            with pytest.raises(WireError) as caught:
                read(bytes(changed), sizes)
            if not 4 <= at < payloads:  # else the head may say another round or client, or be none
                assert str(caught.value).startswith(f"round {packet.round}, {client}: the checksum does not match")


@pytest.mark.parametrize("name", PACKETS)
def test_cut_packets_are_refused(name):
    """At every length; a longer buffer holds the packet and what comes after it."""
    packet, sizes = PACKETS[name]
    buffer = encode(packet)
    payload = sum(message.length + (part not in PARTS and 1 + len(part)) for part, message in packet.parts.items())
    head = len(buffer) - payload
    for length in range(len(buffer)):
        fault = f"{length} bytes are no packet: the smallest has 7" if length < 7 else r"a packet has no head|sections"
        if length >= head:
            fault = f"{payload} bytes of payload announced, {length - head} there"
        with pytest.raises(WireError, match=fault):
            read(buffer[:length], sizes)
    assert decode(memoryview(buffer + b"NF"), lambda part, client, heard: sizes[part])[1] == len(buffer)


NUMBER = np.ones(1).tobytes()


@pytest.mark.parametrize(
    "buffer, fault",
    [
        (sealed([], version=VERSION + 1), "damaged, or no packet of version 2"),
        (sealed([], version=1), "damaged, or no packet of version 2"),
        (sealed([], flags=0), "kind 1 with flags 0"),
        (sealed([], flags=1 << 16), "kind 1 with flags 65536"),
        (sealed([(1, 1, 0, NUMBER), (1, 1, 0, NUMBER)]), "two sections are named gradient"),
        (sealed([(1, 12, 0, NUMBER)]), "section 0 is part 1, form 12"),
        (sealed([(1, 10, 1, NUMBER)]), "gradient: a lattice at float32"),
        (sealed([(1, 0, 1, b"")]), "gradient: 0 bytes of nothing at float32"),
        (sealed([(1, 2, 2, b"\0" * 5)]), "gradient: Indices has no numbers, and is announced at natural"),
        (sealed([(1, 11, 1, NUMBER)]), "gradient: integers at float32"),
        (sealed([(1, 11, 0, NUMBER)]), "gradient: 7 bytes are not the code of 1 integers"),
        (sealed([(1, 11, 0, b"\xff\x7f\x80")]), r"gradient: a grid of 2\^\(8192/2\)"),
        (sealed([(1, 11, 0, b"")]), "gradient: 0 bytes are not the code of 1 integers"),
        (sealed([(1, 1, 0, NUMBER), (2, 15, 0, b"")]), "section 1 is part 2, form 15"),
        (sealed([(len(PARTS), 1, 0, NUMBER)]), f"section 0 is part {len(PARTS)}"),
        (sealed([(1, 1, 3, NUMBER)]), "precision 3"),
        (sealed([(1, 1, 0, NUMBER)], lengths={0: 9}), "9 bytes of payload announced, 8 there"),
        (sealed([(1, 1, 0, NUMBER)], lengths={0: 2**63 - 1}), f"{2**63 - 1} bytes"),
        (sealed([(1, 1, 0, NUMBER)] * 2, lengths={0: 2**63 - 1, 1: 2}), f"{2**63 + 1} bytes"),
        (sealed([(1, 1, 0, NUMBER * 2)]), "gradient: 16 bytes where 1 numbers take 8"),
        (sealed([(1, 1, 1, NUMBER)]), "gradient: 8 bytes where 1 numbers take 4"),
        (sealed([(1, 1, 0, np.array([np.inf]).tobytes())]), "gradient: a number that is not finite"),
    ],
)
def test_packets_with_a_right_checksum_that_cannot_be(buffer, fault):
    """What a faulty sender could seal: refused in words, with round and client."""
    with pytest.raises(WireError, match=fault) as caught:
        decode(memoryview(buffer), lambda part, client, heard: 1)
    assert str(caught.value).startswith("round 5, client 3")


@pytest.mark.parametrize(
    "rest",
    [
        b"", bytes([1, 5]), bytes([9, 5, 4]), bytes([9, 5, 4, 68]), bytes([1, 0x85, 0, 4]), bytes([1]) + b"\xff" * 20,
        bytes([17, 5, 4, 68, 8]) + b"\0" * 8, number(8 * 2**40 + 1) + bytes([5, 4]),
    ],
)  # fmt: skip
def test_heads_that_are_none(rest):
    """Too short, numbers in more bytes than they need, more sections than there are bytes."""
    with pytest.raises(WireError, match=r"no packet|no head|sections announced|payload announced"):
        read(seal(rest) + rest, {"gradient": 1})


@settings(deadline=None, derandomize=True)
@given(st.binary(max_size=40) | st.lists(st.integers(0, 300), max_size=12).map(lambda n: b"".join(map(number, n))))
def test_whatever_is_sealed_is_read_or_refused(rest):
    """And what is read has no other spelling."""
    try:
        packet, end = decode(memoryview(seal(rest) + rest), lambda *_: 2)
    except WireError:
        return
    assert encode(packet) == (seal(rest) + rest)[:end]


def test_huge_announced_lengths_are_refused_without_allocating():
    """In the head, and in a payload's count."""
    count = struct.pack("<I", 2**32 - 1)
    buffers = [
        sealed([(2, 3, 0, count)], lengths={0: 2**62}),
        *(sealed([(2, form, q, count + b"\xff" * 30)]) for form in (2, 3, 5, 11) for q in range(3)),
        *(sealed([(2, 4, q, struct.pack("<Q", 0) + count)]) for q in range(3)),
        *(sealed([(2, 1, q, b"\0" * 30)]) for q in range(3)),
    ]
    for buffer in buffers:
        tracemalloc.start()
        try:
            with pytest.raises(WireError, match="round 5, client 3"):
                decode(memoryview(buffer), lambda part, client, heard: 2**61)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 2**16


# --- the envelope for what is not on the ledger


def envelope() -> tuple[dict[str, np.ndarray], dict[str, object]]:
    arrays = {
        "x": np.array([1.5, -0.0, 3e-310]),
        "clients": np.arange(5, dtype=np.int64)[::2],
        "table": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "mask": np.array([True, False, True]),
        "empty": np.zeros((0, 4)),
    }
    return arrays, {"call": "end", "round": 3, "text": "‖∇f‖ ≤ 1e-9", "none": None}


def test_envelopes_come_back():
    """Arrays of any shape, type and layout in every bit, and the facts."""
    arrays, facts = envelope()
    for buffer in (pack(arrays, **facts), memoryview(pack(arrays, **facts))):
        found, told = unpack(buffer)
        assert told == facts and list(found) == list(arrays)
        for name, array in arrays.items():
            assert found[name].dtype == array.dtype and found[name].shape == array.shape
            assert found[name].tobytes() == array.tobytes()
    assert unpack(pack({})) == ({}, {})


def test_envelopes_are_aligned():
    """Numbers begin at multiples of 8 bytes, so that they can be used where they lie."""
    buffer = np.frombuffer(bytearray(pack(*envelope()[:1])), np.uint8)
    found = unpack(memoryview(buffer))[0]
    start = buffer.ctypes.data
    assert all((array.ctypes.data - start) % 8 == 0 for array in found.values() if array.size)


def test_envelopes_of_another_length_are_refused():
    """Every truncation and extension."""
    arrays, facts = envelope()
    buffer = pack(arrays, **facts)
    for length in range(len(buffer)):
        with pytest.raises(WireError, match="envelope"):
            unpack(buffer[:length])
    for tail in (b"\0", b"\0" * 8):
        with pytest.raises(WireError, match=f"an envelope of {len(buffer) + len(tail)} bytes announces {len(buffer)}"):
            unpack(buffer + tail)


@pytest.mark.parametrize(
    "head",
    [
        b"", b"no JSON", b'{"values": {}}', b"[]", b"3",
        {"x": ["<f8", [-1]]}, {"x": ["<f8", [2**32, 2**32]]}, {"x": ["|O", [1]]}, {"x": ["nonsense", [1]]},
        {"x": ["<f8"]}, {"x": ["<f8", [9]]}, {"x": ["<f8", ["a"]]}, {"x": 3},
    ],
)  # fmt: skip
def test_envelopes_with_a_false_head_are_refused(head):
    """Nothing but a WireError comes out of what nobody packed; objects are never made."""
    text = head if isinstance(head, bytes) else json.dumps({"arrays": head, "values": {}}).encode()
    with pytest.raises(WireError, match="envelope"):
        unpack(struct.pack("<Q", len(text)) + text + b"\0" * 8)


@pytest.mark.parametrize("name", ["momentum", "a", "my_part-2", "x" * 63])
def test_a_part_of_ones_own_carries_its_name(name):
    sent = Packet(Kind.REPLY, 3, 1, parts={"gradient": Dense(np.arange(2.0)), name: Dense(np.arange(3.0))})
    buffer = encode(sent)
    table = number(64 * 255 + 4) + number(1 + len(name) + 24)
    assert len(buffer) == len(encode(Packet(Kind.REPLY, 3, 1, parts={"gradient": sent.parts["gradient"]}))) + len(
        table + bytes([len(name)]) + name.encode() + bytes(24)
    )
    assert table in buffer and buffer.endswith(name.encode() + np.arange(3.0).tobytes())
    packet, end = decode(memoryview(buffer), lambda part, client, parts: {"gradient": 2, name: 3}[part])
    assert end == len(buffer) and list(packet.parts) == ["gradient", name]
    assert np.array_equal(packet.parts[name].coordinates()[1], np.arange(3.0))


@pytest.mark.parametrize("name", ["", "Momentum", "9lives", "with space", "ünicode", "x" * 64])
def test_a_name_that_the_wire_cannot_carry_is_refused(name):
    with pytest.raises(ValueError, match="part: given the name"):
        encode(Packet(Kind.REPLY, 0, 0, parts={name: Nothing()}))


@pytest.mark.parametrize(
    ("payload", "fault"),
    [
        (b"", "section 0 is part 255"),
        (b"\x09momentum", "section 0 is part 255"),
        (b"\x00momentum", "names its part b''"),
        (b"\x08gradient", "names its part b'gradient'"),  # a part has one spelling
        (b"\x08Momentum", "names its part b'Momentum'"),
    ],
)
def test_false_names_are_refused(payload, fault):
    with pytest.raises(WireError, match=re.escape(fault)):
        decode(memoryview(sealed([(255, 0, 0, payload)])), lambda *_: 1)


def test_the_largest_numbers_of_a_head_come_back_and_larger_ones_are_refused():
    """Round 2³² - 1, client 2³² - 2 (one more would be everyone) and 16 flags."""
    packet = Packet(Kind.REPLY, 2**32 - 1, EVERYONE - 1, 0xFFFF)
    assert same_packet(read(encode(packet), {}), packet)
    for head in ([1, 2**32, 4], [1, 2**33 - 1, 4], [1, 5, 2**32]):
        rest = b"".join(map(number, head))
        with pytest.raises(WireError, match="kind 1 with flags 0 cannot be"):
            read(seal(rest) + rest, {})


def test_a_packet_ends_where_its_sections_do():
    """Whatever lies beyond is refused, though the checksum covers it; so is a packet beyond its bytes."""
    rest = sealed([(1, 1, 0, NUMBER)])[4:] + b"\0"
    whole = np.frombuffer(seal(rest) + rest, np.uint8)
    with pytest.raises(WireError, match="round 5, client 3: 1 bytes belong to no section"):
        decode_many(whole, [len(whole)], lambda *_: 1)
    for lengths in ([len(whole) + 1], [len(whole)] * 2, [3, len(whole) - 3]):
        words = f"{len(whole)} bytes are not the {len(lengths)} packets that they are announced as"
        with pytest.raises(WireError, match=words):
            decode_many(whole, lengths, lambda *_: 1)


def test_a_name_that_reaches_beyond_its_payload_is_refused_beside_others():
    """Though the next section's bytes would complete it."""
    packets = [
        sealed([(255, 0, 0, b"\x04mine"), (1, 1, 0, NUMBER)]),
        sealed([(255, 0, 0, b"\x04mi"), (1, 1, 0, b"ne" + NUMBER[2:])]),
    ]
    with pytest.raises(WireError, match="round 5, client 3: section 0 is part 255, form 0, precision 0, 3 bytes"):
        decode_many(np.frombuffer(b"".join(packets), np.uint8), list(map(len, packets)), lambda *_: 1)


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for old in GOLDEN.iterdir():
        old.unlink()
    for file, (packet, _) in PACKETS.items():
        (GOLDEN / file).write_bytes(encode(packet))
