"""Compressors keep their contracts: exactly where they are deterministic, within sampling error where they draw."""

from __future__ import annotations

import math

import numpy as np
import pytest
from cases import COMPRESSORS
from compressor_inputs import DIM, KEY, ROUNDING, SIZE, arrived, inputs, lost, matrices, symmetric, vectors

from newtonfl.comm.messages import Dense, Factors
from newtonfl.compressors import (
    AdaptiveRandom,
    BiasedRounding,
    Bounded,
    Clip,
    Contracted,
    Contractive,
    Identity,
    PowerSGD,
    RandK,
    RandSeqK,
    RankR,
    Rounded,
    Threshold,
    TopK,
    TopLEK,
    Unbiased,
)
from newtonfl.core.random import Key

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
@pytest.mark.parametrize("name", ["identity", "topk", "toplek", "threshold", "clip", "adaptive-random"])
def test_numbers_that_are_not_finite_are_sent(name, bad):
    """They are not lost on the way: the receiver refuses them."""
    message = COMPRESSORS[name].compress(np.array([1.0, bad, 0.0]), KEY)
    assert not np.isfinite(message.values).all()


def test_adaptive_random_draws_the_likelier_the_larger():
    """Each entry in as many of the draws as its share of ‖v‖₁ says; the error's mean is ‖v‖₁² - ‖v‖²."""
    v, draws = np.array([0.0, 3.0, -1.0, 0.0, 0.5, 0.0]), 4000
    sent = [AdaptiveRandom().compress(v, KEY.of(i)).coordinates() for i in range(draws)]
    counts = np.bincount([int(indices[0]) for indices, _ in sent], minlength=len(v))
    shares = np.abs(v) / np.abs(v).sum()
    assert (np.abs(counts - draws * shares) <= 4.0 * np.sqrt(draws * shares * (1 - shares))).all()
    assert {float(values[0]) for _, values in sent} == {4.5, -4.5} and all(
        np.sign(x[0]) == np.sign(v[i[0]]) for i, x in sent
    )
    errors = np.array([lost(AdaptiveRandom(), v, KEY.of(i)) * (v @ v) for i in range(draws)])
    assert abs(errors.mean() - (4.5**2 - v @ v)) <= 4.0 * errors.std() / np.sqrt(draws)


def test_adaptive_random_sends_one_entry_alone_whole():
    """And its constant is reached where all entries weigh the same."""
    one = np.eye(SIZE)[4] * -7.0
    assert (arrived(AdaptiveRandom().compress(one, KEY), one) == one).all()
    flat = np.ones(SIZE)
    assert lost(AdaptiveRandom(), flat) == pytest.approx(AdaptiveRandom().contract(SIZE).omega, rel=1e-14)
    assert Contracted(AdaptiveRandom()).contract(SIZE) == Contractive(1 / SIZE)


@pytest.mark.parametrize("tau", [0.5, 2.0, 1e3])
def test_clipping_loses_what_its_contract_says(tau):
    """1 - min{1, τ/‖v‖} of the norm, and so δ = 1 - (1 - τ/R)² where ‖v‖ = R is reached."""
    v = np.random.default_rng(3).standard_normal(SIZE)
    radius = np.linalg.norm(v)
    share = min(1.0, tau / radius)
    assert Clip(tau).contract(SIZE).within(radius).delta == pytest.approx(1 - (1 - share) ** 2, rel=1e-14)
    assert lost(Clip(tau), v) == pytest.approx((1 - share) ** 2, abs=ROUNDING)
    assert np.linalg.norm(arrived(Clip(tau).compress(v, KEY), v)) == pytest.approx(min(tau, radius), rel=1e-14)
    assert Bounded(tau, 0.5).within(radius).delta == pytest.approx(1 - (1 - share / 2) ** 2, rel=1e-14)


@pytest.mark.parametrize("tau, kappa", [(0.0, 1.0), (np.inf, 1.0), (1.0, 0.0), (1.0, 1.5)])
def test_what_is_no_bound_is_refused(tau, kappa):
    with pytest.raises(ValueError, match=f"Bounded: given τ = {tau}, κ = {kappa}, must be above 0, and κ at most 1"):
        Bounded(tau, kappa)


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
        with pytest.raises(ValueError, match="Contracted: given topk:3, which is not unbiased"):
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
