"""Compressors keep their contracts: exactly where they are deterministic, within sampling error where they draw."""

from __future__ import annotations

import math

import numpy as np
import pytest
from cases import COMPRESSORS, on_wire, wired

from newtonfl.blocks import Blocks
from newtonfl.coding import PRECISIONS
from newtonfl.compressors import Compressor, Contractive, Identity, RandK, RankR, Rounded, TopK, Unbiased
from newtonfl.keys import Key
from newtonfl.messages import Dense, LowRank, Message, Sparse

SIZE, DIM = 24, 6
KEY = Key(0, 0, 0, "/test")
ROUNDING = 1e-14  # relative error of sums of a few squares


def arrived(message: Message, like: np.ndarray) -> np.ndarray:
    """The vector or matrix that a message tells of."""
    if isinstance(message, LowRank):
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


@pytest.mark.parametrize("compressor", DETERMINISTIC, ids=str)
def test_a_contractive_compressor_contracts(compressor):
    """‖C(v) - v‖² ≤ (1 - δ)‖v‖² for every v tried, up to the rounding of the sums."""
    tried, size = inputs(compressor)
    contract = compressor.contract(size)
    assert isinstance(contract, Contractive) and 0 < contract.delta <= 1
    for v in tried:
        if "float32" in str(compressor) and np.abs(v).max() < 1e-100:
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
    ],
    ids=str,
)
def test_the_constants_are_the_best_ones(compressor, v, delta):
    """K/size, R/d and 8/9 are reached, on flat vectors and spectra and midway between two powers of two."""
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
        assert message.precision == expected.precision == precision


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
    ],
)
def test_k_may_be_a_multiple_of_the_dimension(given, dim, k):
    """Rounded down to a whole number."""
    for kind in (TopK, RandK):
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
        ("0.01d", "at least 1"),
        (211, r"given K = 211, must be at most 210.*d\(d\+1\)/2.*d = 20"),
        ("11d", "given K = 220, must be at most 210"),
    ],
)
def test_k_that_cannot_be(given, fault):
    """Named as the command line writes the compressor."""
    for name, kind in (("topk", TopK), ("randk", RandK)):
        with pytest.raises(ValueError, match=f"^{name}:{given}: .*{fault}"):
            kind(given).for_dimension(20)
        with pytest.raises(ValueError, match=fault):
            Rounded(kind(given), "float32").for_dimension(20)


@pytest.mark.parametrize("r", [0, -1, 21])
def test_a_rank_that_cannot_be(r):
    """Below 1, or more than there are."""
    with pytest.raises(ValueError, match=f"rank:{r}: the rank must be a whole number, at least 1 and at most d = 20"):
        RankR(r).for_dimension(20)
    assert RankR(20).for_dimension(20) == RankR(20)


def test_which_compressors_go_with_which_precision():
    """natural only where a contractive compressor of vectors bears it; the refusal says which does."""
    everywhere = {(name, precision) for name in COMPRESSORS for precision in PRECISIONS}
    assert set(wired()) == everywhere - {("randk", "natural"), ("rank", "natural")}
    for compressor in (RandK(3), RankR(1)):
        with pytest.raises(ValueError, match=f"wire=natural.*{compressor.text}.*topk"):
            Rounded(compressor, "natural").for_dimension(5)


def test_settings_name_the_compressor():
    """As the command line writes them."""
    assert [c.settings()["compressor"] for c in (Identity(), TopK("8d"), RandK(3), RankR(2))] == [
        "identity", "topk:8d", "randk:3", "rank:2",
    ]  # fmt: skip
    assert TopK(3).settings() == {"compressor": "topk:3"}
    assert Rounded(TopK(3), "natural").settings() == {"compressor": "topk:3"}
