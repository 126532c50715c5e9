"""The range coder and its laws: what is coded comes back, in one code, near the entropy; nothing else is accepted."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest

from newtonfl.comm.coding import WireError
from newtonfl.comm.laws import (
    decode_heads,
    decode_vectors,
    encode_heads,
    encode_vectors,
    laplace_laws,
    powers,
    quarters,
)
from newtonfl.core.ragged import offsets_of
from newtonfl.kernels import range_decode, range_encode

pytestmark = pytest.mark.usefixtures("form")

LAWS = laplace_laws()


def drawn(seed: int, counts: np.ndarray, wild: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Integers by their laws, some of any size; and the laws' numbers."""
    draw = np.random.default_rng(seed)
    total = int(counts.sum())
    which = draw.integers(0, len(LAWS.shifts), total)
    integers = np.rint(draw.laplace(size=total) * 2.0 ** ((which - 16) / 4)).astype(np.int64)
    far = draw.random(total) < wild
    integers[far] = draw.integers(-(2**62) + 1, 2**62, far.sum()) >> draw.integers(0, 62, far.sum())
    return integers, which


def decoded(code, lengths, which, counts):
    return range_decode(code, offsets_of(lengths)[:-1], lengths, which, counts, LAWS)


@pytest.mark.parametrize("seed", range(40))
def test_integers_come_back(seed):
    """Of ragged clients, some without any, with numbers of 62 bits among them."""
    counts = np.random.default_rng(seed).integers(0, 40, seed % 7)
    integers, which = drawn(seed, counts)
    code, lengths = range_encode(integers, which, counts, LAWS)
    assert code.dtype == np.uint8 and lengths.sum() == len(code) and (lengths[counts == 0] == 0).all()
    found, wrong = decoded(code, lengths, which, counts)
    assert wrong == -1 and found.tolist() == integers.tolist()


def test_codes_are_the_recorded_bytes():
    """On any machine, in every form."""
    counts = np.array([6, 0, 3])
    integers, which = np.array([0, 1, -2, 40, -1000, 7, 2**40, -1, 0]), np.array([0, 8, 16, 24, 40, 20, 16, 80, 3])
    code, lengths = range_encode(integers, which, counts, LAWS)
    assert (code.tobytes().hex(), lengths.tolist()) == RECORDED


RECORDED = ("eaeea7203d8c4cfe75c8000002451dd7", [7, 0, 9])


def test_laws_are_laplaces():
    """Frequencies of 2¹⁶ are 98 % of Laplace's mass and 2 % of heavy tails, but that none is 0."""
    with localcontext(prec=40):
        for law, edges in enumerate(LAWS.edges.tolist()):
            b, width = Decimal(2) ** (Decimal(law - 16) / 4), 2 ** int(LAWS.shifts[law])

            def tail(t: Decimal, b: Decimal = b) -> Decimal:
                return (-t / b).exp() / 2 if t > 0 else 1 - (t / b).exp() / 2

            shares = []
            for h in range(-32, 32):
                mass = tail(Decimal(h * width) - Decimal("0.5")) - tail(Decimal((h + 1) * width) - Decimal("0.5"))
                shares.append(Decimal("0.98") * mass + Decimal("0.02") / (4 * (1 + abs(h)) ** 2))
            assert edges[0] == 0 and edges[-1] == 2**16 and len(edges) == 66
            widths = np.diff(edges)
            assert (widths >= 1).all()
            expected = np.array([*map(float, shares), float(1 - sum(shares))]) * 2**16
            off, largest = np.abs(widths - expected), np.argmax(expected)
            assert (np.delete(off, largest) <= 1.01 + 66 * np.delete(expected, largest) / 2**16).all()
            assert off[largest] <= 70


def test_codes_are_near_the_entropy_of_their_laws():
    """At most 2.5 % above it, whole bytes and all."""
    draw = np.random.default_rng(3)
    counts = np.full(50, 300)
    which = draw.integers(8, 30, 15_000)
    part = np.array([draw.choice(65, p=np.diff(LAWS.edges[law]) / 2**16) for law in which])
    part = np.where(part == 64, 32, part)
    integers = ((part - 32) << LAWS.shifts[which]) + draw.integers(0, 1 << LAWS.shifts[which])
    code, _ = range_encode(integers, which, counts, LAWS)
    bits = 16 - np.log2(np.diff(LAWS.edges, axis=1)[which, part]) + LAWS.shifts[which]
    assert bits.sum() <= 8 * len(code) <= 1.025 * bits.sum()


@pytest.mark.parametrize("seed", range(30))
def test_other_bytes_are_refused_or_other_integers(seed):
    """A bit turned, a byte more or fewer: nothing crashes, and no second code of the same integers is accepted."""
    draw, counts = np.random.default_rng(seed), np.array([5, 9])
    integers, which = drawn(seed, counts)
    code, lengths = range_encode(integers, which, counts, LAWS)
    for kind in range(3):
        other, long = code.copy(), lengths.copy()
        if kind == 0:
            other[draw.integers(len(other))] ^= 1 << draw.integers(8)
        elif kind == 1:
            other, long = np.append(other, np.uint8(draw.integers(256))), lengths + np.array([0, 1])
        else:
            other, long = other[:-1], lengths - np.array([0, 1])
        found, wrong = decoded(other, long, which, counts)
        assert wrong >= 0 or found.tolist() != integers.tolist()


def test_quarters_are_rounded_logarithms():
    sizes = 2.0 ** np.random.default_rng(0).uniform(-300, 300, 5000)
    assert quarters(sizes).tolist() == np.rint(4 * np.log2(sizes)).tolist()
    assert quarters(np.array([1.0, 2.0, 0.25, 1e-3])).tolist() == [0, 4, -8, -40]


def test_powers_are_the_nearest_floats():
    """Of 2^(k/16), by decimal arithmetic: both ends hold the same bits wherever they are."""
    with localcontext(prec=60):
        for k in (-14_000, -17, -1, 0, 1, 8, 15, 16, 31, 4000):
            assert powers(np.array([k]))[0] == float(Decimal(2) ** (Decimal(k) / 16))
    assert powers(np.array([-16, 0, 32])).tolist() == [0.5, 1.0, 4.0]


@pytest.mark.parametrize("many", [1, 3])
def test_vectors_come_back(many):
    draw, counts = np.random.default_rng(many), np.array([5, 0, 300, 1])
    total = int(counts.sum())
    predicted, kinds = draw.integers(-9, 9, total), draw.integers(0, many, total)
    integers = np.rint(draw.laplace(size=total) * 2.0 ** (predicted / 4) * 7**kinds).astype(np.int64)
    codes = encode_vectors(integers, predicted, counts, kinds, many)
    assert [len(code) > 0 for code in codes] == [True, False, True, True]
    assert decode_vectors(codes, predicted, counts, kinds, many).tolist() == integers.tolist()
    for other in (codes[2] + b"\0", b"", b"\x80" * (many - 1)):
        with pytest.raises(WireError, match=r"message 2: \d+ bytes"):
            decode_vectors([codes[0], b"", other, codes[3]], predicted, counts, kinds, many)
    with pytest.raises(WireError, match="message 1: 3 bytes"):
        decode_vectors([codes[0], b"abc", *codes[2:]], predicted, counts, kinds, many)


def test_predictions_save_bytes():
    """Magnitudes that both ends expect, up to a factor that is sent."""
    draw = np.random.default_rng(5)
    predicted = draw.integers(-12, 12, 400)
    integers = np.rint(draw.laplace(size=400) * 2.0 ** (predicted / 4 + 3)).astype(np.int64)
    known, moved, unknown = (
        len(encode_vectors(integers, hint, np.array([400]))[0]) for hint in (predicted, predicted + 40, 0 * predicted)
    )
    assert known == moved < 0.93 * unknown


def test_heads_come_back_and_are_bounded():
    heads = np.array([[0, -1, 63], [-64, 64, -100_000], [5, 2**40, -3]])
    codes = encode_heads(heads)
    assert [len(code) for code in codes] == [3, 6, 8]
    found, rest = decode_heads([code + b"xyz" for code in codes], 3)
    assert found.tolist() == heads.tolist() and rest == [b"xyz"] * 3
    for cut in (b"", b"\x80", b"\1\2", b"\x80" * 9):
        with pytest.raises(WireError, match="numbers stand before a vector"):
            decode_heads([cut], 3)
    with pytest.raises(WireError, match="in the least bytes that they need"):  # 1 again
        decode_heads([b"\x82\x00"], 1)


@pytest.mark.parametrize("broken", [False, True])
def test_one_client_after_the_other_is_all_side_by_side(broken, monkeypatch):
    """The form for few clients and the one for many: the same bytes, and the same integers of whatever bytes."""
    draw, laws = np.random.default_rng(int(broken)), laplace_laws()
    for most in (4, 30, 200) * 40:
        counts = draw.integers(0, most, draw.integers(1, 6))
        which = draw.integers(0, len(laws.shifts), counts.sum())
        integers = np.rint(draw.laplace(size=counts.sum()) * 2.0 ** draw.uniform(-3, 50, counts.sum())).astype(np.int64)
        found = []
        for few in (0, 1 << 40):
            monkeypatch.setattr("newtonfl.kernels.range_coder.FEW", few)
            code, lengths = range_encode(integers, which, counts, laws)
            sent = code.copy()
            if broken and len(sent):
                sent[len(sent) // 2] ^= 1 + most
            read, wrong = range_decode(sent, np.cumsum(lengths) - lengths, lengths, which, counts, laws)
            assert broken or (wrong == -1 and np.array_equal(read, integers))
            found.append((code.tobytes(), lengths.tolist(), read.tolist(), wrong))
        assert found[0] == found[1]
