"""Kernels, each against a slow or a textbook way to the same thing."""

from __future__ import annotations

import importlib
import zlib
from itertools import pairwise

import array_api_strict
import numpy as np
import pytest
import scipy
from decoding import peak_of
from hypothesis import example, given, settings
from hypothesis import strategies as st

from newtonfl.core.backend import to_host
from newtonfl.core.ragged import Blocks, offsets_of
from newtonfl.kernels import (
    add_at,
    checksums,
    cholesky,
    cholesky_solve,
    largest,
    pair_sums,
    pairs,
    send_largest,
    sums,
)

pytestmark = pytest.mark.usefixtures("form")


LIBRARIES = pytest.mark.parametrize("xp", [np, array_api_strict], ids=["numpy", "strict"])
FEW = st.sampled_from([-2.0, -1.0, -0.0, 0.0, 1.0, 2.0, 5e-324])  # many ties and zeros


def head(numbers: list[float], k: int) -> list[int]:
    """The slow way: sort by magnitude, then by position; drop zeros; keep k; put them in order."""
    order = sorted(range(len(numbers)), key=lambda i: (-abs(numbers[i]), i))
    return sorted([i for i in order if numbers[i] != 0][:k])


@settings(deadline=None, derandomize=True)
@given(
    st.lists(st.lists(FEW | st.floats(allow_nan=False, allow_infinity=False), max_size=20), min_size=1, max_size=4),
    st.integers(0, 25),
)
@example([[]], 0)
@example([[0.0, 0.0], [1.0]], 1)
@example([[1.0, -1.0, 1.0]], 2)
@example([[2.0, 0.0, -2.0], [], [3.0]], 2)
@example([[2.0, 0.0, -2.0], [1.0, 2.0]], 3)
@example([[1.0, 2.0]], 0)
def test_largest_is_the_head_of_each_clients_sorted_list(clients, k):
    """Ties go to the lowest position, zeros are never chosen, and positions count from a client's own beginning."""
    offsets = offsets_of([len(numbers) for numbers in clients])
    each = np.arange(len(clients)) + k  # a number of its own for each client
    for xp in (np, array_api_strict):
        values = xp.asarray([number for numbers in clients for number in numbers], dtype=xp.float64)
        for many in (k, each):
            expected = [
                head(numbers, m) for numbers, m in zip(clients, np.broadcast_to(many, len(clients)), strict=True)
            ]
            assert chosen(values, offsets, many) == expected


def chosen(values, offsets, k) -> list[list[int]]:
    """What `largest` finds, a list a client."""
    positions, counts = largest(values, offsets, k)
    for found in (positions, counts):
        assert isinstance(found, np.ndarray) and found.dtype == np.int64
    assert len(counts) == len(offsets) - 1
    return [each.tolist() for each in np.split(positions, np.cumsum(counts)[:-1])]


@pytest.mark.parametrize("zeros", [0.0, 0.5, 0.97])
@pytest.mark.parametrize("size", [3, 60, 2000])
def test_largest_of_many(size, zeros):
    """Few values, where every selection has ties to break; vectors short and long, of one size or not, mostly zeros."""
    draw = np.random.default_rng(0)
    many = 12_000 // size
    for sizes in (np.full(many, size), draw.integers(0, 2 * size + 1, many)):
        offsets = offsets_of(sizes)
        values = draw.integers(-9, 10, offsets[-1]) * (draw.random(offsets[-1]) >= zeros)
        vectors = np.split(values, offsets[1:-1])
        for k in (1, size // 3, size - 1, size, 6000, draw.integers(0, size + 2, many)):
            each = np.broadcast_to(k, many)
            # numpy's own sort: by magnitude, then by position
            order = [np.lexsort((np.arange(len(v)), -np.abs(v)))[:m] for v, m in zip(vectors, each, strict=True)]
            expected = [sorted(o[v[o] != 0].tolist()) for v, o in zip(vectors, order, strict=True)]
            assert chosen(values.astype(float), offsets, k) == expected


def test_largest_of_clients_that_would_fill_a_table_together():
    """A few clients' rows, filled up, may be as many numbers as all clients have: still none is another's."""
    for sizes, k in (([9, 1], 4), ([1, 0, 9], 4), ([3, 17], 4), ([33] * 16 + [4] * 28, 4)):
        offsets = offsets_of(sizes)
        values = np.random.default_rng(0).permutation(int(offsets[-1])) + 1.0
        parts = np.split(values, offsets[1:-1])
        assert chosen(values, offsets, k) == [sorted(np.argsort(-part)[:k].tolist()) for part in parts]


@pytest.mark.parametrize("size", [6, 1000])
def test_largest_where_numbers_are_not_finite(size):
    """An infinity is above every number, and what is not a number above that; alone and among others."""
    values = np.linspace(-1.0, 1.0, size)
    values[[1, 3, 4]] = np.inf, np.nan, -np.inf
    for k, expected in ((1, [3]), (2, [1, 3]), (3, [1, 3, 4]), (4, [0, 1, 3, 4])):
        assert chosen(values, np.array([0, size]), k) == [expected]
        assert chosen(np.tile(values, 3), size * np.arange(4), k) == [expected] * 3


def test_largest_of_nobody():
    assert chosen(np.zeros(0), np.array([0]), 3) == [[]]


@LIBRARIES
def test_adding_at_positions(xp):
    """values[positions] += increments, elementwise; NumPy's array is changed in place."""
    start, positions, increments = np.arange(6.0), np.array([5, 0, 2]), np.array([0.5, -1.0, 10.0])
    values = xp.asarray(start)
    found = add_at(values, positions, increments)
    np.testing.assert_array_equal(to_host(found), [-1, 1, 12, 3, 4, 5.5])
    assert (found is values) == (xp is np)
    if xp is not np:
        np.testing.assert_array_equal(to_host(values), start)
    none = add_at(xp.asarray(start), np.zeros(0, np.int64), np.zeros(0))
    np.testing.assert_array_equal(to_host(none), start)


def positive_definite(dim: int, seed: int = 0) -> np.ndarray:
    factor = np.random.default_rng(seed).standard_normal((dim, dim + 3))
    return factor @ factor.T / dim


@LIBRARIES
@pytest.mark.parametrize("dim", [1, 2, 9])
def test_cholesky_and_its_solution(xp, dim):
    """L is lower triangular with L Lᵀ = A, and L Lᵀ x = b is solved."""
    matrix, vector = positive_definite(dim), np.arange(1.0, dim + 1)
    factor = cholesky(xp.asarray(matrix))
    lower = to_host(factor)
    np.testing.assert_array_equal(lower, np.tril(lower))
    np.testing.assert_allclose(lower @ lower.T, matrix, rtol=1e-13, atol=1e-14)
    solution = to_host(cholesky_solve(factor, xp.asarray(vector)))
    np.testing.assert_allclose(matrix @ solution, vector, rtol=1e-11)
    np.testing.assert_allclose(solution, np.linalg.solve(matrix, vector), rtol=1e-11)


@LIBRARIES
@pytest.mark.parametrize(
    "matrix",
    [
        np.diag([1.0, -1e-12, 1.0]),
        np.diag([1.0, 0.0]),
        np.array([[1.0, 2.0], [2.0, 1.0]]),
        np.array([[0.0]]),
        np.array([[np.nan, 0.0], [0.0, 1.0]]),
        -positive_definite(5),
    ],
    ids=["tiny negative", "singular", "indefinite", "zero", "not a number", "negative definite"],
)
def test_no_cholesky_factor_of_what_is_not_positive_definite(xp, matrix):
    """None, without a raise or a warning."""
    assert cholesky(xp.asarray(matrix)) is None


def met(rows: np.ndarray, diagonal: bool) -> list[tuple[int, int]]:
    """One client's pairs of columns that meet in a row, in the order of the packed triangle."""
    d = rows.shape[1]
    return [(p, q) for p in range(d) for q in range(p, d) if (rows[:, p] * rows[:, q]).any() or (diagonal and p == q)]


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("dim, sizes", [(1, [3]), (7, [4, 0, 1, 9, 2]), (40, [3, 2, 0]), (0, [2, 1]), (3, [])])
@pytest.mark.parametrize("table", [4, -(2**40)], ids=["table", "sorting"])
def test_pairs_of_each_client(dim, sizes, diagonal, table, monkeypatch):
    """Found by a table or by sorting: the pairs that meet, each row's places among them, and the products."""
    monkeypatch.setattr(importlib.import_module("newtonfl.kernels.pairs"), "_TABLE", table)
    draw, offsets = np.random.default_rng(dim), offsets_of(sizes)
    dense = draw.standard_normal((offsets[-1], dim)) * (draw.random((offsets[-1], dim)) < 0.4)
    csr = scipy.sparse.csr_array(dense)
    found = pairs(csr.indptr, csr.indices, csr.data, offsets, dim, diagonal)
    clients = [dense[a:b] for a, b in pairwise(offsets)]
    expected = [met(rows, diagonal) for rows in clients]
    upper = np.zeros((dim, dim), int)
    upper[np.triu_indices(dim)] = np.arange(dim * (dim + 1) // 2)
    assert found.positions.tolist() == [upper[pair] for each in expected for pair in each]
    assert found.offsets.tolist() == offsets_of([len(each) for each in expected]).tolist()
    places, products = found.numbers, found.products
    assert places.dtype == found.rows.dtype == np.int32
    if found.factors is not None:  # no row here has two numbers
        products = np.repeat(found.factors, np.diff(found.rows))
    terms = [
        (found.offsets[i] + each.index((p, q)), row[p] * row[q])
        for i, (rows, each) in enumerate(zip(clients, expected, strict=True))
        for row in rows
        for p in np.flatnonzero(row)
        for q in np.flatnonzero(row)
        if p <= q
    ]
    assert list(zip(places.tolist(), products.tolist(), strict=True)) == terms
    assert found.rows.tolist() == offsets_of([m * (m + 1) // 2 for m in np.count_nonzero(dense, axis=1)]).tolist()


@pytest.mark.parametrize("alike", [False, True])
@pytest.mark.parametrize("dim, sizes", [(7, [4, 0, 1, 9, 2]), (400, [1, 3])])
def test_sums_of_pairs_are_added_row_by_row(dim, sizes, alike, form):
    """In every bit; of all clients and of some, of rows with one number each or with several, of wide rows as well."""
    draw, offsets = np.random.default_rng(dim), offsets_of(sizes)
    dense = np.where(draw.random((offsets[-1], dim)) < 0.4, draw.standard_normal((offsets[-1], dim)), 0.0)
    if dim == 400:
        dense[0] = draw.standard_normal(dim)  # 80200 places, more than 16 bits hold
    if alike:
        dense = (dense != 0) * draw.standard_normal((offsets[-1], 1))
    csr = scipy.sparse.csr_array(dense)
    found = pairs(csr.indptr, csr.indices, csr.data, offsets, dim, True)
    row, column = np.triu_indices(dim)
    clients = np.arange(len(sizes))
    for chosen in (clients, clients[::2], clients[1:], clients[:0]):
        rows = np.concatenate([np.arange(0), *(np.arange(offsets[i], offsets[i + 1]) for i in chosen)])
        weights = draw.standard_normal(len(rows))
        expected, at = [np.zeros(0)], 0
        for i in chosen:
            entries = np.zeros(len(row))
            for j in range(offsets[i], offsets[i + 1]):
                entries += dense[j, row] * dense[j, column] * weights[at]
                at += 1
            expected.append(entries[found.positions[found.offsets[i] : found.offsets[i + 1]]])
        if form == "numba":
            assert pair_sums(found, weights, chosen).tobytes() == np.concatenate(expected).tobytes()
        else:
            assert (found.matrix(chosen) @ weights).tobytes() == np.concatenate(expected).tobytes()


def test_pairs_take_memory_by_what_meets():
    """A hundred thousand columns, whose triangle would take 5 GB as bytes."""
    dim, draw = 100_000, np.random.default_rng(0)
    columns = np.sort(draw.choice(dim, (40, 10), replace=False), axis=1)
    indptr = 10 * np.arange(41)
    found = []
    peak = peak_of(
        lambda: found.append(pairs(indptr, columns.ravel(), np.ones(400), np.array([0, 15, 40]), dim, False))
    )
    assert found[0].offsets.tolist() == [0, 15 * 55, 40 * 55] and peak < 2**20
    assert found[0].positions.max() > 2**31


def test_sums_are_numpys_of_each_client():
    """In every bit: of one size, of few, of many, with signs of zero; whoever else is there."""
    draw = np.random.default_rng(0)
    for sizes in (
        *(np.full(n, m) for m in [*range(20), 127, 128, 129, 1000, 20_000] for n in (1, 2, 9)),
        *(draw.integers(0, most, 40) for most in (2, 5, 100, 3000)),
        [5000, 3, 5000, 0, 3],
        [3, 2, 4],  # as many in all as if each had three
    ):
        offsets = offsets_of(sizes)
        values = draw.standard_normal(offsets[-1]) * 10.0 ** draw.integers(-9, 9, offsets[-1])
        for numbers in (values, -0.0 * np.abs(values)):
            alone = np.array([np.sum(part) for part in np.split(numbers, offsets[1:-1])])
            assert sums(Blocks(numbers, offsets)).tobytes() == alone.tobytes()


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("sizes", [[3, 0, 1, 40, 7], [900, 5000, 1, 2000], [6] * 50, []], ids=str)
def test_sending_the_largest_of_a_difference(sizes, symmetric):
    """As its steps are written out for each client alone, in every bit; some rounds, with ties and zeros."""
    draw, offsets = np.random.default_rng(0), offsets_of(sizes)
    k, rates = draw.integers(0, 30, len(sizes)), draw.choice([1.0, 0.3], len(sizes))
    on_diagonal = [np.flatnonzero(draw.random(size) < 0.1) for size in sizes]
    diagonal = (np.concatenate([np.arange(0), *on_diagonal]), offsets_of([len(d) for d in on_diagonal]))
    estimate = np.zeros(offsets[-1])
    for digits in (1, 0, 15):
        target, expected = np.round(draw.standard_normal(offsets[-1]), digits), estimate.copy()
        used = draw.choice([0.0, 0.3, 1.0], len(sizes))
        found = send_largest(target, offsets, estimate, k, rates, used, diagonal if symmetric else None)
        positions, values = (np.split(x, np.cumsum(found.counts)[:-1]) for x in (found.positions, found.values))
        for i, (a, b) in enumerate(pairwise(offsets)):
            factors = np.full(b - a, np.sqrt(2.0) if symmetric else 1.0)
            factors[on_diagonal[i]] = 1.0
            difference = target[a:b] * factors - expected[a:b]
            best = head(difference.tolist(), k[i])
            assert positions[i].tolist() == best and values[i].tobytes() == difference[best].tobytes()
            expected[a:b][best] += rates[i] * difference[best]
            difference[best] -= used[i] * difference[best]
            assert found.norms[i] == np.sqrt(np.sum(difference * difference))
        assert len(found.norms) == len(sizes) and estimate.tobytes() == expected.tobytes()


def test_checksums_are_zlibs_of_each_piece():
    draw = np.random.default_rng(0)
    buffer = draw.integers(0, 256, 5000, dtype=np.uint8)
    for edges in ([0, 0, 1, 2, 17, 33, 40, 5000], np.arange(0, 5001, 20), [3, 3], [7]):
        found = checksums(buffer, np.array(edges))
        assert found.dtype == np.uint32
        assert found.tolist() == [zlib.crc32(buffer[a:b].tobytes()) for a, b in pairwise(edges)]
