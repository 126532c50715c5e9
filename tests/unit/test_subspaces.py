"""Hessians as sums of small matrices: products, every way of solving, the projection, and how spans are found."""

from __future__ import annotations

import numpy as np
import pytest
import strict_device

from newtonfl.bases.spans import span
from newtonfl.core.backend import to_device, to_host
from newtonfl.kernels import Subspaces, SubspaceSum, conjugate_gradients
from newtonfl.kernels.lanczos import function_product
from newtonfl.kernels.subspaces import way_to_solve

DIM = 40
RANKS = (5, 0, 7, 4)
WAYS = ("core", "products")


def summed(seed=0, negative=0.0, ranks=RANKS):
    """A sum of four small matrices with eigenvalues of 1 to 2 less `negative`, and H itself."""
    draw = np.random.default_rng(seed)
    vectors = [np.linalg.qr(draw.standard_normal((DIM, r)))[0].T for r in ranks]
    cores = []
    for r in ranks:
        turn = np.linalg.qr(draw.standard_normal((r, r)))[0]
        cores.append((turn * (1.0 + draw.random(r) - negative * (np.arange(r) % 2))) @ turn.T / len(ranks))
    h = sum(v.T @ core @ v for v, core in zip(vectors, cores, strict=True))
    return SubspaceSum(Subspaces(vectors, DIM), cores), h, draw.standard_normal(DIM)


def test_products_and_the_matrix():
    apart, h, b = summed()
    np.testing.assert_allclose(apart.product(b), h @ b, rtol=0, atol=1e-13)
    np.testing.assert_allclose(apart.matrix(), h, rtol=0, atol=1e-15)
    assert (apart.matrix() == apart.matrix().T).all()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("c", [1e-3, 2.0])
def test_every_way_solves_the_dense_system(way, c):
    apart, h, b = summed()
    found = apart.solve(np.full(DIM, c), b, 1e-14, way)
    np.testing.assert_allclose(found, np.linalg.solve(h + c * np.eye(DIM), b), rtol=0, atol=1e-11 / c)


def test_a_diagonal_that_is_not_even():
    apart, h, b = summed()
    diagonal = np.linspace(0.5, 2.0, DIM)
    found = apart.solve(diagonal, b, 1e-14)
    np.testing.assert_allclose(found, np.linalg.solve(h + np.diag(diagonal), b), rtol=0, atol=1e-11)


def test_spans_that_share_directions_have_no_core():
    """ZZᵀ is singular: conjugate gradients take over."""
    apart, h, b = summed()
    twice = SubspaceSum(
        Subspaces([*apart.spaces.vectors, apart.spaces.vectors[0]], DIM), [*apart.cores, apart.cores[0]]
    )
    assert twice.spaces.root is None and apart.spaces.root is not None
    h = h + apart.spaces.vectors[0].T @ apart.cores[0] @ apart.spaces.vectors[0]
    found = twice.solve(np.full(DIM, 0.1), b, 1e-14, "core")
    np.testing.assert_allclose(found, np.linalg.solve(h + 0.1 * np.eye(DIM), b), rtol=0, atol=1e-11)


def test_spans_that_nearly_share_a_direction_have_one():
    """ZZᵀ has a condition of about 1e8, and the solution does not suffer."""
    apart, h, b = summed()
    near = np.linalg.qr((apart.spaces.vectors[0] + 1e-4 * summed(1)[0].spaces.vectors[0]).T)[0].T
    both = SubspaceSum(Subspaces([*apart.spaces.vectors, near], DIM), [*apart.cores, apart.cores[0]])
    assert both.spaces.root is not None and np.linalg.cond(both.spaces.root) > 1e4
    h = h + near.T @ apart.cores[0] @ near
    found = both.solve(np.full(DIM, 0.1), b, 1e-14, "core")
    np.testing.assert_allclose(found, np.linalg.solve(h + 0.1 * np.eye(DIM), b), rtol=0, atol=1e-11)


@pytest.mark.parametrize("way", WAYS)
def test_what_is_not_positive_definite_is_found_out(way):
    """H has eigenvalues near -½; and where D leaves a direction alone that is in no span, any D is too little."""
    apart, _, b = summed(negative=3.0)
    assert apart.solve(np.full(DIM, 0.1), b, 1e-14, way) is None
    apart, _, b = summed()
    assert apart.solve(np.zeros(DIM), b, 1e-14, way) is None
    some = np.where(np.arange(DIM) < DIM - sum(RANKS) - 1, 1.0, 0.0)
    assert apart.solve(some, b, 1e-14, way) is None


@pytest.mark.parametrize("negative", [0.0, 1.2, 3.0])
def test_the_projected_system_is_that_of_the_eigenvalues(negative):
    apart, h, b = summed(negative=negative)
    values, vectors = np.linalg.eigh(h)
    assert (values.min() < -0.01) == (negative > 1.0)
    expected = vectors @ ((vectors.T @ b) / (0.05 + np.clip(values, 0.0, None)))
    np.testing.assert_allclose(apart.solve_projected(0.05, b, 1e-13), expected, rtol=0, atol=1e-11)


def test_conjugate_gradients_stop_where_they_say():
    _, h, b = summed()
    p = h + 1e-2 * np.eye(DIM)
    asked = []

    def product(v):
        asked.append(v)
        return p @ v

    for relative in (1e-2, 1e-6):
        asked.clear()
        x, flat = conjugate_gradients(product, b, relative, 100)
        assert flat is None
        before, _ = conjugate_gradients(lambda v: p @ v, b, 0.0, len(asked) - 1)
        assert np.linalg.norm(p @ x - b) <= 1.001 * relative * np.linalg.norm(b)
        assert np.linalg.norm(p @ before - b) > relative * np.linalg.norm(b)
    assert (conjugate_gradients(product, 0.0 * b, 1e-6, 9)[0] == 0.0).all()
    assert b @ conjugate_gradients(product, b, 0.0, 2)[0] > 0


def test_conjugate_gradients_scaled_by_the_diagonal_take_one_product_for_a_diagonal_matrix():
    scales, b = np.geomspace(1e-6, 1e6, DIM), summed()[2]
    x, flat = conjugate_gradients(lambda v: scales * v, b, 1e-12, 1, lambda r: r / scales)
    assert flat is None
    np.testing.assert_allclose(x, b / scales, rtol=1e-14)
    slow, _ = conjugate_gradients(lambda v: scales * v, b, 1e-12, 1)
    assert np.linalg.norm(scales * slow - b) > 0.1 * np.linalg.norm(b)


def test_conjugate_gradients_with_a_matrix_that_differs_in_two_directions_take_three_products():
    """P⁻¹H has three eigenvalues, and conjugate gradients end after as many steps."""
    _, h, b = summed()
    near = h + np.eye(DIM)
    u, v = np.random.default_rng(3).standard_normal((2, DIM))
    matrix = near + np.outer(u, u) + 0.1 * np.outer(v, v)
    three, flat = conjugate_gradients(lambda p: matrix @ p, b, 0.0, 3, lambda r: np.linalg.solve(near, r))
    assert flat is None and np.linalg.norm(matrix @ three - b) <= 1e-12 * np.linalg.norm(b)
    two, _ = conjugate_gradients(lambda p: matrix @ p, b, 0.0, 2, lambda r: np.linalg.solve(near, r))
    assert np.linalg.norm(matrix @ two - b) > 1e-6 * np.linalg.norm(b)


@pytest.mark.parametrize("last", [0.0, 1e-18, -1.0])
def test_conjugate_gradients_end_at_a_direction_without_curvature(last):
    scales, b = np.ones(DIM), summed()[2]
    scales[-1] = last
    x, flat = conjugate_gradients(lambda v: scales * v, b, 1e-12, 100)
    assert flat @ (scales * flat) <= 1e-15 * (flat @ flat)
    assert b @ flat > 0 and b @ x >= 0


def test_a_function_that_too_few_products_do_not_find_is_none():
    """A diagonal of 300 values over six orders of magnitude, and the root of it."""
    values, b = np.geomspace(1e-6, 1.0, 300), np.ones(300)
    assert function_product(lambda v: values * v, np.sqrt, b, 1e-10, 20) is None
    found = function_product(lambda v: values * v, np.sqrt, b, 1e-10, 300)
    np.testing.assert_allclose(found, np.sqrt(values), rtol=0, atol=1e-8)
    assert (function_product(lambda v: values * v, np.sqrt, 0.0 * b, 1e-10, 300) == 0.0).all()
    exact = function_product(lambda v: 3.0 * v, np.sqrt, b, 1e-10, 1)  # one product, and no direction is left
    np.testing.assert_allclose(exact, np.sqrt(3.0) * b, rtol=1e-14)


@pytest.mark.parametrize(
    "dim, rank, even, way",
    [
        (1100, 6, True, "core"),
        (2000, 500, True, "core"),
        (2000, 500, False, "products"),
        (2000, 1900, True, "products"),
        (2000, 5000, True, "products"),
        (20_000, 2500, True, "core"),
        (20_000, 2900, True, "products"),
        (20_000, 3100, True, "products"),
    ],
)
def test_the_cheaper_way_is_taken(dim, rank, even, way):
    assert way_to_solve(dim, rank, even) == way
    assert way_to_solve(dim, rank, even, most=0) == "products"


@pytest.mark.parametrize("m", [1, 12, 30])
def test_products_find_the_span_that_pivots_find(m):
    """The same singular vectors, orthonormal to rounding, and none of them the slow way."""
    rows = np.random.default_rng(m).standard_normal((m, 30)) * np.geomspace(1.0, 1e-3, 30)
    slow, fast = span(rows), span(rows, most=0)
    assert slow.shape == fast.shape == (m, 30) and (m == 1 or not np.array_equal(slow, fast))
    np.testing.assert_allclose(fast @ fast.T, np.eye(m), rtol=0, atol=1e-14)
    np.testing.assert_allclose(fast, slow, rtol=0, atol=1e-9)


@pytest.mark.parametrize("case", ["dependent", "nearly", "more rows", "none", "zero"])
def test_rows_that_may_be_dependent_are_left_to_pivots(case):
    rows = np.random.default_rng(0).standard_normal({"more rows": (31, 30), "none": (0, 30)}.get(case, (12, 30)))
    if case in ("dependent", "nearly"):
        rows[3] = rows[5] + (1e-7 if case == "nearly" else 0.0) * rows[3]
    if case == "zero":
        rows *= 0.0
    slow, fast = span(rows), span(rows, most=0)
    assert len(fast) == {"dependent": 11, "nearly": 12, "more rows": 30, "none": 0, "zero": 0}[case]
    np.testing.assert_array_equal(slow, fast)


def test_a_device_does_all_but_its_scalars(monkeypatch):
    """Vectors and the core's factor go there once by name, and nothing comes back but numbers."""
    apart, h, b = summed(negative=1.2)
    there = SubspaceSum(apart.spaces, [to_device(core, strict_device.on_device()) for core in apart.cores])
    right = to_device(b, strict_device.on_device())
    strict_device.install(monkeypatch)
    np.testing.assert_allclose(to_host(there.matrix()), h, rtol=0, atol=1e-15)
    even = np.full(DIM, 0.5)
    pairs = [(there.solve(even, right, 1e-14, way), apart.solve(even, b, 1e-14, way)) for way in WAYS]
    pairs.append((there.solve_projected(0.5, right, 1e-13), apart.solve_projected(0.5, b, 1e-13)))
    for ours, host in pairs:
        assert ours.device == strict_device.DEVICE
        np.testing.assert_allclose(to_host(ours), host, rtol=0, atol=1e-12)
