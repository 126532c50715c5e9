"""Quantisers and what is followed by them: unbiased exactly, and losing at the most what their contracts say.

A quantiser rounds each number down or up by one uniform draw. So its mean and its loss are sums over coordinates that a
generator stuck at chosen draws shows without sampling error.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from newtonfl.comm.messages import Factors, Levels
from newtonfl.compressors import (
    BiasedRounding,
    Contracted,
    Contractive,
    Dithering,
    Natural,
    NaturalDithering,
    Quantiser,
    RankR,
    RankThenQuantise,
    SelectThenQuantise,
    TopK,
    Unbiased,
)
from newtonfl.compressors.powers import floors, power, range_of
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import Key

KEY = Key(0, 0, 0, "/test")
GRID = 512
SIZE = 24


class Stuck:
    """A key and its generator in one, whose every draw is the same number, or one number a row."""

    def __init__(self, draw: float | np.ndarray) -> None:
        self.draw = draw

    def generator(self) -> Stuck:
        return self

    def to(self, purpose: str) -> Stuck:
        return self

    def random(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.broadcast_to(self.draw, shape)


LOWEST, HIGHEST = Stuck(0.0), Stuck(1 - 2.0**-53)  # what can be up is up, all is down


def whole(message, like: np.ndarray) -> np.ndarray:
    indices, values = message.coordinates()
    v = np.zeros(like.shape)
    v[slice(None) if indices is None else indices] = values
    return v


QUANTISERS = [
    Natural(),
    *(Dithering(s) for s in (None, 1, 2, 7, 1000)),
    *(NaturalDithering(s, b) for s, b in ((1, 2), (2, 2), (4, 2), (40, 2), (3, 3), (9, 10), (100, 255))),
]


def vectors() -> list[np.ndarray]:
    """Random vectors, and those at which quantisers lose the most or numbers end."""
    draw = np.random.default_rng(0)
    signs = draw.choice([-1.0, 1.0], SIZE)
    return [
        *draw.standard_normal((4, SIZE)),
        *draw.standard_cauchy((2, SIZE)),
        signs,
        signs * 4 / 3,  # where powers of two lose most
        np.eye(SIZE)[3],
        -np.eye(SIZE)[3] * 0.7,
        np.append(np.full(SIZE - 1, 2.0**-5), 1.0),  # halfway to the least level of some
        signs * 2.0 ** -np.arange(SIZE),
        signs * 10.0 ** np.linspace(-150, 150, SIZE),
        np.where(np.arange(SIZE) % 3, 0.0, signs),
        np.zeros(SIZE),
        1e-200 * signs,
        1e200 * draw.standard_normal(SIZE),
    ]


@pytest.mark.parametrize("quantiser", QUANTISERS, ids=str)
def test_quantisers_are_unbiased(quantiser):
    """Over draws at equal steps every coordinate's mean is the coordinate, up to the one step where it turns."""
    draws = Stuck((np.arange(GRID)[:, None] + 0.5) / GRID)
    for v in vectors():
        rows = quantiser.quantise(np.tile(v, (GRID, 1)), draws).coordinates()[1].reshape(GRID, SIZE)
        mean = np.sum(rows / GRID, axis=0)
        down, up = (whole(quantiser.compress(v, draw), v) for draw in (HIGHEST, LOWEST))
        slack = 1e-13 * np.abs(v).max() if not isinstance(quantiser, Natural) else 1e-13 * np.abs(v)
        assert np.all(np.abs(mean - v) <= np.abs(up - down) / GRID + slack)


def expected_loss(quantiser: Quantiser, v: np.ndarray) -> float:
    """E‖Q(v) - v‖² = Σ (up - v)(v - down), since it is unbiased, beside the largest entry's square."""
    down, up = (whole(quantiser.compress(v, draw), v) / np.abs(v).max() for draw in (HIGHEST, LOWEST))
    return math.fsum((up - v / np.abs(v).max()) * (v / np.abs(v).max() - down))


@pytest.mark.parametrize("quantiser", QUANTISERS, ids=str)
def test_quantisers_lose_at_the_most_omega(quantiser):
    """On every vector, and on vectors that go uphill from it: a search for the worst."""
    contract, draw = quantiser.contract(SIZE), np.random.default_rng(1)
    assert isinstance(contract, Unbiased)

    def share(v):
        u = v / np.abs(v).max()
        return expected_loss(quantiser, v) / math.fsum(u * u)

    worst = max((v for v in vectors() if v.any()), key=share)
    for _ in range(100):
        worst = max(worst, worst * np.exp(0.3 * draw.standard_normal(SIZE) * (draw.random(SIZE) < 0.2)), key=share)
    assert max(share(v) for v in (*(v for v in vectors() if v.any()), worst)) <= contract.omega * (1 + 1e-12)


@pytest.mark.parametrize(
    "quantiser, v, least",
    [
        (Natural(), np.full(5, 4 / 3), 1.0),
        (Dithering(1), np.ones(400), 0.9),  # √D - 1 of √D
        (Dithering(10), np.ones(400), 0.5),  # halfway between two levels
        (NaturalDithering(1), np.ones(100), 0.85),
        (NaturalDithering(30), np.ones(9), 0.999),  # 1/3 = 4/3·2⁻²
        (NaturalDithering(30, 3), np.ones(4), 0.999),  # 1/2 = 3/2·3⁻¹
        (NaturalDithering(3), np.append(np.full(63, 1 / 8), math.sqrt(1 - 63 / 64)), 0.6),  # halfway to the least
    ],
    ids=str,
)
def test_omegas_are_not_too_large(quantiser, v, least):
    """The constants are reached, or nearly so, at the vectors that the proofs name."""
    assert expected_loss(quantiser, v) / np.sum((v / v.max()) ** 2) >= least * quantiser.contract(len(v)).omega


def test_omegas_by_hand():
    """1/8; min(D/s², √D/s); (b-1)²/(4b) + min(√D l, D l²/4) with l = b^(1-s)."""
    assert Natural().contract(7).omega == 1 / 8
    assert Dithering().contract(100).omega == 1.0 and Dithering().contract(0).omega == 0.0
    assert Dithering(20).contract(100).omega == 0.25 and Dithering(5).contract(100).omega == 2.0
    assert NaturalDithering(4).contract(16).omega == pytest.approx(1 / 8 + 16 / 64 / 4, rel=1e-15)
    assert NaturalDithering(1).contract(100).omega == pytest.approx(1 / 8 + 10, rel=1e-15)
    assert NaturalDithering(3, 3).contract(9).omega == pytest.approx(4 / 12 + 9 / 81 / 4, rel=1e-15)


def test_natural_compression_by_hand():
    """2.5 → 2 or 4, 4 with probability 1/4; powers of two and zeros are left alone, also subnormal ones."""
    v = np.array([2.5, -2.5, 4.0, 0.0, -(2.0**-1074), 3 * 2.0**-1074, 2.0**1023])
    up, down = (whole(Natural().compress(v, draw), v) for draw in (Stuck(0.2499), Stuck(0.2501)))
    np.testing.assert_array_equal(up, [4, -4, 4, 0, -(2.0**-1074), 2.0**-1072, 2.0**1023])
    np.testing.assert_array_equal(down, [2, -2, 4, 0, -(2.0**-1074), 2.0**-1072, 2.0**1023])
    assert whole(Natural().compress(v, Stuck(0.51)), v)[5] == 2.0**-1073
    top = np.array([1.7e308])  # has no power of two above it
    assert whole(Natural().compress(top, LOWEST), top)[0] == 2.0**1023


def test_dithering_by_hand():
    """‖x‖ = 5, s = 10: 3 and 4 stand on levels 6 and 8; 0.1 of a level is kept one time in ten."""
    v = np.array([3.0, 0.0, -4.0])
    message = Dithering(10).compress(v, KEY)
    assert message.codes.tolist() == [6, 0, -8] and message.scales.tolist() == [5.0] and message.s == 10
    v = np.array([0.01, math.sqrt(1 - 1e-4)])
    codes = [Dithering(10).compress(v, Stuck(u)).codes.tolist() for u in (0.0999, 0.1001, 0.99996)]
    assert codes == [[1, 10], [0, 10], [0, 9]]


def test_natural_dithering_by_hand():
    """Levels 0, 1/4, 1/2, 1 of the norm: 0.3 goes to 1/2 with probability 1/5, 0.1 to 1/4 with 2/5."""
    v = np.array([0.3, -0.1, 0.5, 0.0, math.sqrt(1 - 0.35)])
    codes = [NaturalDithering(3).compress(v, Stuck(u)).codes.tolist() for u in (0.199, 0.201, 0.399, 0.401, 0.999)]
    assert [c[:4] for c in codes] == [[2, -1, 2, 0], [1, -1, 2, 0], [1, -1, 2, 0], [1, 0, 2, 0], [1, 0, 2, 0]]
    assert [c[4] for c in codes] == [3, 3, 3, 3, 2]
    ends = NaturalDithering(3, 10).compress(np.array([0.0, -2.0]), KEY)
    assert ends.codes.tolist() == [0, -3] and ends.coordinates()[1].tolist() == [0, -2]


@pytest.mark.parametrize("base", [2, 3, 10, 255])
def test_the_power_below_a_number(base):
    """At every power itself and one ulp below it, where logarithms err."""
    least, most = range_of(base)
    exponents = np.arange(least + 1, most + 1)
    powers = power(base, exponents)
    np.testing.assert_array_equal(floors(powers, base), exponents)
    np.testing.assert_array_equal(floors(np.nextafter(powers, 0), base), exponents - 1)


@pytest.mark.parametrize("base", [2, 3, 10])
def test_biased_rounding_goes_to_the_nearest_power(base):
    """Against a table of powers, at random numbers and beside powers and midpoints."""
    exponents = np.arange(-40, 41)
    powers = float(base) ** exponents
    middle = (powers[:-1] + powers[1:]) / 2
    v = np.exp(np.random.default_rng(0).uniform(-30, 30, 500))
    v = np.concatenate([v, powers, middle * (1 - 1e-12), middle * (1 + 1e-12), powers * (1 + 1e-12)])
    v = v[(v > powers[0]) & (v < powers[-1])]
    found = whole(BiasedRounding(base).compress(v, KEY), v)
    nearest = powers[np.argmin(np.abs(v[:, None] - powers), axis=1)]
    np.testing.assert_allclose(found, nearest, rtol=1e-13 if base != 2 else 0)
    np.testing.assert_array_equal(whole(BiasedRounding(base).compress(-v, KEY), v), -found)


def test_biased_rounding_at_the_ends_of_float64():
    """Base 2 rounds subnormal numbers rightly and stays below overflow; other bases round what is subnormal to zero."""
    tiny = 2.0**-1074
    v = np.array([tiny, 5 * tiny, 7 * tiny, 0.0, 1.7e308, -1.7e308])
    found = whole(BiasedRounding(2).compress(v, KEY), v)
    np.testing.assert_array_equal(found, [tiny, 4 * tiny, 8 * tiny, 0, 2.0**1023, -(2.0**1023)])
    for base in (3, 255):
        found = whole(BiasedRounding(base).compress(v, KEY), v)
        assert np.isfinite(found).all() and not found[:4].any() and found[4] == -found[5] > 1e305


@pytest.mark.parametrize(
    "compressor", [*QUANTISERS, BiasedRounding(3), SelectThenQuantise(TopK(2), Dithering())], ids=str
)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_arrive_as_a_refusal(compressor, bad):
    """As in a dense message: the scale is not finite, and the receiver says so."""
    v = np.array([1.0, bad, 0.0])
    message = compressor.compress(v, KEY)
    assert not np.isfinite(message.scales).all()


def test_a_norm_that_overflows_arrives_as_a_refusal():
    """The numbers are finite, their norm is not."""
    assert Dithering().compress(np.full(9, 1.7e308), KEY).scales.tolist() == [np.inf]


@pytest.mark.parametrize(
    "compressor, size, bits",
    [
        (Natural(), 123, 9 * 123),
        (BiasedRounding(), 123, 9 * 123),
        (Dithering(), 123, 377),  # 2.8·123 + 32 = 376.4
        (Dithering(), 5, 46),  # 2.8·5 + 32 = 46 exactly
        (Dithering(4), 300, 872),
        (NaturalDithering(7), 10, 32 + 10 * 4),
        (NaturalDithering(8), 10, 32 + 10 * 5),  # ⌈log₂ 9⌉ = 4
        (NaturalDithering(1), 10, 32 + 10 * 2),
        (SelectThenQuantise(TopK(30), Natural()), 123, 9 * 30),
        (SelectThenQuantise(TopK(30), Dithering()), 123, 116),
        (SelectThenQuantise(TopK(30), Natural()), 7, 9 * 30),  # K, also where a client has fewer
        (SelectThenQuantise(TopK(10), NaturalDithering(8)), 123, 32 + 10 * 5),
        (RankThenQuantise(RankR(1), Natural()), (20, 20), 18 * 20),
        (RankThenQuantise(RankR(3), Natural()), (20, 20), 3 * 18 * 20),
        (RankThenQuantise(RankR(1), Dithering()), (20, 20), 2 * (56 + 32) + 32),
        (RankThenQuantise(RankR(2), Dithering()), (20, 20), 2 * (2 * (56 + 32) + 32)),
    ],
    ids=str,
)
def test_formula_bits(compressor, size, bits):
    """The papers' counts, worked out by hand (ALGORITHMS.md, sections 0, 2.6 and 8)."""
    v = np.random.default_rng(0).standard_normal(size)
    v = v + v.T if v.ndim == 2 else v
    message = compressor.compress(v, KEY)
    assert message.formula_bits == bits
    assert Contracted(compressor).compress(v, KEY).formula_bits == bits if isinstance(compressor, Quantiser) else True


def test_measured_bytes_come_near_the_papers_counts():
    """On a Gaussian vector of 10000: natural compression within its 9 bits, dithering near its 2.8."""
    v = np.random.default_rng(0).standard_normal(10000)
    for compressor, most in ((Natural(), 4.6), (Dithering(), 3.3), (NaturalDithering(8), 4.6), (BiasedRounding(), 4.6)):
        assert 8 * len(compressor.compress(v, KEY).payload()) / 10000 <= most


# --- compositions


SELECTING = [
    SelectThenQuantise(TopK(k), q) for k in (1, 5, SIZE, 100) for q in (Natural(), Dithering(), NaturalDithering(4))
]


@pytest.mark.parametrize("compressor", SELECTING, ids=str)
def test_select_then_quantise_contracts(compressor):
    """E‖C(v) - v‖² ≤ (1 - δ)‖v‖² on every vector, without sampling error."""
    size = SIZE
    contract = compressor.contract(size)
    kept = min(compressor.select.k, size)
    omega = compressor.quantise.contract(kept).omega
    assert isinstance(contract, Contractive) and contract.delta == pytest.approx(kept / size / (omega + 1), rel=1e-14)
    for v in vectors():
        if not v.any():
            continue
        u = v / np.abs(v).max()
        factor = 1 / (omega + 1)
        down, up = (whole(compressor.compress(v, draw), v) / np.abs(v).max() / factor for draw in (HIGHEST, LOWEST))
        chosen = whole(compressor.select.compress(v, KEY), v) / np.abs(v).max()
        spread = (up - chosen) * (chosen - down)
        loss = math.fsum(factor**2 * spread) + math.fsum((factor * chosen - u) ** 2)
        assert loss <= (1 - contract.delta) * math.fsum(u * u) + 1e-13


def test_select_then_quantise_tells_of_the_largest_alone():
    """Q on the K kept values in their order; what became zero is not sent, and every value stands at its place."""
    draw = np.random.default_rng(0)
    v = draw.standard_normal(200)
    message = SelectThenQuantise(TopK(20), Natural()).compress(v, KEY)
    kept = TopK(20).compress(v, KEY)
    assert isinstance(message, Levels) and np.array_equal(message.indices, kept.indices)
    expected = Natural().compress(kept.values, KEY).coordinates()[1] / (1 + 1 / 8)
    np.testing.assert_allclose(message.coordinates()[1], expected, rtol=1e-15)
    few = SelectThenQuantise(TopK(50), Dithering(1)).compress(v, KEY)
    assert 0 < len(few.indices) < 50 and few.codes.all() and set(few.indices) <= set(TopK(50).compress(v, KEY).indices)
    assert few.formula_bits == 140 + 32
    sparse = SelectThenQuantise(TopK(9), Dithering()).compress(np.eye(9)[2] + np.eye(9)[5], KEY)
    assert sparse.s == 3  # √K levels, the K of the theory, for two numbers as well
    several = SelectThenQuantise(TopK(5), Dithering())
    blocks, keys = Blocks.of([v[:9], v[:0], v[:3], v[:30]]), [KEY.of(i) for i in range(4)]
    for message, block, key in zip(several.compress_all(blocks, keys), blocks, keys, strict=True):
        assert message.payload() == several.compress(block, key).payload()


def symmetric(dim: int, seed: int) -> np.ndarray:
    whole = np.random.default_rng(seed).standard_normal((dim, dim))
    return whole + whole.T


@pytest.mark.parametrize("quantiser", [Natural(), Dithering(1)], ids=str)
@pytest.mark.parametrize("r", [1, 2])
def test_rank_then_quantise_is_the_scaled_truncation_on_average(quantiser, r):
    """E C(X) = X_R/(ω+1)², which one draw for both vectors would miss; E‖C(X) - X‖² ≤ (1 - δ)‖X‖². 5 errors of 1000."""
    dim, n = 4, 1000
    compressor, matrix = RankThenQuantise(RankR(r), quantiser), symmetric(dim, 2)
    omega = quantiser.contract(dim).omega
    contract = compressor.contract(dim * (dim + 1) // 2)
    assert contract.delta == pytest.approx(r / dim / (omega + 1) ** 2, rel=1e-14)
    found = np.array([compressor.compress(matrix, Key(1, i)).matrix() for i in range(n)])
    target = RankR(r).compress(matrix, KEY).matrix() / (omega + 1) ** 2
    assert np.all(np.abs(found.mean(axis=0) - target) <= 5 * found.std(axis=0) / np.sqrt(n) + 1e-12)
    loss = np.sum((found - matrix) ** 2, axis=(1, 2)) / np.sum(matrix**2)
    assert loss.mean() <= 1 - contract.delta + 4 * loss.std() / np.sqrt(n)


def test_rank_then_quantise_draws_every_vector_by_itself():
    """Left and right, and one rank after the other: equal vectors become different levels, each with its own scale."""
    compressor = RankThenQuantise(RankR(2), Dithering(1))
    message = compressor.compress(np.kron(np.diag([3.0, -2.0]), np.ones((8, 8))), KEY)
    assert isinstance(message, Factors) and message.rank == 2
    left, right = (np.abs(side.codes.reshape(2, 16)) for side in (message.left, message.right))
    assert not np.array_equal(left, right)
    assert not np.array_equal(left[0, 8:], left[1, :8]) or not np.array_equal(right[0, 8:], right[1, :8])
    factor = 1 / (Dithering(1).contract(16).omega + 1) ** 2
    np.testing.assert_allclose(message.left.scales, 1, rtol=1e-14)
    np.testing.assert_allclose(sorted(message.right.scales), factor * np.array([16, 24]), rtol=1e-14)
    np.testing.assert_array_equal(message.matrix(), message.matrix().T)
