"""Compressors keep their contracts: exactly where they are deterministic, within sampling error where they draw."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from cases import COMPRESSORS, on_wire, wired

from newtonfl.comm.coding import PRECISIONS
from newtonfl.comm.messages import Dense, Factors, Levels, MatrixMessage, Message, Nothing, Several, Sparse
from newtonfl.compressors import (
    BiasedRounding,
    Compressor,
    Contracted,
    Contractive,
    Dithering,
    Identity,
    Natural,
    NaturalDithering,
    PowerSGD,
    RandK,
    RandSeqK,
    RankR,
    RankThenQuantise,
    Rounded,
    SelectThenQuantise,
    Threshold,
    TopK,
    TopLEK,
    Unbiased,
)
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import Key
from newtonfl.registry import from_spec

SIZE, DIM = 24, 6
KEY = Key(0, 0, 0, "/test")
ROUNDING = 1e-14  # relative error of sums of a few squares


def arrived(message: Message, like: np.ndarray) -> np.ndarray:
    """The vector or matrix that a message tells of."""
    if isinstance(message, MatrixMessage):
        return message.matrix()
    indices, values = message.coordinates()
    whole = np.zeros(like.shape)
    whole[slice(None) if indices is None else indices] = values
    return whole


def lost(compressor: Compressor, v: np.ndarray, key: Key = KEY) -> float:
    """‖C(v) - v‖² / ‖v‖²."""
    off = arrived(compressor.compress(v, key), v) - v
    return math.fsum((off * off).ravel()) / math.fsum((v * v).ravel())


def orthogonal(dim: int = DIM, seed: int = 0) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((dim, dim)))[0]


def symmetric(values: np.ndarray, seed: int = 0) -> np.ndarray:
    """A symmetric matrix with the given eigenvalues."""
    q = orthogonal(len(values), seed)
    whole = (q * values) @ q.T
    return (whole + whole.T) / 2


def vectors() -> list[np.ndarray]:
    """Random vectors, and those at which Top-K and the roundings lose the most."""
    draw = np.random.default_rng(0)
    signs = draw.choice([-1.0, 1.0], SIZE)
    return [
        *draw.standard_normal((20, SIZE)),
        *draw.standard_cauchy((5, SIZE)),
        signs,  # flat: every entry carries as much as any other
        1.5 * signs,  # midway between two powers of two
        signs * (1 + 2.0**-24),  # midway between two numbers of float32
        signs * np.nextafter(1.5, 2),
        np.eye(SIZE)[3],
        1e-150 * signs,
        2.0 ** -np.arange(SIZE) * signs,
    ]


def matrices() -> list[np.ndarray]:
    """Random symmetric matrices, and those whose eigenvalues carry all the same."""
    draw = np.random.default_rng(1)
    signs = np.array([1.0, -1.0, 1.0, -1.0, -1.0, 1.0])
    return [
        *(symmetric(draw.standard_normal(DIM), seed) for seed in range(10)),
        np.eye(DIM),
        np.diag(signs),
        symmetric(signs, 5),
        symmetric(1.5 * signs, 6),
        symmetric(np.array([3.0, 0, 0, 0, 0, 0])),
        np.ones((DIM, DIM)),
    ]


# --- contracts


DETERMINISTIC = [
    Identity(),
    *(TopK(k) for k in (1, 5, SIZE, 100)),
    *(RankR(r) for r in (1, 2, DIM)),
    *(Threshold(lam) for lam in (0.01, 0.15, 0.5, 1.0)),
    *(BiasedRounding(base) for base in (2, 3, 10, 255)),
    Rounded(BiasedRounding(), "natural"),
    Rounded(Threshold(0.1), "natural"),
    Rounded(Identity(), "float32"),
    Rounded(Identity(), "natural"),
    Rounded(TopK(5), "float64"),
    Rounded(TopK(5), "float32"),
    Rounded(TopK(5), "natural"),
    Rounded(TopK(SIZE), "natural"),
    Rounded(RankR(2), "float32"),
    Rounded(RankR(DIM), "float32"),
]


def inputs(compressor: Compressor) -> tuple[list[np.ndarray], int]:
    """What a compressor is tried on, and how many coordinates that has."""
    return (vectors(), SIZE) if compressor.acts_on == "vector" else (matrices(), DIM * (DIM + 1) // 2)


@pytest.mark.parametrize("compressor", DETERMINISTIC, ids=repr)
def test_a_contractive_compressor_contracts(compressor):
    """‖C(v) - v‖² ≤ (1 - δ)‖v‖² for every v tried, up to the rounding of the sums."""
    tried, size = inputs(compressor)
    contract = compressor.contract(size)
    assert isinstance(contract, Contractive) and 0 < contract.delta <= 1
    for v in tried:
        if "float32" in repr(compressor) and np.abs(v).max() < 1e-100:
            continue  # float32 has no numbers there
        assert lost(compressor, v) <= (1 - contract.delta) + ROUNDING


@pytest.mark.parametrize(
    "compressor, v, delta",
    [
        *((TopK(k), np.array([1.0, -1.0] * (SIZE // 2)), k / SIZE) for k in (1, 5, SIZE)),
        *((RankR(r), symmetric(np.array([1.0, -1, 1, -1, -1, 1])), r / DIM) for r in (1, 2, DIM)),
        (Rounded(Identity(), "natural"), np.full(SIZE, 1.5), 8 / 9),
        (Rounded(TopK(5), "natural"), np.full(SIZE, -1.5), 8 / 9 * 5 / SIZE),
        (Identity(), np.ones(SIZE), 1.0),
        (BiasedRounding(2), np.full(SIZE, -1.5), 8 / 9),
        (BiasedRounding(3), np.full(SIZE, 6.0), 12 / 16),
        (Threshold(1.0), np.append(np.full(SIZE - 1, np.nextafter(1, 0)), 1.0), 1 / SIZE),  # hardly below the largest
        (PowerSGD(2), np.eye(DIM), 2 / DIM),  # whatever is drawn
        (PowerSGD(1), symmetric(np.full(DIM, -3.0)), 1 / DIM),
    ],
    ids=str,
)
def test_the_constants_are_the_best_ones(compressor, v, delta):
    """K/size, R/d, 8/9 and 1/size are reached, on flat vectors and spectra and midway between two powers of two."""
    size = len(v) if v.ndim == 1 else len(v) * (len(v) + 1) // 2
    assert compressor.contract(size).delta == pytest.approx(delta, rel=1e-15)
    assert lost(compressor, v) == pytest.approx(1 - delta, abs=ROUNDING)


def test_float32_loses_half_an_ulp():
    """(2⁻²⁴)² of the energy at (1 + 2⁻²⁴), to first order, which is what the contract says."""
    v = np.full(SIZE, 1 + 2.0**-24)
    assert lost(Rounded(Identity(), "float32"), v) == pytest.approx(2.0**-48, rel=1e-6)
    assert 1 - Rounded(Identity(), "float32").contract(SIZE).delta == 2.0**-48


def test_float32_factors_lose_what_their_squares_lose():
    """(1 + 2⁻²⁴)² becomes 1: a relative error of 2⁻²³, or 2⁻⁴⁶ of the energy, which the contract allows for."""
    compressor, matrix = Rounded(RankR(1), "float32"), np.array([[(1 + 2.0**-24) ** 2]])
    assert lost(compressor, matrix) == pytest.approx(2.0**-46, rel=1e-6)
    assert lost(compressor, matrix) <= 1 - compressor.contract(1).delta


@pytest.mark.parametrize("r", [1, 2, 4])
def test_powersgd_loses_no_more_than_its_share(r):
    """E‖C(X) - X‖² ≤ (1 - R/d)‖X‖² within four standard errors of 400 draws, on every spectrum; symmetric in bits."""
    share = PowerSGD(r).contract(DIM * (DIM + 1) // 2).delta
    assert share == pytest.approx(r / DIM, rel=1e-15)
    for matrix in [*matrices()[7:], np.diag([1, 0.99, 0.9, -0.9, 0.5, 0]), np.diag([1.0, 1, 1, 1, 1, 0])]:
        tried = np.array([lost(PowerSGD(r), matrix, Key(3, i)) for i in range(400)])
        assert tried.mean() <= 1 - share + 4 * tried.std() / np.sqrt(400) + ROUNDING
    message = PowerSGD(r).compress(matrices()[0], KEY)
    np.testing.assert_array_equal(message.matrix(), message.matrix().T)
    assert isinstance(message, Factors) and message.formula_bits == 64 * r * DIM


def test_powersgd_is_a_projection():
    """PPᵀX symmetrised with orthonormal P: a matrix of rank R comes back whole, and so does every one for R = d."""
    low = symmetric(np.array([3.0, -2, 0, 0, 0, 0]))
    for matrix, r in ((low, 2), (low, 5), (matrices()[3], DIM), (np.zeros((DIM, DIM)), 2)):
        np.testing.assert_allclose(PowerSGD(r).compress(matrix, KEY).matrix(), matrix, atol=1e-14)
    left, right = (side.values.reshape(2, DIM) for side in vars(PowerSGD(2).compress(matrices()[0], KEY)).values()
                   if isinstance(side, Dense))  # fmt: skip
    np.testing.assert_allclose(left @ left.T, np.eye(2), atol=1e-15)
    np.testing.assert_allclose(right, left @ matrices()[0], atol=1e-15)


def test_powersgd_factors_are_reproducible(monkeypatch):
    """A basis vector's sign is arbitrary: whatever a LAPACK returns, the same bits are sent."""
    qr, matrix = np.linalg.qr, matrices()[0]
    first = PowerSGD(3).compress(matrix, KEY)
    flips = np.array([1, -1, -1])
    monkeypatch.setattr(np.linalg, "qr", lambda m: (qr(m)[0] * flips, flips[:, None] * qr(m)[1]))
    assert PowerSGD(3).compress(matrix, KEY).payload() == first.payload()


@pytest.mark.parametrize("k", [1, 5, 12, SIZE - 1, SIZE])
def test_toplek_meets_its_contract_with_equality(k):
    """p r_(j-1) + (1-p) r_j = (1 - δ)‖x‖² for the two outcomes and their probability, on every vector; j ≤ K."""
    compressor = TopLEK(k)
    for v in vectors():
        order, fewer = compressor.choice(v)
        j, magnitudes = len(order), np.sort(np.abs(v))[::-1]
        assert 1 <= j <= k and 0 <= fewer <= 1
        np.testing.assert_array_equal(np.abs(v[order]), magnitudes[:j])
        energy = (magnitudes / magnitudes[0]) ** 2
        left = [math.fsum(energy[j:]), math.fsum(energy[j - 1 :])]
        assert (1 - fewer) * left[0] + fewer * left[1] == pytest.approx((1 - k / SIZE) * math.fsum(energy), abs=1e-14)


def test_toplek_sends_either_outcome():
    """With the probability that makes it exact, from its key; entries as they are, and counted as many as they are."""
    v = np.array([3.0, -2.0, 2.0, 1.0, 0.5, 0.0])
    order, fewer = TopLEK(2).choice(v)  # ‖x‖² = 18.25, r = 9.25, 5.25; allowed 2/3·18.25 = 12.17 > r_1 = 9.25
    assert order.tolist() == [0] and fewer == pytest.approx((18.25 * 2 / 3 - 9.25) / 9, rel=1e-14)
    sent = [TopLEK(2).compress(v, Key(0, i)) for i in range(2000)]
    assert {tuple(m.indices.tolist()) for m in sent} == {(), (0,)} and {m.formula_bits for m in sent} == {0, 32}
    times = sum(len(m.indices) == 0 for m in sent)
    assert abs(times - 2000 * fewer) <= 5 * np.sqrt(2000 * fewer * (1 - fewer))
    whole = TopLEK(6).compress(v, KEY)
    assert whole.indices.tolist() == [0, 1, 2, 3, 4] and whole.values.tolist() == v[:5].tolist()


def test_randseqk_keeps_each_entry_in_k_of_n_places():
    """Over the N places to begin at, C(v) has mean v and loses (N/K - 1)‖v‖² exactly (arXiv 2410.08760)."""
    v, k = np.random.default_rng(0).standard_normal(7), 3
    found = {}
    for i in range(200):
        message = RandSeqK(k).compress(v, Key(0, i))
        assert message.values.tolist() == [v[(message.first + j) % 7] * (7 / 3) for j in range(3)]
        assert message.formula_bits == 32 * 3 and len(message.payload()) == 12 + 8 * 3
        found.setdefault(message.first, []).append(arrived(message, v))
    assert sorted(found) == list(range(7)) and min(map(len, found.values())) >= 10  # 28.6 expected
    each = np.array([vectors[0] for vectors in found.values()])
    np.testing.assert_allclose(each.mean(axis=0), v, atol=1e-15)
    contract = RandSeqK(k).contract(7)
    assert isinstance(contract, Unbiased)
    assert np.sum((each - v) ** 2) / 7 == pytest.approx(contract.omega * (v @ v), rel=1e-14)


def test_threshold_keeps_what_reaches_its_share_of_the_largest():
    """abs(x) ≥ λ max abs(x), the border included; zeros never; 32 bits a kept entry; δ as in Newton-3PC."""
    v = np.array([1.0, -2.0, 0.0, 0.999, 4.0, -4.0])
    message = Threshold(0.25).compress(v, KEY)
    assert message.indices.tolist() == [0, 1, 4, 5] and message.values.tolist() == [1, -2, 4, -4]
    assert message.formula_bits == 32 * 4
    assert Threshold(1).compress(v, KEY).indices.tolist() == [4, 5]
    assert len(Threshold(0.5).compress(np.zeros(4), KEY).indices) == 0
    assert Threshold(1e-3).compress(np.array([5e-324, 0]), KEY).indices.tolist() == [0]
    for lam, size, delta in ((0.1, 36, 1 - 0.36), (0.5, 36, 1 / 36), (0.5, 1, 1.0), (0.3, 0, 1.0)):
        assert Threshold(lam).contract(size).delta == pytest.approx(delta, rel=1e-15)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["identity", "topk", "toplek", "threshold"])
def test_numbers_that_are_not_finite_are_sent(name, bad):
    """They are not lost on the way: the receiver refuses them."""
    message = COMPRESSORS[name].compress(np.array([1.0, bad, 0.0]), KEY)
    assert not np.isfinite(message.values).all()


def test_contracted_is_unscaled():
    """Q/(ω+1): Rand-K with its entries as they are loses 1 - K/N on average; a contractive one is refused."""
    v = np.random.default_rng(0).standard_normal(8)
    vector_mechanism = Contracted(RandK(3))
    assert vector_mechanism.contract(8).delta == pytest.approx(3 / 8, rel=1e-15)
    assert vector_mechanism.to_spec() == "contracted:randk:3" and str(vector_mechanism) == "randk:3"
    message = vector_mechanism.compress(v, KEY)
    np.testing.assert_allclose(message.values, v[message.indices], rtol=1e-15)
    assert message.formula_bits == 32 * 3
    off = np.array([lost(vector_mechanism, v, Key(0, i)) for i in range(1000)])
    assert abs(off.mean() - 5 / 8) <= 4 * off.std() / np.sqrt(1000)
    assert Contracted(RandK("1d")).for_dimension(4) == Contracted(RandK(4))
    for act in (lambda c: c.contract(3), lambda c: c.for_dimension(3)):
        with pytest.raises(ValueError, match="Contracted: given topk:3, which is contractive already"):
            act(Contracted(TopK(3)))


@pytest.mark.parametrize("k", [1, 4, 11])
def test_randk_is_unbiased_and_loses_omega(k):
    """E C(v) = v and E‖C(v) - v‖² = ω‖v‖² with ω = N/K - 1, each within five standard errors of 4000 draws."""
    v, n = np.random.default_rng(0).standard_normal(12), 4000
    drawn = np.array([arrived(RandK(k).compress(v, Key(7, i)), v) for i in range(n)])
    assert np.all(np.abs(drawn.mean(axis=0) - v) <= 5 * drawn.std(axis=0) / np.sqrt(n))
    off = np.sum((drawn - v) ** 2, axis=1)
    contract = RandK(k).contract(12)
    assert isinstance(contract, Unbiased) and contract.omega == pytest.approx(12 / k - 1, rel=1e-15)
    assert abs(off.mean() - contract.omega * (v @ v)) <= 5 * off.std() / np.sqrt(n)


def test_every_coordinate_is_drawn_equally_often():
    """Each of 12 in K/N of 4000 draws, within five standard deviations; K distinct ones, scaled by N/K."""
    v, n, k = np.ones(12), 4000, 5
    times = np.zeros(12)
    for i in range(n):
        message = RandK(k).compress(v, Key(1, i))
        assert np.all(np.diff(message.indices) > 0) and message.values.tolist() == [12 / 5] * k
        times[message.indices] += 1
    p = k / 12
    assert np.all(np.abs(times - n * p) <= 5 * np.sqrt(n * p * (1 - p)))


def test_random_compressors_draw_from_their_key_alone():
    """The same key gives the same message, another client's key another."""
    v = np.random.default_rng(0).standard_normal(200)
    drawn = [RandK(20).compress(v, key).indices.tolist() for key in (KEY, KEY, KEY.of(1), KEY.at(1), KEY.to("x"))]
    assert drawn[0] == drawn[1] and len({tuple(indices) for indices in drawn}) == 4


# --- what is sent


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5])
def test_k_is_clipped_on_smaller_clients(size):
    """A client with fewer than K coordinates sends them all, as they are; the papers still count K."""
    v = np.arange(1.0, size + 1)
    for compressor in (TopK(4), RandK(4)):
        message = compressor.compress(v, KEY)
        assert message.formula_bits == 32 * 4 and len(message.indices) == min(size, 4)
        if size <= 4:
            np.testing.assert_array_equal(arrived(message, v), v)
            assert compressor.contract(size) in (Contractive(1.0), Unbiased(0.0))
        else:
            assert compressor.contract(size) in (Contractive(4 / 5), Unbiased(5 / 4 - 1.0))


def test_topk_keeps_the_largest():
    """Values as they are, zeros not at all, the lowest position first among equals."""
    message = TopK(3).compress(np.array([0.5, -2.0, 0.0, 2.0, -2.0, 2.0]), KEY)
    assert isinstance(message, Sparse)
    assert message.indices.tolist() == [1, 3, 4] and message.values.tolist() == [-2, 2, -2]
    message = TopK(3).compress(np.array([0.0, 7.0, 0.0]), KEY)
    assert message.indices.tolist() == [1] and message.formula_bits == 96


@pytest.mark.parametrize("name, precision", [pair for pair in wired() if COMPRESSORS[pair[0]].acts_on == "vector"])
def test_all_clients_at_once_is_one_after_the_other(name, precision):
    """The batch form tells what the single form tells, on clients of unequal size, one of them empty."""
    compressor = on_wire(name, precision)
    draw = np.random.default_rng(0)
    blocks = Blocks.of([draw.standard_normal(size) for size in (9, 0, 3, 30)])
    keys = [KEY.of(client) for client in (2, 3, 5, 8)]
    for message, v, key in zip(compressor.compress_all(blocks, keys), blocks, keys, strict=True):
        expected = compressor.compress(v, key)
        assert message.payload() == expected.payload() and message.formula_bits == expected.formula_bits
        kept = "float64" if isinstance(message, Levels) else precision  # a scale is always sent in full
        assert message.precision == expected.precision == kept


@pytest.mark.parametrize("r", [1, 2, 3, DIM])
def test_rank_r_is_the_best_of_its_rank(r):
    """The truncated singular value decomposition: no matrix of rank R is nearer (Eckart, Young)."""
    for matrix in matrices():
        u, s, v = np.linalg.svd(matrix)
        message = RankR(r).compress(matrix, KEY)
        found = message.matrix()
        assert np.linalg.matrix_rank(found, tol=1e-12) <= r and message.formula_bits == 32 * r * DIM
        assert np.linalg.norm(found - matrix) == pytest.approx(np.linalg.norm(s[r:]), abs=1e-13)
        if r < DIM and s[r - 1] > s[r] + 1e-6:  # the nearest one is unique
            np.testing.assert_allclose(found, (u[:, :r] * s[:r]) @ v[:r], atol=1e-13)
        np.testing.assert_array_equal(found, found.T)


def test_rank_r_factors_are_reproducible(monkeypatch):
    """An eigenvector's sign is arbitrary: whatever a LAPACK returns, the same bits are sent, the peak positive."""
    eigh = np.linalg.eigh
    matrix = symmetric(np.array([4.0, -3.0, 2.0, 1.0, 0.5, -0.1]))
    first = RankR(3).compress(matrix, KEY)
    for flips in (np.full(6, -1), np.array([1, -1, 1, -1, -1, 1])):
        with monkeypatch.context() as patch:
            patch.setattr(np.linalg, "eigh", lambda m, f=flips: (eigh(m)[0], eigh(m)[1] * f))
            again = RankR(3).compress(matrix, KEY)
        assert again.payload() == first.payload()
    for factor in first.vectors:
        assert factor[np.argmax(np.abs(factor))] > 0
    assert sorted(first.signs * np.sum(first.vectors**2, axis=1)) == pytest.approx([-3, 2, 4], rel=1e-13)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_rounded_is_the_compressors_message_at_the_wires_precision(precision):
    """Nothing else differs, the papers' count included."""
    for compressor in (Identity(), TopK(5), RandK(5), RankR(2)):
        v = inputs(compressor)[0][0]
        message = Rounded(compressor, precision).compress(v, KEY)
        expected = compressor.compress(v, KEY).to_precision(precision)
        assert message.payload() == expected.payload() and message.precision == precision
        assert message.formula_bits == compressor.compress(v, KEY).formula_bits
        assert Rounded(compressor, precision).acts_on == compressor.acts_on


def test_the_identity_sends_everything():
    """As a dense message."""
    v = vectors()[0]
    message = Identity().compress(v, KEY)
    assert isinstance(message, Dense) and np.array_equal(message.values, v) and message.formula_bits == 32 * SIZE


# --- settings


@pytest.mark.parametrize(
    "given, dim, k",
    [
        ("8d", 20, 160),
        ("0.5d", 21, 10),
        ("1d", 7, 7),
        (7, 20, 7),
        ("7", 20, 7),
        (7.0, 20, 7),
        (210, 20, 210),
        ("10.5d", 20, 210),
        ("11d", 20, 210),
        ("4d", 3, 6),
    ],
)
def test_k_may_be_a_multiple_of_the_dimension(given, dim, k):
    """Rounded down to a whole number; more than there are is all of them."""
    for kind in (TopK, RandK, TopLEK, RandSeqK):
        made = kind(given).for_dimension(dim)
        assert made == kind(k) and isinstance(made.k, int)
        assert Rounded(kind(given), "float32").for_dimension(dim) == Rounded(kind(k), "float32")


@pytest.mark.parametrize(
    "given, fault",
    [
        ("d8", "given K = 'd8', must be a number or a multiple of d such as 8d"),
        ("", "must be a number or a multiple of d"),
        ("d", "must be a number or a multiple of d"),
        (0, "given K = 0, must be a whole number of at least 1"),
        (-3, "at least 1"),
        (2.5, "given K = 2.5, must be a whole number"),
        ("-1d", "at least 1"),
        (211, r"given K = 211, must be at most 210.*d\(d\+1\)/2.*d = 20"),
        (1234567, "given K = 1234567, must be at most 210"),
        (2.5e7, "given K = 25000000, must be at most 210"),
    ],
)
def test_k_that_cannot_be(given, fault):
    """Named as the command line writes the compressor."""
    for name, kind in (("topk", TopK), ("randk", RandK), ("toplek", TopLEK), ("randseqk", RandSeqK)):
        with pytest.raises(ValueError, match=f"^{name}[:(].*: .*{fault}"):
            kind(given).for_dimension(20)
        with pytest.raises(ValueError, match=fault):
            Rounded(kind(given), "float32").for_dimension(20)


@pytest.mark.parametrize("r", [0, -1, 21, 1.5, "2"])
def test_a_rank_that_cannot_be(r):
    """Below 1, or more than there are, or no whole number."""
    for name, kind in (("rank", RankR), ("powersgd", PowerSGD)):
        fault = f"^{name}[:(].*: the rank must be a whole number, at least 1 and at most d = 20"
        with pytest.raises(ValueError, match=fault):
            kind(r).for_dimension(20)
        made = kind(np.int64(20)).for_dimension(20)
        assert made == kind(20) and type(made.r) is int


def test_which_compressors_go_with_which_precision():
    """natural only where a contractive compressor of vectors bears it; the refusal says which does."""
    everywhere = {(name, precision) for name in COMPRESSORS for precision in PRECISIONS}
    refused = [name for name, c in COMPRESSORS.items() if c.acts_on == "symmetric"]
    refused += ["randk", "randseqk", "natural", "dithering", "natural-dithering"]
    assert set(wired()) == everywhere - {(name, "natural") for name in refused}
    for compressor in (RandK(3), RankR(1), RandSeqK(2), PowerSGD(1), Natural(), RankThenQuantise(RankR(1), Natural())):
        with pytest.raises(ValueError, match=f"wire=natural.*{re.escape(str(compressor))}.*topk"):
            Rounded(compressor, "natural").for_dimension(5)


def test_for_people_it_is_the_compressor_that_was_given():
    assert str(Rounded(TopK(3), "natural")) == "topk:3"
    assert Rounded(TopK(3), "natural").to_spec() == "rounded(topk:3, precision=natural)"


@pytest.mark.parametrize("name", COMPRESSORS)
def test_nothing_and_zeros_are_compressed_too(name):
    """A client without coordinates, and one with nothing to tell, send a message that says so."""
    compressor = COMPRESSORS[name]
    for size in (0, 4):
        v = np.zeros((size, size) if compressor.acts_on == "symmetric" else size)
        message = compressor.checked(compressor.compress(v, KEY), size)
        if not (size == 0 and isinstance(message, Nothing)):
            np.testing.assert_array_equal(arrived(message, v), v)
        assert compressor.contract(size * (size + 1) // 2)


@pytest.mark.parametrize("name", COMPRESSORS)
def test_what_is_compressed_stays_as_it_is(name):
    """The vector that was handed in is still needed; the message's numbers are on the host and finite."""
    v = inputs(COMPRESSORS[name])[0][0]
    before = v.copy()
    v.flags.writeable = False
    first, again = (COMPRESSORS[name].compress(v, KEY) for _ in range(2))
    assert np.array_equal(v, before) and first.payload() == again.payload()
    assert np.isfinite(arrived(first, v)).all()


@pytest.mark.parametrize(
    "text, made",
    [
        ("identity", Identity()),
        ("topk:8d", TopK("8d")),
        ("toplek:8d", TopLEK("8d")),
        ("randk:3", RandK(3)),
        ("randseqk:2.5d", RandSeqK("2.5d")),
        ("threshold:0.5", Threshold(0.5)),
        ("threshold:1e-05", Threshold(1e-5)),
        ("rank:2", RankR(2)),
        ("powersgd:1", PowerSGD(1)),
        ("natural", Natural()),
        ("dithering", Dithering()),
        ("dithering:12", Dithering(12)),
        ("natural-dithering:8", NaturalDithering(8)),
        ("natural-dithering:8:3", NaturalDithering(8, 3)),
        ("rounding", BiasedRounding()),
        ("rounding:10", BiasedRounding(10)),
        ("topk:8d+natural", SelectThenQuantise(TopK("8d"), Natural())),
        ("topk:30+dithering", SelectThenQuantise(TopK(30), Dithering())),
        ("topk:8d+natural-dithering:8:3", SelectThenQuantise(TopK("8d"), NaturalDithering(8, 3))),
        ("rank:1+natural", RankThenQuantise(RankR(1), Natural())),
        ("rank:2+dithering:5", RankThenQuantise(RankR(2), Dithering(5))),
    ],
)
def test_names(text, made):
    """Text → compressor → text, and the settings become numbers through every layer."""
    assert from_spec("compressor", text) == made and made.to_spec() == str(made) == text
    assert "8d" not in repr(made.for_dimension(20)) and str(Rounded(made, "float32").for_dimension(20))


def test_names_with_a_default():
    assert from_spec("compressor", "rounding:2") == BiasedRounding()
    assert from_spec("compressor", "threshold:1") == Threshold(1.0)


@pytest.mark.parametrize(
    "text, fault",
    [
        ("topkk:3", "given 'topkk'; did you mean topk?"),
        ("naturel", "did you mean natural?"),
        ("natural:3", "natural takes no settings"),
        ("threshold", "threshold needs lam (λ, above 0 and at most 1: a number)"),
        ("threshold:half", "threshold needs lam"),
        ("powersgd:1.5", "powersgd needs r (R, from 1 to d: a whole number)"),
        ("powersgd", "powersgd needs r"),
        ("dithering:", "dithering needs levels (s"),
        ("dithering:three", "dithering needs levels"),
        ("natural-dithering", "natural-dithering needs levels"),
        ("natural-dithering:8:2:2", "natural-dithering needs levels"),
        ("natural-dithering:8:", "natural-dithering needs levels"),
        ("rounding:e", "rounding needs base (b, from 2 to 255: a whole number)"),
        ("dithering:2:2", "dithering needs levels"),
        ("topk:3+topk:3", "behind it dithering or natural or natural-dithering, not topk:3"),
        ("topk:3+rounding:2", "behind it"),
        ("randk:3+natural", "before + may stand rank or topk, and behind it"),
        ("powersgd:1+natural", "before + may stand rank or topk"),
        ("topk:3+", "given ''"),
        ("+natural", "given ''"),
        ("topk:3+natural+natural", "given 'topk:3+natural+natural'"),
    ],
)
def test_names_that_are_none(text, fault):
    """In words: what was given, and what is allowed."""
    with pytest.raises(ValueError, match=f"^compressor: .*{re.escape(fault)}"):
        from_spec("compressor", text)


@pytest.mark.parametrize(
    "compressor, fault",
    [
        (Threshold(0), "threshold:0: given λ = 0, must be above 0 and at most 1"),
        (Threshold(1.5), "threshold:1.5: given λ = 1.5, must be above 0 and at most 1"),
        (Threshold(float("nan")), "must be above 0"),
        (Threshold("0.5"), "given λ = '0.5', must be above 0"),
        (Dithering(0), "dithering:0: given 0 levels, must be a whole number from 1"),
        (Dithering(2**31), "must be a whole number from 1 to 2147483647"),
        (Dithering(1.5), "given 1.5 levels"),
        (NaturalDithering(0), "natural-dithering:0: given 0 levels"),
        (NaturalDithering(1001), "from 1 to 1000"),
        (
            NaturalDithering(200, 255),
            "natural-dithering:200:255: given 200 levels, must be a whole number from 1 to 125",
        ),
        (NaturalDithering(8, 1), "natural-dithering:8:1: given base 1, must be a whole number from 2 to 255"),
        (BiasedRounding(1), "rounding:1: given base 1, must be a whole number from 2 to 255"),
        (BiasedRounding(256), "given base 256"),
        (SelectThenQuantise(TopK(0), Natural()), "topk:0: given K = 0"),
        (SelectThenQuantise(TopK(1), Dithering(0)), "dithering:0: given 0 levels"),
        (RankThenQuantise(RankR(21), Natural()), "rank:21: the rank must be"),
        (RankThenQuantise(RankR(2), Dithering(0)), "dithering:0: given 0 levels"),
        (Contracted(RandK(0)), "randk:0: given K = 0"),
    ],
    ids=str,
)
def test_settings_that_cannot_be(compressor, fault):
    """Named as the command line writes the compressor."""
    with pytest.raises(ValueError, match=fault):
        compressor.for_dimension(20)


def test_whole_numbers_of_numpy_are_whole_numbers():
    """As settings, where Python's are."""
    two = np.int64(2)
    for made in (Dithering(two), NaturalDithering(two, two), BiasedRounding(two), RankR(two), TopK(two)):
        settled = made.for_dimension(5)
        assert settled == made and all(type(value) is int for value in vars(settled).values())


def test_false_messages_of_other_peoples_compressors_are_refused():
    """Levels and sums are checked as the other forms are; the error names the compressor."""
    checks = Identity().checked
    checks(Several((Sparse(np.array([1]), np.ones(1)), Dense(np.ones(3)))), 3)
    checks(Levels(np.array([4, -4]), np.ones(1), 4, 0, np.array([0, 2])), 3)
    for message, fault in (
        (Levels(np.array([1, -5]), np.ones(1), 4), "level above 4"),
        (Levels(np.array([1, -1]), np.ones(1), 4), "2 values for 3 coordinates"),
        (Levels(np.array([1, -1]), np.ones(1), 4, 0, np.array([2, 1])), "strictly increasing"),
        (Levels(np.array([1, -1]), np.ones(1), 4, 0, np.array([2, 3])), "from 0 to below 3"),
        (Several((Dense(np.ones(3)), Dense(np.ones(2)))), "2 values for 3 coordinates"),
    ):
        with pytest.raises(ValueError, match=f"Identity.compress: .*{fault}"):
            checks(message, len(message.codes) if "above" in fault else 3)
