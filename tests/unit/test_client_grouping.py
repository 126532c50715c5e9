"""Problems: bits that no grouping of clients changes, and points that compute a thing once."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from cases import DIM, dense_glm, functions_problem, glm, labelled, points, sparse_glm
from problem_cases import on_clients

import newtonfl.objectives.sparse_rows
from newtonfl.objectives.base import Problem
from newtonfl.objectives.glm import GLM


def large(kind: str, seed: int) -> GLM:
    """Sixteen clients of a shape at which batching is known to change bits (reference/CHECKED.md)."""
    draw = np.random.default_rng(seed)
    sizes = draw.integers(1, 120, 16)
    rows = draw.standard_normal((sizes.sum(), 37))
    if kind == "sparse":
        rows *= draw.random(rows.shape) < 0.2
    loss, labels = labelled("logistic", rows, draw)
    weights = draw.random(len(labels))
    return glm(scipy.sparse.csr_array(rows) if kind == "sparse" else rows, labels, sizes, loss, weights)


@pytest.mark.parametrize("ridge_inside", [False, True])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_bits_do_not_depend_on_which_clients_share_a_process(kind, seed, ridge_inside):
    """Promise 1 of DESIGN.md: a random regrouping of the clients tells the very same numbers."""
    problem = large(kind, seed).with_local_ridge() if ridge_inside else large(kind, seed)
    draw = np.random.default_rng(seed)
    x, v = draw.standard_normal((2, problem.dim))
    each = draw.standard_normal((16, problem.dim))
    together, apart = on_clients(problem, x), on_clients(problem, each)
    product = problem.curvature_product(v)
    for groups in (
        [np.arange(16)],
        *([np.sort(g) for g in np.array_split(draw.permutation(16), k)] for k in (2, 5, 16)),
    ):
        for group in groups:
            part = problem.select(group)
            assert part.clients.tolist() == group.tolist() and part.n_clients == 16
            assert all(np.array_equal(a[group], b) for a, b in zip(together, on_clients(part, x), strict=True))
            assert all(np.array_equal(a[group], b) for a, b in zip(apart, on_clients(part, each[group]), strict=True))
            assert np.array_equal(product[group], part.curvature_product(v))
            if kind == "sparse":
                for diagonal in (False, True):
                    ours, theirs = part.at(x), problem.at(x)
                    for i, client in enumerate(group):
                        assert np.array_equal(part.support(diagonal)[i], problem.support(diagonal)[client])
                        told = ours.hessians_on_support(diagonal)[i]
                        assert np.array_equal(told, theirs.hessians_on_support(diagonal)[client])


def test_taking_clients_of_a_part_keeps_their_numbers():
    """`take` counts positions, and clients keep the numbers that they have in the whole."""
    whole = dense_glm(n=6, ridge=np.linspace(0.0, 0.6, DIM), f_star=0.25)
    part = whole.select(np.array([1, 3, 4])).select(np.array([0, 2]))
    assert part.clients.tolist() == [1, 4] and len(part.hessian_counts) == 2
    np.testing.assert_array_equal(part.ridge, whole.ridge)
    assert (part.objective, part.f_star, part.n_clients) == (whole.objective, 0.25, 6)
    x = points(part, 1)[0]
    np.testing.assert_array_equal(part.at(x).value, whole.at(x).value[[1, 4]])
    held = np.concatenate([np.arange(*whole.rows.offsets[i : i + 2]) for i in (1, 4)])
    for all_given, given in zip(whole.host[:2], part.host[:2], strict=True):
        np.testing.assert_array_equal(given, all_given[held])


def every_kind() -> dict[str, Problem]:
    ridge = np.linspace(0.0, 0.6, DIM)
    kinds = {
        "dense": dense_glm(n=6, ridge=ridge),
        "sparse": sparse_glm(n=6, ridge=ridge),
        "weighted": large("sparse", 1),
        "functions": functions_problem(6)[0],
    }
    return kinds | {f"{name}, ridge inside": problem.with_local_ridge() for name, problem in kinds.items()}


@pytest.mark.parametrize("chosen", [[1], [0, 3, 4], [5, 2], []], ids=str)
@pytest.mark.parametrize("kind", every_kind())
def test_some_of_the_clients_tell_what_they_tell_among_all(kind, chosen):
    """In the same bits, at one point and at a point of each client's own; what they compute counts in the whole."""
    whole, chosen = every_kind()[kind], np.array(chosen, dtype=np.int64)
    n, draw = len(whole.clients), np.random.default_rng(3)
    part = whole.select(chosen)
    assert part.clients.tolist() == whole.clients[chosen].tolist() and part.n_clients == n
    for x in (draw.standard_normal(whole.dim), draw.standard_normal((n, whole.dim))):
        theirs = x if x.ndim == 1 else x[chosen]
        direction = draw.standard_normal(x.shape)
        along = direction if x.ndim == 1 else direction[chosen]
        assert all(
            np.array_equal(a[chosen], b) for a, b in zip(on_clients(whole, x), on_clients(part, theirs), strict=True)
        )
        steps = [1.0, 0.5, -2.0]
        ours = whole.at(x).value_along(direction, steps)
        assert np.array_equal(ours[chosen], part.at(theirs).value_along(along, steps))
        if whole.is_sparse:
            for diagonal in (whole.local_ridge is not None, True):
                told = whole.at(x).hessians_on_support(diagonal).select(chosen)
                assert np.array_equal(part.at(theirs).hessians_on_support(diagonal).values, told.values)
                assert np.array_equal(part.support(diagonal).values, whole.support(diagonal).select(chosen).values)
        if isinstance(whole, GLM):
            vectors = list(draw.standard_normal((n, 3, whole.dim)))
            rows, some = whole.projected_rows(vectors), part.projected_rows([vectors[i] for i in chosen])
            told = whole.at(x).hessians_in(rows).select(chosen)
            assert np.array_equal(part.at(theirs).hessians_in(some).values, told.values)


@pytest.mark.parametrize("kind", every_kind())
def test_hessians_of_some_clients_count_in_the_whole(kind):
    """Those of a part of a part too, and forgetting begins anew."""
    whole = every_kind()[kind]
    whole.forget()
    part = whole.select(np.array([4, 1, 3]))
    _ = part.at(np.zeros(whole.dim)).hessians
    _ = part.select(np.array([2, 0])).at(np.zeros(whole.dim)).hessians
    _ = part.with_local_ridge().select(np.array([1])).at(np.ones(whole.dim)).hessians
    assert whole.hessian_counts[:6].tolist() == [0, 2, 0, 2, 2, 0] and part.hessian_counts.tolist() == [2, 2, 2]
    whole.forget()
    assert not whole.hessian_counts.any() and not part.hessian_counts.any()
    assert whole.select(np.arange(len(whole.clients))) is whole


def test_taking_clients_computes_nothing_again(monkeypatch):
    """Neither the meetings of features nor a transposition nor a copy of the rest: what the whole has is taken."""
    whole, x = large("sparse", 0), np.ones(37)
    _ = whole.at(x).gradient, whole.at(x).hessians_on_support(True)
    monkeypatch.setattr(newtonfl.objectives.sparse_rows, "pairs", lambda *rows: 1 / 0)
    monkeypatch.setattr(scipy.sparse.csr_array, "transpose", lambda rows: 1 / 0)
    point = whole.select(np.array([3, 7])).select(np.array([1])).at(x)
    _ = point.gradient, point.hessians_on_support(True)
    dense = large("dense", 0)
    assert np.shares_memory(dense.select(np.array([2, 3])).rows.array, dense.rows.array)


@pytest.mark.parametrize("each", [False, True], ids=["one", "each"])
@pytest.mark.parametrize("kind", every_kind())
def test_values_along_a_direction(kind, each):
    """f_i(x + t·direction), as at those points; the point remembered stays."""
    problem = every_kind()[kind]
    x, direction = 0.5 * np.random.default_rng(1).standard_normal((2, len(problem.clients), problem.dim))
    x, direction = (x, direction) if each else (x[0], direction[0])
    point, steps = problem.at(x), [1.0, 0.5, 2.0**-10, 0.0]
    told = point.value_along(direction, steps)
    assert problem.at(x) is point
    expected = np.stack([problem.at(x + t * direction).value for t in steps], axis=1)
    np.testing.assert_allclose(told, expected, rtol=1e-13)
    assert len(np.unique(told[0])) == 4


def test_values_along_a_direction_need_two_products_of_the_rows(monkeypatch):
    problem, x = sparse_glm(), np.ones(DIM)
    margins, calls = problem.rows.margins, []
    monkeypatch.setattr(problem.rows, "margins", lambda x: calls.append(1) or margins(x))
    problem.at(x).value_along(x, list(0.5 ** np.arange(11)))
    assert len(calls) == 2


def test_a_point_is_computed_once():
    """The last two points are remembered, a Hessian is counted when it is computed, and forgetting begins anew."""
    problem = sparse_glm()
    x, y, z = points(problem, 3)
    point = problem.at(x)
    assert problem.at(x.copy()) is point and problem.hessian_counts.tolist() == [0] * 4
    assert point.gradient is point.gradient and point.hessians is point.hessians
    assert problem.hessian_counts.tolist() == [1] * 4
    assert point.hessians_on_support(True) is point.hessians_on_support(True)
    assert problem.hessian_counts.tolist() == [2] * 4
    problem.at(y)
    assert problem.at(x) is point
    problem.at(z)
    problem.at(y)
    assert problem.at(x) is not point
    local = problem.with_local_ridge()
    own, inside = problem.at(x), local.at(x)
    problem.forget()
    assert problem.hessian_counts.tolist() == [0] * 4
    assert problem.at(x) is not own and local.at(x) is not inside
