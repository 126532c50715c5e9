"""M-FAC: both algorithms against dense inverses, and the window's matrices against the paper's recurrences as loops."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
import strict_device

from newtonfl.core.backend import to_device, to_host
from newtonfl.mfac import MFAC, StaticMFAC

BOTH = pytest.mark.parametrize("algorithm", [MFAC.of, StaticMFAC], ids=["dynamic", "static"])
M, DIM = 16, 60


def gradients(m: int = M, dim: int = DIM, seed: int = 5) -> np.ndarray:
    return np.random.Generator(np.random.Philox(seed)).standard_normal((m, dim))


def repeated() -> np.ndarray:
    """Four gradients four times each, and one of them zero."""
    few = gradients(4)
    few[2] = 0.0
    return np.tile(few, (4, 1))


WINDOWS = {
    "wide": gradients(),
    "m > d": gradients(40, 7),
    "duplicates": repeated(),
    "one": gradients(1),
    "one coordinate": gradients(5, 1),
}
EACH = pytest.mark.parametrize("rows", WINDOWS.values(), ids=list(WINDOWS))


def dense(rows: np.ndarray, dampening: float) -> np.ndarray:
    return dampening * np.eye(rows.shape[1]) + rows.T @ rows / len(rows)


def accurate(rows: np.ndarray, dampening: float) -> tuple[np.ndarray, float]:
    """F⁻¹ from the singular values of the gradients, and the error that float64 may make in it, by perturbation theory.

    Both algorithms factorise M = mI + λ⁻¹GGᵀ and subtract λ⁻¹GᵀM⁻¹Gλ⁻¹ from λ⁻¹I. A relative error η of M moves that by
    at most η‖M‖₂ max_i s_i²/(m + s_i²)² λ⁻¹, with s_i² = σ_i²/λ; with F's eigenvalues μ_i = λ + σ_i²/m that is
    ηλ⁻¹‖F‖₂ max_i (μ_i - λ)/μ_i². The subtraction itself moves it by ηλ⁻¹. Sums of m + d terms make η = (m + d)ε.
    """
    _, values, directions = np.linalg.svd(rows, full_matrices=False)
    eigenvalues = dampening + values**2 / len(rows)
    outside = np.eye(rows.shape[1]) - directions.T @ directions
    amplified = 1 + np.max(eigenvalues) * np.max((eigenvalues - dampening) / eigenvalues**2)
    error = sum(rows.shape) * np.finfo(float).eps / dampening * amplified
    return outside / dampening + (directions.T / eigenvalues) @ directions, error


@BOTH
@EACH
@pytest.mark.parametrize("dampening", [0.5, 20.0])
def test_the_dense_inverse(algorithm, rows, dampening):
    """Products, columns and diagonal to 1e-12 of the whole; and F itself."""
    inverse = np.linalg.inv(dense(rows, dampening))
    fisher, dim = algorithm(rows, dampening), rows.shape[1]
    assert (fisher.window, fisher.dim) == rows.shape
    for v in gradients(3, dim, seed=6):
        wanted = inverse @ v
        assert np.linalg.norm(fisher.product(v) - wanted) <= 1e-12 * np.linalg.norm(wanted)
        forward = dense(rows, dampening) @ v
        assert np.linalg.norm(fisher.apply(v) - forward) <= 1e-14 * dim * np.linalg.norm(forward)
    assert np.linalg.norm(fisher.columns(range(dim)) - inverse) <= 1e-12 * np.linalg.norm(inverse)
    assert np.linalg.norm(fisher.diagonal() - np.diag(inverse)) <= 1e-12 * np.linalg.norm(np.diag(inverse))


@BOTH
@EACH
@pytest.mark.parametrize("dampening", [1e-5, 1e-9])
def test_a_tiny_dampening(algorithm, rows, dampening):
    """The paper's λ = 1e-5 and a smaller one: as near as float64 allows, to the truth and to NumPy's inverse."""
    inverse, bound = accurate(rows, dampening)
    assert bound <= 1e-4 * np.linalg.norm(inverse, 2)  # the test would see a wrong inverse
    fisher, dim = algorithm(rows, dampening), rows.shape[1]
    for v in gradients(3, dim, seed=6):
        assert np.linalg.norm(fisher.product(v) - inverse @ v) <= bound * np.linalg.norm(v)
    found = fisher.columns(np.arange(dim))
    assert np.linalg.norm(found - inverse, 2) <= bound
    assert np.max(np.abs(fisher.diagonal() - np.diag(inverse))) <= bound
    # NumPy's own error is larger: d ε κ(F) ‖F⁻¹‖.
    of_numpy = dim * np.finfo(float).eps * np.linalg.cond(dense(rows, dampening)) * np.linalg.norm(inverse, 2)
    assert np.linalg.norm(found - np.linalg.inv(dense(rows, dampening)), 2) <= bound + of_numpy


def test_the_papers_recurrences():
    """D and B entry by entry, the static algorithm's v and q, and a product by forward substitution."""
    rows, dampening, x = gradients(), 0.3, gradients(1, seed=9)[0]
    window, static = MFAC.of(rows, dampening), StaticMFAC(rows, dampening)
    d = np.triu(rows @ rows.T / dampening)
    for k in range(M):
        for i in range(k + 1, M):
            for j in range(i, M):
                d[i, j] -= d[k, i] * d[k, j] / (M + d[k, k])
    q = M + np.diag(d)
    b = np.zeros((M, M))
    for i in range(M):
        for j in range(i):
            b[i, :i] -= d[j, i] / q[j] * b[j, :i]
        b[i, i] = 1 / dampening
    t = rows @ x / dampening
    for i in range(M):
        for k in range(i):
            t[i] -= d[k, i] * t[k] / q[k]
    for found, wanted in [
        (window.D, d),
        (window.B, b),
        (window.q, q),
        (static.q, q),
        (static.vectors, b @ rows),
        (window.product(x), x / dampening - ((t / q) @ b) @ rows),
        (window.B @ rows @ x, t),
    ]:
        assert np.linalg.norm(found - wanted) <= 1e-13 * np.linalg.norm(wanted)
    np.testing.assert_array_equal(window.D, np.triu(window.D))
    np.testing.assert_array_equal(window.B, np.tril(window.B))
    before = [dense(np.sqrt(max(i, 1) / M) * rows[:i], dampening) if i else dampening * np.eye(DIM) for i in range(M)]
    for i in range(M):  # D_ij = g_iᵀF_{i-1}⁻¹g_j, what the recurrence is for
        wanted = rows[i] @ np.linalg.solve(before[i], rows[i:].T)
        np.testing.assert_allclose(window.D[i, i:], wanted, rtol=0, atol=1e-12 * np.max(np.abs(wanted)))


def test_zeros_are_exact():
    """A window of zeros is λI, in bits; a zero gradient changes nothing but the count."""
    v = np.array([3.0, -0.1, 0.0, -0.0, 1e-300, 0.3])  # 0.3/0.7 is not 0.3 times 1/0.7
    assert 0.3 / 0.7 != 0.3 * (1 / 0.7)
    for fisher in (
        MFAC(6, 5, 0.7),
        MFAC.of(np.zeros((5, 6)), 0.7),
        StaticMFAC(np.zeros((5, 6)), 0.7),
        MFAC(6, 1, 0.7),
    ):
        assert fisher.product(v).tobytes() == (v / 0.7).tobytes()
        np.testing.assert_array_equal(fisher.apply(v), 0.7 * v)
        np.testing.assert_array_equal(fisher.diagonal(), np.full(6, 1 / 0.7))
        np.testing.assert_array_equal(fisher.columns([4, 0]), np.eye(6)[:, [4, 0]] / 0.7)
    rows, v = gradients(3, 6), np.arange(6.0)
    filling, whole = MFAC(6, 5, 0.7), np.vstack([rows, np.zeros((2, 6))])
    filling.insert_all(rows)
    np.testing.assert_allclose(filling.product(v), np.linalg.solve(dense(whole, 0.7), v), rtol=1e-12, atol=1e-12)


def agree(window: MFAC, rows: np.ndarray) -> None:
    """The window holds `rows`, in some order, and is what a fresh one of them would be."""
    held, wanted = ({row.tobytes() for row in each} for each in (window.gradients, rows))
    assert held == wanted
    assert np.linalg.norm(window.products - window.gradients @ window.gradients.T) <= 1e-13 * np.sum(rows**2)
    fresh = MFAC.of(rows, window.dampening)
    for v in gradients(2, rows.shape[1], seed=6):
        wanted = fresh.product(v)
        assert np.linalg.norm(window.product(v) - wanted) <= 1e-12 * np.linalg.norm(wanted)


def test_a_window_slides():
    """After many insertions it is the last m gradients, whose order does not matter."""
    stream, m = gradients(41), 7
    window = MFAC(DIM, m, 0.5)
    for count, g in enumerate(stream, 1):
        window.insert(g)
        assert window.oldest == count % m
        np.testing.assert_array_equal(window.gradients[(count - 1) % m], g)
    agree(window, stream[-m:])
    agree(window, stream[-m:][::-1])


@pytest.mark.parametrize("counts", [[3, 3, 3], [7], [0, 1, 0], [20, 2], [5, 15, 6], [8]])
def test_several_at_once_are_one_after_the_other(counts):
    """In the same places, past the ring's end and past its length."""
    window, single, stream = MFAC(DIM, 7, 0.5), MFAC(DIM, 7, 0.5), gradients(sum(counts) + 2)
    for one in (window, single):
        one.insert_all(stream[:2])
    begin = 2
    for k in counts:
        window.insert_all(stream[begin : begin + k])
        for g in stream[begin : begin + k]:
            single.insert(g)
        begin += k
    np.testing.assert_array_equal(window.gradients, single.gradients)
    assert window.oldest == single.oldest == begin % 7
    last = np.vstack([np.zeros((7, DIM)), stream])[-7:]
    agree(window, last)
    agree(single, last)


def test_a_copy_is_its_own():
    window = MFAC.of(gradients(), 0.5)
    other, v = window.copy(), gradients(1, seed=9)[0]
    before = window.product(v)
    other.insert(v)
    np.testing.assert_array_equal(window.product(v), before)
    agree(window, gradients())
    agree(other, np.vstack([gradients()[1:], v[None]]))
    given = gradients()
    of = MFAC.of(given, 0.5)
    given[:] = 0.0
    agree(of, gradients())


def test_columns_in_any_order():
    """One may stand twice, and none is none."""
    rows = gradients()
    inverse = np.linalg.inv(dense(rows, 0.5))
    for fisher in (MFAC.of(rows, 0.5), StaticMFAC(rows, 0.5)):
        np.testing.assert_allclose(fisher.columns([59, 3, 59]), inverse[:, [59, 3, 59]], rtol=0, atol=1e-12)
        assert fisher.columns([]).shape == (DIM, 0)


def test_a_diagonal_longer_than_one_block(monkeypatch):
    monkeypatch.setattr("newtonfl.mfac.fisher.WIDTH", 7)
    wanted = np.diag(np.linalg.inv(dense(gradients(), 0.5)))
    for fisher in (MFAC.of(gradients(), 0.5), StaticMFAC(gradients(), 0.5)):
        np.testing.assert_allclose(fisher.diagonal(), wanted, rtol=1e-12)


def test_float32_and_integers_become_float64():
    """Before anything is computed from them."""
    for rows, v in [
        (np.arange(12).reshape(3, 4), np.arange(4)),
        (gradients(3, 4).astype(np.float32), np.float32([0.1] * 4)),
    ]:
        for fisher in (MFAC.of(rows, 0.3), StaticMFAC(rows, 0.3)):
            found = fisher.product(v)
            assert found.dtype == np.float64
            np.testing.assert_allclose(found, np.linalg.solve(dense(np.float64(rows), 0.3), np.float64(v)), rtol=1e-12)


def test_on_a_device(monkeypatch):
    """Nothing of length d comes to the host, and the answers are NumPy's up to rounding."""
    stream, v, m = gradients(9), gradients(1, seed=9)[0], 4
    host = MFAC(DIM, m, 0.5)
    host.insert_all(stream[:6])
    host.insert(stream[6])
    ours = [host, MFAC.of(stream[3:7], 0.5), StaticMFAC(stream[:m], 0.5)]
    strict_device.install(monkeypatch)
    like, moved = strict_device.on_device(), []

    def watched(array):
        moved.append(array.size)
        return to_host(array)

    monkeypatch.setattr("newtonfl.mfac.dynamic.to_host", watched)
    device = MFAC(DIM, m, 0.5, like=like)
    device.insert_all(to_device(stream[:6], like))
    device.insert(to_device(stream[6], like))
    device.copy().insert(to_device(stream[7], like))
    static = StaticMFAC(to_device(stream[:m], like), 0.5)
    for wanted, found in zip(ours, [device, MFAC.of(to_device(stream[3:7], like), 0.5), static], strict=True):
        there = to_device(v, like)
        for one, other in [
            (wanted.product(v), found.product(there)),
            (wanted.apply(v), found.apply(there)),
            (wanted.columns([5, 0]), found.columns([5, 0])),
            (wanted.diagonal(), found.diagonal()),
        ]:
            assert other.device == strict_device.DEVICE
            assert np.linalg.norm(to_host(other) - one) <= 1e-13 * np.linalg.norm(one)
    assert max(moved) == m * m  # S of a whole window; nothing of length d
    with pytest.raises(ValueError, match=r"gradients of norm 1e\+10"):
        StaticMFAC(to_device(np.full((2, 4), 5e9), like), 1e-18)


@pytest.mark.parametrize("dampening", [0.0, -1.0, np.nan, np.inf])
def test_a_dampening_is_positive(dampening):
    for make in (
        lambda: MFAC(3, 2, dampening),
        lambda: MFAC.of(np.ones((2, 3)), dampening),
        lambda: StaticMFAC(np.ones((2, 3)), dampening),
    ):
        with pytest.raises(ValueError, match=r"dampening: given .* above 0"):
            make()


def test_refusals():
    window, static = MFAC(3, 2, 0.5), StaticMFAC(np.ones((2, 3)), 0.5)
    for make in (
        lambda: MFAC(3, 0, 0.5),
        lambda: MFAC(0, 3, 0.5),
        lambda: MFAC.of(np.ones((0, 3)), 0.5),
        lambda: StaticMFAC(np.ones((2, 0)), 0.5),
    ):
        with pytest.raises(ValueError, match="at least 1"):
            make()
    for make in (
        lambda: window.insert(np.ones(4)),
        lambda: window.insert_all(np.ones(3)),
        lambda: window.insert_all(np.ones((2, 4))),
        lambda: window.product(np.ones(2)),
        lambda: window.apply(np.ones((3, 1))),
        lambda: static.product(np.ones(4)),
        lambda: MFAC.of(np.ones(3), 0.5),
        lambda: StaticMFAC(np.ones(3), 0.5),
    ):
        with pytest.raises(ValueError, match="given shape"):
            make()
    with pytest.raises(ValueError, match=r"gradient: given shape \(1, 3\), must be \(3\)"):
        window.insert(np.ones((1, 3)))
    for value in (np.nan, np.inf):
        bad = np.array([[1.0, 2.0, 3.0], [1.0, value, 0.0]])
        for make in (
            lambda bad=bad: window.insert(bad[1]),
            lambda bad=bad: window.insert_all(bad),
            lambda bad=bad: MFAC.of(bad, 0.5),
            lambda bad=bad: StaticMFAC(bad, 0.5),
        ):
            with pytest.raises(ValueError, match="not finite"):
                make()
    for indices in ([3], [-1]):
        with pytest.raises(ValueError, match=r"indices: given -?\d, allowed are 0 to 2"):
            window.columns(indices)
    for indices in ([0.5], [[1]], 1):
        with pytest.raises(TypeError, match="list of integers"):
            window.columns(indices)
    with pytest.raises(TypeError, match="real numbers"):
        window.insert(np.ones(3) * 1j)
    assert window.oldest == 0 and not window.gradients.any()


@BOTH
def test_what_rounding_would_lose_is_refused(algorithm):
    """λm below ε‖g‖², and products that overflow: a plain word. Well above it nothing is refused."""
    for rows, dampening in [
        (np.full((1, DIM), 1e200), 0.5),
        (np.full((1, DIM), 1e154), 0.5),
        (np.tile(gradients(2), (20, 1)), 1e-18),
        (np.full((2, 4), 5e9), 1e-18),
    ]:
        with pytest.raises(ValueError, match="too small for float64 beside gradients of norm"):
            algorithm(rows, dampening)
    rows = np.zeros((3, 4))
    rows[1, 2] = 1.0
    found = algorithm(rows, 1e-15).product(np.ones(4))
    np.testing.assert_allclose(found[[0, 1, 3]], 1e15, rtol=1e-15)
    assert abs(found[2] - 3.0) <= 2 * np.finfo(float).eps / 1e-15  # four roundings of 1/λ, each of half a unit


@pytest.mark.parametrize("lost", [np.full(DIM, 1e200), np.full(DIM, 1e9)])
def test_a_refused_insertion_changes_nothing(lost):
    window, v = MFAC.of(gradients(4), 0.5), gradients(1, seed=9)[0]
    before = window.product(v)
    with pytest.raises(ValueError, match=r"dampening: given 0\.5, too small"):
        window.insert_all(np.stack([v, lost]))
    np.testing.assert_array_equal(window.product(v), before)
    assert window.oldest == 0
    agree(window, gradients(4))


def test_what_is_accepted_is_positive_definite():
    """Just above that limit rounding decides; a q_i that is not positive gets through neither algorithm."""
    draw = np.random.Generator(np.random.Philox(3))
    for exponent in np.linspace(0.0, 0.2, 600):
        rows = np.tile(draw.standard_normal((2, 6)), (5, 1))
        for algorithm in (MFAC.of, StaticMFAC):
            with suppress(ValueError):
                assert np.all(algorithm(rows, 2.25e-17 * 10**exponent * np.max(np.sum(rows**2, axis=1))).q > 0)


def test_a_factorisation_that_fails_is_told(monkeypatch):
    """A pivot that rounding has made negative: LU without pivoting would go on with it."""
    window = MFAC.of(gradients(4), 0.5)
    monkeypatch.setattr("newtonfl.mfac.dynamic.cholesky", lambda matrix: None)
    with pytest.raises(ValueError, match="not positive definite after rounding"):
        window.insert(gradients(1, seed=9)[0])
    np.testing.assert_array_equal(window.gradients, gradients(4))
