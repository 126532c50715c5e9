"""Message forms: each comes back through its payload, counts what the papers count, and refuses what cannot be."""

from __future__ import annotations

import struct
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from cases import MESSAGES, same_message

from newtonfl.coding import PRECISIONS, WireError, encode_indices
from newtonfl.messages import FORMS, Dense, Indices, LowRank, Message, Nothing, Run, Sparse

EDGES = [
    ("dense of nothing", Dense(np.zeros(0)), 0),
    ("no index", Indices(np.zeros(0, np.int64)), 4),
    ("all indices", Indices(np.arange(4)), 4),
    ("sparse without entries", Sparse(np.zeros(0, np.int64), np.zeros(0)), 50),
    ("sparse everywhere", Sparse(np.arange(6), np.arange(6.0) - 2), 6),
    ("run of nothing", Run(0, np.zeros(0), 0), 0),
    ("whole run", Run(2, np.arange(1.0, 4.0), 3), 3),
    ("rank none", LowRank(np.zeros((0, 3)), np.zeros(0)), 6),
    ("full rank", LowRank(np.eye(9), np.tile([1.0, -1.0, -1.0], 3)), 45),
]
IDS = [name for name, _, _ in MESSAGES + EDGES]


def read(message: Message, payload: bytes, size: int) -> Message:
    return type(message).read(memoryview(payload), size, message.precision)


def test_every_form_is_under_test():
    """The closed set of forms is the one in cases.py, and the numbers on the wire are theirs."""
    assert {type(message) for _, message, _ in MESSAGES} == set(FORMS.values())
    assert all(form.form == number for number, form in FORMS.items())


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name, message, size", MESSAGES + EDGES, ids=IDS)
def test_payloads_come_back(name, message, size, precision):
    """Reading a payload gives the message that was written, bit for bit, once its numbers are rounded."""
    sent = message.to_precision(precision)
    assert same_message(read(sent, sent.payload(), size), sent)
    assert sent.to_precision(precision).payload() == sent.payload()


@pytest.mark.parametrize("name, message, size", MESSAGES + EDGES, ids=IDS)
def test_payloads_of_another_length_are_refused(name, message, size):
    """Every truncation and extension: a payload's length follows from what stands in it."""
    payload = message.payload()
    for length in range(len(payload)):
        with pytest.raises(WireError):
            read(message, payload[:length], size)
    for tail in (b"\0", b"\xff", b"\0" * 8):
        with pytest.raises(WireError):
            read(message, payload + tail, size)


@pytest.mark.parametrize(
    "message, bits",
    [
        (Nothing(), 0),
        (Indices(np.array([1, 5])), 0),
        (Dense(np.zeros(11)), 32 * 11),
        (Sparse(np.array([1, 5, 6]), np.ones(3)), 32 * 3),
        (Run(4, np.ones(3), 9), 32 * 3),
        (LowRank(np.ones((2, 5)), np.ones(2)), 32 * 2 * 5),
        (Sparse(np.array([1]), np.ones(1), formula_bits=32 * 30), 32 * 30),  # Top-K of a vector with fewer non-zeros
        (Dense(np.zeros(4), formula_bits=32 * 10), 32 * 10),
        (Dense(np.zeros(1), formula_bits=0), 0),  # l_i, which the papers do not count
    ],
)
def test_formula_bits(message, bits):
    """32 a number, without index bits and signs, at any precision (ALGORITHMS.md, section 0)."""
    assert message.formula_bits == bits
    assert [message.to_precision(precision).formula_bits for precision in PRECISIONS] == [bits] * 3


def test_where_messages_are_not_zero():
    """Run goes on past the end at zero (RandSeqK, arXiv 2410.08760); matrices and sets are no vectors."""
    values = np.array([1.0, 2.0, 3.0])

    def told(message):
        indices, numbers = message.coordinates()
        return (None if indices is None else indices.tolist()), numbers.tolist()

    assert told(Run(5, values, 7)) == ([5, 6, 0], [1, 2, 3])
    assert told(Sparse(np.array([2, 4, 9]), values)) == ([2, 4, 9], [1, 2, 3])
    assert told(Dense(values)) == (None, [1, 2, 3])
    assert told(Nothing()) == ([], [])
    for form, message in (("Indices", Indices(np.array([1]))), ("LowRank", LowRank(np.ones((1, 2)), np.ones(1)))):
        with pytest.raises(TypeError, match=f"a {form} message is no vector"):
            message.coordinates()


def test_lowrank_is_the_signed_sum_of_squares_and_exactly_symmetric():
    """Σ s_r w_r w_rᵀ, equal to its transpose in every bit."""
    draw = np.random.default_rng(0)
    vectors, signs = draw.standard_normal((3, 6)), np.array([1.0, -1.0, 1.0])
    for precision in PRECISIONS:
        message = LowRank(vectors, signs).to_precision(precision)
        matrix = message.matrix()
        np.testing.assert_array_equal(matrix, matrix.T)
        np.testing.assert_allclose(matrix, (message.vectors.T * signs) @ message.vectors, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(
    "form, payload, size, fault",
    [
        (Nothing, b"\0", 3, "1 bytes of nothing"),
        (Dense, b"\0" * 16, 3, "16 bytes where 3 numbers take 24"),
        (Indices, struct.pack("<I", 4) + encode_indices(np.arange(4)), 3, "4 indices below 3"),
        (Indices, struct.pack("<I", 2) + encode_indices(np.array([0, 3])), 3, "index"),
        (Sparse, struct.pack("<Id", 1, np.nan) + encode_indices(np.array([2])), 3, "not finite"),
        (Sparse, struct.pack("<Id", 1, 1.0) + encode_indices(np.array([3])), 3, "index"),
        (Run, struct.pack("<QI", 3, 1) + b"\0" * 8, 3, "a run of 1 from 3 on 3 coordinates"),
        (Run, struct.pack("<QI", 0, 4) + b"\0" * 32, 3, "a run of 4 from 0 on 3 coordinates"),
        (LowRank, struct.pack("<IB", 3, 7) + b"\0" * 48, 3, "rank 3 of a matrix of dimension 2"),
        (LowRank, struct.pack("<IBdd", 1, 1, 1.0, np.inf), 3, "not finite"),
    ],
)
def test_payloads_that_cannot_be(form, payload, size, fault):
    """In words that tell what was read and what could have been."""
    with pytest.raises(WireError, match=fault):
        form.read(memoryview(payload), size, "float64")


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("form", [Dense, Indices, Sparse, Run, LowRank])
def test_huge_counts_are_refused_without_allocating(form, precision):
    """The count is compared with the bytes that are there, even where the vector could be that long."""
    count = 2**32 - 1
    head = struct.pack("<QI", 0, count) if form is Run else struct.pack("<I", count)
    tracemalloc.start()
    try:
        for body in (b"", b"\0" * 50, b"\xff" * 50):
            with pytest.raises(WireError):
                form.read(memoryview(head + body), 2**62, precision)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**16


def test_rounding_leaves_the_message_that_was_given_alone():
    """A message at full precision may be sent again at another."""
    for _, message, _ in MESSAGES:
        before = replace(message).payload()
        for precision in PRECISIONS:
            message.to_precision(precision)
        assert message.payload() == before and message.precision == "float64"
