"""Message forms: each comes back through its payload, counts what the papers count, and refuses what cannot be."""

from __future__ import annotations

import struct
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from cases import MESSAGES, same_message

from newtonfl.comm.coding import PRECISIONS, WireError, encode_indices
from newtonfl.comm.messages import (
    FORMS,
    Choice,
    Dense,
    Factors,
    Indices,
    Integers,
    Lattice,
    Levels,
    LowRank,
    MatrixMessage,
    Message,
    Nothing,
    Run,
    Several,
    Sparse,
)
from newtonfl.comm.messages.message import nest

EDGES = [
    ("dense of nothing", Dense(np.zeros(0)), 0),
    ("no index", Indices(np.zeros(0, np.int64)), 4),
    ("all indices", Indices(np.arange(4)), 4),
    ("sparse without entries", Sparse(np.zeros(0, np.int64), np.zeros(0)), 50),
    ("sparse everywhere", Sparse(np.arange(6), np.arange(6.0) - 2), 6),
    ("run of nothing", Run(0, np.zeros(0), 0), 0),
    ("whole run", Run(2, np.arange(1.0, 4.0), 3), 3),
    ("rank none", LowRank(np.zeros((0, 3)), np.zeros(0)), 6),
    ("no code", Lattice(b""), 0),
    ("no levels", Levels(np.zeros(0, np.int64), np.zeros(1), 1), 0),
    ("no chosen levels", Levels(np.zeros(0, np.int64), np.ones(1), 3, 2, np.zeros(0, np.int64)), 8),
    ("zero levels", Levels(np.zeros(9, np.int64), np.zeros(1), 7, 2), 9),
    ("every power of two", Levels(np.arange(-2098, 2099), np.array([2.0**1023]), 2098, 2), 4197),
    ("very many levels", Levels(np.array([2**31 - 1, 1, 1 - 2**31]), np.ones(3), 2**31 - 1), 3),
    ("base 255", Levels(np.array([7, -1, 2]), np.array([3.0]), 7, 255), 3),
    ("several of nothing", Several((Nothing(), Nothing())), 3),
    ("several matrices", Several((LowRank(np.ones((1, 2)), np.ones(1)), Dense(np.ones(3)))), 3),
    ("choice of several", Choice(65535, Several((Nothing(), Dense(np.ones(3))))), 3),
    ("full rank", LowRank(np.eye(9), np.tile([1.0, -1.0, -1.0], 3)), 45),
]
IDS = [name for name, _, _ in MESSAGES + EDGES]


def read(message: Message, payload: bytes, size: int) -> Message:
    return type(message).read(memoryview(payload), size, message.precision)


def told(message: Message) -> tuple:
    """The numbers that a message comes to, and where they stand."""
    if isinstance(message, Choice):
        return told(message.message)
    if isinstance(message, Several):
        return tuple(array for part in message.parts for array in told(part))
    if isinstance(message, Indices):
        return (message.indices,)
    if isinstance(message, Lattice):
        return (message.code,)
    return (message.matrix(),) if isinstance(message, MatrixMessage) else message.coordinates()


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
    assert all(map(np.array_equal, told(read(sent, sent.payload(), size)), told(sent)))
    assert sent.to_precision(precision).payload() == sent.payload()


@pytest.mark.parametrize(
    "message, size",
    [(message, size) for _, message, size in MESSAGES + EDGES if not isinstance(message, Integers | Lattice)],
    ids=[name for name, message, _ in MESSAGES + EDGES if not isinstance(message, Integers | Lattice)],
)
def test_payloads_of_another_length_are_refused(message, size):
    """Every truncation and extension: a payload's length follows from what stands in it.

    Of integers and a lattice it follows from the laws that the reader has: tests/unit/test_laws.py.
    """
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
        (Lattice(b"12345"), 40),
        (Dense(np.zeros(11)), 32 * 11),
        (Sparse(np.array([1, 5, 6]), np.ones(3)), 32 * 3),
        (Run(4, np.ones(3), 9), 32 * 3),
        (LowRank(np.ones((2, 5)), np.ones(2)), 32 * 2 * 5),
        (Levels(np.array([1, 0, -1]), np.ones(1), 1), 32 * 3),
        (Levels(np.array([1, 0, -1]), np.ones(1), 1, formula_bits=9 * 3), 9 * 3),
        (Factors(Dense(np.zeros(6)), Dense(np.zeros(6)), 2), 64 * 2 * 3),
        (Several((Dense(np.zeros(4)), Sparse(np.array([1]), np.ones(1), formula_bits=64))), 32 * 4 + 64),
        (Choice(2, Sparse(np.array([1]), np.ones(1), formula_bits=64)), 64),
        (Choice(0, Nothing()), 0),
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

    def where(message):
        indices, numbers = message.coordinates()
        return (None if indices is None else indices.tolist()), numbers.tolist()

    assert where(Run(5, values, 7)) == ([5, 6, 0], [1, 2, 3])
    assert where(Sparse(np.array([2, 4, 9]), values)) == ([2, 4, 9], [1, 2, 3])
    assert where(Dense(values)) == (None, [1, 2, 3])
    assert where(Nothing()) == ([], [])
    assert where(Levels(np.array([4, 0, -1]), np.array([2.0]), 4)) == (None, [2, 0, -0.5])
    assert where(Levels(np.array([3, 1]), np.array([5.0]), 3, 10, np.array([2, 7]))) == ([2, 7], [5, 0.05])
    for form, message in (
        ("Indices", Indices(np.array([1]))),
        ("Lattice", Lattice(b"")),
        ("LowRank", LowRank(np.ones((1, 2)), np.ones(1))),
    ):
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


SOME = Levels(np.array([1, 1]), np.ones(1), 1, 0, np.array([0, 1]))


def levels(base=0, chosen=0, m=1, s=4, length=None, scales=(1.0,), tail=b""):
    """The payload of levels 4, 0, -2, less what is given otherwise."""
    steps = encode_indices(np.cumsum(np.array([4, 0, 2]) + 1) - 1)
    head = struct.pack("<BBHII", base, chosen, m, s, len(steps) if length is None else length)
    return head + np.array(scales, float).tobytes() + steps + b"\1" + tail


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
        (Levels, levels(base=1), 3, "3 numbers of 3 with 1 scales on 4 levels of base 1"),
        (Levels, levels(s=0), 3, "on 0 levels"),
        (Levels, levels(s=2**31), 3, "on 2147483648 levels"),
        (Levels, levels(s=3), 3, "level 4 of 3"),
        (Levels, levels(), 4, "indices"),
        (Levels, levels(m=0, scales=[]), 3, "0 scales"),
        (Levels, levels(m=2, scales=[1, 1]), 3, "3 numbers of 3 with 2 scales"),
        (Levels, levels(scales=[np.nan]), 3, "not finite"),
        (Levels, levels(chosen=4), 3, "flags 4"),
        (Levels, levels(chosen=1), 3, "8 bytes where 1 scales and 3 bytes of levels"),
        (Levels, levels(length=1000), 3, "1000 bytes of levels"),
        (Levels, levels(tail=b"\0"), 3, "2 bytes for 2 signs"),
        (Factors, struct.pack("<I", 0), 3, "0 factors of a matrix of dimension 2"),
        (Factors, struct.pack("<I", 3), 3, "3 factors of a matrix of dimension 2"),
        (Factors, struct.pack("<I", 1) + nest(Dense(np.ones(2))), 3, "0 bytes hold no message"),
        (Factors, struct.pack("<I", 1) + nest(Dense(np.ones(3))) * 2, 3, "24 bytes where 2 numbers take 16"),
        (Factors, struct.pack("<I", 1) + nest(Dense(np.ones(2))) * 3, 3, "18 bytes after the factors"),
        (Factors, struct.pack("<I", 1) + nest(Nothing()) * 2, 3, "a message inside is of form 0"),
        (Factors, struct.pack("<I", 1) + nest(Dense(np.ones(2), precision="float32")) * 2, 3, "announced as float64"),
        (Factors, struct.pack("<I", 1) + nest(SOME) * 2, 3, "must be Dense, or Levels everywhere"),
        (Factors, struct.pack("<IBB", 1, 7, 16) + b"\0" * 16, 3, "form 1, precision 3 and 16 bytes"),
        (Factors, struct.pack("<IB", 1, 4) + b"\xff" * 8 + b"\x7f" + b"\0" * 16, 3, f"{2**63 - 1} bytes"),
        (Choice, b"\1", 3, "1 bytes hold no level"),
        (Choice, struct.pack("<H", 1) + nest(Choice(0, Nothing())), 3, "a message inside is of form 9"),
        (Choice, struct.pack("<H", 1) + nest(Dense(np.ones(3), precision="float32")), 3, "announced as float64"),
        (Several, b"\1", 3, "1 bytes hold no messages"),
        (Several, struct.pack("<H", 2) + nest(Nothing()), 3, "0 bytes hold no message"),
        (Several, struct.pack("<H", 1) + nest(Nothing()) * 2, 3, "2 bytes after 1 messages"),
        (Several, struct.pack("<H", 1) + nest(Several((Nothing(),))), 3, "a message inside is of form 8"),
        (Several, struct.pack("<H", 1) + nest(Indices(np.array([1]))), 3, "a message inside is of form 2"),
        (Several, struct.pack("<H", 1) + nest(Dense(np.ones(3), precision="float32")), 3, "announced as float64"),
    ],
)
def test_payloads_that_cannot_be(form, payload, size, fault):
    """In words that tell what was read and what could have been."""
    with pytest.raises(WireError, match=fault):
        form.read(memoryview(payload), size, "float64")


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("form", [Dense, Indices, Sparse, Run, LowRank, Levels, Factors, Several])
def test_huge_counts_are_refused_without_allocating(form, precision):
    """The count is compared with the bytes that are there, even where the vector could be that long."""
    count = 2**32 - 1
    heads = {
        Run: struct.pack("<QI", 0, count),
        Levels: struct.pack("<BBHIIId", 2, 1, 1, 2**31 - 1, 20, count, 1.0),
        Factors: struct.pack("<IBBQBBHIId", 2**30, 6, 0, 40, 0, 0, 1, 4, 20, 1.0),
        Several: struct.pack("<HBBQI", 2**16 - 1, 3, 0, 30, count),
    }
    head = heads.get(form, struct.pack("<I", count))
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


# --- levels


def test_powers_of_two_come_back_exactly():
    """Every power of two that float64 has, subnormal ones too, through the bytes; and zero, without a sign."""
    exponents = np.arange(-1074, 1024)
    message = Levels(np.concatenate([exponents + 1075, [0], -exponents - 1075]), np.array([2.0**1023]), 2098, 2)
    values = read(message, message.payload(), 4197).coordinates()[1]
    powers = [2.0 ** int(e) for e in exponents]
    np.testing.assert_array_equal(values, [*powers, 0.0, *(-p for p in powers)])
    assert not np.signbit(values[2098])


def test_each_run_has_its_scale():
    """m scales for m equal runs, in order; the full level is the scale itself, in every bit."""
    scales = np.array([0.1, -3.0, 7e300])
    for base in (0, 2, 3):
        values = Levels(np.array([5, -5] * 3), scales, 5, base).coordinates()[1]
        np.testing.assert_array_equal(values, np.stack([scales, -scales], axis=1).ravel())
    values = Levels(np.array([2, 1, 2, 1]), np.array([9.0, 1.0]), 2, 3).coordinates()[1]
    np.testing.assert_array_equal(values, [9, 3, 1, 1 / 3])


@pytest.mark.parametrize("base", [0, 2])
def test_levels_take_the_bytes_that_they_should(base):
    """The commonest take the fewest bits, at the bottom as at the top, and those in between the most."""
    low, middle, high = (len(Levels(np.tile([n, -n], 500), np.ones(1), 30, base).payload()) for n in (1, 15, 30))
    # 12 bytes of head, 8 of scale, 1 of Rice's b; a sign and 1 or 2 bits each against 5 or 6.
    assert low == high <= 21 + 1000 * (1 + 2) // 8 < 21 + 1000 * (1 + 5) // 8 <= middle


@pytest.mark.parametrize(
    "made, fault",
    [
        (lambda: Levels(np.ones(3, int), np.ones(2), 4), "2 scales for 3 numbers"),
        (lambda: Levels(np.ones(3, int), np.ones(0), 4), "0 scales for 3 numbers"),
        (lambda: Levels(np.ones(3, int), np.ones(1), 0), "s = 0"),
        (lambda: Levels(np.ones(3, int), np.ones(1), 2**31), "s = 2147483648"),
        (lambda: Levels(np.ones(3, int), np.ones(1), 3, 1), "base 1"),
        (lambda: Levels(np.ones(3, int), np.ones(1), 3, 256), "base 256"),
        (lambda: Factors(Nothing(), Dense(np.ones(2)), 1), "given a Nothing, must be Dense"),
        (lambda: Factors(Dense(np.ones(2)), SOME, 1), "given a Levels, must be Dense, or Levels everywhere"),
    ],
)
def test_messages_that_cannot_be_made(made, fault):
    """What the wire could not carry is refused where it is made."""
    with pytest.raises(ValueError, match=fault):
        made()


# --- sums and products


def test_factors_are_the_symmetric_part_of_their_product():
    """(M + Mᵀ)/2 with M = Σ l_r r_rᵀ, equal to its transpose in every bit, at every precision."""
    draw = np.random.default_rng(0)
    left, right = draw.standard_normal((2, 3, 6))
    for precision in PRECISIONS:
        message = Factors(Dense(left.ravel()), Dense(right.ravel()), 3).to_precision(precision)
        a, b = (side.values.reshape(3, 6) for side in (message.left, message.right))
        np.testing.assert_allclose(message.matrix(), (a.T @ b + b.T @ a) / 2, rtol=1e-13, atol=1e-13)
        np.testing.assert_array_equal(message.matrix(), message.matrix().T)
        assert message.precision == message.left.precision == precision


def test_one_several_inside_another_is_taken_apart():
    """In order; the precision and the papers' count are those of the parts."""
    one, two, three = Dense(np.ones(3)), Nothing(), Sparse(np.array([2]), np.ones(1))
    whole = Several((one, Several((two, three))))
    assert whole.parts == (one, two, three) and whole.formula_bits == 32 * 4
    assert Several((one, three)).to_precision("float32").precision == "float32"
    assert [part.precision for part in Several((one, three)).to_precision("natural").parts] == ["natural"] * 2
    assert whole.to_precision("float32").precision == "float64"  # nothing has one precision only
    with pytest.raises(TypeError, match="a Several message is no vector"):
        whole.coordinates()


@pytest.mark.parametrize("name, message, size", MESSAGES + EDGES, ids=IDS)
def test_scaled_messages(name, message, size):
    """The same form and count with every number multiplied, as it arrives; sets and squares have none to multiply."""
    if isinstance(message, Indices | Integers | Lattice | LowRank) or name == "several matrices":
        with pytest.raises(TypeError, match="message cannot be scaled"):
            message.scaled(2.0)
        return
    scaled = message.scaled(-0.25)  # a power of two: exact
    assert type(scaled) is type(message) and scaled.formula_bits == message.formula_bits
    before, after = told(message), told(read(scaled, scaled.payload(), size))
    for a, b in zip(before, after, strict=True):
        if a is None or a.dtype.kind == "i":
            assert np.array_equal(a, b)
        else:
            np.testing.assert_allclose(b, -0.25 * a, rtol=1e-15, atol=1e-323)
    assert message.to_precision("float32").scaled(0.1).precision == message.to_precision("float32").precision
