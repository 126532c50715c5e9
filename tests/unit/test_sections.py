"""Sections: how much of many packets each part takes, written, read and only measured."""

from __future__ import annotations

import numpy as np
import pytest

from newtonfl.comm.heads import Kind
from newtonfl.comm.ledger import Ledger
from newtonfl.comm.messages import (
    Choice,
    Dense,
    Factors,
    Indices,
    Levels,
    LowRank,
    Message,
    Nothing,
    Run,
    Several,
    Sparse,
)
from newtonfl.comm.packets import decode_many, encode_many, measure
from newtonfl.comm.parts import ManyParts


def told(sections, n):
    """By part and packet: bytes and numbers."""
    found = {}
    for section in sections:
        packets = range(n) if section.packets is None else section.packets.tolist()
        for i, length, count in zip(packets, section.lengths.tolist(), section.numbers.tolist(), strict=True):
            assert (section.part, i) not in found
            found[section.part, i] = (length, count)
    return found


def by_hand(parts):
    """The same, from the messages; a part of one's own has its name in its payload."""
    return {
        (name, i): (len(message.payload()) + (1 + len(name)) * (name == "mine"), count)
        for i, mine in enumerate(parts)
        for name, (message, count) in mine.items()
    }


FULL, FEW = (Dense(np.arange(4.0)), 4), (Sparse(np.array([1, 3]), np.array([0.5, 2.0])), 2)
UNLIKE = [
    {"gradient": FULL, "curvature": FEW},
    {"gradient": FULL},
    {"curvature": (Nothing(), 0), "mine": FEW},
    {"gradient": FEW, "curvature": FEW},
    {"gradient": FULL},
    {},
]


def test_clients_that_send_unlike_parts():
    parts = [{name: message for name, (message, _) in mine.items()} for mine in UNLIKE]
    buffer, lengths, sections = encode_many(Kind.REPLY, 1, np.arange(6), parts)
    expected = by_hand(UNLIKE)
    assert told(sections, 6) == expected and len(expected) == 8
    assert told(decode_many(buffer, lengths.tolist(), lambda *_: 4).sections, 6) == expected


def test_packets_that_are_read_in_several_runs():
    """More than a mebibyte, read some at a time; every client's vector has its own length."""
    sizes = 40_000 + np.arange(8)
    parts = ManyParts({"gradient": [Dense(np.ones(size)) for size in sizes], "model": [Nothing()] * 8}, 8)
    buffer, lengths, sections = encode_many(Kind.REPLY, 1, np.arange(8), parts)
    read = decode_many(buffer, lengths.tolist(), lambda part, clients, decoded: sizes[clients])
    assert any(section.packets is not None for section in read.sections)
    expected = {("gradient", i): (8 * size, size) for i, size in enumerate(sizes.tolist())}
    expected |= {("model", i): (0, 0) for i in range(8)}
    assert told(sections, 8) == told(read.sections, 8) == told(measure(Kind.REPLY, 1, np.arange(8), parts)[1], 8)
    assert told(sections, 8) == expected


LEVELS = Levels(np.array([1, -2, 0]), np.array([0.5]), 2)
TERMS = LowRank(np.ones((2, 3)), np.ones(2))


@pytest.mark.parametrize(
    ("message", "count"),
    [
        (Nothing(), 0),
        (Indices(np.array([0, 2])), 0),
        (FULL[0], 4),
        (FEW[0], 2),
        (Run(1, np.ones(2), 3), 2),
        (LEVELS, 3),
        (TERMS, 6),
        (Factors(Dense(np.ones(3)), LEVELS, 1), 6),
        (Several([FEW[0], LEVELS]), 5),
        (Choice(1, Several([FEW[0], TERMS])), 8),
    ],
)
def test_numbers_of_a_message(message: Message, count: int):
    assert message.count == count
    parts = ManyParts({"curvature": [message, message]}, 2)
    assert told(encode_many(Kind.REPLY, 0, np.arange(2), parts)[2], 2)["curvature", 1] == (
        len(message.payload()),
        count,
    )


def test_a_ledger_enters_clients_in_any_order():
    """All of them, and some; one that says less than the others."""
    ledger, who = Ledger(3), np.array([2, 0, 1])
    parts = [{"gradient": Dense(np.ones(4)), "error": Dense(np.ones(1))}, {"gradient": Dense(np.ones(3))}, {}]
    _, lengths, sections = encode_many(Kind.REPLY, 1, who, parts)
    ledger.count("up", who, lengths, sections, np.array([160, 96, 0]), False)
    _, more, sections = encode_many(Kind.REPLY, 2, who[:1], parts[:1])
    ledger.count("up", who[:1], more, sections, np.array([160]), False)
    rows = {(row["client"], row["part"]): (row["messages"], row["numbers"], row["bytes"]) for row in ledger.table()}
    heads = {0: int(lengths[1]) - 24, 1: int(lengths[2]), 2: int(lengths[0] + more[0]) - 80}
    assert rows == {
        (2, "gradient"): (2, 8, 64), (2, "error"): (2, 2, 16), (0, "gradient"): (1, 3, 24),
        (0, "packet head"): (1, 0, heads[0]), (1, "packet head"): (1, 0, heads[1]),
        (2, "packet head"): (2, 0, heads[2]),
    }  # fmt: skip
    assert ledger.up.bytes.tolist() == [lengths[1], lengths[2], lengths[0] + more[0]]
